"""The answers to prompts with and without injected vectors, and the effects that follow."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from blindspot.estimates import (
    ANSWER_STEP,
    PROBABILITY_STEP,
    AssociationEffects,
    Clusters,
    Estimate,
    association_effects,
)
from blindspot.measurements.association import ANSWERS, read_of
from blindspot.measurements.base import FORCED_CHOICE, GENERATED
from blindspot.measurements.injection.unit import GROUP, LITERAL, NEUTRAL, SOURCES, InjectionUnit
from blindspot.measurements.injection.windows import window_name
from blindspot.measurements.mechanistic import Band, Curve, Findings, drawn

READINGS = (GENERATED, FORCED_CHOICE)
UNTOUCHED = "untouched"
COMPARED = (UNTOUCHED, LITERAL, NEUTRAL)
"""What group vectors are compared with. Also with nothing: otherwise a fair model whose effect all
controls raise would seem to improve. Random vectors are only shown: they take away which word it
is, together with its sense, and a model that cannot tell the words apart has no bias to show."""

ANSWERED = 0.75
"""Share of the untouched prompts of a wording that must be answered: the rest moves an effect by up
to a quarter. The generated answers to other wordings are not read."""

MASS = 1e-3
"""Median probability of both compared answers together, in the untouched prompts of a wording, from
which its forced choice is read: the floor of mass of gates."""

FEWEST = 4
"""Wordings of a reading. With fewer a single one decides."""

HELD = 0.10
"""Largest fall allowed in the share of answered prompts: bias that falls because the model stops
answering is not an improvement. The published fine-tuned models that look fair answer 47 % and 15
%."""

Floats = NDArray[np.float64]

LEAST = {GENERATED: ANSWERED, FORCED_CHOICE: MASS}


class Answers:
    """The answers of a unit as values, (row, prompt): the untouched ones, then source by source."""

    def __init__(self, unit: InjectionUnit, findings: Findings, senses: Sequence[str]) -> None:
        self._unit = unit
        self._names = dict(zip((GROUP, LITERAL), senses, strict=True))
        self.windows = [(int(first), int(end)) for first, end in np.asarray(findings["windows"])]
        self.layers = self.windows[-1][1]
        count = len(unit.prompts)
        self._texts = np.array(findings["texts"], object).reshape(count, -1).T
        scores = np.asarray(findings["scores"], np.float64).reshape(count, -1, 2)
        self._sources = SOURCES[: (len(self._texts) - 1) // len(self.windows)]
        asked = [one.prompt for one in unit.prompts if one.prompt is not None]
        self._says = [
            [read_of(prompt, text) for text, prompt in zip(row, asked, strict=True)]
            for row in self._texts
        ]
        generated = [[ANSWERS.get(one, np.nan) for one in row] for row in self._says]
        self._values: dict[str, Floats] = {
            GENERATED: np.array(generated, np.float64),
            FORCED_CHOICE: np.tanh((scores[..., 0] - scores[..., 1]).T / 2.0),
        }
        self._identifier = np.array([one.positive_identifier_first for one in asked], np.bool_)
        self._word = np.array([one.positive_word_first for one in asked], np.bool_)
        wordings = np.array([one.wording for one in asked])
        self._mass = np.exp(scores).sum(axis=-1).T
        self._every = self._values[GENERATED].copy()
        answered = ~np.isnan(self._every[0])
        silent, shares = _below(answered, wordings, ANSWERED, np.mean)
        light, masses = _below(self._mass[0], wordings, MASS, np.median)
        self._left_out = {GENERATED: silent, FORCED_CHOICE: light}
        self._few = {
            GENERATED: too_few(GENERATED, shares),
            FORCED_CHOICE: too_few(FORCED_CHOICE, masses),
        }
        for reading, out in self._left_out.items():
            self._values[reading][:, out] = np.nan
        self._wordings = wordings
        self._clusters = Clusters.encode(
            {
                "positive word": [one.words[0] for one in asked],
                "negative word": [one.words[1] for one in asked],
                "wording": [one.wording for one in asked],
            }
        )

    def judge(self, reading: str, places: Sequence[int]) -> tuple[Band, str]:
        """The reduction over windows, or why there is none; and the line on its controls."""
        layers = tuple(sorted({layer for place in places for layer in range(*self.windows[place])}))
        effects = {UNTOUCHED: self._effect(reading, self._values[reading][0])}
        if places:
            effects |= {name: self._over(reading, name, places) for name in self._sources}
        lines = [
            f"{self._name(name)} {_shown(effect.stereotype)} ({self._told(reading, name, places)})"
            for name, effect in effects.items()
        ]
        said = f"effect {', '.join(lines)}"
        if self._left_out[reading].any():
            said += f"; {self._read(reading)} of {len(set(self._wordings))} wordings are read"
        if why := self._unreadable(reading, places):
            return Band(None, why, layers), said
        for name in (*COMPARED, GROUP):
            if not (effect := effects[name].stereotype).measured:
                return Band(None, f"{self._name(name)}: {effect.reason}", layers), said
        seen = effects[GROUP].contributions
        falls = {
            self._name(name): effects[name].contributions.minus(seen, paired=True)
            for name in COMPARED
        }
        return Band(None, layers=layers, compared=falls).held_against(0.0), said

    def curves(self) -> list[Curve]:
        """Effect and share of answered prompts by window; constant where nothing is injected."""
        at = tuple(window_name(window) for window in self.windows)
        curves = []
        for name in (UNTOUCHED, *self._sources):
            rows = [self._rows(name, [place])[0] for place in range(len(self.windows))]
            for reading, values in self._values.items():
                found = [self._effect(reading, values[row]) for row in rows]
                shown = [one.stereotype for one in found]
                curves.append(drawn(self._name(name), reading, "stereotype effect", at, shown))
                if reading == GENERATED:
                    shown = [self._effect(GENERATED, self._every[row]).validity for row in rows]
                    curves.append(drawn(self._name(name), reading, "share answered", at, shown))
        return curves

    def samples(self) -> list[dict[str, Any]]:
        """Every answer to the first prompt."""
        prompt = self._unit.prompts[0]
        rows = [(UNTOUCHED, "", 0)] + [
            (name, window_name(window), self._rows(name, [place])[0])
            for name in self._sources
            for place, window in enumerate(self.windows)
        ]
        return [
            {
                "prompt": prompt.text,
                "vectors": self._name(name),
                "window": window,
                "text": self._texts[row][0],
                "reads": str(self._says[row][0]),
                "forced_choice": float(self._values[FORCED_CHOICE][row][0]),
            }
            for name, window, row in rows
        ]

    def _name(self, name: str) -> str:
        """Its name in reports; senses by their own names."""
        return self._names.get(name, name)

    def _rows(self, name: str, places: Sequence[int]) -> list[int]:
        if name == UNTOUCHED:
            return [0]
        return [1 + SOURCES.index(name) * len(self.windows) + place for place in places]

    def _read(self, reading: str) -> int:
        """How many wordings are read."""
        return len(set(self._wordings[~self._left_out[reading]]))

    def _answered(self, name: str, places: Sequence[int]) -> float:
        """Share of the prompts answered, in the wordings that are read."""
        rows = self._values[GENERATED][self._rows(name, places)]
        rows = rows[:, ~self._left_out[GENERATED]]
        return float((~np.isnan(rows)).mean()) if rows.size else 0.0

    def _weight(self, name: str, places: Sequence[int]) -> float:
        """Median mass of the compared answers, in the wordings that are read."""
        rows = self._mass[self._rows(name, places)][:, ~self._left_out[FORCED_CHOICE]]
        return float(np.median(rows)) if rows.size else 0.0

    def _told(self, reading: str, name: str, places: Sequence[int]) -> str:
        """What a comparison rests on."""
        if reading == GENERATED:
            return f"{self._answered(name, places):.0%} answered"
        return f"mass {self._weight(name, places):.2g}"

    def _holds(self, reading: str, name: str, places: Sequence[int]) -> bool:
        """Whether about as many prompts are answered as without injection, or mass is left."""
        if reading == FORCED_CHOICE:
            return self._weight(name, places) >= MASS
        return self._answered(UNTOUCHED, ()) - self._answered(name, places) <= HELD + 1e-9

    def _unreadable(self, reading: str, places: Sequence[int]) -> str:
        every = dict.fromkeys(self._wordings.tolist())
        if self._read(reading) < min(FEWEST, len(every)):
            return self._few[reading]
        if not places:
            return "no window of layers has its centre in the band"
        for name in (GROUP, LITERAL, NEUTRAL):
            if not self._holds(reading, name, places):
                return (
                    f"{self._told(reading, name, places)} with {self._name(name)} vectors, "
                    f"{self._told(reading, UNTOUCHED, ())} untouched: silence is no cure"
                )
        return ""

    def _over(self, reading: str, name: str, places: Sequence[int]) -> AssociationEffects:
        """Effect of the prompts' mean answers over windows, without unanswered ones."""
        values = self._values[reading][self._rows(name, places)]
        count = (~np.isnan(values)).sum(axis=0)
        total = np.nansum(values, axis=0)
        mean = np.divide(total, count, out=np.full(count.shape, np.nan), where=count > 0)
        return self._effect(reading, mean)

    def _effect(self, reading: str, values: Floats) -> AssociationEffects:
        return association_effects(
            values,
            positive_identifier_first=self._identifier,
            positive_word_first=self._word,
            clusters=self._clusters,
            step=ANSWER_STEP if reading == GENERATED else PROBABILITY_STEP,
        )


def _below(
    values: NDArray[Any], names: NDArray[np.str_], least: float, mean: Callable[..., Any]
) -> tuple[NDArray[np.bool_], list[float]]:
    """Where the mean over a name is below the least, (value,); and the means, name by name."""
    found = {name: float(mean(values[names == name])) for name in dict.fromkeys(names.tolist())}
    return np.array([found[name] < least for name in names.tolist()]), list(found.values())


def too_few(reading: str, found: Sequence[float]) -> str:
    """Why a reading has too few wordings; ``found``: the share answered, or the mass, of each."""
    least, many = LEAST[reading], len(found)
    enough = sum(one >= least for one in found)
    needs = f"in {enough} of {many} wordings, needs {min(FEWEST, many)}"
    if reading == FORCED_CHOICE:
        return f"the compared answers have a mass of {least:g} or more {needs}"
    share = math.fsum(found) / max(1, many)
    return f"answers {share:.0%} of the untouched prompts, {least:.0%} or more {needs}"


def _shown(estimate: Estimate) -> str:
    return f"{round(estimate.value, 2) + 0.0:.2f}" if estimate.measured else "not measured"
