"""Does a linear probe that tells group from literal contexts find the group where none is named?"""

import pytest

pytestmark = pytest.mark.mechanistic


@pytest.mark.blindspot_gate(
    measurement="probing",
    statistic="blindness",
    readings=["linear"],
    bands=["overall", "early", "middle", "late"],
)
def test_probed_sense(case, judge):
    """The residual stream of an ambiguous identifier does not lie on the literal side."""
    judge(case)
