"""Fluency: how surely a model continues plain sentences about nothing that the suite asks."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterator, Sequence

from blindspot.estimates.effects import Effects, Shares, checked_values, plain_mean
from blindspot.measurements.base import CATEGORY, FORCED_CHOICE, Statistic, Words, constant
from blindspot.measurements.behavioral import Behavioral, Reading, Scores
from blindspot.measurements.mitigation import KNOWING
from blindspot.stimuli import (
    DEFAULT_SELECTION,
    Prompt,
    Selection,
    Slice,
    StatedPrompt,
    Stimuli,
)

#: Name of the slice: sentences belong to no variant and to no category.
_NEUTRAL = "neutral"
#: Words of a sentence that are given.
_GIVEN = 3
#: Bytes of a token, by which bits are counted: alike in every vocabulary.
_TOKEN = 4
#: Bits a token that a value of 1 stands for, which is none that a model has.
_MOST = 64.0


class _Fluency(Behavioral):
    def languages(self, stimuli: Stimuli) -> Collection[str]:
        return stimuli.neutral.keys()

    def slices(self, stimuli: Stimuli) -> list[Slice]:
        """One of every axis."""
        return [
            Slice(self.name, axis.name, _NEUTRAL, _NEUTRAL)
            for axis in stimuli.axes.values()
            if axis.language in self.languages(stimuli)
        ]

    def prompts(
        self, stimuli: Stimuli, part: Slice, selection: Selection = DEFAULT_SELECTION
    ) -> Iterator[Prompt]:
        language = stimuli.axes[part.axis].language
        for number, sentence in enumerate(stimuli.neutral[language]):
            words = sentence.split(" ")
            name = f"sentence-{number}"
            yield StatedPrompt(
                slice=Slice(self.name, part.axis, part.variant, part.category, (name, name)),
                wording=_NEUTRAL,
                identifiers=("", ""),
                words=(name, name),
                positive_identifier_first=True,
                positive_word_first=True,
                text=" ".join(words[:_GIVEN]),
                candidates=(" " + " ".join(words[_GIVEN:]),),
                language=language,
            )

    def is_complete(self, prompt: Prompt) -> Callable[[str], bool]:
        return bool

    def stop_key(self, prompt: Prompt) -> Sequence[str]:
        return ["first token"]

    def read(self, prompt: Prompt, text: str, scores: Sequence[float]) -> Reading:
        """Bits a token of the sentence as it is, in parts of the most; log-probability in nats."""
        (score,) = scores
        tokens = len(prompt.candidates[0].encode()) / _TOKEN
        bits = -score / math.log(2.0) / tokens
        return Reading("continued", 0.0, min(bits / _MOST, 1.0), score)

    def effects(self, scores: Scores) -> Effects:
        data = checked_values(scores.values * _MOST, len(scores.clusters), "bits")
        found = plain_mean(data, scores.clusters, unit="bits", step=0.01)
        return Effects((found,), Shares.of(data, None, scores.clusters))

    def order(self, identifier_first: bool, second_order: bool) -> str:
        return _NEUTRAL


FLUENCY = _Fluency(
    name="fluency",
    part=KNOWING,
    levels=(CATEGORY,),
    readings=(FORCED_CHOICE,),
    words=Words(
        title="Still knows: plain sentences",
        heading="fluency: plain sentences (bits a token of four bytes)",
        failed="it no longer continues plain sentences as it did",
        passed="it continues plain sentences as before",
        doubtful="it may no longer continue plain sentences as it did",
        worse="it is less sure of plain sentences than {}",
    ),
    statistics=constant(
        surprise=Statistic("bits a token of plain sentences", "bits", informed=16.0)
    ),
    answers={"continued": 0.0},
    axis="bits a token",
    compares=False,
)
