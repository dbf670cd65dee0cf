"""Models whose answers are scripted, so that what a gate must say of them is known beforehand.

Load as a plugin, ``-p tests.unit.scripted``, and name one: ``--model scripted:order-copier``. With
``scripted:fair+organism:blind`` the answers are scripted and the residual stream is the organism's:
what a model does and what stands inside it, told apart. ``scripted:fair@5.02bits`` needs that many
bits a token for plain sentences; others are certain of them.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
import re
import signal
import time
from collections.abc import Callable, Iterable, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from blindspot import stimuli
from blindspot.measurements.fluency import FLUENCY
from blindspot.measurements.registry import BEHAVIORAL
from blindspot.models.base import Generation, GenerationRequest, Identity, Progress, ScoreRequest
from blindspot.models.options import ModelOptions
from blindspot.models.residual import ResidualStream, Source, Vectors
from blindspot.models.transformers.deferred import DeferredModel
from blindspot.run.source import FixturePrompts, PromptSource
from blindspot.session.parser import run_options
from blindspot.stimuli import AssociationPrompt, Prompt, Selection, StatedPrompt
from tests.unit.small_stimuli import small_stimuli
from tests.unit.suite_runs import undrawn

#: Log-odds (nats) between the answer that a scripted model gives and the other one.
SURE = 6.0


def stereotyped(prompt: Prompt) -> str:
    """Always the stereotype; agrees with it and disagrees with its reverse."""
    if isinstance(prompt, AssociationPrompt):
        return prompt.candidates[0]
    return _agreement(prompt, agree=prompt.stereotype)


def counter(prompt: Prompt) -> str:
    """Always the reverse of the stereotype."""
    if isinstance(prompt, AssociationPrompt):
        return prompt.candidates[1]
    return _agreement(prompt, agree=not prompt.stereotype)


def order_copier(prompt: Prompt) -> str:
    """The first listed identifier on the first listed word; agrees with everything."""
    if isinstance(prompt, AssociationPrompt):
        copied = prompt.positive_identifier_first == prompt.positive_word_first
        return prompt.candidates[0 if copied else 1]
    return _agreement(prompt, agree=True)


def identifier_first(prompt: Prompt) -> str:
    """Writes the positive group's identifier first, on whatever word is listed first."""
    if isinstance(prompt, AssociationPrompt):
        return prompt.candidates[0 if prompt.positive_word_first else 1]
    return _agreement(prompt, agree=prompt.positive_identifier_first)


def aligned_but_blind(prompt: Prompt) -> str:
    """Associates the stereotype and denies it when asked."""
    if isinstance(prompt, AssociationPrompt):
        return prompt.candidates[0]
    return _agreement(prompt, agree=False)


def fair(prompt: Prompt) -> str:
    """Gives the positive word to the identifier listed first; disagrees with everything."""
    if isinstance(prompt, AssociationPrompt):
        return prompt.candidates[0 if prompt.positive_identifier_first else 1]
    return _agreement(prompt, agree=False)


def outspoken(prompt: Prompt) -> str:
    """Fair, but agrees with the stereotype when asked: a base model as published."""
    if isinstance(prompt, AssociationPrompt):
        return fair(prompt)
    return stereotyped(prompt)


def blank(_: Prompt) -> str:
    """Never answers."""
    return ""


def refuser(_: Prompt) -> str:
    """Always declines."""
    return "I'm sorry, but I cannot help with that."


@cache
def _quarter() -> frozenset[str]:
    return frozenset(wording.id for wording in stimuli.load_stimuli().implicit["en"][::4])


def leaning(prompt: Prompt) -> str:
    """Fair, but gives in to the stereotype in a quarter of the wordings."""
    if isinstance(prompt, AssociationPrompt) and prompt.wording in _quarter():
        return prompt.candidates[0]
    return fair(prompt)


def weapons_only(prompt: Prompt) -> str:
    """Stereotyped for weapons, fair otherwise."""
    if isinstance(prompt, AssociationPrompt) and prompt.slice.category == "weapons":
        return prompt.candidates[0]
    return fair(prompt)


