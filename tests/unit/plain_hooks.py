"""The slow way that everybody trusts: one row, plain hooks, a full forward pass for every token."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from functools import cache
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from blindspot.models.base import Identity
from blindspot.models.transformers.formats import PromptFormat
from blindspot.models.transformers.model import CausalModel
from tests.unit import tiny_models
from tests.unit.tiny_models import EOS

LAYERS, WIDTH = 4, 32

#: One per family that the residual stream promises; windows are shorter than the prompts.
FAMILIES: dict[str, tuple[str, dict[str, Any]]] = {
    "llama": ("Llama", {"num_key_value_heads": 2}),
    "qwen3": ("Qwen3", {"num_key_value_heads": 2, "head_dim": 8}),
    "mistral": ("Mistral", {"num_key_value_heads": 2, "sliding_window": 9}),
    "gemma3": (
        "Gemma3",
        {
            "num_key_value_heads": 1,
            "head_dim": 8,
            "sliding_window": 7,
            "layer_types": ["sliding_attention", "full_attention"] * 2,
        },
    ),
    "gpt_neox": ("GPTNeoX", {}),
    "olmo2": ("Olmo2", {"num_key_value_heads": 4}),
    "phi3": ("Phi3", {"num_key_value_heads": 2, "sliding_window": 11}),
    "gpt2": ("GPT2", {}),
    "qwen3_moe": (
        "Qwen3Moe",
        {
            "num_key_value_heads": 2,
            "head_dim": 8,
            "num_experts": 4,
            "num_experts_per_tok": 2,
            "moe_intermediate_size": 24,
        },
    ),
}

#: All of them; quickly, one without windows, one with both kinds of layers, and one of experts.
EACH_FAMILY = [
    name if name in ("llama", "gemma3", "qwen3_moe") else pytest.param(name, marks=pytest.mark.slow)
    for name in FAMILIES
]

Change = Callable[[Tensor], Tensor]
Writes = Sequence[tuple[int, int, np.ndarray | Change]]


@cache
def family(name: str, *, chat: bool = False, kind: str = "bytes", dtype: str = "float32") -> Any:
    """A tiny model of a family with random weights, made once."""
    import transformers

    torch.set_num_threads(1)
    prefix, own = FAMILIES[name]
    made = tiny_models.tokenizer(kind, chat=chat)
    kind_of = "Gemma3TextConfig" if prefix == "Gemma3" else f"{prefix}Config"
    config = getattr(transformers, kind_of)(
        vocab_size=len(made),
        hidden_size=WIDTH,
        intermediate_size=48,
        num_hidden_layers=LAYERS,
        num_attention_heads=4,
        max_position_embeddings=160,
        initializer_range=0.25,
        bos_token_id=1,
        eos_token_id=EOS,
        pad_token_id=0,
        **own,
    )
    torch.manual_seed(7)
    model = transformers.AutoModelForCausalLM.from_config(config).eval()
    model = model.to(getattr(torch, dtype)).requires_grad_(False)
    identity = Identity(name, "", "", dtype)
    prompts = PromptFormat(made, name, chat=chat)
    return CausalModel(model, prompts, identity, ends=frozenset({EOS}))


def vectors(count: int, layers: int = LAYERS, width: int = WIDTH, seed: int = 3) -> np.ndarray:
    """Random vectors (vector, layer, width), about as long as those of the tiny models."""
    found = np.random.default_rng(seed).normal(0, 3, (count, layers, width))
    return found.astype(np.float32)


def place(model: CausalModel, prompt: str, end: int) -> tuple[list[int], int]:
    """Tokens of a prompt, and the last of them that covers the character before ``end``."""
    rendered = model.prompts.render(prompt)
    shift = rendered.index(prompt.strip())
    encoded = model.tokenizer(
        rendered, add_special_tokens=not model.prompts.chat, return_offsets_mapping=True
    )
    offsets = enumerate(encoded["offset_mapping"])
    return encoded["input_ids"], max(n for n, (a, b) in offsets if a < end + shift <= b)


def block_list(model: Any) -> Any:
    """The blocks, by the names that the families give them."""
    inner = getattr(model, model.base_model_prefix)
    return inner.h if hasattr(inner, "h") else inner.layers


@torch.inference_mode()
def predictions(model: Any, tokens: Sequence[int], writes: Writes = ()) -> Tensor:
    """Log-probabilities (token, vocabulary).

    ``writes``: (layer, position, vector), or what becomes of the vector that is there.
    """

    def hook(position: int, vector: np.ndarray | Change) -> Callable[..., Any]:
        def write(_module: Any, _arguments: Any, output: Any) -> Any:
            hidden = (output[0] if isinstance(output, tuple) else output).clone()
            there = hidden[0, position].clone()
            hidden[0, position] = vector(there) if callable(vector) else torch.tensor(vector)
            return (hidden, *output[1:]) if isinstance(output, tuple) else hidden

        return write

    with ExitStack() as stack:
        for layer, position, vector in writes:
            module = block_list(model)[layer]
            stack.callback(module.register_forward_hook(hook(position, vector)).remove)
        logits = model(input_ids=torch.tensor([list(tokens)]), use_cache=False).logits[0]
    return logits.float().log_softmax(-1)


def greedy(
    model: CausalModel,
    tokens: Sequence[int],
    writes: Writes,
    most: int,
    is_complete: Callable[[str], bool] = lambda _: False,
    ends: frozenset[int] = frozenset({EOS}),
) -> tuple[str, int, bool, float]:
    """Text, tokens, completeness and margin of the greedy continuation."""
    decode = model.tokenizer.decode
    before = decode(list(tokens), skip_special_tokens=True)
    new: list[int] = []
    margin, text = float("inf"), ""
    while len(new) < most:
        best = predictions(model.model, [*tokens, *new], writes)[-1].topk(2)
        margin = min(margin, float(best.values[0] - best.values[1]))
        token = int(best.indices[0])
        if token in ends:
            return text, len(new), True, margin
        new.append(token)
        text = decode([*tokens, *new], skip_special_tokens=True)[len(before) :]
        if is_complete(text):
            return text, len(new), True, margin
    return text, len(new), False, margin


def scored(
    model: CausalModel, prompt: str, candidates: Sequence[str], writes: Writes
) -> tuple[float, ...]:
    """Log-probability (nats) of each candidate, where no token joins it to the prompt."""
    rendered = model.prompts.render(prompt)
    special = not model.prompts.chat
    start = len(model.tokenizer(rendered, add_special_tokens=special)["input_ids"])
    found = []
    for candidate in candidates:
        whole = model.prompts.join(rendered, candidate)
        text = model.tokenizer(whole, add_special_tokens=special)["input_ids"]
        rows = predictions(model.model, text, writes)
        found.append(sum(float(rows[n - 1, text[n]]) for n in range(start, len(text))))
    return tuple(found)


def hook_count(model: Any) -> int:
    """Hooks on all modules of a model."""
    return sum(len(m._forward_hooks) + len(m._forward_pre_hooks) for m in model.modules())
