"""Forward passes of a transformers model over ragged rows that share prefixes."""

from __future__ import annotations

import inspect
import math
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from blindspot import ranks
from blindspot.errors import ModelError
from blindspot.models.pulse import beat
from blindspot.models.transformers.kv_cache import Pool, RowCache, Scratch
from blindspot.models.transformers.prefix_tree import Tokens

#: Passes over which the speed is taken, the fastest of them, and the fewest tokens of such a pass.
_RECENT, _TIMED = 32, 32
#: Tokens of the vocabulary that are multiplied at once on a CPU. On one thread of an AMD EPYC 64
#: reads of width 576 with 49,152 tokens take 78 ms in such parts and 119 ms at once; of width 640
#: with 262,144 tokens 508 and 731 ms.
_PART = 1024
#: Replaces -inf, with which some models mask tokens.
_LOWEST = torch.finfo(torch.float32).min


@dataclass(frozen=True, slots=True)
class Row:
    """A sequence to compute. ``cached``: how many of its first tokens prefix ``head`` holds."""

    tokens: Tokens
    head: int = -1
    cached: int = 0

    @property
    def fresh(self) -> int:
        """Tokens that must be computed; the last one always is."""
        return max(1, len(self.tokens) - self.cached)


@dataclass
class Pass:
    """The result of a forward pass.

    ``logits``: (reads, vocabulary) float32 on the model's device. ``mask``: (rows, slots) int64, 1
    where a slot holds a token. ``lengths``: (rows,) int64 on the CPU. ``cache``: the rows' keys and
    values, None when they were not kept.
    """

    logits: Tensor
    mask: Tensor
    lengths: Tensor
    cache: RowCache | None


@dataclass(frozen=True, slots=True)
class Best:
    """The greedy choice at each read, and its distance to the second best (logits, >= 0).

    ``doubtful``: a near-tie: other rows in the pass could flip the choice.
    """

    token: list[int]
    margin: list[float]
    doubtful: list[bool]


class LoadedModel:
    """A model that runs, and the input that it accepts."""

    def __init__(self, model: Any, name: str) -> None:
        self.model, self.name = model, name
        embedding = model.get_input_embeddings().weight
        self.device: torch.device = model.device if embedding.is_meta else embedding.device
        self.head: Any = model.get_output_embeddings()
        known = [embedding, *([self.head.weight] if hasattr(self.head, "weight") else [])]
        self.vocabulary = min(int(weight.shape[0]) for weight in known)
        context = getattr(model.config.get_text_config(), "max_position_embeddings", None)
        self.context: int | None = context if isinstance(context, int) and context > 0 else None

    def admit(self, tokens: Sequence[int]) -> None:
        """Refuse a prompt that the model cannot take.

        Raises:
            ModelError: longer than its context, or a token that it does not know.
        """
        if self.context is not None and len(tokens) > self.context:
            raise self._too_long(tokens)
        self.check_tokens(max(tokens))

    def room(self, tokens: Sequence[int], wanted: int) -> int:
        """Tokens that may follow: as many as wanted, or fewer if the model's context ends.

        Raises:
            ValueError: ``wanted`` is not above 0.
            ModelError: the context is full.
        """
        if wanted < 1:
            raise ValueError(f"max_new_tokens {wanted} is not above 0")
        if self.context is None:
            return wanted
        if len(tokens) >= self.context:
            raise self._too_long(tokens)
        return min(wanted, self.context - len(tokens))

    def check_tokens(self, highest: int) -> None:
        """Refuse tokens that the model does not know.

        Raises:
            ModelError: ``highest`` is beyond its vocabulary.
        """
        if highest >= self.vocabulary:
            raise ModelError(
                f"{self.name}: its tokenizer produces token {highest}, but the model knows "
                f"{self.vocabulary} tokens; use the tokenizer that it was trained with"
            )

    def not_finite(self) -> ModelError:
        """The error for a model that produces non-finite numbers."""
        return ModelError(
            f"{self.name} produces non-finite numbers: its weights are damaged, or --dtype "
            "overflows (try --dtype float32)"
        )

    def _too_long(self, tokens: Sequence[int]) -> ModelError:
        return ModelError(
            f"{self.name}: a prompt of {len(tokens)} tokens does not fit in its context of "
            f"{self.context}; shorten it, or lower --num-fewshot"
        )


