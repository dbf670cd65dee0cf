"""Small random models of every promised architecture, and plain hooks to compare with."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Any

import torch

from blindspot.models.transformers.formats import PromptFormat
from blindspot.models.transformers.streams import TransformersStream
from tests.unit import tiny_models
from tests.unit.tiny_models import ARCHITECTURES, EOS, FURTHER_ARCHITECTURES

#: Every architecture that the residual stream promises; windows are shorter than the prompts.
ALL = (*ARCHITECTURES, *FURTHER_ARCHITECTURES)
LAYERS = 3


@cache
def prompts(*, chat: bool = False) -> PromptFormat:
    """Byte-level BPE with an opening token."""
    torch.set_num_threads(1)  # threads wait for each other where tests share cores
    return PromptFormat(tiny_models.tokenizer(), "tiny", chat=chat)


@cache
def model(architecture: str, dtype: torch.dtype = torch.float32, *, tied: bool = False) -> Any:
    """Three layers, each made once: leave it as it was."""
    settings: dict[str, Any] = {"num_hidden_layers": LAYERS}
    if architecture.startswith("gemma"):
        settings["layer_types"] = ["sliding_attention", "full_attention", "sliding_attention"]
    if tied:
        settings["tie_word_embeddings"] = True
    vocabulary = len(prompts().tokenizer)
    return tiny_models.model(architecture, vocabulary, **settings).to(dtype)


def stream(made: Any, *, chat: bool = False, rows: int | None = None) -> TransformersStream:
    return TransformersStream(made, prompts(chat=chat), "tiny", ends=frozenset({EOS}), rows=rows)


@torch.no_grad()
def plain_vectors(
    made: Any, tokens: Sequence[int], position: int, blocks: Sequence[Any] = ()
) -> torch.Tensor:
    """(layer, width) float32: one row, not padded, not cut, one hook a block."""
    blocks, found = blocks or blocks_of(made), []
    hooks = [
        block.register_forward_hook(lambda _m, _a, out: found.append(first(out)[0, position]))
        for block in blocks
    ]
    made(input_ids=torch.tensor([list(tokens)]), use_cache=False)
    for hook in hooks:
        hook.remove()
    return torch.stack(found).float()


@torch.no_grad()
def plain_patch(
    made: Any,
    tokens: Sequence[int],
    position: int,
    layer: int,
    vector: torch.Tensor | None,
    blocks: Sequence[Any] = (),
) -> torch.Tensor:
    """(vocabulary,) log-probabilities after the last token: one row, no cache, one hook."""

    def write(_module: Any, _arguments: Any, out: Any) -> Any:
        hidden = first(out).clone()
        hidden[0, position] = vector.to(hidden)
        return (hidden, *out[1:]) if isinstance(out, tuple) else hidden

    block = (blocks or blocks_of(made))[layer]
    hook = block.register_forward_hook(write) if vector is not None else None
    logits = made(input_ids=torch.tensor([list(tokens)]), use_cache=False).logits[0, -1]
    if hook is not None:
        hook.remove()
    return torch.log_softmax(logits.float(), -1)


def blocks_of(made: Any) -> list[Any]:
    """By the names that the architectures of the tests use."""
    inner = getattr(made, "model", None) or getattr(made, "transformer", None) or made.gpt_neox
    return list(inner.h if hasattr(inner, "h") else inner.layers)


def first(out: Any) -> torch.Tensor:
    return out[0] if isinstance(out, tuple) else out
