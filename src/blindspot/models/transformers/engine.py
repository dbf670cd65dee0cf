"""Forward passes of a transformers model over ragged rows, started from shared beginnings."""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from blindspot.errors import ModelError
from blindspot.models.transformers.kv_cache import Pool, RowCache, Scratch
from blindspot.models.transformers.predictions import LOWEST, Best, Predictions, block_size
from blindspot.models.transformers.prefix_tree import Tokens
from blindspot.models.transformers.shortcuts import Shortcuts
from blindspot.models.transformers.slots import SlotCache

#: Reads of packed passes are multiples of this: oneDNN keeps a program for each number of rows.
#: Without, 53 passes of a model of 122 million parameters took 22 MiB more.
_READS = 4


@dataclass(frozen=True, slots=True)
class Row:
    """A sequence to compute. ``cached``: its first tokens that beginning ``head`` holds."""

    tokens: Tokens
    head: int = -1
    cached: int = 0

    @property
    def fresh(self) -> int:
        """Tokens that must be computed; the last one always is."""
        return max(1, len(self.tokens) - self.cached)


@dataclass
class Pass:
    """What a forward pass leaves behind.

    ``logits``: (reads, vocabulary) float32 on the model's device. ``mask``: (rows, slots) int64, 1
    where a slot holds a token. ``lengths``: (rows,) int64 on the CPU. ``cache``: the rows' keys and
    values, None when they were not kept.
    """

    logits: Tensor
    mask: Tensor
    lengths: Tensor
    cache: RowCache | None


