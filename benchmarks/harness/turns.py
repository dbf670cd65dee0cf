"""Ways to do the same work, timed by turns."""

from __future__ import annotations

import statistics
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from tqdm import tqdm

from benchmarks.harness.equality import Answers
from benchmarks.harness.machine import synchronize

#: Seconds in a round that a row is given if it needs less.
_QUICK = 0.3


@dataclass(eq=False)
class Row:
    """One way to do a workload.

    ``run`` answers the jobs with the numbers ``jobs``; ``walls`` and ``cpus`` are seconds of each
    round, scaled to all jobs by ``share``, the part of their tokens that ``jobs`` are.
    """

    name: str
    jobs: Sequence[int]
    run: Callable[[Sequence[int]], Answers]
    share: float = 1.0
    answers: Answers | None = None
    difference: float = 0.0
    walls: list[float] = field(default_factory=list)
    cpus: list[float] = field(default_factory=list)

    def time(self, device: str) -> None:
        """Do it once, or more often if it is quick."""
        begin = time.perf_counter()
        while not self.walls or time.perf_counter() - begin < _QUICK:
            synchronize(device)
            wall, cpu = time.perf_counter(), time.process_time()
            answers = self.run(self.jobs)
            synchronize(device)
            self.walls.append((time.perf_counter() - wall) / self.share)
            self.cpus.append((time.process_time() - cpu) / self.share)
            self.answers = self.answers or answers

    @property
    def wall(self) -> float:
        """Median seconds."""
        return statistics.median(self.walls)

    @property
    def cpu(self) -> float:
        """Median CPU seconds."""
        return statistics.median(self.cpus)

    def figures(self, first: Row) -> dict[str, Any]:
        """Seconds, and how many times those of the ``first`` row they go into."""
        return {
            "seconds": self.wall,
            "ratio": first.wall / self.wall,
            "low": min(self.walls),
            "high": max(self.walls),
            "cpu_seconds": self.cpu,
            "cpu_ratio": first.cpu / self.cpu,
            "share": self.share,
            "difference": self.difference,
        }


def by_turns(rows: Sequence[Row], rounds: int, title: str) -> Iterator[Row]:
    """Each row of each round, to be timed now."""
    turns = [row for number in range(rounds) for row in turned(rows, number)]
    with tqdm(turns, desc=title, file=sys.stderr, mininterval=1) as bar:
        for row in bar:
            bar.set_postfix_str(row.name, refresh=False)
            yield row
            bar.write(f"{row.name}: {row.walls[-1]:.3g} s", file=sys.stderr)


def turned(rows: Sequence[Row], turn: int) -> list[Row]:
    """Rows in another order each round: what comes first may find the machine otherwise."""
    start = turn % len(rows)
    return [*rows[start:], *rows[:start]]
