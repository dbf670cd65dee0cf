"""Left to put an identifier's vector into its own words, does the model speak of the group?"""

import pytest

pytestmark = pytest.mark.mechanistic


@pytest.mark.blindspot_gate(
    measurement="interpretation",
    statistic="blindness",
    bands=["overall", "early", "middle", "late"],
)
def test_described_sense(case, judge):
    """What the model writes of a patched placeholder is not of the literal sense alone."""
    judge(case)
