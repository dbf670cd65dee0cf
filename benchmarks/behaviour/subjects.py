"""Models that the behavioural benchmark asks, and the prompts that it asks them.

A model of random weights writes anything and never completes an answer. The embedded model
(`organism:blind`) is therefore planted in the random ones: its 96 dimensions, 6 blocks and 4 heads
are a part of theirs, of the same numbers, and everything else is random, is computed like any other
weight, and is not listened to. They answer as it does, whatever their size.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from transformers import AutoModelForCausalLM

from benchmarks.harness.llamas import Shape, tokenizer, untrained
from blindspot.models.base import Identity
from blindspot.models.options import ModelOptions
from blindspot.models.transformers.formats import PromptFormat
from blindspot.models.transformers.loader import load
from blindspot.models.transformers.model import CausalModel
from blindspot.run.source import FixturePrompts
from blindspot.run.work import stopping_rule
from blindspot.stimuli import (
    Prompt,
    Selection,
    Slice,
    load_stimuli,
)
from tools.real_models.fetch import MODELS

ORGANISM = "organism:blind"
_DIRECTORY = Path(__file__).parents[2] / "fixtures/organisms/blind"
_WHERE = ("race", "default", "weapons")
#: A real model, with its chat template and answers of its own (`python -m tools.real_models`).
SMOLLM2 = "smollm2"
_END = 2
#: Positions turn by 10000^(-i / 32) in heads of 64: every 2nd of these is one of the organism's,
#: 1000^(-i / 12), and so in heads of any multiple of 32.
SHAPES = {
    "llama-20m": Shape(384, 1024, 6, 6, 6, 32_000, tied=True),
    "llama-120m": Shape(768, 2048, 12, 12, 12, 49_152, tied=True),
    "llama-3-8b": Shape(4096, 14_336, 32, 32, 8, 128_256, tied=False, context=8192),
    "llama-tiny": Shape(128, 256, 6, 4, 4, 4_096, tied=True),
}


@dataclass(frozen=True, eq=False)
class Job:
    """A prompt: its tokens, when its answer is complete, and its candidates' tokens.

    ``texts``: prompt and candidate as one sequence, one per candidate.
    """

    prompt: Prompt
    tokens: tuple[int, ...]
    is_complete: Callable[[str], bool]
    texts: tuple[tuple[int, ...], ...]


@dataclass(frozen=True, eq=False)
class Subject:
    """A model with its tokenizer."""

    name: str
    model: Any
    prompts: PromptFormat
    identity: Identity

    def fresh(self) -> CausalModel:
        """The model behind the engine, knowing nothing of what it was asked before."""
        return CausalModel(self.model, self.prompts, self.identity, ends=frozenset({_END}))

    def jobs(self, asked: Sequence[Prompt]) -> list[Job]:
        """Prompts as this model reads them."""
        rendered = [self.prompts.render(prompt.text) for prompt in asked]
        joined = [
            [self.prompts.join(text, candidate) for candidate in prompt.candidates]
            for text, prompt in zip(rendered, asked, strict=True)
        ]
        return [
            Job(prompt, tokens, stopping_rule(prompt), tuple(self.prompts.encode(texts)))
            for prompt, tokens, texts in zip(
                asked, self.prompts.encode(rendered), joined, strict=True
            )
        ]

    def answer(self, job: Job, generated: Sequence[int]) -> str:
        """The text of an answer, cut where it is complete or ends."""
        text = ""
        for count, token in enumerate(generated, 1):
            if token == _END:
                break
            text = self.prompts.decode([job.tokens], [generated[:count]])[0]
            if job.is_complete(text):
                break
        return text


def sample(pairs: int | None) -> list[Prompt]:
    """Prompts of so many word pairs (None: all) of `race-default-weapons`.

    As in the default suite, associations and statements: 8 prompts of each a pair.
    """
    source = FixturePrompts(load_stimuli(), Selection(limit=pairs))
    return [
        prompt
        for measurement in ("implicit", "explicit")
        for prompt in source.prompts(Slice(measurement, *_WHERE))
    ]


def protocol() -> list[Prompt]:
    """All prompts of the default suite."""
    source = FixturePrompts(load_stimuli())
    return [
        prompt
        for measurement in ("implicit", "explicit")
        for part in source.slices(measurement)
        for prompt in source.prompts(part)
    ]


def subject_of(name: str, device: str, dtype: torch.dtype) -> Subject:
    """The embedded model, or one of ``SHAPES``."""
    if name == SMOLLM2:
        numbers = str(dtype).removeprefix("torch.")
        options = ModelOptions(
            str(MODELS[name].path), device=device, dtype=numbers, apply_chat_template=True
        )
        loaded = load(options)
        assert loaded.tokenizer.eos_token_id == _END
        loaded.model.generation_config.pad_token_id = _END
        return Subject(name, loaded.model, loaded.prompts, loaded.identity)
    if name == "organism":
        loaded = load(ModelOptions(ORGANISM, device="cpu"))
        return Subject(name, loaded.model, loaded.prompts, loaded.identity)
    shape = SHAPES[name]
    prompts = PromptFormat(tokenizer(shape.vocabulary), name, chat=False)
    identity = Identity(name, "planted", "filled", str(dtype).removeprefix("torch."), device=device)
    return Subject(name, planted(shape, device, dtype), prompts, identity)


@torch.no_grad()
def planted(shape: Shape, device: str, dtype: torch.dtype, seed: int = 0) -> Any:
    """A Llama of this shape whose answers are the organism's."""
    organism = AutoModelForCausalLM.from_pretrained(_DIRECTORY, dtype=torch.float32)
    config, small = organism.config, organism.state_dict()
    torch.manual_seed(seed)
    # The other dimensions of the stream stay 0, so its mean square is that of 96, over more.
    thinned = config.hidden_size / shape.width
    model = untrained(
        shape,
        device,
        dtype,
        rms_norm_eps=config.rms_norm_eps * thinned,
        bos_token_id=config.bos_token_id,
        eos_token_id=_END,
        pad_token_id=config.pad_token_id,
    )
    width, words = config.hidden_size, config.vocab_size
    for weight in {model.model.embed_tokens.weight, model.lm_head.weight}:
        weight[:words], weight[:, :width] = 0, 0
        weight[:words, :width] = small["model.embed_tokens.weight"].to(weight)
    for number, block in enumerate(model.model.layers):
        block.self_attn.o_proj.weight.zero_()
        block.mlp.down_proj.weight.zero_()
        if number < config.num_hidden_layers:
            prefix = f"model.layers.{number}."
            part = {k.removeprefix(prefix): v for k, v in small.items() if k.startswith(prefix)}
            _plant(block, part, shape, config, thinned)
    model.model.norm.weight[:width] = small["model.norm.weight"].to(device) * thinned**0.5
    model.generation_config.eos_token_id = _END
    return model


