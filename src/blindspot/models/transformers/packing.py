"""Sequences computed as a tree of tokens, every distinct beginning once and without padding.

A pass takes tokens from several lanes. In each lane the sequences come in lexicographic order, so
that what a sequence shares with the one before still lies there; what is chosen behind an earlier
sequence rides along with the beginnings of later ones. Passes are thus full from the first to
nearly the last, also while answers grow.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import accumulate, pairwise
from typing import Protocol

import numpy as np
import torch

from blindspot.models.transformers.engine import Engine
from blindspot.models.transformers.memory import Limits
from blindspot.models.transformers.predictions import Predictions
from blindspot.models.transformers.prefix_tree import Tokens, common_length
from blindspot.models.transformers.slots import LONGEST_RUN, PADDING, Lane, SlotCache
from blindspot.models.transformers.waves import Node

#: Slots of a lane beyond its longest sequence. Every token attends to all slots of its lane, which
#: is little beside the rest where weights (bytes) are large.
_SLOTS, _SLOTS_OF_LARGE, _LARGE = 96, 160, 1 << 26
#: Longest sequence: bookkeeping grows with its square.
_LONGEST = 2048
#: Passes for which a lane pays: it computes the first beginning again.
_PASSES = 8
#: Finished sequences by which a lane judges how much is fed behind them.
_REMEMBERED = 16
#: Tokens that could be computed while the weights are fetched once.
_PASS_COSTS = 32
#: Slots that lanes grow by when answers outgrow them.
_GROWTH = 64
#: Attention kernels like lengths that are multiples of this.
_ALIGNED = 16

#: A prediction's place: the sequence that computes it and the token after which it is made.
Place = tuple[Node, int]


def packable(engine: Engine, limits: Limits, sequences: Sequence[Tokens], room: int) -> bool:
    """Whether sequences, and ``room`` tokens behind them, may be computed by ``Packing``.

    Not where a window would hide the beginning of a sequence, nor where one might leave the
    context, nor where the user counts rows, nor where sequences are so long that what each token
    sees is much to write down.
    """
    if not engine.packs or limits.rows is not None:
        return False
    most = max(map(len, sequences), default=0) + room
    fits = most <= min(_LONGEST, engine.context or _LONGEST)
    return fits and (engine.window is None or most < engine.window)


class Consumer(Protocol):
    """Who reads what is computed."""

    def take(self, predictions: Predictions, places: list[Place]) -> None:
        """What a pass predicts at these places."""
        ...

    def following(self, node: Node) -> int | None:
        """The token to feed behind a sequence whose predictions were just taken, None to stop."""
        ...


@dataclass(eq=False)
class _Grown:
    """A sequence that is computed to its end: ``slot`` of its last token, ``place`` of the next."""

    node: Node
    slot: int
    place: int
    token: int = -1


@dataclass(eq=False)
class _Feed:
    """What a lane computes: sequences from ``number`` to ``stop``, the first from token ``at`` on.

    ``path``: slots of the tokens of the present sequence; ``growing``: finished sequences behind
    which something is fed; ``behind``: how much that was for the last ones.
    """

    lane: Lane
    number: int
    stop: int
    at: int = 0
    path: list[int] = field(default_factory=list)
    growing: list[_Grown] = field(default_factory=list)
    behind: deque[int] = field(default_factory=deque)


@dataclass(eq=False)
class _Part:
    """What a lane puts into a pass."""

    tokens: list[int] = field(default_factory=list)
    places: list[int] = field(default_factory=list)
    slots: list[int] = field(default_factory=list)
    reads: list[tuple[int, Place]] = field(default_factory=list)
    ended: list[_Grown] = field(default_factory=list)


class Packing:
    """Sequences that are computed together. ``rows``: one node per sequence, in their order."""

    def __init__(
        self,
        engine: Engine,
        limits: Limits,
        sequences: Sequence[Tokens],
        *,
        slots: int,
        room: int,
    ) -> None:
        """Plan; nothing is computed yet.

        Args:
            engine: runs the passes.
            limits: of a pass.
            sequences: distinct, in lexicographic order.
            slots: of all lanes together.
            room: tokens that are expected behind each sequence.
        """
        self._engine, self._limits = engine, limits
        self.rows: list[Node] = []
        for tokens in sequences:
            above = self.rows[-1] if self.rows else None
            begin = common_length(above.tokens, tokens) if above else 0
            number = len(self.rows) - 1
            while number >= 0 and self.rows[number].begin >= begin:
                number = self.rows[number].head
            self.rows.append(Node(tokens, begin, number))
        distinct = [len(row.tokens) - row.begin for row in self.rows]
        self._done = list(accumulate(distinct, initial=0))
        longest = max(len(row.tokens) for row in self.rows)
        extra = _SLOTS if engine.weights < _LARGE else _SLOTS_OF_LARGE
        stay = 2 + room * 3 // 4  # passes for which a token is kept, about
        lanes = min(limits.tokens, self._done[-1] // _PASSES) * stay // extra
        lanes = min(lanes, len(self.rows))
        afforded = max(1, slots // (longest + room + extra))
        if lanes > afforded:
            lanes, extra = afforded, max(1, slots // afforded - longest - room)
        lanes = max(1, lanes)
        self._most = max(1, min(extra // stay, limits.tokens // lanes))
        needed = self._done[-1] + longest + len(self.rows) * room
        allowed = (longest + room + extra) // _ALIGNED
        self._slots = max(1, min(allowed, -(-needed // _ALIGNED))) * _ALIGNED
        self._cache = SlotCache(lanes, self._slots)
        cuts = np.searchsorted(self._done, np.linspace(0, self._done[-1], lanes + 1)[1:-1])
        bounds = [0, *cuts.tolist(), len(self.rows)]
        self._feeds = [
            _Feed(Lane(self._slots), start, stop, behind=deque([0], _REMEMBERED))
            for start, stop in pairwise(bounds)
        ]
        self._top, self._behind = 0, room

    def chain(self, row: Node) -> Iterator[Node]:
        """The nodes that compute a row, the last part first."""
        yield row
        while row.head >= 0:
            row = self.rows[row.head]
            yield row

    def run(self, consumer: Consumer) -> None:
        """Compute all, and what the consumer feeds behind."""
        while True:
            for feed in self._feeds:
                if feed.number == feed.stop:
                    self._take_over(feed)
            width = self._width([self._offer(feed) for feed in self._feeds])
            if not width:
                return
            parts = self._parts(width)
            predictions = self._compute(parts)
            places = [place for part in parts for _, place in part.reads]
            if places:
                consumer.take(predictions, places)
            for feed, part in zip(self._feeds, parts, strict=True):
                for grown in part.ended:
                    token = consumer.following(grown.node)
                    if token is None:
                        feed.lane.release(grown.slot)
                        feed.behind.append(grown.place - len(grown.node.tokens))
                    else:
                        grown.token = token
                        feed.growing.append(grown)
                feed.lane.passed()

    def _take_over(self, feed: _Feed) -> None:
        """Half of what the lane with the most sequences has left, for one that has none."""
        other = max(self._feeds, key=lambda f: f.stop - f.number)
        left = self._done[other.stop] - self._done[other.number]
        middle = (other.number + 1 + other.stop) // 2
        # Its first beginning has to be computed again.
        if other.stop - other.number < 2 or left < 4 * self.rows[middle].begin + 2 * self._most:
            return
        if feed.path:
            feed.lane.release(feed.path[-1])
        feed.number, feed.stop, feed.at, feed.path = middle, other.stop, 0, []
        other.stop = middle

    def _offer(self, feed: _Feed) -> int:
        """Tokens that a lane could put into the next pass."""
        left = self._done[feed.stop] - self._done[feed.number] if feed.number < feed.stop else 0
        fresh = min(left, max(0, self._room(feed, len(feed.growing))))
        if left and not fresh and not feed.growing:
            fresh = 1
        return min(self._most, len(feed.growing) + fresh)

    def _width(self, offers: Sequence[int]) -> int:
        """Tokens that each lane is asked for: the most real ones for what a pass costs."""
        lanes = len(offers)
        return max(
            sorted(set(offers)),
            key=lambda n: sum(min(offer, n) for offer in offers) / (n * lanes + _PASS_COSTS),
        )

    def _room(self, feed: _Feed, waiting: int) -> int:
        """Slots that fresh tokens may take; the others are for answers, of which half is to come.

        Neighbours are answered alike: as long as the longest of the last ones.
        """
        return feed.lane.free - (waiting + 2) * max(self._behind, *feed.behind) // 2

    def _parts(self, width: int) -> list[_Part]:
        """The next tokens of all lanes."""
        parts = []
        left = self._limits.reads * self._engine.portions
        behind = sum(len(feed.growing) for feed in self._feeds)
        for number, feed in enumerate(self._feeds):
            # What later lanes have to predict anyway is left to them.
            behind -= len(feed.growing)
            later = min(behind + len(self._feeds) - number - 1, left // 2)
            parts.append(self._part(feed, width, max(1, left - later)))
            left -= len(parts[-1].reads)
        return parts

    def _part(self, feed: _Feed, width: int, most: int) -> _Part:
        """The next tokens of a lane: those that answers grow by, then beginnings.

        At most ``width`` tokens and ``most`` reads.
        """
        part, lane = _Part(), feed.lane
        growing = feed.growing[: min(width, most)]
        del feed.growing[: len(growing)]
        if lane.free < len(growing):
            self._grow(len(growing))
        for grown in growing:
            (slot,) = lane.extend(grown.slot, 1)
            lane.release(grown.slot)
            part.reads.append((len(part.tokens), (grown.node, grown.place)))
            part.tokens.append(grown.token)
            part.places.append(grown.place)
            part.slots.append(slot)
            grown.slot, grown.place = slot, grown.place + 1
            part.ended.append(grown)
        while feed.number < feed.stop and len(part.reads) < most:
            waiting = len(part.ended) + len(feed.growing)
            room = min(width - len(part.tokens), self._room(feed, waiting), LONGEST_RUN)
            if room <= 0 and not waiting and not part.tokens:
                self._grow(_GROWTH)
                continue
            if room <= 0:
                break
            self._begin(feed, part, room, most)
        return part

    def _begin(self, feed: _Feed, part: _Part, room: int, reads: int) -> None:
        """Add tokens of the present sequence, at most ``room``; then go on to the next."""
        node, lane = self.rows[feed.number], feed.lane
        stop = min(len(node.tokens), feed.at + room)
        wanted = sorted(place for place in node.wanted if feed.at <= place < stop)
        left = max(1, reads - len(part.reads))
        if len(wanted) > left:
            stop, wanted = wanted[left], wanted[:left]
        first = len(part.tokens) - feed.at
        slots = lane.extend(feed.path[-1] if feed.path else -1, stop - feed.at)
        if feed.path:
            lane.release(feed.path[-1])
        feed.path += slots
        part.tokens += node.tokens[feed.at : stop]
        part.places += range(feed.at, stop)
        part.slots += slots
        part.reads += [(first + place, (node, place)) for place in wanted]
        feed.at = stop
        if stop < len(node.tokens):
            return
        lane.hold(slots[-1])
        part.ended.append(_Grown(node, slots[-1], stop))
        feed.number += 1
        if feed.number < feed.stop:
            feed.at = self.rows[feed.number].begin
            if feed.at:
                lane.hold(feed.path[feed.at - 1])
            lane.release(feed.path[-1])
            del feed.path[feed.at :]

    def _grow(self, least: int) -> None:
        extra = -(-max(least, _GROWTH) // _ALIGNED) * _ALIGNED
        self._slots += extra
        self._cache.slots = self._slots
        for feed in self._feeds:
            feed.lane.grow(extra)

    def _compute(self, parts: Sequence[_Part]) -> Predictions:
        """Run a pass."""
        lanes, width = len(parts), max(len(part.tokens) for part in parts)
        tokens = np.full((lanes, width), next(p.tokens[0] for p in parts if p.tokens))
        places, slots = np.zeros_like(tokens), np.full_like(tokens, PADDING)
        reads: list[int] = []
        for lane, part in enumerate(parts):
            count = len(part.tokens)
            tokens[lane, :count] = part.tokens
            places[lane, :count] = part.places
            slots[lane, :count] = part.slots
            reads += [lane * width + at for at, _ in part.reads]
        # Lowest slots are taken first: all that were ever taken are little more than those in use.
        self._top = top = max(self._top, -(-(int(slots.max()) + 1) // _ALIGNED) * _ALIGNED)
        seen = np.stack([f.lane.seen[slots[n], :top] for n, f in enumerate(self._feeds)])
        self._cache.place(torch.from_numpy(slots), top)
        return self._engine.pack(
            torch.from_numpy(tokens),
            torch.from_numpy(places),
            torch.from_numpy(seen),
            self._cache,
            reads,
        )
