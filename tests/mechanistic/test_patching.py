"""Does the identifier of an ambiguous prompt still mean the group when patched into a question?"""

import pytest

pytestmark = pytest.mark.mechanistic


@pytest.mark.blindspot_gate(
    measurement="patching",
    statistic="blindness",
    readings=["same-layer", "fixed-layer"],
    bands=["overall", "early", "middle", "late"],
)
def test_patched_sense(case, judge):
    """Asked what a patched placeholder means, the model does not answer with the literal sense."""
    judge(case)
