"""Answers beside an echo of our own prompts, whole or cut off: models repeat what is asked."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from blindspot.answers import read_agreement, read_association
from blindspot.measurements.registry import render, slices
from blindspot.stimuli import (
    EXPLICIT,
    IMPLICIT,
    AssociationPrompt,
    Prompt,
    Selection,
    StatementPrompt,
    load_stimuli,
)

SAID = {"stereotyped", "counter", "agree", "disagree", "neutral"}
RATINGS = {"1": "disagree", "2": "disagree", "3": "neutral", "4": "agree", "5": "agree"}
WORDS = {"agree": "agree", "I disagree.": "disagree"}


def _prompts() -> Iterator[Prompt]:
    """The first prompt of every wording for every variant."""
    stimuli = load_stimuli()
    for measurement in (IMPLICIT, EXPLICIT):
        seen = set()
        for part in slices(stimuli, measurement):
            for prompt in render(stimuli, part, Selection(limit=1, fraction=None)):
                if (part.variant, prompt.wording) not in seen:
                    seen.add((part.variant, prompt.wording))
                    yield prompt


def _offers(prompt: Prompt) -> bool:
    """Whether the prompt itself spells out both complete answers, to copy one of them."""
    return isinstance(prompt, AssociationPrompt) and all(
        candidate in prompt.text for candidate in prompt.candidates
    )


PROMPTS = list(_prompts())
OFFERS = [prompt for prompt in PROMPTS if _offers(prompt)]
#: Their echoes hold no complete answer.
OTHERS = [prompt for prompt in PROMPTS if not _offers(prompt)]
OF_DEFAULT = [prompt for prompt in OTHERS if prompt.slice.variant == "default"]


def _reader(prompt: Prompt) -> Callable[[str], str]:
    if isinstance(prompt, StatementPrompt):
        return lambda text: read_agreement(text).value
    names = {"identifiers": prompt.identifiers, "words": prompt.words}
    return lambda text: read_association(text, **names).value


def _answers(prompt: Prompt) -> dict[str, str]:
    if isinstance(prompt, AssociationPrompt):
        return dict(zip(prompt.candidates, ("stereotyped", "counter"), strict=True))
    return RATINGS if prompt.scale == "likert" else WORDS


def _id(prompt: Prompt) -> str:
    return f"{prompt.slice.variant}-{prompt.wording}"


@pytest.mark.parametrize("prompt", OTHERS, ids=_id)
def test_answer_beside_an_echo_is_read(prompt: Prompt) -> None:
    """The prompt in front of an answer, behind it, or both, changes nothing."""
    read = _reader(prompt)
    for answer, reading in _answers(prompt).items():
        for around in ("{echo} {answer}", "{answer}\n{echo}", "{answer}\n\n{echo} {answer}"):
            text = around.format(answer=answer, echo=prompt.text)
            assert read(text) == reading, text


@pytest.mark.parametrize("prompt", OFFERS, ids=_id)
def test_answer_offered_is_read_where_it_stands_alone(prompt: Prompt) -> None:
    """A copied answer is read, once or twice; beside an echo of both answers nobody can tell."""
    read = _reader(prompt)
    for answer, reading in _answers(prompt).items():
        for text in (answer, f"{answer}\n\n{answer}"):
            assert read(text) == reading, text
        for text in (f"{prompt.text}\n\n{answer}", f"{answer}\n{prompt.text}"):
            assert read(text) not in SAID, text


@pytest.mark.parametrize("prompt", OFFERS, ids=_id)
def test_echo_of_an_offer_is_an_answer_only_while_it_holds_one(prompt: Prompt) -> None:
    """Cut off, it is no answer before the first offered one is whole, nor once both are."""
    read = _reader(prompt)
    first, both = sorted(prompt.text.index(answer) + len(answer) for answer in _answers(prompt))
    for length in (*range(10, first - 10), *range(both, len(prompt.text))):
        assert read(prompt.text[:length]) not in SAID, prompt.text[:length]


def test_both_kinds_are_tried() -> None:
    """Many wordings offer whole answers, and many do not: else these tests would claim little."""
    assert len(OFFERS) > len(PROMPTS) / 4
    assert len(OTHERS) > len(PROMPTS) / 4


@pytest.mark.parametrize("prompt", PROMPTS, ids=_id)
def test_echo_alone_is_no_answer(prompt: Prompt) -> None:
    """A model that only repeats the prompt has not answered."""
    read = _reader(prompt)
    for text in (prompt.text, f"{prompt.text}\n{prompt.text}"):
        assert read(text) not in SAID, text


#: What is left: a legend that breaks off behind its first entry are inconclusive from an answer.
MOST_MISREAD = 0.01


def test_echo_that_breaks_off_is_no_answer() -> None:
    """Wherever the token limit cuts an echo, what is left of the prompt is hardly ever read."""
    cuts = [
        (prompt, prompt.text[:length])
        for prompt in OF_DEFAULT
        for length in range(10, len(prompt.text))
    ]
    misread = [text for prompt, text in cuts if _reader(prompt)(text) in SAID]
    assert len(cuts) > 2_000
    assert len(misread) <= MOST_MISREAD * len(cuts), misread


def test_echo_that_breaks_off_behind_an_answer_changes_nothing() -> None:
    """An answer is read as what it is, wherever an echo of the prompt behind it breaks off."""
    cuts = [
        (prompt, reading, f"{answer}\n{prompt.text[:length]}")
        for prompt in OF_DEFAULT
        for answer, reading in list(_answers(prompt).items())[:2]
        for length in range(10, len(prompt.text))
    ]
    misread = [text for prompt, reading, text in cuts if _reader(prompt)(text) != reading]
    assert len(cuts) > 4_000
    assert len(misread) <= MOST_MISREAD * len(cuts), misread
