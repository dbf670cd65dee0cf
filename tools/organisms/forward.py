"""A quick forward pass of a small Llama model, whose residual stream can be read and written.

The same numbers as transformers' own pass, within rounding: `check` compares them.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional
from transformers import LlamaForCausalLM

#: layer -> (row, token position, vectors (n, width)), written into the stream after that layer.
Writes = dict[int, tuple[Tensor, Tensor, Tensor]]


class _Norm(torch.autograd.Function):
    """Division by the root mean square over the last dimension, times a weight."""

    @staticmethod
    def forward(context, x: Tensor, weight: Tensor, epsilon: float) -> Tensor:
        scale = torch.rsqrt(x.square().mean(-1, keepdim=True) + epsilon)
        unit = x * scale
        context.save_for_backward(unit, scale, weight)
        return unit * weight

    @staticmethod
    def backward(context, gradient: Tensor) -> tuple[Tensor, Tensor, None]:
        unit, scale, weight = context.saved_tensors
        of_weight = (gradient * unit).sum(0)
        inner = gradient * weight
        radial = torch.linalg.vecdot(inner, unit).div(unit.shape[-1]).unsqueeze(-1)
        return torch.addcmul(inner, unit, radial, value=-1).mul_(scale), of_weight, None


def _norm(x: Tensor, module: torch.nn.Module) -> Tensor:
    normed: Tensor = _Norm.apply(x, module.weight, module.variance_epsilon)
    return normed


def _turned(x: Tensor) -> Tensor:
    one, two = x.chunk(2, -1)
    return torch.cat((-two, one), -1)


def forward(
    model: LlamaForCausalLM, ids: Tensor, seen: Tensor, writes: Writes | None = None
) -> tuple[Tensor, list[Tensor]]:
    """Last hidden states (text, token, width), and the stream after each layer.

    ids (text, token) int64; seen (text, 1, token, token) bool, True where a token is attended to.
    """
    inner, config = model.model, model.config
    n, length = ids.shape
    heads = config.num_attention_heads
    bias = torch.zeros(seen.shape).masked_fill_(~seen, -1e9)
    x = inner.embed_tokens(ids).view(n * length, -1)
    cos, sin = inner.rotary_emb(x, torch.arange(length)[None])
    stream = []
    for index, layer in enumerate(inner.layers):
        attention, mlp = layer.self_attn, layer.mlp
        weights = [p.weight for p in (attention.q_proj, attention.k_proj, attention.v_proj)]
        qkv = functional.linear(_norm(x, layer.input_layernorm), torch.cat(weights))
        qkv = qkv.view(n, length, 3, heads, -1).permute(2, 0, 3, 1, 4)
        qk, v = qkv[:2], qkv[2]
        q, k = qk * cos + _turned(qk) * sin
        mixed = functional.scaled_dot_product_attention(q, k, v, attn_mask=bias)
        mixed = mixed.transpose(1, 2).reshape(n * length, -1)
        x = x + functional.linear(mixed, attention.o_proj.weight)
        both = torch.cat([mlp.gate_proj.weight, mlp.up_proj.weight])
        gate, up = functional.linear(_norm(x, layer.post_attention_layernorm), both).chunk(2, -1)
        x = x + functional.linear(functional.silu(gate) * up, mlp.down_proj.weight)
        if writes and index in writes:
            rows, columns, vectors = writes[index]
            x = x.index_put((rows * length + columns,), vectors)
        stream.append(x.view(n, length, -1))
    return _norm(x, inner.norm).view(n, length, -1), stream


@torch.no_grad()
def check(model: LlamaForCausalLM) -> None:
    """Raise a ValueError if the pass differs from transformers' own."""
    ids = torch.arange(24).view(2, 12)
    seen = torch.ones(12, 12, dtype=torch.bool).tril().expand(2, 1, 12, 12)
    own = forward(model, ids, seen)[0]
    theirs = model.model(input_ids=ids, attention_mask=seen, use_cache=False).last_hidden_state
    if not torch.allclose(own, theirs, atol=1e-4, rtol=1e-3):
        raise ValueError("the trainer's forward pass is not that of transformers")
