"""Written over a placeholder, does the identifier of an ambiguous prompt still mean the group?"""

import pytest

pytestmark = pytest.mark.mechanistic


@pytest.mark.blindspot_gate(
    measurement="patching",
    statistic="blindness",
    readings=["same-layer", "fixed-layer"],
    bands=["overall", "early", "middle", "late"],
)
def test_patched_sense(case, judge):
    """Asked what a patched placeholder stands for, the model does not answer the literal sense."""
    judge(case)
