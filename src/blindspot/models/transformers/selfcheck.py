"""What a loaded model can do, and how stable its numbers are: tried on a few tokens."""

from __future__ import annotations

import inspect
from collections.abc import Sequence

import torch
from torch import Tensor
from transformers import DynamicCache
from transformers.cache_utils import DynamicLayer, DynamicSlidingWindowLayer

from blindspot.errors import ModelError
from blindspot.models.transformers.engine import Engine, Row
from blindspot.models.transformers.faults import is_bug
from blindspot.models.transformers.kv_cache import Pool
from blindspot.models.transformers.prefix_tree import Tokens
from blindspot.models.transformers.waves import Cached

#: Mean difference of logits, in standard deviations of the logits, that is still the same model.
#: A misplaced cache changes them by about 1; rounding by 1e-6 in float32, 0.05 in bfloat16.
_SAME = {torch.float32: 1e-3, torch.float64: 1e-3}
_SAME_HALF = 0.25
#: Exceptions of models that handle a cache differently from transformers' own.
_OTHER_CACHE = (AttributeError, IndexError, KeyError, NotImplementedError, TypeError, ValueError)


@torch.inference_mode()
def check(engine: Engine) -> int:
    """Set whether prefixes may be shared; returns the bytes of a cached token (or 0).

    Raises:
        ModelError: the model produces no finite numbers.
    """
    first, second = (tuple(n * 7919 % engine.vocabulary for n in run) for run in _RUNS)
    plain = _plain(engine, first, second)
    if not all(bool(torch.isfinite(logits).all()) for logits in plain):
        raise engine.not_finite()
    if not _keeps_keys_and_values(engine):
        engine.unshared = "it caches something other than keys and values of its tokens"
        return 0
    try:
        shared, kv_bytes = _shared(engine, first, second)
    except _OTHER_CACHE as error:
        if isinstance(error, ModelError) or is_bug(error):
            raise
        engine.unshared = f"it handles a cache differently ({type(error).__name__}: {error})"
        return 0
    engine.shares = _agree(engine, plain, shared)
    if not engine.shares:
        engine.unshared = "its answers change with a shared prefix or with padding"
        return 0
    return kv_bytes


@torch.inference_mode()
def noise(engine: Engine) -> float:
    """Largest change of any logit between rows alone and in a batch; of `check`ed models only.

    In half precision. In float32 it is 0, apart from the rounding that `Engine.best` allows.
    """
    if engine.model.dtype not in _HALF:
        return 0.0
    longest = min(_PROBED[0], engine.context or _PROBED[0])
    rows = [
        Row(tuple((n * 7919 + row * 104729) % engine.vocabulary for n in range(length)))
        for row, length in enumerate(min(length, longest) for length in _PROBED)
        if engine.shares or length == _PROBED[0]  # otherwise only rows of equal length are batched
    ]
    alone = [engine.extend([row], None, [(0, len(row.tokens) - 1)], keep=False) for row in rows]
    reads = [(number, len(row.tokens) - 1) for number, row in enumerate(rows)]
    together = engine.extend(rows, None, reads, keep=False).logits
    pairs = zip(alone, together, strict=True)
    return max(float((one.logits[0] - other).abs().max()) for one, other in pairs)


_HALF = (torch.bfloat16, torch.float16)
#: Lengths like those of prompts: in shorter rows a batch changes nothing, with 2 or with 16 blocks.
_PROBED = (100, 80, 60, 40) * 2


@torch.inference_mode()
def rows_together(engine: Engine) -> int:
    """Rows of equal length that one pass may compute with the same result as each alone.

    One on a CPU, where a pass takes as long as its rows together. On an accelerator a single row
    takes as long as many, and a pass with this number of rows of this length computes each in the
    same way, whatever the others are; one for models that do not (experts take the tokens of all
    rows at once).
    """
    if engine.device.type not in _TOGETHER:
        return 1
    count = _TOGETHER[engine.device.type]
    first, second = (tuple(n * 7919 % engine.vocabulary for n in run) for run in _RUNS)
    others = [second + first, first[::-1]] * count
    same, mixed = (_beside(engine, first, rest[: count - 1]) for rest in ([first] * count, others))
    return count if torch.equal(same[0], mixed[0]) else 1


#: Rows in which near-ties are settled, by kind of device.
_TOGETHER = {"cuda": 32, "mps": 32, "xpu": 32}
#: Two sequences with four tokens in common, of which the second is shorter.
_RUNS = (range(1, 10), (1, 2, 3, 4, 11, 12))
_COMMON = 4


def _agree(engine: Engine, plain: Sequence[Tensor], other: Sequence[Tensor]) -> bool:
    same = _SAME.get(engine.model.dtype, _SAME_HALF)
    return all(
        float((one - two).abs().mean()) <= same * float(one.std())
        for one, two in zip(plain, other, strict=True)
    )


def _plain(engine: Engine, *sequences: Tokens) -> list[Tensor]:
    """Logits after each sequence, then after one more token, computed alone without a cache."""
    found = [
        engine.extend([Row((*run, 0))], None, [(0, len(run) - 1), (0, len(run))], keep=False)
        for run in sequences
    ]
    return [passed.logits[n] for n in (0, 1) for passed in found]


def _beside(engine: Engine, tokens: Tokens, others: Sequence[Tokens]) -> Tensor:
    """Logits after a sequence and after others, cut to its length, in one pass without a cache."""
    length = len(tokens)
    rows = [Row(tokens), *(Row(other[:length]) for other in others)]
    reads = [(number, length - 1) for number in range(len(rows))]
    return engine.extend(rows, None, reads, keep=False).logits


def _shared(engine: Engine, first: Tokens, second: Tokens) -> tuple[Sequence[Tensor], int]:
    """The same from a shared beginning, padded, and after one more token; bytes of a token."""
    pool = Pool(1, _COMMON, engine.scratch)
    head = engine.extend([Row(first[:_COMMON])], None, [], keep=True)
    assert head.cache is not None
    pool.store([0], head.lengths, head.cache)
    stored = [part for layer in head.cache.layers for part in (layer.keys, layer.values)]
    kv_bytes = int(sum(part.numel() * part.element_size() for part in stored)) // _COMMON
    rows = [Row(first, 0, _COMMON), Row(second, 0, _COMMON)]
    reads = [(n, len(row.tokens) - 1) for n, row in enumerate(rows)]
    passed = engine.extend(rows, pool, reads, keep=True, room=1)
    stepped = Cached(engine, passed).advance([0, 0])
    return [*passed.logits, *stepped], kv_bytes


def _keeps_keys_and_values(engine: Engine) -> bool:
    """Whether every layer keeps keys and values per token and nothing else."""
    model = engine.model
    if getattr(model, "_is_stateful", False) or "past_key_values" not in (
        inspect.signature(model.forward).parameters
    ):
        return False
    layers = DynamicCache(config=model.config).layers
    return all(type(layer) in (DynamicLayer, DynamicSlidingWindowLayer) for layer in layers)
