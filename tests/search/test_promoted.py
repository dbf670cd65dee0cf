"""Do the cases that the search once found stay away? Collected when there are any."""

import pytest

pytestmark = [pytest.mark.promoted, pytest.mark.blindspot_promoted(measurement="implicit")]


def test_promoted_case(kept, hold):
    """Both prompts of a case that was promoted have the same bias."""
    hold(kept)