class Engine(LoadedModel):
    """Runs a model. Everything that depends on the architecture is here."""

    def __init__(self, model: Any, name: str) -> None:
        super().__init__(model, name)
        #: Whether rows may share prefixes and be padded; see ``selfcheck``.
        self.shares = False
        #: If not, why.
        self.unshared = ""
        #: Largest change of a logit by other rows of a pass, besides rounding; see ``selfcheck``.
        self.noise = 0.0
        self._positions = "position_ids" in inspect.signature(model.forward).parameters
        self.scratch = Scratch()
        self._reads: Tensor | None = None
        self._hidden: Tensor | None = None
        self._hooks: list[Any] = []
        self._speeds: deque[float] = deque([0.0], _RECENT)
        self._shortest = math.inf
        if self.head is not None:
            self._hooks.append(self.head.register_forward_pre_hook(self._choose))
        self._in_parts = _multiplies_in_parts(self.head)
        if self._in_parts:
            self._hooks.append(self.head.register_forward_hook(self._multiply))

    @property
    def speed(self) -> float:
        """Tokens a second of its recent passes; a device that works in the background seems faster.

        0 before the first pass of some size; infinite where several processes hold the model, whose
        clocks differ and whose batches must not.
        """
        return math.inf if ranks.size() > 1 else max(self._speeds)

    @property
    def overhead(self) -> float:
        """Seconds of a pass besides its tokens, at most: the shortest pass so far; 0 before it.

        A large model reads all its weights, however few the tokens.
        """
        return self._shortest if self._shortest < math.inf else 0.0

    def close(self) -> None:
        """Remove the engine's hooks from the model's output layer."""
        for hook in self._hooks:
            hook.remove()

    def extend(
        self,
        rows: Sequence[Row],
        pool: Pool | None,
        reads: Sequence[tuple[int, int]],
        *,
        keep: bool,
        room: int = 0,
    ) -> Pass:
        """Compute the tokens of some rows that are not cached, at least the last one.

        Args:
            rows: sequences; without a pool none may have a head.
            pool: holds the heads.
            reads: (row, token): predictions wanted after that token, which must be a computed one.
            keep: return the cache of whole rows.
            room: further slots that the cache will need.
        """
        lengths = torch.tensor([len(row.tokens) for row in rows])
        chunk = max(row.fresh for row in rows)
        slots = int(lengths.max())
        past = slots - chunk
        tokens, mask = _flush_right(rows, chunk, slots)
        self.check_tokens(int(tokens.max()))
        places = (torch.arange(slots) - (slots - lengths)[:, None]).clamp(min=0)
        cache = None
        if past:
            assert pool is not None
            numbers = torch.tensor([max(row.head, 0) for row in rows])
            cache = pool.start(numbers, places[:, :past], chunk + room)
        elif keep:
            cache = RowCache(room)
        at = [row * chunk + chunk - int(lengths[row]) + token for row, token in reads]
        mask = mask.to(self.device)
        wanted = torch.tensor(at, dtype=torch.long)
        logits = self._forward(tokens, mask, places[:, past:], cache, wanted)
        return Pass(logits, mask, lengths, cache if keep else None)

    def step(self, tokens: Tensor, lengths: Tensor, mask: Tensor, cache: RowCache) -> Tensor:
        """Feed one token to each row. Returns logits, (rows, vocabulary) float32.

        Args:
            tokens: (rows,) int64 on the CPU.
            lengths: (rows,) int64 on the CPU, tokens of each row before this one.
            mask: (rows, slots) int64 on the device, this token's slot included.
            cache: the rows.
        """
        reads = torch.arange(len(tokens))
        if self.context is not None:  # finished rows run on until they leave the batch
            lengths = lengths.clamp(max=self.context - 1)
        return self._forward(tokens[:, None], mask, lengths[:, None], cache, reads)

    def best(self, logits: Tensor) -> Best:
        """Greedy choices. ``logits`` (reads, vocabulary) float32 are overwritten.

        Raises:
            ModelError: a logit is not a number, or infinite where it matters.
        """
        return self._choices(*_two_best(logits))

    def scores(
        self, logits: Tensor, rows: Sequence[int], tokens: Sequence[int]
    ) -> tuple[Best, list[float]]:
        """Greedy choices, and log-probabilities (nats) of some tokens at some reads.

        Args:
            logits: (reads, vocabulary) float32, overwritten.
            rows: of each target its read.
            tokens: of each target its token.

        Raises:
            ModelError: as ``best``, or a token is beyond the vocabulary.
        """
        self.check_tokens(max(tokens, default=0))
        at = torch.tensor(rows, dtype=torch.long, device=logits.device)
        targets = logits[at, torch.tensor(tokens, dtype=torch.long, device=logits.device)]
        first, second, token = _two_best(logits)
        # log1p of the other probabilities keeps the digits of a log-probability close to 0.
        total = first + logits.sub_(first[:, None]).exp_().sum(-1).log1p()
        values = (targets - total[at]).cpu()
        if not bool(torch.isfinite(values).all()):
            raise self.not_finite()
        return self._choices(first, second, token), values.tolist()

    def _choices(self, first: Tensor, second: Tensor, token: Tensor) -> Best:
        # One transfer for the three; ids are exact in float32, which every device knows.
        values = torch.stack([first, second.clamp(min=_LOWEST), token.float()]).cpu()
        if not bool(torch.isfinite(values).all()):
            raise self.not_finite()
        margin = values[0] - values[1]
        # Either logit moves by one unit of its rounding (eps is one unit at most), or by the noise.
        moved = (values[0].abs() * torch.finfo(self.model.dtype).eps).clamp(min=self.noise)
        doubtful = margin <= 2 * moved
        return Best(values[2].long().tolist(), margin.tolist(), doubtful.tolist())

    def _forward(
        self,
        tokens: Tensor,
        mask: Tensor,
        places: Tensor,
        cache: RowCache | None,
        reads: Tensor,
    ) -> Tensor:
        arguments: dict[str, Any] = {"past_key_values": cache} if cache is not None else {}
        if self._positions:
            arguments["position_ids"] = places.to(self.device)
        self._reads, began = reads, time.perf_counter()
        try:
            output = self.model(
                input_ids=tokens.to(self.device),
                attention_mask=mask,
                use_cache=cache is not None,
                return_dict=True,
                **arguments,
            )
        finally:
            self._reads = self._hidden = None
        seconds = max(time.perf_counter() - began, 1e-6)
        self._shortest = min(self._shortest, seconds)
        if tokens.numel() >= _TIMED:
            self._speeds.append(tokens.numel() / seconds)
        beat(tokens.numel())
        logits: Tensor = output.logits
        if logits.shape[:2] == (1, len(reads)):
            return logits[0].float()
        # The model has no output layer to hook: choose among all logits.
        return logits.flatten(0, 1)[reads.to(logits.device)].float()

    def _choose(self, _module: Any, arguments: tuple[Tensor, ...]) -> tuple[Tensor, ...] | None:
        """Before the output layer: only the hidden states that are read, as (1, reads, width)."""
        if self._reads is None or not arguments or arguments[0].dim() != 3:
            return None
        hidden = arguments[0]
        chosen = hidden.flatten(0, 1)[self._reads.to(hidden.device)]
        if self._in_parts:  # the layer itself multiplies nothing; see `_multiply`
            self._hidden, chosen = chosen, chosen[:0]
        return (chosen[None], *arguments[1:])

    def _multiply(self, head: Any, _arguments: Any, output: Tensor) -> Tensor:
        """After the output layer: its logits (1, reads, vocabulary), computed part by part."""
        if (hidden := self._hidden) is None:
            return output
        logits = hidden.new_empty(len(hidden), len(head.weight))
        for start in range(0, len(head.weight), _PART):
            part = slice(start, start + _PART)
            torch.mm(hidden, head.weight[part].t(), out=logits[:, part])
        return logits[None]