def _plant(block: Any, part: dict[str, Tensor], shape: Shape, small: Any, thinned: float) -> None:
    """Set the organism's block into a larger one."""
    head, width, inner = shape.width // shape.heads, small.hidden_size, small.intermediate_size
    # Positions turn the halves of a head against each other.
    turned = torch.arange(small.head_dim // 2) * (head // 32)
    within = torch.cat([turned, turned + head // 2])
    heads, each = range(small.num_attention_heads), shape.heads // shape.groups
    queries = torch.cat([number * each * head + within for number in heads])
    keys = torch.cat([number * head + within for number in heads])
    attention, mlp = block.self_attn, block.mlp
    for name, rows, scale in (
        ("q_proj", queries, (head / small.head_dim) ** 0.5),  # attention divides by it
        ("k_proj", keys, 1),
        ("v_proj", keys, 1),
    ):
        weight = getattr(attention, name).weight
        weight[rows] = 0
        weight[rows, :width] = (part[f"self_attn.{name}.weight"] * scale).to(weight)
    weight = attention.o_proj.weight
    weight[:width, queries] = part["self_attn.o_proj.weight"].to(weight)
    for name in ("gate_proj", "up_proj"):
        weight = getattr(mlp, name).weight
        weight[:inner] = 0
        weight[:inner, :width] = part[f"mlp.{name}.weight"].to(weight)
    weight = mlp.down_proj.weight
    weight[:width, :inner] = part["mlp.down_proj.weight"].to(weight)
    for name in ("input_layernorm", "post_attention_layernorm"):
        weight = getattr(block, name).weight
        weight[:width] = (part[f"{name}.weight"] * thinned**0.5).to(weight)
