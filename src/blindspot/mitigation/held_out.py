"""What a changed model was not trained on, from the card beside what changes it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from blindspot.errors import BlindspotError, line
from blindspot.files import is_directory, is_file, read_json
from blindspot.mitigation.recipe import CARD, LARGEST
from blindspot.stimuli import HeldOut, Stimuli

_LEAST = 2
"""Words of each list, and wordings: clusters without which there is no interval."""


class _Half(BaseModel):
    model_config = ConfigDict(extra="ignore")

    words: dict[str, Annotated[tuple[tuple[str, ...], ...], Field(min_length=2, max_length=2)]]
    wordings: tuple[str, ...]


class _Card(BaseModel):
    model_config = ConfigDict(extra="ignore")

    axis: str
    held_out: _Half


@dataclass(frozen=True, slots=True)
class Known:
    """What is known of a changed model: by axis what was held out, and notes for readers."""

    axes: Mapping[str, HeldOut] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


def held_out_of(change: Path | None, stimuli: Stimuli) -> Known:
    """What the card beside an adapter or a file of directions says was held out.

    Args:
        change: a directory or a file; None of a model that nothing changes here.
        stimuli: of the run.

    Raises:
        BlindspotError: it is no card, or its words and wordings are not those of the fixtures.
    """
    every = "part 1 asks all words and wordings, also those that it may have been trained on"
    if change is None:
        return Known({}, (f"nothing says what the model under test was trained on: {every}",))
    path = (change if is_directory(change) else change.parent) / CARD
    if not is_file(path):
        return Known({}, (f"there is no {CARD} beside {line(change, 100)}: {every}",))
    try:
        found = read_json(path, LARGEST, "a card", remedy="make the adapter again")
        card = _Card.model_validate(found)
    except ValidationError as error:
        where = ".".join(map(str, error.errors()[0]["loc"]))
        raise BlindspotError(
            f"{line(path)}: {where} is not that of a card of blindspot mitigate; make it again"
        ) from None
    axis = stimuli.axes.get(card.axis)
    others = tuple(
        f"{line(path)} is of another axis than {name}: of this {every}"
        for name in stimuli.axes
        if name != card.axis
    )
    if axis is None:
        return Known({}, others)
    held = HeldOut(
        {
            name: (
                tuple(w for w in category.positive if w in card.held_out.words.get(name, ((),))[0]),
                tuple(w for w in category.negative if w in card.held_out.words[name][1]),
            )
            for name, category in axis.categories.items()
            if name in card.held_out.words
        },
        tuple(
            one.id
            for one in stimuli.implicit.get(axis.language, ())
            if one.id in card.held_out.wordings
        ),
    )
    lists = [words for both in held.words.values() for words in both]
    if min(map(len, (held.wordings, *lists)), default=0) < _LEAST or (
        held.words.keys() != axis.categories.keys()
    ):
        raise BlindspotError(
            f"{line(path)}: what it holds out of {card.axis} is not in the fixtures, which have "
            "changed since; make the adapter again"
        )
    count = sum(map(len, lists))
    note = (
        f"part 1 of {card.axis} asks the {count} words and {len(held.wordings)} wordings that "
        f"{line(path)} says were held out"
    )
    return Known({card.axis: held}, (note, *others))
