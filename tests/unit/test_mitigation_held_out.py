"""What a changed model was not trained on: from its card to the prompts of the first part."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from blindspot.errors import BlindspotError
from blindspot.measurements.association import ASSOCIATION
from blindspot.measurements.mitigation import CURE
from blindspot.mitigation.held_out import held_out_of
from blindspot.mitigation.recipe import CARD, Recipe, card_of, written
from blindspot.mitigation.texts import Split
from blindspot.stimuli import Selection, Slice, load_stimuli

STIMULI = load_stimuli((), axes=("race",))
SPLIT = Split.of(STIMULI, "race", 0)
PART = Slice(CURE.name, "race", "default", "weapons")


@pytest.fixture
def card(tmp_path: Path) -> Path:
    """A card as ``mitigate`` writes it."""
    made = card_of(Recipe("race", split=SPLIT), "organism:blind", "0" * 64, range(2))
    (tmp_path / CARD).write_text(written(made))
    return tmp_path / CARD


def test_only_what_the_card_holds_out_is_asked(card: Path) -> None:
    """Beside an adapter or a file of directions; no seen word, no seen wording, all four orders."""
    known = held_out_of(card.parent, STIMULI)
    assert known == held_out_of(card.parent / "directions.safetensors", STIMULI)
    (note,) = known.notes
    assert str(card) in note
    prompts = list(CURE.prompts(replace(STIMULI, held_out=dict(known.axes)), PART))
    assert {one.words[0] for one in prompts} == set(SPLIT.held_words["weapons"][0])
    assert {one.words[1] for one in prompts} == set(SPLIT.held_words["weapons"][1])
    assert {one.wording for one in prompts} == set(SPLIT.held_wordings)
    assert len({one.order for one in prompts}) == 4
    assert {one.slice.measurement for one in prompts} == {CURE.name}


@pytest.mark.parametrize("there", [True, False])
def test_without_a_card_everything_is_asked_and_said(tmp_path: Path, there: bool) -> None:
    """A model that nothing changes here has none either."""
    known = held_out_of(tmp_path if there else None, STIMULI)
    assert not known.axes
    (note,) = known.notes
    assert "part 1 asks all words and wordings" in note
    few = Selection(limit=2)
    asked = [one.text for one in CURE.prompts(STIMULI, PART, few)]
    implicit = Slice("implicit", "race", "default", "weapons")
    assert asked == [one.text for one in ASSOCIATION.prompts(STIMULI, implicit, few)]


def test_a_card_of_another_axis_holds_nothing_out(card: Path) -> None:
    """What is said of one axis is no word on another."""
    gender = load_stimuli((), axes=("gender",))
    known = held_out_of(card.parent, gender)
    assert not known.axes
    assert "of another axis than gender" in known.notes[0]


#: Changes that make a card none, or one of other fixtures.
FAULTS = {
    "no half": lambda card: card.pop("held_out"),
    "no wording left": lambda card: card["held_out"].update(wordings=["gone"]),
    "a category missing": lambda card: card["held_out"]["words"].pop("weapons"),
    "few words left": lambda card: card["held_out"]["words"].update(weapons=[["wallet"], ["a"]]),
    "no words": lambda card: card["held_out"].update(words="weapons"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_card_that_does_not_fit_is_refused(card: Path, fault: str) -> None:
    """One line that names it, and the remedy."""
    content = json.loads(card.read_text())
    FAULTS[fault](content)
    card.write_text(json.dumps(content))
    with pytest.raises(BlindspotError, match=r"mitigation\.json.*make .* again"):
        held_out_of(card.parent, STIMULI)
