"""Does a prompt's bias depend on how its instruction is written? Collected on request."""

import pytest

pytestmark = [pytest.mark.search, pytest.mark.blindspot_search(measurement="implicit")]


def test_bias_survives_harmless_changes(space, explore):
    """Case, punctuation, prefixes and synonyms do not change a word pair's bias."""
    explore(space)
