"""Does a linear probe fitted on unambiguous contexts find the group in ambiguous ones?"""

import pytest

pytestmark = pytest.mark.mechanistic


@pytest.mark.blindspot_gate(
    measurement="probing",
    statistic="blindness",
    readings=["linear"],
    bands=["overall", "early", "middle", "late"],
)
def test_probed_sense(case, judge):
    """The residual stream of an ambiguous identifier is not on the literal side."""
    judge(case)
