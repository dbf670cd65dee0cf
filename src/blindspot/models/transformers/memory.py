"""How much to compute at once, and what to do when memory runs out."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial

import torch

from blindspot import ranks
from blindspot.errors import ModelError
from blindspot.models.transformers.prefix_tree import Tokens, distinct_run

#: Tokens of a forward pass on a CPU. Measured on a model of 0.86 million parameters, one thread,
#: scoring 1,024 association prompts: 2.33 CPU seconds in passes of 1,024 tokens, 2.46 at 2,048,
#: 2.68 at 4,096, 2.85 at 8,192 (fresh memory for each result); statements 0.96, 0.94, 1.00, 1.10.
_CPU_TOKENS = 2048
#: Tokens of a forward pass on an accelerator: more do not make it faster.
_ACCELERATOR_TOKENS = 32768
#: Most bytes of caches on a CPU: for the rows of a batch, and for shared prefixes.
_CPU_ROWS_BYTES, _CPU_POOL_BYTES = 1 << 29, 1 << 28
#: Shares of free accelerator memory for the same; the rest is for activations and logits.
_ROWS_SHARE, _POOL_SHARE, _LOGITS_SHARE = 0.4, 0.15, 0.1
#: Bytes of float32 logits at once on a CPU.
_CPU_LOGITS_BYTES = 1 << 26
#: Longer than any prompt: with --batch-size N only the number of rows limits a pass.
_LONG = 1 << 20
#: Distinct tokens of a wave, in forward passes: prefixes are shared within a wave only.
_WAVE_PASSES = 16


@dataclass(frozen=True, slots=True)
class Limits:
    """Most of each per forward pass: rows (None: no limit), tokens computed, cache slots, logits.

    ``wave``: most distinct tokens between two points at which results are reported.
    """

    rows: int | None
    tokens: int
    slots: int
    reads: int
    wave: int

    def most_rows(self, slots: int) -> int:
        """Most rows of so many slots that a pass reads at their ends."""
        most = min(self.reads, self.slots // slots)
        return max(1, most if self.rows is None else min(most, self.rows))

    def halved(self, rows: int, tokens: int) -> Limits:
        """Half of the limits, or of the actual request (rows, tokens) if that is less."""
        return Limits(
            rows=None if self.rows is None else max(1, min(self.rows, rows) // 2),
            tokens=max(1, min(self.tokens, tokens) // 2),
            slots=max(1, self.slots // 2),
            reads=max(1, self.reads // 2),
            wave=max(1, min(self.wave, tokens) // 2),
        )


def limits_for(device: torch.device, *, kv_bytes: int, vocabulary: int, rows: int | None) -> Limits:
    """Limits by available memory.

    Args:
        device: where the model is.
        kv_bytes: of a cached token.
        vocabulary: tokens of a prediction.
        rows: what the user asked for, None for auto.
    """
    kv_bytes = max(kv_bytes, 1)
    if (free := _free_bytes(device)) is not None:
        tokens, slots = _ACCELERATOR_TOKENS, int(free * _ROWS_SHARE) // kv_bytes
        pool = int(free * _POOL_SHARE) // kv_bytes
        reads = int(free * _LOGITS_SHARE) // (vocabulary * 8)
    else:
        tokens, slots = _CPU_TOKENS, _CPU_ROWS_BYTES // kv_bytes
        pool = _CPU_POOL_BYTES // kv_bytes
        reads = _CPU_LOGITS_BYTES // (vocabulary * 4)
    if rows is not None:  # the user's number takes precedence
        tokens = slots = rows * _LONG
    wave = min(pool, _WAVE_PASSES * tokens)
    return _agreed(Limits(rows, tokens, max(1, slots), max(1, reads), max(1, wave)))


def _free_bytes(device: torch.device) -> int | None:
    """Free memory of an accelerator, None where the limits of a CPU apply."""
    if device.type == "cuda":
        return int(torch.cuda.mem_get_info(device)[0])
    if device.type == "mps":
        most = torch.mps.recommended_max_memory()
        return max(0, most - torch.mps.driver_allocated_memory())
    return None


def _agreed(limits: Limits) -> Limits:
    """The smallest value among the processes that hold the model together."""
    if ranks.size() == 1:
        return limits
    all_limits = [limits] * ranks.size()
    torch.distributed.all_gather_object(all_limits, limits)
    names = ("tokens", "slots", "reads", "wave")
    return replace(
        limits, **{name: min(getattr(one, name) for one in all_limits) for name in names}
    )


@dataclass(frozen=True, slots=True)
class Cost:
    """The cost of one row towards each limit."""

    tokens: int
    slots: int
    reads: int = 1


def batches(
    costs: Sequence[Cost], limits: Limits, *, equal: bool = False, padding: float = math.inf
) -> Iterator[range]:
    """Cut rows into runs that stay within the limits (one row at least).

    Args:
        costs: of the rows in their order; padding makes each row cost as much as the longest.
        limits: of a run.
        equal: never put rows of different length together.
        padding: tokens by which a longer row may pad those before it: as many as a pass more costs.
    """
    start, worst, reads = 0, Cost(0, 0), 0
    for number, cost in enumerate(costs):
        worst = Cost(max(worst.tokens, cost.tokens), max(worst.slots, cost.slots))
        count, reads = number + 1 - start, reads + cost.reads
        if number > start and (
            (limits.rows is not None and count > limits.rows)
            or worst.tokens * count > limits.tokens
            or worst.slots * count > limits.slots
            or reads > limits.reads
            or (cost.tokens - costs[number - 1].tokens) * (count - 1) > padding
            or (equal and cost.slots != costs[start].slots)
        ):
            yield range(start, number)
            start, worst, reads = number, cost, cost.reads
    if costs:
        yield range(start, len(costs))


class Budget:
    """Limits that are permanently halved whenever memory runs out."""

    def __init__(self, limits: Limits, name: str) -> None:
        self.limits, self.name = limits, name

    def waves(self, ordered: Sequence[Tokens], work: Callable[[range], None]) -> None:
        """Do the work wave by wave; a wave that runs out of memory is repeated in smaller ones.

        Args:
            ordered: distinct sequences in lexicographic order.
            work: computes a run of them; called again from the start of the run if it fails.

        Raises:
            ModelError: a single sequence does not fit.
        """
        start = 0
        while start < len(ordered):
            stop = distinct_run(ordered, start, self.limits.wave)
            one = partial(work, range(start, stop))
            # The second time without the open answers of earlier waves; see `score_and_generate`.
            if self.fits(one) or (stop - start == 1 and self.fits(one)):
                start = stop
            elif stop - start == 1:
                raise ModelError(
                    f"{self.name}: out of memory with a single prompt of {len(ordered[start])} "
                    "tokens; use a device with more memory, a smaller --dtype, or "
                    "--model-args device_map=auto"
                )
            else:
                tokens = sum(map(len, ordered[start:stop]))
                self.limits = self.limits.halved(stop - start, tokens)

    @staticmethod
    def fits(work: Callable[[], None]) -> bool:
        """Do some work; whether the memory was enough for it."""
        try:
            work()
        except (RuntimeError, MemoryError) as error:
            if not _out_of_memory(error):
                raise
        else:
            return True
        # Here the traceback, and with it the tensors of the failed pass, is gone.
        if torch.cuda.is_available():
            torch.cuda.empty_cache()
        return False


def _out_of_memory(error: BaseException) -> bool:
    text = str(error).lower()
    return isinstance(error, (torch.OutOfMemoryError, MemoryError)) or any(
        said in text for said in ("can't allocate memory", "out of memory", "not enough memory")
    )
