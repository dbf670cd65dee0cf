"""Solved examples in front of a prompt: neutral in sum, the same for all prompts of a wording."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from itertools import permutations

import pytest

from blindspot.answers import read_rating
from blindspot.errors import StimulusError
from blindspot.measurements.registry import slices
from blindspot.run.source import FixturePrompts
from blindspot.stimuli import EXPLICIT, IMPLICIT, Selection, load_stimuli
from blindspot.stimuli.examples import Examples
from blindspot.stimuli.terms import words_of

STIMULI = load_stimuli()
AXIS = STIMULI.axes["race"]
COUNT = 4


def texts(measurement, count=COUNT, seed=0, stimuli=STIMULI):
    """By wording, the examples in front of its prompts."""
    examples = Examples(stimuli, count, seed)
    wordings = {IMPLICIT: stimuli.implicit, EXPLICIT: stimuli.explicit}[measurement]["en"]
    return {one.id: examples.of(measurement, "race", one.id) for one in wordings}


def test_every_prompt_of_a_wording_has_the_same_examples():
    """Examples stand in front of the prompt as it is, and all four orders share them."""
    part = slices(STIMULI, IMPLICIT)[0]
    plain = list(FixturePrompts(STIMULI, Selection(limit=1)).prompts(part))
    solved = list(
        FixturePrompts(STIMULI, Selection(limit=1), Examples(STIMULI, 2, 0)).prompts(part)
    )
    before = {}
    for one, other in zip(plain, solved, strict=True):
        assert other.text.endswith(one.text)
        assert replace(other, text=one.text) == one
        before.setdefault(other.wording, set()).add(other.text.removesuffix(one.text))
    assert all(len(each) == 1 and all(each) for each in before.values())


@pytest.mark.parametrize("count", [2, pytest.param(4, marks=pytest.mark.slow)])
def test_answers_of_examples_are_balanced(count):
    """In each wording as many examples pair first with first as crosswise."""
    for wording in STIMULI.implicit["en"]:
        text = Examples(STIMULI, count, 0).of(IMPLICIT, "race", wording.id)
        read = Counter()
        for _ in range(count):
            example, text = _first_example(wording, text)
            read[example] += 1
        assert text == ""
        assert read == {True: count // 2, False: count // 2}, wording.id


def _first_example(wording, text):
    """Whether the first of some examples pairs first with first, and the other examples."""
    unrelated = [word for each in STIMULI.unrelated["en"] for word in each.words]
    for terms in permutations([word for word in unrelated if word in words_of([text])], 4):
        slots = dict(zip(("first", "second", "first_word", "second_word"), terms, strict=True))
        asked = wording.text.format(**slots)
        if text.startswith(asked):
            for straight in (True, False):
                first, second = terms[:2] if straight else terms[1::-1]
                answer = wording.answer.format(first_choice=first, second_choice=second, **slots)
                whole = f"{asked} {answer}\n\n"
                if text.startswith(whole):
                    return straight, text.removeprefix(whole)
    raise AssertionError(text)


def test_ratings_of_examples_are_neutral_in_sum():
    """The ratings of a wording have the mean of the scale."""
    for wording in STIMULI.explicit["en"]:
        if wording.scale == "likert":
            answers = [line for line in texts(EXPLICIT)[wording.id].split("\n\n") if line]
            ratings = [read_rating(answer.split()[-1]) for answer in answers]
            assert sum(ratings) == 3 * COUNT


def test_odd_numbers_are_balanced_over_wordings():
    """One example is straight in half of the wordings, and another one in the next."""
    last = [
        text.strip().split()[-1]
        for wording, text in texts(EXPLICIT, count=1).items()
        if next(w for w in STIMULI.explicit["en"] if w.id == wording).scale == "likert"
    ]
    assert len(set(last)) == 2
    assert max(Counter(last).values()) - min(Counter(last).values()) <= 1


def test_examples_name_nothing_of_the_axis():
    """No identifier and no word of the axis occurs in the terms of an example."""
    own = AXIS.identifier_words | words_of(
        word for each in AXIS.categories.values() for word in each.positive + each.negative
    )
    unrelated = {word for each in STIMULI.unrelated["en"] for word in each.words}
    assert not unrelated & own
    for text in texts(IMPLICIT).values():
        assert unrelated & words_of([text])


def test_words_of_the_axis_are_left_out():
    """An unrelated word that a category uses is in no example."""
    taken = STIMULI.unrelated["en"][0].words[0]
    category = next(iter(AXIS.categories.values()))
    larger = category.model_copy(update={"positive": (*category.positive, taken)})
    axis = AXIS.model_copy(update={"categories": {"one": larger}})
    stimuli = replace(STIMULI, axes={"race": axis})
    for text in texts(IMPLICIT, stimuli=stimuli).values():
        assert taken not in words_of([text])


def test_the_seed_draws_them():
    """The same seed gives the same examples, another one others."""
    assert texts(IMPLICIT) == texts(IMPLICIT)
    assert texts(IMPLICIT) != texts(IMPLICIT, seed=1)


def test_a_language_without_unrelated_words_is_refused():
    """One line names the flag, the axis and the remedy; without examples nothing is needed."""
    bare = replace(STIMULI, unrelated={})
    with pytest.raises(StimulusError, match=r"--num-fewshot.*'race'.*--include-path"):
        Examples(bare, 1, 0)
    assert Examples(bare, 0, 0).of(IMPLICIT, "race", "any") == ""
