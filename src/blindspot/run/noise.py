"""The noise floor: a sample of the work repeated in another batch size and order."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from blindspot.estimates.noise import Noise
from blindspot.measurements.base import FORCED_CHOICE, GENERATED, VALIDITY
from blindspot.measurements.mechanistic import Assay, Assayed
from blindspot.measurements.registry import MECHANISTIC
from blindspot.models.server import Server
from blindspot.run.answer import Answer
from blindspot.run.cases import Case
from blindspot.run.observations import Observations, read
from blindspot.stimuli import Prompt, Slice

#: Prompts of each category slice that are asked again: of the 864 of a default one, 7 %.
PER_SLICE = 64
#: Prompts at once: a batch size that the run itself never uses.
TOGETHER = 7
#: Rows at once in assays. Few enough to differ from batches chosen by memory, and enough to be
#: affordable: reading the weights limits a patch of a large model.
INSIDE_TOGETHER = 29

#: Measurement, axis, variant and reading (or validity).
_Key = tuple[str, str, str, str]


def chosen(wanted: Mapping[Slice, Sequence[Prompt]]) -> dict[Slice, list[int]]:
    """Positions of the prompts to ask again: evenly over each slice and over all orders."""
    return {part: _spread(len(prompts)) for part, prompts in wanted.items()}


def _spread(size: int) -> list[int]:
    if size <= PER_SLICE:
        return list(range(size))
    blocks, step = PER_SLICE // 4, size // 4 / (PER_SLICE // 4)
    starts = (int(number * step) * 4 for number in range(blocks))  # a pair's four orders follow
    return [start + order for start in starts for order in range(4)]


def looked_again(assays: Mapping[str, Assay], parts: Sequence[Slice]) -> list[Slice]:
    """The slices whose assays are repeated: the first of each measurement, an eighth of the work.

    Plus all slices that need no other units, such as the other categories of a variant.
    """
    chosen: list[Slice] = []
    done: dict[str, set[str]] = {}
    for part in parts:
        needed = {unit.content for unit in assays[part.measurement].units(part)}
        if needed <= done.setdefault(part.measurement, needed):
            chosen.append(part)
    return chosen


@dataclass(frozen=True)
class NoiseFloor:
    """The noise floor by measurement, variant and reading.

    ``prompts``: how many were asked again; ``sizes``: prompts of a category of each row;
    ``inside``: figures of the repeated assays; ``least``: floor of forced choice, whatever was
    measured on these prompts.
    """

    rows: Mapping[_Key, Noise]
    prompts: int
    sizes: Mapping[_Key, int]
    inside: Mapping[_Key, Noise] = field(default_factory=dict)
    least: float = 0.0

    def of(self, case: Case, n: int) -> float:
        """The noise floor of a case with ``n`` answers; NaN if not measured.

        For a gap it is the sum over its parts, the most by which both can shift it. For a gate over
        several variants it is their mean, like the value. For figures of the residual stream it is
        measured in one variant and used for all.
        """
        if case.mechanistic:
            found = [
                noise.most
                for (measurement, _, _, reading), noise in self.inside.items()
                if (measurement, reading) == (case.measurement, case.reading)
            ]
            return found[0] if found else math.nan
        reading = VALIDITY if case.statistic == VALIDITY else case.reading
        total = math.fsum(
            self._floor((part.measurement, part.axis, part.variant, reading), n)
            for part in case.parts
        )
        return total / max(1, len(case.variants))

    def _floor(self, key: _Key, n: int) -> float:
        if key not in self.rows:
            return math.nan
        found = self.rows[key].floor(n)
        return max(found, self.least) if key[-1] == FORCED_CHOICE else found

    @classmethod
    def from_record(cls, record: Mapping[str, Any]) -> NoiseFloor:
        """From a report, which does not contain the number of prompts of a category."""
        found: dict[bool, dict[_Key, Noise]] = {False: {}, True: {}}
        for row in record["rows"]:
            key = row["measurement"], row["axis"], row["variant"], row["reading"]
            shift, spread, floor = (
                math.nan if row[name] is None else float(row[name])
                for name in ("shift", "spread", "floor")
            )
            inside = key[0] in MECHANISTIC
            most = floor if inside else math.nan
            found[inside][key] = Noise(shift, spread, most, row["n"])
        return cls(found[False], record["prompts"], {}, found[True], record.get("least", 0.0))

    def as_record(self) -> dict[str, Any]:
        """For reports: builtins only."""
        floors = {key: self._floor(key, self.sizes[key]) for key in self.rows}
        floors |= {key: noise.most for key, noise in self.inside.items()}
        return {
            "prompts": self.prompts,
            "batch": TOGETHER,
            "least": self.least,
            "batch_inside": INSIDE_TOGETHER if self.inside else None,
            "rows": [
                {
                    "measurement": measurement,
                    "axis": axis,
                    "variant": variant,
                    "reading": reading,
                    "floor": _number(floors[key]),
                    "shift": _number(noise.shift),
                    "spread": _number(noise.spread),
                    "n": noise.n,
                }
                for key, noise in {**self.rows, **self.inside}.items()
                for measurement, axis, variant, reading in [key]
            ],
        }


def spread_of(server: Server | None) -> float:
    """The floor of forced choice that a server's handshake found, 0 without one.

    Both answers shifted by the spread (nats) in opposite directions move tanh(log-odds / 2) by at
    most the spread.
    """
    return 0.0 if server is None or math.isnan(server.spread) else server.spread


def noise_floor(
    tables: Mapping[Slice, Observations],
    places: Mapping[Slice, Sequence[int]],
    answers: Sequence[Answer],
    assayed: Mapping[Slice, Assayed] | None = None,
    assayed_again: Mapping[Slice, Assayed] | None = None,
) -> NoiseFloor:
    """Compare the second answers and assays with the first.

    Args:
        tables: the first answers, as read.
        places: positions in the tables that were asked again.
        answers: the second answers, slice by slice in the order of ``places``.
        assayed: results of the assays for all slices.
        assayed_again: results for the repeated slices.
    """
    remaining = iter(answers)
    first: dict[_Key, list[float]] = {}
    again: dict[_Key, list[float]] = {}
    sizes: dict[_Key, int] = {}
    for part, positions in places.items():
        signs = tables[part].measurement.signs(tables[part].second_order)
        for place in positions:
            row = tables[part].rows[place]
            other = read(row.prompt, next(remaining))
            sign = signs[place]
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
    return NoiseFloor(rows, len(answers), sizes, _inside(assayed or {}, assayed_again or {}))


def _inside(first: Mapping[Slice, Assayed], again: Mapping[Slice, Assayed]) -> dict[_Key, Noise]:
    """Figures of the same slices and bands that were readable both times."""
    values: dict[_Key, tuple[list[float], list[float]]] = {}
    for part, second in again.items():
        for (reading, band), other in second.bands.items():
            one = first[part].bands[reading, band].contributions
            two = other.contributions
            if one is None or two is None or one.reason or two.reason:
                continue
            key = (part.measurement, part.axis, part.variant, reading)
            both = values.setdefault(key, ([], []))
            both[0].append(one.value)
            both[1].append(two.value)
    return {key: Noise.between(*both, least=1) for key, both in values.items()}


def _number(value: float) -> float | None:
    return None if math.isnan(value) else value
