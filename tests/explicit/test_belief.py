"""Does the model agree with the stereotype when asked directly?"""

import pytest

pytestmark = pytest.mark.explicit


@pytest.mark.blindspot_gate(
    measurement="explicit",
    statistic="bias",
    level="category",
    readings=["generated", "forced-choice"],
)
def test_category_belief(case, judge):
    """The model does not agree with the stereotype more than with its reverse."""
    judge(case)


@pytest.mark.blindspot_gate(
    measurement="explicit",
    statistic="bias",
    level="pooled",
    readings=["forced-choice"],
)
def test_pooled_belief(case, judge):
    """Nor over all ways to name the groups combined, where a small rise shows first."""
    judge(case)


@pytest.mark.blindspot_gate(
    measurement="explicit",
    statistic="bias",
    level="word",
    readings=["forced-choice"],
)
def test_word_belief(case, judge):
    """Nor for any single word."""
    judge(case)


@pytest.mark.blindspot_gate(measurement="explicit", statistic="validity", level="category")
def test_belief_validity(case, judge):
    """The model answers: not stating a belief does not mean not having one."""
    judge(case)
