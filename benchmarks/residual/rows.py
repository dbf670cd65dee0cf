"""Ways to do a workload, side by side: what each of them is given, its times, and its numbers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from benchmarks.harness.equality import NEAR_TIE, TOLERANCE, Answers, NotEqualError, compare
from benchmarks.harness.turns import Row
from benchmarks.residual.peers import Peer
from benchmarks.residual.work import Work, check_bite, plain_hooks

OURS, PLAIN = "ours", "plain hooks, one at a time (a)"
#: Beginnings of the workloads' names; the first that fits counts.
_KINDS = {
    "patch": "patch sweep",
    "bare": "bare patch sweep",
    "selfie": "selfie sweep",
    "injection": "injection windows",
}


@dataclass(frozen=True, slots=True)
class Size:
    """How much is done.

    ``vectors``, ``closed`` (questions): of the patch sweeps; ``selfie``: vectors; ``contexts``: of
    the injections. ``every``: rows that take one job at a time do one of so many, by workload
    (else all); ``layers``: rows that take a layer at a time do one layer of so many.
    """

    rounds: int
    vectors: int
    closed: int
    selfie: int
    contexts: int
    every: dict[str, int]
    layers: int = 1


def rows_of(work: Work, peers: Sequence[Peer], size: Size) -> list[Row]:
    """All ways to do a workload."""
    kind = next(kind for kind, begin in _KINDS.items() if work.name.startswith(begin))
    single = every(len(work.jobs), size.every.get(kind, 1), work.subject.layers)
    rows = [
        Row(OURS, range(len(work.jobs)), lambda _: work.ours()),
        Row(PLAIN, single, lambda jobs: plain_hooks(work, jobs)),
    ]
    layers = symmetric(work.subject.layers, size.layers)
    batch = [n for n, job in enumerate(work.jobs) if job.window[0] in layers]
    for peer in peers:
        rows.append(
            Row(f"{peer.name}, one at a time", single, lambda n, p=peer: p.one_by_one(work, n))
        )
        if kind in {"patch", "bare"} or (kind == "selfie" and peer.generates_batches):
            saving = "" if work.new else peer.saving
            rows.append(
                Row(
                    f"{peer.name}, a batch a layer{saving}",
                    batch,
                    lambda n, p=peer: p.by_layer(work, n),
                )
            )
    total = sum(map(work.cost, work.jobs))
    for row in rows:
        row.share = sum(work.cost(work.jobs[number]) for number in row.jobs) / total
    return rows


def every(count: int, step: int, layers: int) -> range:
    """Job numbers, one of ``step``, that meet all layers and vectors."""
    while step > 1 and layers % step == 0:
        step += 1
    return range(0, count, step)


def symmetric(layers: int, step: int) -> set[int]:
    """About one layer of ``step``, with as much behind them on average as behind all layers."""
    halves = range(0, layers // 2, step)
    return {*halves, *(layers - 1 - layer for layer in halves)}


def check(work: Work, rows: Sequence[Row], dtype: torch.dtype) -> None:
    """Compare all rows with (a), and with ours where (a) was not run.

    Raises:
        NotEqualError: two of them differ, or writing changes nothing.
    """
    ours, plain = rows[0], rows[1]
    assert ours.answers is not None
    check_bite(work, ours.answers, TOLERANCE[torch.float32])
    for row in rows:
        differences = [_compared(work, row, plain, dtype)]
        if row is not ours and not work.new:
            differences.append(_compared(work, row, ours, dtype))
        row.difference = max(differences)


def _compared(work: Work, row: Row, other: Row, dtype: torch.dtype) -> float:
    what = f"{work.name}, {work.subject.name}: {row.name} against {other.name}"
    both = sorted(set(row.jobs) & set(other.jobs))
    if not both:
        raise NotEqualError(f"{what}: no job was done by both")
    found, expected = (_part(one, both) for one in (row, other))
    return compare(what, found, expected, TOLERANCE[dtype], NEAR_TIE[dtype])


def _part(row: Row, jobs: Sequence[int]) -> Answers:
    answers, at = row.answers, {number: place for place, number in enumerate(row.jobs)}
    assert answers is not None
    places = [at[number] for number in jobs]
    return Answers(
        None if answers.values is None else answers.values[places],
        [answers.texts[place] for place in places] if answers.texts else (),
        [answers.margins[place] for place in places] if answers.margins else (),
    )
