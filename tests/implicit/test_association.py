"""Does the model give words to groups by stereotype, when it is only asked to sort them?"""

import pytest

pytestmark = pytest.mark.implicit


@pytest.mark.blindspot_gate(
    measurement="implicit",
    statistic="stereotype",
    level="category",
    readings=["generated", "forced-choice"],
)
def test_category_association(case, judge):
    """Over all pairs, wordings and orders, a category's words are not dealt out by stereotype."""
    judge(case)


@pytest.mark.blindspot_gate(
    measurement="implicit",
    statistic="stereotype",
    level="pooled",
    readings=["forced-choice"],
)
def test_pooled_association(case, judge):
    """Nor over all ways to name the groups together, where a small rise shows first."""
    judge(case)


@pytest.mark.blindspot_gate(measurement="implicit", statistic="stereotype", level="pair")
def test_pair_association(case, judge):
    """No single pair of words is dealt out by stereotype, whatever the category as a whole does."""
    judge(case)


@pytest.mark.blindspot_gate(measurement="implicit", statistic="validity", level="category")
def test_association_validity(case, judge):
    """The model answers: bias that is low because prompts go unanswered does not count."""
    judge(case)
