"""Tiny checkpoints written as GGUF files, as converters write them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import gguf
import numpy as np
from safetensors.numpy import load_file

_LAYERS = {
    "input_layernorm": "attn_norm",
    "self_attn.q_proj": "attn_q",
    "self_attn.k_proj": "attn_k",
    "self_attn.v_proj": "attn_v",
    "self_attn.o_proj": "attn_output",
    "post_attention_layernorm": "ffn_norm",
    "mlp.gate_proj": "ffn_gate",
    "mlp.up_proj": "ffn_up",
    "mlp.down_proj": "ffn_down",
}
_OUTER = {
    "model.embed_tokens.weight": "token_embd.weight",
    "model.norm.weight": "output_norm.weight",
    "lm_head.weight": "output.weight",
}


def write(
    path: Path,
    checkpoint: Path,
    *,
    kind: str = "F32",
    architecture: str = "llama",
    values: dict[str, int | float | str] | None = None,
    tensors: dict[str, Any] | None = None,
) -> Path:
    """Write a llama checkpoint as a GGUF file.

    Args:
        path: of the file.
        checkpoint: a directory with safetensors weights and a byte-level tokenizer.
        kind: of the matrices whose rows are whole blocks of it.
        architecture: named in the file, with the entries of llama.
        values: more entries of the header, or others in their place.
        tensors: more tensors.
    """
    config = json.loads((checkpoint / "config.json").read_text("utf-8"))
    heads, width = config["num_attention_heads"], config["hidden_size"]
    keys = config.get("num_key_value_heads") or heads
    entries: dict[str, Any] = {
        f"{architecture}.context_length": config["max_position_embeddings"],
        f"{architecture}.embedding_length": width,
        f"{architecture}.block_count": config["num_hidden_layers"],
        f"{architecture}.feed_forward_length": config["intermediate_size"],
        f"{architecture}.attention.head_count": heads,
        f"{architecture}.attention.head_count_kv": keys,
        f"{architecture}.attention.layer_norm_rms_epsilon": float(config["rms_norm_eps"]),
        f"{architecture}.rope.dimension_count": config.get("head_dim") or width // heads,
        f"{architecture}.rope.freq_base": float(config["rope_parameters"]["rope_theta"]),
        f"{architecture}.vocab_size": config["vocab_size"],
        **_vocabulary(checkpoint),
    }
    if head := config.get("head_dim"):
        entries[f"{architecture}.attention.key_length"] = head
        entries[f"{architecture}.attention.value_length"] = head
    entries |= values or {}
    writer = gguf.GGUFWriter(path, architecture)
    for key, value in entries.items():
        _add(writer, key, value)
    for name, weight in load_file(checkpoint / "model.safetensors").items():
        stem, array = name, weight.astype(np.float32)
        if name not in _OUTER:
            _, _, layer, *parts = name.removesuffix(".weight").split(".")
            stem = f"blk.{layer}.{_LAYERS['.'.join(parts)]}.weight"
            if parts[-1] in {"q_proj", "k_proj"}:
                array = _interleaved(array, heads if parts[-1] == "q_proj" else keys)
        _tensor(writer, _OUTER.get(name, stem), array, kind)
    for name, array in (tensors or {}).items():
        writer.add_tensor(name, array)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def _vocabulary(checkpoint: Path) -> dict[str, Any]:
    tokenizer = json.loads((checkpoint / "tokenizer.json").read_text("utf-8"))
    ids = {
        **tokenizer["model"]["vocab"],
        **{t["content"]: t["id"] for t in tokenizer["added_tokens"]},
    }
    special = {t["content"] for t in tokenizer["added_tokens"] if t["special"]}
    tokens = sorted(ids, key=ids.__getitem__)
    merges = tokenizer["model"]["merges"]
    template = checkpoint / "chat_template.jinja"
    chat = {"tokenizer.chat_template": template.read_text("utf-8")} if template.is_file() else {}
    return {
        **chat,
        "tokenizer.ggml.model": "gpt2",
        "tokenizer.ggml.pre": "gpt-2",
        "tokenizer.ggml.tokens": tokens,
        "tokenizer.ggml.token_type": [3 if token in special else 1 for token in tokens],
        "tokenizer.ggml.merges": [m if isinstance(m, str) else " ".join(m) for m in merges],
        "tokenizer.ggml.bos_token_id": 1,
        "tokenizer.ggml.eos_token_id": 2,
        "tokenizer.ggml.padding_token_id": 0,
        "tokenizer.ggml.add_bos_token": True,
    }


def _add(writer: gguf.GGUFWriter, key: str, value: Any) -> None:
    if isinstance(value, bool):
        writer.add_bool(key, value)
    elif isinstance(value, int):
        writer.add_uint32(key, value)
    elif isinstance(value, float):
        writer.add_float32(key, value)
    elif isinstance(value, str):
        writer.add_string(key, value)
    else:
        writer.add_array(key, value)


def _interleaved(array: Any, heads: int) -> Any:
    """Rows of queries and keys in the order of llama.cpp, which turns neighbouring pairs."""
    halves = array.reshape(heads, 2, array.shape[0] // heads // 2, *array.shape[1:])
    return np.ascontiguousarray(halves.swapaxes(1, 2).reshape(array.shape))


def _tensor(writer: gguf.GGUFWriter, name: str, array: Any, kind: str) -> None:
    quantised = gguf.GGMLQuantizationType[kind]
    block = gguf.GGML_QUANT_SIZES[quantised][0]
    if kind == "F32" or array.ndim < 2 or array.shape[-1] % block:
        writer.add_tensor(name, array)
        return
    try:
        data = gguf.quantize(array, quantised)
    except NotImplementedError:  # of kinds that only llama.cpp writes
        rows = array.shape[0], array.shape[-1] // block * gguf.GGML_QUANT_SIZES[quantised][1]
        data = np.zeros(rows, np.uint8)
    writer.add_tensor(name, data, raw_dtype=quantised)
