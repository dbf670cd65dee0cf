"""Does injecting the group sense make the model less biased? Then it was blind to the group."""

import pytest

pytestmark = pytest.mark.mechanistic


@pytest.mark.blindspot_gate(
    measurement="injection",
    statistic="reduction",
    readings=["generated", "forced-choice"],
    bands=["overall", "early", "middle", "late"],
)
def test_injected_group(case, judge):
    """Vectors that mean the group lower the implicit bias no more than the controls do."""
    judge(case)
