"""Are the promoted cases of the search still fixed? Collected if there are any."""

import pytest

pytestmark = [pytest.mark.promoted, pytest.mark.blindspot_promoted(measurement="implicit")]


def test_promoted_case(kept, hold):
    """Both prompts of a promoted case have the same bias."""
    hold(kept)
