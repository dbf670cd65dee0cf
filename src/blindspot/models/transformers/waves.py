"""Rows of a wave: shared prefixes computed once into a pool, then token by token."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor
from torch.nn.functional import pad

from blindspot.models.transformers.engine import Engine, Pass, Row
from blindspot.models.transformers.kv_cache import Pool, RowCache
from blindspot.models.transformers.memory import Budget, Cost, batches
from blindspot.models.transformers.prefix_tree import Tokens, Tree, shared_heads


@dataclass(eq=False)
class Node:
    """A sequence computed from token ``begin`` on, after the prefix ``head``.

    ``wanted``: tokens whose prediction is read, and the targets asked for there.
    """

    tokens: Tokens
    begin: int = 0
    head: int = -1
    wanted: dict[int, set[int]] = field(default_factory=dict)


#: Seconds of work after which rows are finished before others are begun.
_GROUP_S = 8.0
#: Fewest rows that are worth a batch: two cores generate half as fast in batches of 8 as in batches
#: of 32.
_FEWEST_ROWS = 16
#: Fewest seconds that a pass is assumed to take besides its tokens. Rows are padded rather than
#: computed in passes of their own if that takes less.
_PASS_S = 0.02
#: Tokens of the first group, of which the speed is not known.
_TRIAL = 512

#: Called after a pass with its logits (reads, vocabulary) and what they are: (node, token).
Reader = Callable[[Tensor, list[tuple[Node, int]]], None]


class Wave:
    """Sequences that are computed together.

    ``rows``: one node per sequence, in their order; ``heads``: their shared prefixes.
    """

    def __init__(self, engine: Engine, budget: Budget, sequences: Sequence[Tokens]) -> None:
        """Plan; computes nothing yet.

        Args:
            engine: runs the passes.
            budget: their limits.
            sequences: distinct, in lexicographic order.
        """
        self._engine, self._budget = engine, budget
        shares = engine.shares
        self._tree = shared_heads(sequences) if shares else Tree((), (-1,) * len(sequences))
        self.heads = [self._node(head.tokens, head.parent) for head in self._tree.heads]
        self.rows = [
            self._node(tokens, parent)
            for tokens, parent in zip(sequences, self._tree.parents, strict=True)
        ]
        self._pool: Pool | None = None

    def chain(self, row: Node) -> list[Node]:
        """The nodes that compute a row, the last part first."""
        return [row, *(self.heads[number] for number in self._tree.path(row.head))]

    def groups(
        self, reader: Reader | None = None, counted: Collection[Tokens] | None = None
    ) -> Iterator[list[Node]]:
        """Rows in their order, whose heads are computed: all of them, or seconds of work at a time.

        What has a result early survives a run that is killed. ``counted``: the rows of which a
        group has enough for a batch; None for all.
        """
        if self.heads:
            longest = max(len(head.tokens) for head in self.heads)
            self._pool = Pool(len(self.heads), longest, self._engine.scratch)
        waiting = set(range(len(self.heads)))
        rows: list[Node] = []
        needed: set[int] = set()
        work = count = 0
        for row in self.rows:
            new = waiting.intersection(self._tree.path(row.head))
            waiting -= new
            needed |= new
            rows.append(row)
            fresh = (row, *(self.heads[number] for number in new))
            work += sum(len(node.tokens) - node.begin for node in fresh)
            count += counted is None or row.tokens in counted
            if count >= _FEWEST_ROWS and work >= (self._engine.speed * _GROUP_S or _TRIAL):
                self._compute_heads(needed, reader)
                yield rows
                rows, needed, work, count = [], set(), 0, 0
        if rows:
            self._compute_heads(needed, reader)
            yield rows

    def _compute_heads(self, needed: Collection[int], reader: Reader | None) -> None:
        """Fill these places of the pool, level by level."""
        numbers = {id(self.heads[number]): number for number in needed}
        for level in self._tree.levels():
            for batch in self.batches([self.heads[n] for n in level if n in needed]):
                passed = self.compute(batch, reader, keep=True)
                assert passed.cache is not None
                assert self._pool is not None
                places = [numbers[id(node)] for node in batch]
                self._pool.store(places, passed.lengths, passed.cache)

    def batches(self, nodes: Sequence[Node], room: int = 0) -> Iterator[list[Node]]:
        """Nodes in batches of similar length; their order depends on their tokens only."""
        ordered = sorted(nodes, key=lambda n: (len(n.tokens) - n.begin, len(n.tokens), n.tokens))
        costs = [
            Cost(max(1, len(n.tokens) - n.begin), len(n.tokens) + room, max(1, len(n.wanted)))
            for n in ordered
        ]
        # A model that caches more than keys and values must never see padding.
        equal = not self._engine.shares
        padding = self._engine.speed * max(_PASS_S, self._engine.overhead) or math.inf
        for run in batches(costs, self._budget.limits, equal=equal, padding=padding):
            yield ordered[run.start : run.stop]

    def most_rows(self, slots: int) -> int:
        """Most rows of so many slots that may be read together."""
        return self._budget.limits.most_rows(slots)

    def compute(
        self, batch: Sequence[Node], reader: Reader | None = None, *, keep: bool, room: int = 0
    ) -> Pass:
        """One forward pass over what is new in these nodes."""
        places = [(n, place) for n, node in enumerate(batch) for place in sorted(node.wanted)]
        rows = [Row(node.tokens, node.head, node.begin) for node in batch]
        passed = self._engine.extend(rows, self._pool, places, keep=keep, room=room)
        if reader is not None and places:
            reader(passed.logits, [(batch[n], place) for n, place in places])
        return passed

    def _node(self, tokens: Tokens, head: int) -> Node:
        return Node(tokens, len(self._tree.heads[head].tokens) if head >= 0 else 0, head)


def stepped(engine: Engine, passed: Pass, sequences: Sequence[Tokens]) -> Cached | Recomputed:
    """The rows of a pass, ready to grow; ``sequences`` are their tokens."""
    return Recomputed(engine, sequences) if passed.cache is None else Cached(engine, passed)


class Cached:
    """Rows that keep their KV cache."""

    def __init__(self, engine: Engine, passed: Pass) -> None:
        assert passed.cache is not None
        self._engine, self._cache = engine, passed.cache
        self._mask, self._lengths = passed.mask, passed.lengths

    @classmethod
    def joined(cls, parts: Sequence[Cached], room: int) -> Cached:
        """All rows as one batch, with spare slots; the parts are used up.

        Slots before the longest row are dropped: only rows that have left used them.
        """
        lengths = torch.cat([part._lengths for part in parts])
        slots = int(lengths.max())
        # A negative width cuts.
        masks = [pad(part._mask, (slots - part._mask.shape[1], 0)) for part in parts]
        cache = RowCache.joined([part._cache for part in parts], slots, room)
        one = parts[0]
        return cls(one._engine, Pass(one._mask.new_empty(0), torch.cat(masks), lengths, cache))

    def own(self) -> None:
        """Move the cache out of the memory that the next pass may reuse."""
        self._cache.own()

    def keep(self, rows: Sequence[int]) -> None:
        index = torch.tensor(rows)
        self._cache.keep(index)
        self._lengths = self._lengths[index]
        self._mask = self._mask[index.to(self._mask.device)]

    def advance(self, tokens: Sequence[int]) -> Tensor:
        """Feed a token to each row; (rows, vocabulary) logits of the next one."""
        self._mask = torch.cat([self._mask, self._mask.new_ones(len(tokens), 1)], dim=1)
        fed = torch.tensor(tokens)
        logits = self._engine.step(fed, self._lengths, self._mask, self._cache)
        self._lengths = self._lengths + 1
        return logits


class Recomputed:
    """Rows of a model without a row-wise KV cache: everything is computed again."""

    def __init__(self, engine: Engine, sequences: Sequence[Tokens]) -> None:
        self._engine, self._sequences = engine, list(sequences)

    def own(self) -> None:
        """Nothing is cached."""

    def keep(self, rows: Sequence[int]) -> None:
        self._sequences = [self._sequences[row] for row in rows]

    def advance(self, tokens: Sequence[int]) -> Tensor:
        pairs = zip(self._sequences, tokens, strict=True)
        self._sequences = [(*sequence, token) for sequence, token in pairs]
        rows = [Row(sequence) for sequence in self._sequences]
        last = [(n, len(row.tokens) - 1) for n, row in enumerate(rows)]
        return self._engine.extend(rows, None, last, keep=False).logits
