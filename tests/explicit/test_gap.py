"""Does the model associate what it denies? The signature of an aligned but blind model."""

import pytest

pytestmark = [pytest.mark.implicit, pytest.mark.explicit]


@pytest.mark.blindspot_gate(measurement="gap", statistic="gap")
def test_implicit_explicit_gap(case, judge):
    """On the same pairs, implicit association barely exceeds stated belief."""
    judge(case)
