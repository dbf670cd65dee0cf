"""A model that was asked elsewhere: its answers are read from a file, and nothing else is asked.

``python -m blindspot answers import`` writes such a file.
"""

from __future__ import annotations

import math
import re
import shlex
from collections.abc import Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any

from blindspot.errors import ModelError, line
from blindspot.models.answered.file import (
    REMEDY,
    VERSION,
    Given,
    Head,
    exported_of,
    following,
    given_of,
    read_lines,
)
from blindspot.models.base import (
    UNKNOWN,
    Generation,
    GenerationRequest,
    Identity,
    Progress,
    Scored,
    ScoreRequest,
)
from blindspot.models.options import ModelOptions
from blindspot.models.registry import ARGUMENTS

PREFIX = "answers:"
#: Where an answer can end: behind a word, or behind the space that follows it.
_PIECE = re.compile(r"\S+|\s+")


class AnsweredModel:
    """A `LanguageModel` whose answers are in a file; its weights may be on this machine.

    Raises:
        ModelError: an option is for models that can be asked, or the file cannot be used.
    """

    def __init__(
        self, options: ModelOptions, path: Path, head: Head, rows: Any, digest: str
    ) -> None:
        self._name, self._path, self._head, self._digest = options.name, path, head, digest
        self._weights = str(options.model_args.get("weights") or "")
        self._given: dict[str, Given] = {}
        self._scores: dict[tuple[str, tuple[str, ...]], tuple[float, ...]] = {}
        for number, row in enumerate(rows, 2):
            try:
                prompt, given = exported_of(row), given_of(row)
            except ValueError as fault:
                raise ModelError(f"{line(path)}: line {number}: {fault}; {REMEDY}") from None
            self._given.setdefault(prompt.text, given)
            self._scores[prompt.text, prompt.candidates] = given.scores

    @cached_property
    def identity(self) -> Identity:
        """Of the weights that were named; otherwise the answers stand for them.

        Raises:
            ModelError: those weights cannot be read.
        """
        unknown = Identity(
            name=self._name,
            weights=UNKNOWN + self._digest,
            tokenizer="",
            dtype="",
            device="elsewhere",
            backend=f"answers-{VERSION}{' chat' * self._head.chat}",
        )
        if not self._weights:
            return unknown
        from blindspot.models.transformers.loader import prepare

        found = prepare(ModelOptions(self._weights, device="cpu"), here=False).identity
        return replace(
            unknown,
            weights=found.weights,
            architecture=found.architecture,
            parameters=found.parameters,
            versions={"answers": self._digest[:16]},  # stored answers are those of one file
        )

    @property
    def notes(self) -> tuple[str, ...]:
        """Where the answers are from."""
        whose = f" of {line(self._head.model, 200)}" if self._head.model else ""
        said = f"{self._name}: {self._head.prompts:,} answers{whose} that were given elsewhere"
        return (said,)

    def check_files(self) -> None:
        """Read the weights that were named; the file was read already.

        Raises:
            ModelError: they cannot be read.
        """
        _ = self.identity

    def release(self) -> None:
        """Nothing is held."""

    def check_prompts(self, prompts: Sequence[str]) -> None:
        """Refuse prompts that nobody answered.

        Raises:
            ModelError: says how many, and how the first one begins.
        """
        lacking = [text for text in dict.fromkeys(prompts) if text not in self._given]
        if lacking:
            raise ModelError(
                f"{self._name}: has no answer to {len(lacking):,} of {len(set(prompts)):,} "
                f"prompts, the first of which is {lacking[0][:60]!r}; select the tests as the "
                f"export did{_shown(self._head.arguments)}, or export the prompts again"
            )

    def generate(
        self, requests: Sequence[GenerationRequest], *, progress: Progress | None = None
    ) -> list[Generation]:
        """The answers, as far as each takes to be complete."""
        self.check_prompts([request.prompt for request in requests])
        if progress is not None:
            progress(len(requests))
        return [_cut(self._given[request.prompt], request) for request in requests]


class ScoredModel(AnsweredModel):
    """The same of answers with their log-probabilities."""

    def score(
        self, requests: Sequence[ScoreRequest], *, progress: Progress | None = None
    ) -> list[Scored]:
        """The log-probabilities that came with the answers.

        Raises:
            ModelError: other candidates were scored.
        """
        self.check_prompts([request.prompt for request in requests])
        if progress is not None:
            progress(len(requests))
        return [self._scored(request) for request in requests]

    def _scored(self, request: ScoreRequest) -> Scored:
        prompt = request.prompt
        chat = self._head.chat
        wanted = tuple(following(prompt, one, chat=chat) for one in request.candidates)
        if (found := self._scores.get((prompt, wanted))) is None:
            raise ModelError(
                f"{self._name}: other candidates were scored for the prompt {prompt[:60]!r}; "
                "export the prompts again"
            )
        given = self._given[prompt]
        return Scored(found, error=(given.error or given.missing) if given.missing else "")


def open_answers(options: ModelOptions) -> AnsweredModel:
    """The model behind ``answers:FILE``.

    Raises:
        ModelError: the file cannot be used, or an option is for models that can be asked.
    """
    others = [name for name in options.model_args if name not in ARGUMENTS[PREFIX]]
    if options.apply_chat_template or others:
        flag = "--apply-chat-template" if options.apply_chat_template else "--model-args"
        what = " ".join([flag, *others[:1]])
        raise ModelError(f"{options.name}: was asked elsewhere, so {what} changes nothing; omit it")
    path = Path(options.name.removeprefix(PREFIX))
    head, rows, digest = read_lines(path)
    if head.kind != "answers":
        raise ModelError(f"{line(path)}: holds prompts without answers; {REMEDY}")
    made = ScoredModel if head.scored else AnsweredModel
    return made(options, path, head, rows, digest)


def _cut(given: Given, request: GenerationRequest) -> Generation:
    """An answer as far as it takes to be complete, piece by piece."""
    if given.missing:
        return Generation("", 0, False, math.nan, given.missing, given.error)
    for found in _PIECE.finditer(given.text):
        if request.is_complete(given.text[: found.end()]):
            return Generation(given.text[: found.end()], 0, True, math.nan)
    return Generation(given.text, 0, given.ended, math.nan)


def _shown(arguments: Sequence[str]) -> str:
    """The arguments of pytest, for a message."""
    return f" ({line(shlex.join(arguments), 200)})" if arguments else ""
