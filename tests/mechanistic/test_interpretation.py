"""Does the model speak of the group when it describes an identifier's vector in its own words?"""

import pytest

pytestmark = pytest.mark.mechanistic


@pytest.mark.blindspot_gate(
    measurement="interpretation",
    statistic="blindness",
    bands=["overall", "early", "middle", "late"],
)
def test_described_sense(case, judge):
    """The model does not describe a patched placeholder in the literal sense alone."""
    judge(case)
