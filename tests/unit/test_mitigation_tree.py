"""A prefix tree computes what texts have in common once, and no text sees another."""

from __future__ import annotations

import pytest
import torch

from blindspot.mitigation.tree import PrefixTree

LEAST = torch.finfo(torch.float32).min
CPU = torch.device("cpu")
ROWS = [((1, 2, 3), 1), ((1, 2, 4, 5), 2), ((1, 2), 1), ((1, 2, 3), 1)]


def tree_of(rows: list[tuple[tuple[int, ...], int]]) -> PrefixTree:
    tree = PrefixTree()
    for number, (row, count) in enumerate(rows):
        assert tree.added(row) == len(
            {row[:n] for n in range(1, len(row) + 1)} - seen(rows, number)
        )
        tree.add(number, row, count)
    return tree


def seen(rows: list[tuple[tuple[int, ...], int]], number: int) -> set[tuple[int, ...]]:
    """All beginnings of the texts before one."""
    return {row[:n] for row, _ in rows[:number] for n in range(1, len(row) + 1)}


def test_a_common_beginning_is_one_path() -> None:
    """Texts branch where they differ; a repeated one and one within another add nothing."""
    tree = tree_of(ROWS)
    assert tree.tokens == [1, 2, 3, 4, 5]
    assert tree.positions == [0, 1, 2, 2, 3]
    assert (len(tree), tree.length, tree.texts) == (5, 4, [0, 1, 2, 3])
    assert tree.continuations == [(3,), (4, 5), (2,), (3,)]
    assert tree.counts == [1, 2, 1, 1]
    assert tree.predicting == [1, 1, 3, 0, 1]


def test_a_node_sees_itself_and_those_above_it() -> None:
    """Not the other branch, nor what comes after it."""
    mask = tree_of(ROWS).mask(torch.float32, CPU)
    assert mask is not None
    assert mask.shape == (1, 1, 5, 5)
    sees = [[0], [0, 1], [0, 1, 2], [0, 1, 3], [0, 1, 3, 4]]
    expected = [[0.0 if column in row else LEAST for column in range(5)] for row in sees]
    assert mask[0, 0].tolist() == expected
    half = tree_of(ROWS).mask(torch.bfloat16, CPU)
    assert half is not None
    assert half.dtype == torch.bfloat16
    assert bool(torch.isfinite(half).all())


def test_a_text_alone_has_the_causal_mask() -> None:
    """Which a model makes itself."""
    assert tree_of(ROWS[:1]).mask(torch.float32, CPU) is None


@pytest.mark.parametrize(("row", "count"), [((1,), 1), ((1, 2), 0), ((1, 2), 2)])
def test_a_continuation_has_a_token_in_front_of_it(row: tuple[int, ...], count: int) -> None:
    """Nothing would predict it."""
    with pytest.raises(AssertionError, match="a token in front"):
        PrefixTree().add(0, row, count)