class Engine:
    """Runs a model. Everything that depends on the architecture is here."""

    def __init__(self, model: Any, name: str) -> None:
        self.model, self.name = model, name
        embedding = model.get_input_embeddings().weight
        self.device: torch.device = model.device if embedding.is_meta else embedding.device
        head = model.get_output_embeddings()
        known = [embedding, *([head.weight] if hasattr(head, "weight") else [])]
        self.vocabulary = min(int(weight.shape[0]) for weight in known)
        #: Bytes of the model.
        self.weights = sum(p.numel() * p.element_size() for p in model.parameters())
        context = getattr(model.config.get_text_config(), "max_position_embeddings", None)
        self.context: int | None = context if isinstance(context, int) and context > 0 else None
        #: Whether rows may be started from shared beginnings and padded; see ``selfcheck``.
        self.shares = False
        #: Whether tokens may lie in any slots under a mask of our own; see ``selfcheck``.
        self.packs = False
        self.shortcuts = Shortcuts(model)
        #: Tokens that must not be reached where one mask serves all layers, None without limit.
        self.window = _window(model.config.get_text_config())
        #: Most by which other rows of a pass move a logit, beside rounding it; see ``selfcheck``.
        self.noise = 0.0
        self._positions = "position_ids" in inspect.signature(model.forward).parameters
        self.scratch = Scratch()
        self._reads: Tensor | None = None
        if head is not None:
            head.register_forward_pre_hook(self._choose)

    def extend(
        self,
        rows: Sequence[Row],
        pool: Pool | None,
        reads: Sequence[tuple[int, int]],
        *,
        keep: bool,
        room: int = 0,
    ) -> Pass:
        """Compute what is not cached of some rows, at least their last token.

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

    def pack(
        self,
        tokens: Tensor,
        places: Tensor,
        seen: Tensor,
        cache: SlotCache,
        reads: Sequence[int],
    ) -> Predictions:
        """Compute tokens that lie in the slots which the cache was told.

        Args:
            tokens: (lanes, width) int64 on the CPU.
            places: (lanes, width) int64 on the CPU, position of each token in its sequence.
            seen: (lanes, width, slots) bool on the CPU, what each token attends to.
            cache: of all lanes.
            reads: flat numbers of the tokens after which a prediction is wanted.
        """
        self.check_tokens(int(tokens.max()))
        dtype = self.model.dtype
        mask = torch.zeros(seen.shape, dtype=dtype, device=self.device)
        mask.masked_fill_(~seen.to(self.device), torch.finfo(dtype).min)
        count = len(reads)
        wanted = torch.tensor([*reads, *list(reads[-1:]) * (-count % _READS)], dtype=torch.long)
        with self.shortcuts.taken(wanted) as hidden:
            logits = self._forward(tokens, mask[:, None], places, cache, wanted)
        if hidden and self.shortcuts.head is not None:
            return Predictions.by_head(hidden[0], self.shortcuts.head, count)
        return Predictions.of(logits[:count])

    @property
    def portions(self) -> int:
        """Portions in which the logits of a packed pass are made; one is there at a time."""
        if self.shortcuts.head is None:
            return 1
        return -(-self.vocabulary // block_size(self.device, self.vocabulary))

    def check_tokens(self, highest: int) -> None:
        """Refuse tokens that the model does not know.

        Raises:
            ModelError: ``highest`` is beyond its vocabulary.
        """
        if highest >= self.vocabulary:
            raise ModelError(
                f"{self.name}: its tokenizer makes token {highest}, but the model knows "
                f"{self.vocabulary} tokens; use the tokenizer that it was trained with"
            )

    def best(self, logits: Tensor) -> Best:
        """Greedy choice and its distance to the second best. ``logits`` is overwritten.

        Raises:
            ModelError: a logit is not a number, or infinite where it matters.
        """
        return self.choices(Predictions.of(logits))

    def choices(self, predictions: Predictions) -> Best:
        """The same of predictions.

        Raises:
            ModelError: as ``best``.
        """
        return self._told(*predictions.best())

    def scores(
        self, predictions: Predictions, rows: Sequence[int], tokens: Sequence[int]
    ) -> tuple[Best, list[float]]:
        """Greedy choices, and log-probabilities (nats) of some tokens after some predictions.

        Raises:
            ModelError: as ``best``, or a token is beyond the vocabulary.
        """
        self.check_tokens(max(tokens, default=0))
        asked = torch.tensor(rows, dtype=torch.long)
        best, chosen = predictions.totals(asked, torch.tensor(tokens, dtype=torch.long))
        values = (chosen - best.total[asked.to(chosen.device)]).cpu()
        if not bool(torch.isfinite(values).all()):
            raise self.not_finite()
        return self._told(best.first, best.second, best.token), values.tolist()

    def _told(self, first: Tensor, second: Tensor, token: Tensor) -> Best:
        # One transfer for the three; ids are exact in float32, which every device knows.
        values = torch.stack([first, second.clamp(min=LOWEST), token.float()]).cpu()
        if not bool(torch.isfinite(values).all()):
            raise self.not_finite()
        margin = values[0] - values[1]
        # Either logit moves by one unit of its rounding (eps is one unit at most), or by the noise.
        moved = (values[0].abs() * torch.finfo(self.model.dtype).eps).clamp(min=self.noise)
        doubtful = margin <= 2 * moved
        return Best(values[2].long().tolist(), margin.tolist(), doubtful.tolist())

    def not_finite(self) -> ModelError:
        """The error of a model whose numbers are broken."""
        return ModelError(
            f"{self.name} produces non-finite logits: its weights are damaged, or --dtype "
            "overflows (try --dtype float32)"
        )

    def _forward(
        self,
        tokens: Tensor,
        mask: Tensor,
        places: Tensor,
        cache: RowCache | SlotCache | None,
        reads: Tensor,
    ) -> Tensor:
        arguments: dict[str, Any] = {"past_key_values": cache} if cache is not None else {}
        if self._positions:
            arguments["position_ids"] = places.to(self.device)
        self._reads = reads
        try:
            output = self.model(
                input_ids=tokens.to(self.device),
                attention_mask=mask,
                use_cache=cache is not None,
                return_dict=True,
                **arguments,
            )
        finally:
            self._reads = None
        logits: Tensor = output.logits
        if logits.shape[:2] in ((1, len(reads)), (1, 0)):
            return logits[0].float()
        # The model has no output layer to hook: choose among all logits.
        return logits.flatten(0, 1)[reads.to(logits.device)].float()

    def _choose(self, _module: Any, arguments: tuple[Tensor, ...]) -> tuple[Tensor, ...] | None:
        """Before the output layer: only the hidden states that are read, as (1, reads, width)."""
        if self._reads is None or not arguments or arguments[0].dim() != 3:
            return None
        hidden = arguments[0]
        chosen = hidden.flatten(0, 1)[self._reads.to(hidden.device)]
        return (chosen[None], *arguments[1:])


def _window(config: Any) -> int | None:
    """Fewest tokens that any layer may be able to look back, by what configurations call it."""
    found = [
        value
        for name, value in config.to_dict().items()
        if ("window" in name or "chunk" in name)
        and not ("layers" in name or "pattern" in name)  # which layers have one
        and type(value) is int
        and value > 0
    ]
    return min(found, default=None)


def _flush_right(rows: Sequence[Row], chunk: int, slots: int) -> tuple[Tensor, Tensor]:
    """Last ``chunk`` tokens of each row (rows, chunk) and the mask of whole rows (rows, slots)."""
    tokens, mask = [], []
    for row in rows:
        last = row.tokens[-chunk:]
        # Padded with a token of the row's own: any is masked, and this one exists.
        tokens.append([last[0]] * (chunk - len(last)) + list(last))
        mask.append([0] * (slots - len(row.tokens)) + [1] * len(row.tokens))
    return torch.tensor(tokens), torch.tensor(mask)
