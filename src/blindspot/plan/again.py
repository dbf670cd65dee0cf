"""The model against itself: some of its prompts once more, in another batch size and order."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from blindspot.estimates.noise import Noise
from blindspot.estimates.statistics import FORCED_CHOICE, GENERATED
from blindspot.plan.asking import Answer
from blindspot.plan.cases import Case
from blindspot.plan.observations import Observations, read
from blindspot.stimuli import EXPLICIT, Prompt, Slice

#: Prompts of each category slice that are asked again: 3 % of what the default run asks.
PER_SLICE = 64
#: How many are asked at once: another batch than any that the run itself makes.
TOGETHER = 7

VALIDITY = "validity"
#: Measurement, axis, variant and reading (or validity).
_Key = tuple[str, str, str, str]


def chosen(wanted: Mapping[Slice, Sequence[Prompt]]) -> dict[Slice, list[int]]:
    """Positions of the prompts that are asked again: evenly over each slice, all orders alike."""
    return {part: _spread(len(prompts)) for part, prompts in wanted.items()}


def _spread(size: int) -> list[int]:
    if size <= PER_SLICE:
        return list(range(size))
    blocks, step = PER_SLICE // 4, size // 4 / (PER_SLICE // 4)
    starts = (int(number * step) * 4 for number in range(blocks))  # a pair's four orders follow
    return [start + order for start in starts for order in range(4)]


@dataclass(frozen=True)
class NoiseFloor:
    """What was found by asking again, by measurement, variant and reading.

    ``prompts``: how many were asked again; ``sizes``: prompts of a category of each row.
    """

    rows: Mapping[_Key, Noise]
    prompts: int
    sizes: Mapping[_Key, int]

    def of(self, case: Case, n: int) -> float:
        """The floor of a case that rests on ``n`` answers; NaN where it was not measured.

        That of a gap is the sum of its parts': at most that much is added when both shift. That of
        a gate over several variants is their mean, as its value is.
        """
        if case.mechanistic:
            return math.nan
        reading = VALIDITY if case.statistic == VALIDITY else case.reading
        total = math.fsum(
            self._floor((part.measurement, part.axis, part.variant, reading), n)
            for part in case.parts
        )
        return total / max(1, len(case.variants))

    def _floor(self, key: _Key, n: int) -> float:
        return self.rows[key].floor(n) if key in self.rows else math.nan

    def as_record(self) -> dict[str, Any]:
        """For reports: builtins only."""
        return {
            "prompts": self.prompts,
            "batch": TOGETHER,
            "rows": [
                {
                    "measurement": measurement,
                    "axis": axis,
                    "variant": variant,
                    "reading": reading,
                    "floor": _number(self.rows[key].floor(self.sizes[key])),
                    "shift": _number(self.rows[key].shift),
                    "spread": _number(self.rows[key].spread),
                    "n": self.rows[key].n,
                }
                for key in self.rows
                for measurement, axis, variant, reading in [key]
            ],
        }


def noise_floor(
    tables: Mapping[Slice, Observations],
    places: Mapping[Slice, Sequence[int]],
    answers: Sequence[Answer],
) -> NoiseFloor:
    """Compare the second answers with the first.

    Args:
        tables: the first answers, as they were read.
        places: positions in the tables that were asked again.
        answers: the second answers, slice by slice in the order of ``places``.
    """
    remaining = iter(answers)
    first: dict[_Key, list[float]] = {}
    again: dict[_Key, list[float]] = {}
    sizes: dict[_Key, int] = {}
    for part, positions in places.items():
        for place in positions:
            row = tables[part].rows[place]
            other = read(row.prompt, next(remaining))
            reverse = part.measurement == EXPLICIT and not tables[part].second_order[place]
            sign = -1.0 if reverse else 1.0
            answered = [float(not math.isnan(each.value)) for each in (row, other)]
            for reading, one, two in (
                (GENERATED, sign * row.value, sign * other.value),
                (FORCED_CHOICE, sign * row.forced, sign * other.forced),
                (VALIDITY, answered[0], answered[1]),
            ):
                key = (part.measurement, part.axis, part.variant, reading)
                first.setdefault(key, []).append(one)
                again.setdefault(key, []).append(two)
                sizes[key] = max(sizes.get(key, 0), len(tables[part]))
    rows = {key: Noise.between(first[key], again[key]) for key in first}
    return NoiseFloor(rows, len(answers), sizes)


def _number(value: float) -> float | None:
    return None if math.isnan(value) else value
