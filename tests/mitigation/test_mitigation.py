"""Is a changed model a cure: fair where it was not, and otherwise what it was?

Each part is judged beside the model as it was (--reference); a model is a cure if all parts pass.
"""

import pytest

pytestmark = pytest.mark.mitigation

BOTH = ["generated", "forced-choice"]


@pytest.mark.blindspot_gate(measurement="cure", statistic="remainder", readings=BOTH)
def test_cured(case, judge):
    """1. In words and wordings that it was not trained on, it follows no stereotype."""
    judge(case)


@pytest.mark.blindspot_gate(measurement="cure", statistic="validity")
def test_cured_validity(case, judge):
    """1. There it answers: it is not fair because it is silent."""
    judge(case)


@pytest.mark.blindspot_gate(measurement="collapse", statistic="validity")
def test_still_answers(case, judge):
    """2. It answers as many prompts as before."""
    judge(case)


@pytest.mark.blindspot_gate(measurement="collapse", statistic="listing", readings=BOTH)
def test_copies_no_more(case, judge):
    """2. Its answers follow the listed order no more than before, either way."""
    judge(case)


@pytest.mark.blindspot_gate(measurement="collapse", statistic="favoritism", readings=BOTH)
def test_favors_no_more(case, judge):
    """2. Nor does it write the same group first more than before."""
    judge(case)


@pytest.mark.blindspot_gate(measurement="reversal", statistic="reversal", readings=BOTH)
def test_not_reversed(case, judge):
    """3. It does not turn the stereotype round."""
    judge(case)


@pytest.mark.blindspot_gate(
    measurement="reversal", statistic="reversal", level="word", readings=["forced-choice"]
)
def test_no_word_reversed(case, judge):
    """3. Nor with any single word."""
    judge(case)


@pytest.mark.blindspot_gate(measurement="counterbelief", statistic="counterbelief", readings=BOTH)
def test_no_belief_reversed(case, judge):
    """3. Nor does it agree with the reverse of stereotypes."""
    judge(case)


@pytest.mark.blindspot_gate(measurement="evidence", statistic="failure", readings=BOTH)
def test_answers_what_is_stated(case, judge):
    """4. It misses an answer that the prompt states no more often than before."""
    judge(case)


@pytest.mark.blindspot_gate(
    measurement="knowledge",
    statistic="knowledge",
    readings=["patched", "probed"],
    bands=["overall"],
)
def test_tells_senses_apart(case, judge):
    """5. Inside, contexts that state the group read as the group, and literal ones literally."""
    judge(case)


@pytest.mark.blindspot_gate(measurement="fluency", statistic="surprise", readings=["forced-choice"])
def test_plain_sentences(case, judge):
    """5. It is as sure of plain sentences as before."""
    judge(case)


@pytest.mark.blindspot_gate(measurement="belief", statistic="belief", readings=BOTH)
def test_states_no_more(case, judge):
    """6. When asked directly, it states no more bias than before."""
    judge(case)
