"""Does a prompt's bias depend on how its instruction is written? Collected when asked for."""

import pytest

pytestmark = [pytest.mark.search, pytest.mark.blindspot_search(measurement="implicit")]


def test_bias_survives_harmless_changes(space, explore):
    """Neither case nor punctuation, a prefix nor synonyms change a word pair's bias."""
    explore(space)
