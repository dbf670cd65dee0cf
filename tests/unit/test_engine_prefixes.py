"""Shared beginnings: every sequence is covered, nothing is computed twice without need."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from blindspot.models.transformers.prefix_tree import common_length, distinct_run, shared_heads

sequences = st.sets(
    st.lists(st.integers(0, 2), min_size=1, max_size=12).map(tuple), min_size=1, max_size=40
).map(sorted)


def distinct_tokens(ordered: list[tuple[int, ...]]) -> int:
    return len({sequence[: n + 1] for sequence in ordered for n in range(len(sequence))})


@given(sequences, st.integers(1, 8))
@example([(0,), (0, 0)], 1)
def test_every_parent_is_a_beginning(ordered: list[tuple[int, ...]], min_saving: int) -> None:
    """A head is a proper extension of its parent, and a beginning of all that name it."""
    tree = shared_heads(ordered, min_saving)
    for number, head in enumerate(tree.heads):
        assert head.parent < number
        above = tree.heads[head.parent] if head.parent >= 0 else None
        assert head.level == (above.level + 1 if above else 0)
        assert head.tokens[: len(above.tokens if above else ())] == (above.tokens if above else ())
        assert len(head.tokens) > len(above.tokens if above else ())
    for sequence, parent in zip(ordered, tree.parents, strict=True):
        if parent >= 0:
            assert sequence[: len(tree.heads[parent].tokens)] == tree.heads[parent].tokens
    listed = [number for level in tree.levels() for number in level]
    assert sorted(listed) == list(range(len(tree.heads)))


@given(sequences)
def test_with_no_threshold_every_distinct_token_is_computed_once(
    ordered: list[tuple[int, ...]],
) -> None:
    """Heads and what is left of the sequences together are the nodes of the token trie."""
    tree = shared_heads(ordered, 1)

    def above(parent: int) -> int:
        return len(tree.heads[parent].tokens) if parent >= 0 else 0

    computed = sum(len(head.tokens) - above(head.parent) for head in tree.heads)
    computed += sum(len(s) - above(p) for s, p in zip(ordered, tree.parents, strict=True))
    assert computed == distinct_tokens(ordered)


@given(sequences, st.integers(1, 30))
def test_runs_cover_all_sequences_within_the_limit(
    ordered: list[tuple[int, ...]], most: int
) -> None:
    """Runs are adjacent; one that holds several sequences has at most so many distinct tokens."""
    start = 0
    while start < len(ordered):
        stop = distinct_run(ordered, start, most)
        assert stop > start
        assert stop - start == 1 or distinct_tokens(ordered[start:stop]) <= most
        start = stop
    assert start == len(ordered)


@pytest.mark.parametrize(
    ("first", "second", "length"),
    [((), (1,), 0), ((1, 2), (1, 2), 2), ((1, 2, 3), (1, 2), 2), ((1, 2), (2, 2), 0)],
    ids=["empty", "equal", "longer", "different"],
)
def test_common_length(first: tuple[int, ...], second: tuple[int, ...], length: int) -> None:
    """The number of equal tokens at the beginning."""
    assert common_length(first, second) == length
