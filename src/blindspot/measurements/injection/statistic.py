"""Injection: how much the stereotype effect falls when the group sense is injected.

The identifiers of an association prompt are overwritten, over a window of layers, by their own
vectors from contexts that state the group sense. If the effect falls, but not with vectors from
contexts that state the literal sense or none, the model would have been fairer had it seen the
group: it is blind.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from copy import copy
from dataclasses import replace

import numpy as np

from blindspot import files
from blindspot.measurements.association import ANSWERS, read_of
from blindspot.measurements.base import BANDS, FORCED_CHOICE, GENERATED
from blindspot.measurements.injection.answers import (
    ANSWERED,
    FEWEST,
    LEAST,
    MASS,
    READINGS,
    Answers,
    too_few,
)
from blindspot.measurements.injection.unit import InjectionTrial, InjectionUnit
from blindspot.measurements.injection.vectors import Given, givers
from blindspot.measurements.injection.windows import band_windows
from blindspot.measurements.mechanistic import Assayed, Band, Findings, Unit
from blindspot.measurements.sample import wordings_of
from blindspot.stimuli import (
    DEFAULT_SELECTION,
    AssociationPrompt,
    Context,
    Selection,
    Slice,
    Stimuli,
    ambiguous_contexts,
    cued_contexts,
    senses_of,
    spread_over,
)
from blindspot.stimuli import NEUTRAL as NEUTRAL_SENSE


class Injection:
    """How much less stereotyped a model answers with group vectors than without them.

    The statistic is the effect under what group vectors are compared with, less the effect under
    group vectors, each averaged over the windows of a band. It is above a limit only if it is in
    all comparisons; the one that shows it least decides (`Band.held_against`).
    """

    def __init__(
        self,
        stimuli: Stimuli,
        selection: Selection = DEFAULT_SELECTION,
        *,
        window: int | None = None,
        seed: int = 0,
    ) -> None:
        """Prepare the assay.

        Args:
            stimuli: axes, wordings and senses.
            selection: which word pairs are used.
            window: layers overwritten at once, None for the published share of them.
            seed: of the random vectors.

        Raises:
            ValueError: a window of no layers.
        """
        if window is not None and window < 1:
            raise ValueError(f"a window has 1 layer or more, not {window}")
        self._stimuli, self._selection = stimuli, selection
        self._window, self._seed = window, seed
        self._written: Callable[[AssociationPrompt], AssociationPrompt] = lambda prompt: prompt
        self._prompts: dict[Slice, list[Context]] = {}
        self._units: dict[tuple[Slice, tuple[str, ...]], InjectionUnit] = {}

    def in_forms(self, written: Callable[[AssociationPrompt], AssociationPrompt]) -> Injection:
        """The same with the compared answers of its units written in another form."""
        other = copy(self)
        other._written, other._units = written, {}
        return other

    def compared(self, part: Slice, findings: Mapping[str, Findings]) -> tuple[str, ...]:
        """The wordings whose answers are compared."""
        every = list(dict.fromkeys(one.frame for one in self._contexts(part)))
        found = findings.get(self._trial(part).content)
        most = wordings_of(self._stimuli, part)
        return self._kept(part, found, most) if found else spread_over(every, most)

    def units(self, part: Slice) -> Sequence[Unit]:
        """One unit, none where no context names the identifiers."""
        return self.remaining(part, {})

    def trials(self, part: Slice) -> Sequence[Unit]:
        """Untouched prompts of all wordings."""
        return [self._trial(part)] if self._contexts(part) else []

    def remaining(self, part: Slice, findings: Mapping[str, Findings]) -> Sequence[Unit]:
        """One unit of the wordings that can be read."""
        kept = self.compared(part, findings)
        return [self._unit(part, kept)] if kept else []

    def _kept(self, part: Slice, found: Findings, most: int) -> tuple[str, ...]:
        """At most so many wordings that a trial found to be read; none if they are few.

        Those whose prompts are answered come first, then those whose answers have mass.
        """
        answered, mass = self._tried(part, found)
        readable = [one for one in answered if answered[one] >= ANSWERED or mass[one] >= MASS]
        fewest = min(FEWEST, len(answered))
        several = any(
            sum(one >= LEAST[reading] for one in found.values()) >= fewest
            for reading, found in zip(READINGS, (answered, mass), strict=True)
        )
        ranked = sorted(readable, key=lambda one: (-answered[one], -mass[one]))[:most]
        return tuple(one for one in readable if one in ranked) if several else ()

    def _tried(self, part: Slice, found: Findings) -> tuple[dict[str, float], dict[str, float]]:
        """By wording of a trial: the share answered, and the median mass."""
        asked = [one.prompt for one in self._trial(part).prompts if one.prompt is not None]
        says = [
            read_of(prompt, str(text)) in ANSWERS
            for text, prompt in zip(found["texts"], asked, strict=True)
        ]
        masses = np.exp(np.asarray(found["scores"], np.float64)).sum(axis=1)
        names = np.array([prompt.wording for prompt in asked])
        answered, mass = {}, {}
        for name in dict.fromkeys(names.tolist()):
            answered[name] = float(np.mean(np.array(says)[names == name]))
            mass[name] = float(np.median(masses[names == name]))
        return answered, mass

    def _trial(self, part: Slice) -> InjectionTrial:
        """One order of each wording, all four equally often."""
        contexts = enumerate(self._contexts(part))
        return InjectionTrial(tuple(one for place, one in contexts if place % 4 == place // 4 % 4))

    def measure(self, part: Slice, findings: Mapping[str, Findings]) -> Assayed:
        """The reduction over each band of windows, in both readings."""
        kept = self.compared(part, findings)
        unit = self._unit(part, kept)
        texts = {one.text for sources in unit.given for both in sources for one in both}
        texts |= {one.text for one in unit.prompts}
        digest = files.digest(*sorted(texts))[:16]
        if self._contexts(part) and not kept:
            answered, mass = self._tried(part, findings[self._trial(part).content])
            tried = {GENERATED: [*answered.values()], FORCED_CHOICE: [*mass.values()]}
            bands = {
                (reading, band): Band(None, too_few(reading, found))
                for reading, found in tried.items()
                for band in BANDS
            }
            return Assayed(part, bands, digest=digest)
        found = findings[unit.content] if unit.prompts else None
        if not found or not len(found["texts"]):
            why = "a vector is not finite" if found else "no context names the identifiers"
            return Assayed(part, _unread(why), digest=digest)
        senses = senses_of(self._stimuli, part.axis, part.variant)
        answers = Answers(unit, found, tuple(sense.name for sense in senses))
        bands, controls = {}, {}
        for name, places in band_windows(answers.layers, answers.windows).items():
            for reading in READINGS:
                bands[reading, name], controls[reading, name] = answers.judge(reading, places)
        return Assayed(part, bands, answers.curves(), controls, answers.samples(), digest)

    def _contexts(self, part: Slice) -> list[Context]:
        """The prompts in all wordings, every four in a row the orders of one."""
        if part not in self._prompts:
            prompts = ambiguous_contexts(self._stimuli, part, self._selection)
            # The orders of a wording name the same identifiers: they stay or go together.
            self._prompts[part] = [
                prompt
                for prompt, given in zip(prompts, self._given(part, prompts), strict=True)
                if None not in given
            ]
        return self._prompts[part]

    def _given(self, part: Slice, prompts: Sequence[Context]) -> list[tuple[Given | None, ...]]:
        """For each prompt, the contexts that vectors of each sense come from."""
        where = part.axis, part.variant
        senses = [one.name for one in senses_of(self._stimuli, *where)]
        sources = (
            givers(prompts, cued_contexts(self._stimuli, *where, sense))
            for sense in (*senses, NEUTRAL_SENSE)
        )
        return list(zip(*sources, strict=True))

    def _unit(self, part: Slice, wordings: tuple[str, ...]) -> InjectionUnit:
        if (part, wordings) not in self._units:
            kept = [one for one in self._contexts(part) if one.frame in wordings]
            given = [tuple(filter(None, each)) for each in self._given(part, kept)]
            self._units[part, wordings] = InjectionUnit(
                prompts=tuple(self._in_form(one) for one in kept),
                given=tuple(given),
                width=self._window,
                seed=self._seed,
                brief=self._stimuli.axes[part.axis].share < 1,
            )
        return self._units[part, wordings]

    def _in_form(self, context: Context) -> Context:
        assert context.prompt is not None, "an ambiguous context"
        return replace(context, prompt=self._written(context.prompt))


def _unread(why: str) -> dict[tuple[str, str], Band]:
    return {(reading, band): Band(None, why) for reading in READINGS for band in BANDS}
