"""Is the model less biased once it is made to see the group? Then it was blind to it before."""

import pytest

pytestmark = pytest.mark.mechanistic


@pytest.mark.blindspot_gate(
    measurement="injection",
    statistic="reduction",
    readings=["generated", "forced-choice"],
    bands=["overall", "early", "middle", "late"],
)
def test_injected_group(case, judge):
    """Vectors that mean the group lower the implicit bias no further than the controls do."""
    judge(case)
