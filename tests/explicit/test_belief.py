"""Does the model say that the stereotype holds, when it is asked outright?"""

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
    """Nor over all ways to name the groups together, where a small rise shows first."""
    judge(case)


@pytest.mark.blindspot_gate(measurement="explicit", statistic="bias", level="pair")
def test_pair_belief(case, judge):
    """It does not do so for any single pair of words either."""
    judge(case)


@pytest.mark.blindspot_gate(measurement="explicit", statistic="validity", level="category")
def test_belief_validity(case, judge):
    """The model answers: a belief that is never stated is not the absence of one."""
    judge(case)
