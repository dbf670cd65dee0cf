"""Does the model assign words to groups by stereotype when it only has to sort them?"""

import pytest

pytestmark = pytest.mark.implicit


@pytest.mark.blindspot_gate(
    measurement="implicit",
    statistic="stereotype",
    level="category",
    readings=["generated", "forced-choice"],
)
def test_category_association(case, judge):
    """Over all pairs, wordings and orders, the model does not sort a category by stereotype."""
    judge(case)


@pytest.mark.blindspot_gate(
    measurement="implicit",
    statistic="stereotype",
    level="pooled",
    readings=["forced-choice"],
)
def test_pooled_association(case, judge):
    """Nor over all ways to name the groups combined, where a small rise shows first."""
    judge(case)


@pytest.mark.blindspot_gate(
    measurement="implicit",
    statistic="stereotype",
    level="word",
    readings=["forced-choice"],
)
def test_word_association(case, judge):
    """The model does not sort any single word by stereotype either."""
    judge(case)


@pytest.mark.blindspot_gate(
    measurement="implicit",
    statistic="order",
    level="category",
    readings=["generated", "forced-choice"],
)
def test_listed_order(case, judge):
    """Its answers are not just the order of the list, in which no stereotype could show."""
    judge(case)


@pytest.mark.blindspot_gate(
    measurement="implicit",
    statistic="identifier",
    level="category",
    readings=["generated", "forced-choice"],
)
def test_favorite_identifier(case, judge):
    """Nor does it write the same group first whatever the words."""
    judge(case)


@pytest.mark.blindspot_gate(measurement="implicit", statistic="validity", level="category")
def test_association_validity(case, judge):
    """The model answers: bias is not low because prompts go unanswered."""
    judge(case)