def _multiplies_in_parts(head: Any) -> bool:
    """Whether the output layer is a plain product that a CPU computes faster in parts."""
    if type(head) is not torch.nn.Linear or head.bias is not None:
        return False
    weight = head.weight
    plain = type(weight) is torch.nn.Parameter  # neither divided among processes nor quantised
    large = len(weight) >= 2 * _PART
    return plain and large and weight.device.type == "cpu" and weight.dtype == torch.float32


def _two_best(logits: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Highest logit, second highest, token of the highest: (reads,) each; drops the highest."""
    first, token = logits.max(-1)
    second = logits.scatter_(-1, token[:, None], _LOWEST).amax(-1)
    return first, second, token


def _flush_right(rows: Sequence[Row], chunk: int, slots: int) -> tuple[Tensor, Tensor]:
    """Last ``chunk`` tokens of each row (rows, chunk) and the mask of whole rows (rows, slots)."""
    tokens, mask = [], []
    for row in rows:
        last = row.tokens[-chunk:]
        # Padded with a token of the row's own: any is masked, and this one exists.
        tokens.append([last[0]] * (chunk - len(last)) + list(last))
        mask.append([0] * (slots - len(row.tokens)) + [1] * len(row.tokens))
    return torch.tensor(tokens), torch.tensor(mask)