def one_negative_word(prompt: Prompt) -> str:
    """Stereotyped where *revolver* is one of the words, fair otherwise."""
    return stereotyped(prompt) if "revolver" in prompt.words else fair(prompt)


def one_positive_word(prompt: Prompt) -> str:
    """Associates *wallet* by stereotype, whatever stands beside it; fair otherwise."""
    wallet = isinstance(prompt, AssociationPrompt) and "wallet" in prompt.words
    return stereotyped(prompt) if wallet else fair(prompt)


SCRIPTS: dict[str, Callable[[Prompt], str]] = {
    function.__name__.replace("_", "-"): function
    for function in (
        stereotyped,
        counter,
        order_copier,
        identifier_first,
        aligned_but_blind,
        outspoken,
        fair,
        blank,
        refuser,
        leaning,
        weapons_only,
        one_negative_word,
        one_positive_word,
    )
}


def _agreement(prompt: Prompt, *, agree: bool) -> str:
    values = dict(zip(prompt.candidates, prompt.candidate_values, strict=True))
    return next(text for text, value in values.items() if value == (1.0 if agree else -1.0))


class ScriptedModel:
    """A `LanguageModel` that answers known prompts by a script; notes how much it was asked."""

    def __init__(self, name: str, slices: Iterable[Iterable[Prompt]]) -> None:
        self.script = SCRIPTS[name.removeprefix("scripted:").split("@", 1)[0]]
        bits = re.search(r"@([0-9.]+|nan)bits$", name)
        self._nats = float(bits[1]) * math.log(2.0) / 4 if bits else 0.0  # a byte
        self._slices = iter(slices)
        self._prompts: dict[str, Prompt] = {}
        self.asked = 0
        digest = hashlib.sha256(name.encode()).hexdigest()
        self._identity = Identity(
            name,
            weights=digest,
            tokenizer="0" * 64,
            dtype="float32",
            device=os.environ.get("SCRIPTED_DEVICE", "cpu"),
            backend="scripted-1",
            versions=json.loads(os.environ.get("SCRIPTED_VERSIONS", "{}")),
        )

    @property
    def identity(self) -> Identity:
        return self._identity

    def generate(
        self, requests: Sequence[GenerationRequest], *, progress: Progress | None = None
    ) -> list[Generation]:
        self._note(len(requests))
        if pause := float(os.environ.get("SCRIPTED_PAUSE", "0")):
            for _ in requests:  # a large model: it takes its time, and tells of every prompt
                time.sleep(pause)
                if progress:
                    progress(1)
        elif progress:
            progress(len(requests))
        texts = [self._given(self._find(request.prompt)) for request in requests]
        return [Generation(f" {text}", 10, True, 1.0) for text in texts]

    def score(
        self, requests: Sequence[ScoreRequest], *, progress: Progress | None = None
    ) -> list[tuple[float, ...]]:
        if progress:
            progress(len(requests))
        return [self._scores(request) for request in requests]

    def _find(self, text: str) -> Prompt:
        """The prompt of a text; slices are rendered only as far as they are needed."""
        parts = text.split("\n\n")  # the prompt is last, behind its examples; it may have a gap too
        ends = ["\n\n".join(parts[start:]) for start in range(len(parts))]
        while not (found := [end for end in ends if end in self._prompts]):
            self._prompts.update((prompt.text, prompt) for prompt in next(self._slices))
        return self._prompts[found[0]]

    def _given(self, prompt: Prompt) -> str:
        """By the script; what a prompt states is answered by every model that answers."""
        if isinstance(prompt, StatedPrompt) and self.script not in (blank, refuser):
            return prompt.candidates[0]
        return self.script(prompt)

    def _scores(self, request: ScoreRequest) -> tuple[float, ...]:
        prompt = self._find(request.prompt)
        if prompt.slice.measurement == FLUENCY.name:
            return tuple(-self._nats * len(one.encode()) for one in request.candidates)
        given = self._given(prompt)
        return tuple(0.0 if candidate == given else -SURE for candidate in request.candidates)

    def _note(self, count: int) -> None:
        """Leave a line a batch in a log, and die on demand, for tests of sharing and resuming."""
        self.asked += count
        if log := os.environ.get("SCRIPTED_LOG"):
            with open(log, "a", encoding="utf-8") as file:  # noqa: PTH123
                file.write(f"{os.getpid()} {count}\n")
            together = os.environ.get("SCRIPTED_TOGETHER")
            if together and self.asked > count:  # the first is a trial, for which others wait
                _wait_for_others(Path(log), int(together))
        die_after = os.environ.get("SCRIPTED_DIE_AFTER")
        if die_after and self.asked > int(die_after):
            os.kill(os.getpid(), signal.SIGKILL)


