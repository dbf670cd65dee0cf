"""A model in another process, asked over a pipe: all that another engine has to offer.

Load as a plugin, ``-p tests.unit.piped_model``, and name a model that the other process can load:
``--model piped:organism:blind``. The process that plans, reads and judges then imports no engine.
The other one, ``python -m tests.unit.piped_model NAME``, takes and gives a line of JSON for each
list of requests; it knows no stopping rules, so that answers are cut on this side.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, replace
from typing import Any

from blindspot.models.base import Generation, GenerationRequest, Identity, Progress, ScoreRequest

PREFIX = "piped:"
_STARTED: list[PipedModel] = []


class PipedModel:
    """A `LanguageModel` whose answers come from a command."""

    def __init__(self, name: str) -> None:
        command = [sys.executable, "-m", "tests.unit.piped_model", name.removeprefix(PREFIX)]
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        told = Identity(**self._call("identity", []))
        self._identity = replace(told, name=name, backend=f"pipe to {told.backend}")

    @property
    def identity(self) -> Identity:
        return self._identity

    def generate(
        self, requests: Sequence[GenerationRequest], *, progress: Progress | None = None
    ) -> list[Generation]:
        asked = [[request.prompt, request.max_new_tokens] for request in requests]
        found = [Generation(**answer) for answer in self._call("generate", asked)]
        if progress:
            progress(len(found))
        return [_cut(answer, r.is_complete) for answer, r in zip(found, requests, strict=True)]

    def score(
        self, requests: Sequence[ScoreRequest], *, progress: Progress | None = None
    ) -> list[tuple[float, ...]]:
        asked = [[request.prompt, request.candidates] for request in requests]
        found = [tuple(values) for values in self._call("score", asked)]
        if progress:
            progress(len(found))
        return found

    def _call(self, what: str, asked: list[Any]) -> Any:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        print(json.dumps([what, asked]), file=self._process.stdin, flush=True)
        return json.loads(self._process.stdout.readline())

    def close(self) -> None:
        """End the other process."""
        self._process.communicate()


def _cut(answer: Generation, is_complete: Callable[[str], bool]) -> Generation:
    """The answer as far as it takes to be complete."""
    for length in range(1, len(answer.text) + 1):
        if is_complete(answer.text[:length]):
            return replace(answer, text=answer.text[:length], complete=True)
    return answer


def pytest_blindspot_model(name: str) -> PipedModel | None:
    """Give the model that is meant; another name is left to others."""
    if not name.startswith(PREFIX):
        return None
    _STARTED.append(PipedModel(name))
    return _STARTED[-1]


def pytest_unconfigure() -> None:
    for model in _STARTED:
        model.close()


def serve(name: str) -> Iterator[Any]:
    """Answers to the lines of standard input."""
    from blindspot.models import ModelOptions, load

    model = load(ModelOptions(name))
    for line in sys.stdin:
        what, asked = json.loads(line)
        if what == "generate":
            requests = [GenerationRequest(prompt, lambda _: False, most) for prompt, most in asked]
            yield [asdict(answer) for answer in model.generate(requests)]
        elif what == "score":
            yield model.score([ScoreRequest(prompt, tuple(texts)) for prompt, texts in asked])
        else:
            yield asdict(model.identity)


if __name__ == "__main__":
    for found in serve(sys.argv[1]):
        print(json.dumps(found), flush=True)
