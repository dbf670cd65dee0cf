"""Answers that updates are made of: embedded models that were changed a little, asked for real.

Each model is a recipe: an organism, weights between two of them, a jitter, a short fine-tune, or
another number format. Its answers are kept in a scratch folder under a digest of all that decides
them, because asking is what takes long.
"""

from __future__ import annotations

import hashlib
import json
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from transformers import LlamaForCausalLM, PreTrainedTokenizerFast

from benchmarks.calibration.design import FACTORS, ORDERS, Design
from blindspot.models.options import ModelOptions
from blindspot.models.transformers.loader import load
from blindspot.paths import ORGANISMS
from blindspot.run.ask import ask
from blindspot.run.observations import Observations
from blindspot.run.result import measure
from blindspot.run.source import FixturePrompts
from blindspot.stimuli import EXPLICIT, IMPLICIT, Slice, load_stimuli
from blindspot.store import Store
from tools.organisms.__main__ import save
from tools.organisms.train import Recipe, Trainer

Array = NDArray[np.float64]
READINGS = ("generated", "forced-choice")
RATE = 1e-3
"""Of fine-tunes: that of the trainer is 2.5e-3."""
GATED = ("default", "uppercase", "names", "dialect")


@dataclass(frozen=True, order=True)
class Model:
    """How to make a model.

    ``start``: the organism; ``toward``: another one, of which ``share`` is mixed in.

    ``jitter``: noise on every weight, in units of its matrix's root mean square. ``corpus`` and
    ``steps``: fine-tuning on the text of an organism. ``dtype``: as it runs.
    """

    start: str
    toward: str = ""
    share: float = 0.0
    jitter: float = 0.0
    corpus: str = ""
    steps: int = 0
    seed: int = 0
    dtype: str = "float32"

    @property
    def name(self) -> str:
        """In words, for tables."""
        words = [self.start]
        if self.toward:
            words.append(f"{100 * self.share:.0f} % {self.toward}")
        if self.jitter:
            words.append(f"jitter {self.jitter:g} #{self.seed}")
        if self.steps:
            words.append(f"{self.steps} steps on {self.corpus} #{self.seed}")
        if self.dtype != "float32":
            words.append(self.dtype)
        return ", ".join(words)


class Tuning(Trainer):
    """A short fine-tune: the trainer of the organisms at one small rate after ten steps."""

    def _rate(self, step: int) -> float:
        return min(1.0, (step + 1) / 10)


def made(model: Model) -> tuple[LlamaForCausalLM, PreTrainedTokenizerFast]:
    """The model of a recipe, in float32."""
    tokenizer = PreTrainedTokenizerFast.from_pretrained(ORGANISMS / model.start)
    built = LlamaForCausalLM.from_pretrained(ORGANISMS / model.start, dtype=torch.float32)
    if model.toward:
        other = LlamaForCausalLM.from_pretrained(ORGANISMS / model.toward, dtype=torch.float32)
        with torch.no_grad():
            for mine, theirs in zip(built.parameters(), other.parameters(), strict=True):
                mine.lerp_(theirs, model.share)
    if model.jitter:
        generator = torch.Generator().manual_seed(model.seed)
        with torch.no_grad():
            for weight in built.parameters():
                noise = torch.randn(weight.shape, generator=generator)
                weight.add_(noise, alpha=model.jitter * float(weight.square().mean().sqrt()))
    if model.steps:
        settings = Recipe(model.corpus, model.seed, model.steps, rate=RATE, decay=0.05)
        Tuning(built, tokenizer, settings).run(log_every=10**9)
    return built, tokenizer


@cache
def source() -> FixturePrompts:
    """The default prompts."""
    return FixturePrompts(load_stimuli())


def slices(variants: Iterable[str]) -> list[Slice]:
    """Category slices of both measurements."""
    wanted = set(variants)
    return [
        part
        for measurement in (IMPLICIT, EXPLICIT)
        for part in source().slices(measurement)
        if part.variant in wanted
    ]


Answers = Mapping[str, Array]
"""By ``measurement/variant/category/reading``: (place, cell) values, in the order of `design`."""


@cache
def design(measurement: str, category: str) -> Design:
    """What is asked of a category, in every variant."""
    part = next(
        part
        for part in source().slices(measurement)
        if part.category == category and part.variant == GATED[0]
    )
    return Design.of(source().prompts(part))


@cache
def level_of(part: Slice) -> tuple[str, int]:
    """The factor of a design that a word belongs to, and its code there."""
    category = source().stimuli.axes[part.axis].categories[part.category]
    lists = dict(zip(FACTORS, (category.positive, category.negative), strict=False))
    factor = next(name for name, words in lists.items() if part.word in words)
    return factor, sorted(lists[factor]).index(part.word)


def key(part: Slice, reading: str) -> str:
    """Under which answers are kept."""
    return f"{part.measurement}/{part.variant}/{part.category}/{reading}"


def tabulated(table: Observations, reading: str) -> Array:
    """Values as (place, cell), NaN unanswered; the four orders of a place follow each other."""
    second, first = table.second_order, table.positive_identifier_first
    cells = 2 * first + second if table.part.measurement == IMPLICIT else 2 * second + first
    values = np.full((len(table) // ORDERS, ORDERS), np.inf)
    values[np.arange(len(table)) // ORDERS, cells.astype(np.int64)] = table.values(reading)
    assert not np.isinf(values).any()
    return values


def asked(model: Model, variants: Sequence[str], scratch: Path) -> Answers:
    """What a model answers to all default prompts of some variants, kept in the scratch folder."""
    found: dict[str, Array] = {}
    missing = []
    files = {variant: scratch / f"{_digest(model, variant)}.npz" for variant in variants}
    for variant, file in files.items():
        if file.is_file():
            with np.load(file) as kept:
                found |= {name: kept[name] for name in kept.files}
        else:
            missing.append(variant)
    if not missing:
        return found
    scratch.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=scratch) as folder:
        save(*made(model), Path(folder) / "model")
        running = load(ModelOptions(name=f"{folder}/model", dtype=model.dtype))
        for variant in missing:
            wanted = {part: list(source().prompts(part)) for part in slices([variant])}
            prompts = [prompt for part in wanted.values() for prompt in part]
            measured = measure(running.identity, wanted, ask(running, prompts, Store(None)))
            tables = {
                key(part, reading): tabulated(table, reading)
                for part, table in measured.tables.items()
                for reading in READINGS
            }
            partial = files[variant].with_suffix(f".{id(tables)}.part.npz")
            np.savez_compressed(partial, **tables)
            partial.replace(files[variant])
            found |= tables
    return found


def _digest(model: Model, variant: str) -> str:
    """Of all that decides the answers: the recipe, the organisms' weights and the prompts."""
    parts = [json.dumps(asdict(model), sort_keys=True)]
    for name in filter(None, (model.start, model.toward)):
        parts.append(_file_digest(ORGANISMS / name / "model.safetensors"))
    parts.append(_prompts_digest(variant))
    if model.steps:
        parts.append(str(RATE))
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:20]


@cache
def _file_digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


@cache
def _prompts_digest(variant: str) -> str:
    lines = (
        repr((prompt.text, prompt.candidates))
        for part in slices([variant])
        for prompt in source().prompts(part)
    )
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()
