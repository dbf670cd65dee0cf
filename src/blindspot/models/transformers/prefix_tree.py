"""The prefix tree: prefixes that many token sequences share, each computed once. No torch."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

Tokens = tuple[int, ...]

#: A shared prefix gets its own row if it saves at least this many tokens.
MIN_SAVING = 4


@dataclass(frozen=True, slots=True)
class Head:
    """A shared prefix. ``parent``: number of the head that it extends, -1 for none."""

    tokens: Tokens
    parent: int
    level: int


@dataclass(frozen=True, slots=True)
class Tree:
    """Shared prefixes and, for each sequence, the longest one that it extends (or -1).

    Heads are numbered so that a parent comes before its children; ``level`` counts the heads above.
    """

    heads: tuple[Head, ...]
    parents: tuple[int, ...]

    def levels(self) -> Iterator[list[int]]:
        """Numbers of the heads level by level, parents first."""
        for level in range(1 + max((head.level for head in self.heads), default=-1)):
            yield [n for n, head in enumerate(self.heads) if head.level == level]

    def path(self, head: int) -> list[int]:
        """A head and those above it, the longest first."""
        found = []
        while head >= 0:
            found.append(head)
            head = self.heads[head].parent
        return found


def common_length(first: Sequence[int], second: Sequence[int]) -> int:
    """Number of leading tokens that two sequences have in common."""
    length = 0
    for one, other in zip(first, second, strict=False):
        if one != other:
            break
        length += 1
    return length


def distinct_run(ordered: Sequence[Tokens], start: int, most: int) -> int:
    """End of the longest run from ``start`` of at most ``most`` distinct tokens (one at least)."""
    filled = 0
    for number in range(start, len(ordered)):
        sequence = ordered[number]
        shared = common_length(sequence, ordered[number - 1]) if number > start else 0
        filled += len(sequence) - shared
        if filled > most and number > start:
            return number
    return len(ordered)


def shared_heads(ordered: Sequence[Tokens], min_saving: int = MIN_SAVING) -> Tree:
    """Choose the prefixes to share.

    Args:
        ordered: distinct sequences in lexicographic order.
        min_saving: tokens that a head must save over its children to be chosen.
    """
    # shared[i]: tokens in common of sequences i and i + 1
    shared = [common_length(a, b) for a, b in pairwise(ordered)]
    heads: list[Head] = []
    parents = [-1] * len(ordered)
    open_runs = [(0, len(ordered), -1)]
    while open_runs:
        start, stop, parent = open_runs.pop()
        if stop - start == 1:
            parents[start] = parent
            continue
        inner = shared[start : stop - 1]
        depth = min(inner)
        cuts = [start + 1 + n for n, length in enumerate(inner) if length == depth]
        above = heads[parent] if parent >= 0 else None
        saved = len(cuts) * (depth - (len(above.tokens) if above else 0))
        if saved >= min_saving:
            level = above.level + 1 if above else 0
            heads.append(Head(ordered[start][:depth], parent, level))
            parent = len(heads) - 1
        bounds = [start, *cuts, stop]
        open_runs += [(a, b, parent) for a, b in pairwise(bounds)]
    return Tree(tuple(heads), tuple(parents))