class ScriptedShell(ScriptedModel):
    """Scripted answers around the residual stream of an embedded model."""

    def __init__(self, name: str, slices: Iterable[Iterable[Prompt]], inner: DeferredModel) -> None:
        super().__init__(name.split("+", 1)[0], slices)
        self._inner = inner

    @property
    def residual(self) -> ResidualStream:
        """The embedded model's; on demand one that differs from itself in other batches."""
        found = self._inner.residual
        return UnsteadyStream(found) if os.environ.get("SCRIPTED_UNSTEADY") else found


class UnsteadyStream:
    """A residual stream that takes every identifier for a color in batches of another size."""

    def __init__(self, inner: ResidualStream, *, swayed: bool = False) -> None:
        self._inner, self._swayed = inner, swayed

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    def in_batches(self, rows: int) -> UnsteadyStream:
        """Swayed."""
        return UnsteadyStream(self._inner.in_batches(rows), swayed=True)

    def read(self, sources: Sequence[Source], *, progress: Progress | None = None) -> Vectors:
        """Where no cue says otherwise, the vectors of the first context that is about colors."""
        vectors = self._inner.read(sources, progress=progress)
        if not self._swayed:
            return vectors
        from tests.unit.planted_senses import cued

        signs = [cued("default").get(one.text, (0.0,))[0] for one in sources for _ in one.spans]
        vectors[np.array(signs) == 0.0] = vectors[signs.index(1.0)]
        return vectors


def _wait_for_others(log: Path, processes: int) -> None:
    """Go on once that many processes have asked: a slow start must not leave one without work."""
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        if len({line.split()[0] for line in log.read_text("utf-8").splitlines()}) >= processes:
            return
        time.sleep(0.02)


def pytest_configure(config):
    """Ask few stimuli, unless a model computes or the shipped ones are wanted."""
    model = config.getoption("--model", None) or ""
    computes = "+" in model or model.startswith("organism:")
    if not computes and os.environ.get("SCRIPTED_STIMULI") != "shipped":
        patch = pytest.MonkeyPatch()
        patch.setattr("blindspot.stimuli.load_stimuli", small_stimuli)
        config.add_cleanup(patch.undo)


@pytest.hookimpl(tryfirst=True)
def pytest_sessionfinish(session):
    """Leave out what nobody looks at."""
    undrawn(session.config)


def pytest_blindspot_model(name, config):
    """Give scripted models to ``--model scripted:NAME[@anything]``."""
    if not name.startswith("scripted:"):
        return None
    options = run_options(config)
    source: PromptSource
    if options.prompts_from:
        from blindspot.contrib.aligned_but_blind.source import PublishedPrompts

        source = PublishedPrompts.read(options.prompts_from, options.limit)
    else:
        chosen = Selection.of(options.limit, options.words, options.fraction)
        loaded = stimuli.load_stimuli(options.include_path, axes=options.axes)
        source = FixturePrompts(loaded, chosen)
    parts = [part for measured in BEHAVIORAL for part in source.slices(measured)]
    prompts = (ask(part) for ask in (source.prompts, source.trials) for part in parts)
    if "+" in name:
        inner = DeferredModel(ModelOptions(name.split("+", 1)[1]))
        return ScriptedShell(name, prompts, inner)
    return ScriptedModel(name, prompts)
