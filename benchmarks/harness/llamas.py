"""Llamas of any size with weights of our own, and a tokenizer of theirs."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

_TOKENIZER = Path(__file__).parents[2] / "fixtures/organisms/blind/tokenizer.json"


@dataclass(frozen=True, slots=True)
class Shape:
    """A Llama of random weights; ``vocabulary`` counts tokens, ``tied`` shares both embeddings."""

    width: int
    inner: int
    layers: int
    heads: int
    groups: int
    vocabulary: int
    tied: bool
    context: int = 1024
    theta: float = 10_000.0


SHAPES = {
    # Of about 60 million parameters 27 % are the embedding, as in small models that are in use.
    "llama-60m": Shape(512, 1664, 12, 8, 8, 32_000, tied=True),
    "llama-3-8b": Shape(4096, 14_336, 32, 32, 8, 128_256, tied=False, context=8192, theta=5e5),
    "llama-tiny": Shape(64, 160, 4, 4, 4, 4_096, tied=True),
}


def untrained(shape: Shape, device: str, dtype: torch.dtype, **settings: Any) -> Any:
    """A model of random weights, the same for the same torch seed; ``settings`` of its config."""
    config = LlamaConfig(
        vocab_size=shape.vocabulary,
        hidden_size=shape.width,
        intermediate_size=shape.inner,
        num_hidden_layers=shape.layers,
        num_attention_heads=shape.heads,
        num_key_value_heads=shape.groups,
        tie_word_embeddings=shape.tied,
        max_position_embeddings=shape.context,
        rope_parameters={"rope_type": "default", "rope_theta": shape.theta},
        dtype=dtype,
        **settings,
    )
    before = torch.get_default_dtype()
    torch.set_default_dtype(dtype)
    try:
        with torch.device(device):
            model = LlamaForCausalLM(config)
    finally:
        torch.set_default_dtype(before)
    model.eval().requires_grad_(False)
    model.generation_config.pad_token_id = 0
    return model


def tokenizer(size: int) -> PreTrainedTokenizerFast:
    """The organism's tokenizer with words that no text has, up to a number of tokens."""
    described = json.loads(_TOKENIZER.read_text(encoding="utf-8"))
    vocabulary = described["model"]["vocab"]
    used = {*vocabulary.values(), *(token["id"] for token in described["added_tokens"])}
    for number in sorted(set(range(size)) - used):
        vocabulary[f"Ġword{number}"] = number
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=Tokenizer.from_str(json.dumps(described)),
        bos_token="<s>",
        eos_token="</s>",
        pad_token="<pad>",
    )
    assert len(tokenizer) == size
    return tokenizer
