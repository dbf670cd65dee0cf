"""The published prompts as prompts of a run: for parity with the paper on a real model."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from blindspot.contrib.aligned_but_blind.filenames import ResultName
from blindspot.contrib.aligned_but_blind.files import Skipped, load_prompts
from blindspot.contrib.aligned_but_blind.prompts import PublishedPrompt, PublishedRecord
from blindspot.contrib.aligned_but_blind.rescore import Row, score
from blindspot.run.source import Kind
from blindspot.stimuli import EXPLICIT, IMPLICIT, AssociationPrompt, Prompt, Slice, StatementPrompt
from blindspot.stimuli.prompts import LIKERT

AXIS = "published"

#: Statements without a reverse measure agreement, not bias: a separate category. Those that ask
#: what is perceived, a question of fact, are separate from these too.
_UNKEYED = {False: "-agree", True: "-perceived"}
_AGREEMENT = {"agree": 1.0, "disagree": -1.0}


class PublishedPrompts:
    """Exactly the prompts of the paper's result files, each once; a `PromptSource`.

    They are continued to the full length, like the paper's, because its scorer reads all of it.
    """

    skipped: tuple[Skipped, ...] = ()

    def __init__(self, prompts: Sequence[PublishedPrompt], limit: int | None = None) -> None:
        self._published = list(prompts)
        self._prompts: dict[Slice, list[Prompt]] = {}
        for prompt in prompts:
            converted = _convert(prompt)
            self._prompts.setdefault(converted.slice.whole, []).append(converted)
        if limit is not None:
            for part, asked in self._prompts.items():
                few = set(list(dict.fromkeys(prompt.words for prompt in asked))[:limit])
                self._prompts[part] = [prompt for prompt in asked if prompt.words in few]

    @classmethod
    def read(cls, directory: Path, limit: int | None = None) -> PublishedPrompts:
        """From the result files below a directory; ``skipped`` names those that cannot be read.

        Raises:
            PublishedFileError: there is no such directory, or no readable result file in it.
        """
        found = load_prompts(directory)
        source = cls(found.prompts, limit)
        source.skipped = found.skipped
        return source

    @property
    def conditions(self) -> dict[str, str]:
        """None: they are no part of the stimuli."""
        return {}

    def slices(self, measurement: str) -> list[Slice]:
        """All category slices of a measurement."""
        return [part for part in self._prompts if part.measurement == measurement]

    def word_slices(self, measurement: str) -> list[Slice]:
        """All slices of a single word of a measurement."""
        return [
            replace(part, word=word)
            for part in self.slices(measurement)
            for side in (0, 1)
            for word in dict.fromkeys(prompt.words[side] for prompt in self._prompts[part])
        ]

    def prompts(self, part: Slice) -> Iterable[Prompt]:
        """The prompts of a slice."""
        return self._prompts[part.whole]

    def trials(self, part: Slice) -> list[Prompt]:
        """None: the answers are those of the published prompts."""
        return []

    def controls(self, axis: str) -> frozenset[str]:
        """None."""
        return frozenset()

    def kind(self, part: Slice) -> Kind:
        """Words for groups, except where a sentence says that the literal sense is meant."""
        return "control" if part.variant.startswith("direct-") else "group"

    def supports(self, part: Slice, statistic: str) -> bool:
        """Bias needs statements with their reverses; the identifier effect all four orders.

        Nothing is measured over several variants, which the paper never combined.
        """
        if part.whole not in self._prompts:
            return False
        if statistic != "bias":
            return statistic != "identifier"
        asked = self._prompts[part.whole]
        return (
            len({prompt.stereotype for prompt in asked if isinstance(prompt, StatementPrompt)}) == 2
        )

    def beside(self, model: str, answers: Mapping[str, str]) -> list[dict[str, Any]]:
        """The published score and ours, for every association slice that was asked."""
        records: dict[Slice, list[PublishedRecord]] = {}
        for prompt in self._published:
            if prompt.kind == "implicit" and prompt.text in answers:
                whole = _convert(prompt).slice.whole
                record = PublishedRecord(model, prompt, answers[prompt.text])
                records.setdefault(whole, []).append(record)
        return [
            _row(part, score(found, ResultName(model, part.variant, part.category)))
            for part, found in records.items()
        ]


def _convert(prompt: PublishedPrompt) -> Prompt:
    implicit = prompt.kind == "implicit"
    part = Slice(
        IMPLICIT if implicit else EXPLICIT,
        AXIS,
        prompt.variant.replace("_", "-"),
        prompt.category
        if implicit or prompt.scale == "likert"
        else prompt.category + _UNKEYED[prompt.perceived],
        prompt.words,
    )
    identifier_first = prompt.identifier_order == prompt.identifiers
    if implicit:
        word_first = prompt.word_order == prompt.words
        stereotyped = prompt.identifiers if word_first else prompt.identifiers[::-1]
        first, second = (
            ", ".join(
                f"{word} - {choice}"
                for word, choice in zip(prompt.word_order, choices, strict=True)
            )
            for choices in (stereotyped, stereotyped[::-1])
        )
        return AssociationPrompt(
            slice=part,
            wording=prompt.prompt_id,
            identifiers=prompt.identifiers,
            words=prompt.words,
            positive_identifier_first=identifier_first,
            positive_word_first=word_first,
            text=prompt.text,
            candidates=(first, second),
            full_length=True,
        )
    options = LIKERT if prompt.scale == "likert" else _AGREEMENT
    return StatementPrompt(
        slice=part,
        wording=prompt.prompt_id,
        identifiers=prompt.identifiers,
        words=prompt.words,
        positive_identifier_first=identifier_first,
        stereotype=prompt.keyed == 1,
        scale=prompt.scale or "agree",
        text=prompt.text,
        candidates=tuple(options),
        candidate_values=tuple(options.values()),
        full_length=True,
    )


def _row(part: Slice, row: Row) -> dict[str, Any]:
    return {
        "slice": part.id,
        "n": row.n,
        "hits": row.hits,
        "denominator": row.denominator,
        "published": row.published_share,
        "valid": row.valid,
        "stereotyped": row.stereotyped,
        "counter": row.counter,
        "order_copies": row.order_copies,
        "balanced": row.balanced_share,
    }
