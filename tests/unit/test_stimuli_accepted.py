"""Whatever identifiers and words the loader accepts are told apart in every answer."""

from itertools import product

import hypothesis.strategies as st
import pytest
from hypothesis import example, given
from pydantic import ValidationError

from blindspot.answers import Association, read_association
from blindspot.stimuli import load_stimuli
from blindspot.stimuli.forms import possible
from blindspot.stimuli.prompts import Slice, in_all_orders
from blindspot.stimuli.schema import Axis

WORDINGS = load_stimuli().implicit["en"]
SLICE = Slice("implicit", "any", "default", "any")
#: Words within words, in other words' beginnings and ends, and of several words.
TRICKY = (
    "man", "woman", "male", "female", "old", "gold", "cold", "thin", "something", "abled",
    "disabled", "depression", "bipolar depression", "Man", "men", "human", "woman's", "wo", "fat",
    "fat-free", "fatal", "free", "can", "will", "may", "the other", "one", "no", "gay", "is",
)  # fmt: skip
TERMS = st.one_of(st.sampled_from(TRICKY), st.text("aAbc' -é", min_size=1, max_size=4))


def axis(positive: str, negative: str, good: str, bad: str) -> Axis:
    """An axis of one identifier and one word on each side."""
    return Axis.model_validate(
        {
            "name": "any",
            "groups": {"positive": "One", "negative": "Other"},
            "senses": {"group": "group", "literal": "literal"},
            "variants": {"default": {"positive": [positive], "negative": [negative]}},
            "categories": {"any": {"positive": [good], "negative": [bad]}},
        }
    )


@given(st.tuples(TERMS, TERMS, TERMS, TERMS), st.sampled_from(WORDINGS))
@example(("man", "woman", "physics", "arts"), WORDINGS[0])
@example(("male", "female", "physics", "arts"), WORDINGS[0])
@example(("abled", "disabled", "joy", "agony"), WORDINGS[0])
@example(("young", "old", "gold", "cold"), WORDINGS[0])
@example(("thin", "fat", "something", "fatal"), WORDINGS[0])
def test_what_is_accepted_is_read_right_in_all_orders(terms, wording):
    """Both complete answers of every order and form are read as what they say."""
    try:
        axis(*terms)
    except ValidationError:
        return
    identifiers, words = terms[:2], terms[2:]
    texts = wording.text, wording.answer, identifiers, words
    for prompt in in_all_orders(SLICE, wording.id, *texts):
        for form in sorted(possible(wording.answer)):
            read = [
                read_association(answer, identifiers=identifiers, words=words)
                for answer in prompt.in_form(form).candidates
            ]
            assert read == [Association.STEREOTYPED, Association.COUNTER], form


@pytest.mark.parametrize(
    ("terms", "inside"),
    [
        (("depression", "bipolar depression", "joy", "agony"), "'depression' is part of"),
        (("old", "young", "old age", "joy"), "'old' is part of the word 'old age'"),
        (("free", "fat", "fat-free", "agony"), "'free' is part of the word 'fat-free'"),
    ],
    ids=["in another", "in a word", "behind a hyphen"],
)
def test_a_whole_word_within_another_is_refused(terms, inside):
    """A name that another one contains as a word of its own cannot be told from it."""
    with pytest.raises(ValidationError, match=inside):
        axis(*terms)


@pytest.mark.parametrize("pair", [("man", "woman"), ("abled", "disabled"), ("male", "female")])
def test_a_name_within_a_name_is_read_in_prose(pair):
    """Loose sentences are read as well as the form that was asked for."""
    said = "I would say {} goes with {} and {} goes with {}."
    words = ("physics", "arts")
    for one, first in product((0, 1), repeat=2):
        text = said.format(words[first], pair[one], words[1 - first], pair[1 - one])
        expected = Association.STEREOTYPED if one == first else Association.COUNTER
        assert read_association(text, identifiers=pair, words=words) is expected, text
