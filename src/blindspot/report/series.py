"""Reports of checkpoints in order: at which step each gate fails, or its value changes."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

from blindspot import files
from blindspot.baselines.comparison import mismatches, selected_otherwise
from blindspot.errors import ReportError, line
from blindspot.estimates import Estimate
from blindspot.estimates.multiplicity import holm
from blindspot.gates.limits import load_gates
from blindspot.gates.outcomes import Other, change_of
from blindspot.gates.verdict import ExitCode, Verdict
from blindspot.measurements.base import LEVELS, OVERALL
from blindspot.measurements.registry import LEADING, topic
from blindspot.paths import FIXTURES
from blindspot.report.files import REPORT
from blindspot.report.rejudgment import read_report
from blindspot.report.schema import Document, Gate
from blindspot.run.overlap import Overlap
from blindspot.run.reported import Reported

#: Of all the changes of a series, that any is named although nothing changed.
ALPHA = 0.05


@dataclass(frozen=True, slots=True)
class Step:
    """One report of a series; ``label``: short, and no two steps have the same."""

    label: str
    model: str
    weights: str
    date: str
    verdict: str
    exit_code: int


@dataclass(frozen=True, slots=True)
class Point:
    """A gate in one report. ``p``: of no change from the first one, over the whole series."""

    value: float | None
    low: float | None
    high: float | None
    verdict: Verdict
    change: Estimate | None = None
    p: float = 1.0

    @property
    def changed(self) -> bool:
        """Whether the value is clearly another one than in the first report."""
        return self.p <= ALPHA


@dataclass(frozen=True)
class Track:
    """One gate over a series; ``gate``: as the first report has it."""

    gate: Gate
    points: tuple[Point, ...]

    @property
    def topic(self) -> str:
        """What it asks, of `TOPICS`."""
        return topic(self.gate["measurement"], self.gate["statistic"])

    @property
    def name(self) -> str:
        """The topic, the slice, and reading and band where these do not lead."""
        reading, band = self.gate["reading"], self.gate["band"]
        rest = (reading if reading not in LEADING else "", band if band != OVERALL else "")
        return " ".join(filter(None, (self.topic, self.gate["slice"], *rest)))

    @property
    def leading(self) -> bool:
        """Whether it represents its slice in its topic."""
        return self.gate["reading"] in LEADING and self.gate["band"] in ("", OVERALL)

    @cached_property
    def turns(self) -> list[int]:
        """Steps from which on it fails, or no longer does; 0 among them if the first one fails."""
        fails = [point.verdict is Verdict.FAIL for point in self.points]
        return [k for k, now in enumerate(fails) if now != (fails[k - 1] if k else False)]

    @cached_property
    def changes(self) -> int | None:
        """The first step whose value is clearly another one than the first."""
        return next((k for k, point in enumerate(self.points) if point.changed), None)

    @property
    def moves(self) -> bool:
        """Whether its verdict turns after the first step, or its value changes."""
        return self.changes is not None or any(self.turns)


@dataclass(frozen=True)
class Series:
    """The gates that all reports have.

    ``lost``: what is not comparable. ``notes``: what is left out.
    """

    steps: tuple[Step, ...]
    tracks: tuple[Track, ...]
    lost: tuple[str, ...]
    notes: tuple[str, ...]

    @property
    def exit_code(self) -> int:
        """That of the last report; or 11 where it may rest on what is not comparable."""
        last = self.steps[-1].exit_code
        soft = last in (ExitCode.PASSED, ExitCode.INCONCLUSIVE)
        return int(ExitCode.INCOMPLETE) if self.lost and soft else last

    @property
    def moving(self) -> list[Track]:
        """Those that move, the earliest failure first, then the earliest change."""
        never = len(self.steps)

        def place(track: Track) -> tuple[int, int, bool]:
            turn = next(iter(track.turns), never)
            return turn, never if track.changes is None else track.changes, not track.leading

        return sorted((track for track in self.tracks if track.moves), key=place)


@dataclass(frozen=True)
class _Read:
    """What is kept of a report: its gates by id, and their changes from the first report."""

    step: Step
    gates: dict[str, Gate]
    changes: dict[str, tuple[Estimate, float]]
    uncompared: dict[str, str]


def read_series(paths: Sequence[Path], allowed: frozenset[str]) -> Series:
    """The gates of several reports in order.

    Args:
        paths: report.json or its directory, of each checkpoint.
        allowed: mismatches that the user allows.

    Raises:
        ReportError: a report cannot be read or is there twice, or they have no gate in common.
    """
    _check_once(paths)
    table, scoreless = load_gates(FIXTURES / "gates.toml"), "scores" in allowed
    lost: list[str] = []
    notes: list[str] = []
    found: list[_Read] = []
    first: Reported | None = None
    for label, path in zip(_labels(paths), paths, strict=True):
        reported, at, document = read_report(path, table, scoreless=scoreless)
        lost += [
            f"{label} is of a run that was incomplete: {why}" for why in document["incomplete"]
        ]
        if first is None:
            first = reported
            found.append(_first(label, document))
            continue
        for kind, how in mismatches(first.provenance, reported.provenance):
            if kind not in allowed:
                lost.append(
                    f"{label} was measured otherwise than {found[0].step.label}: {how}; "
                    f"if intended, --allow-mismatch {kind}"
                )
        if apart := selected_otherwise(first.provenance, reported.provenance):
            notes.append(
                f"{label} was asked other prompts than {found[0].step.label} ({'; '.join(apart)}): "
                "changes rest on those that both have; run all with the same --fraction, --words "
                "and --limit to use all"
            )
        found.append(_later(label, document, reported, first, bool(apart), allowed, at))
    return _series(found, lost, notes)


def _check_once(paths: Sequence[Path]) -> None:
    """Refuse a report that is there twice."""
    seen: dict[str, Path] = {}
    for path in paths:
        whole = os.path.realpath(path / REPORT if files.is_directory(path) else path)
        if whole in seen:
            raise ReportError(
                f"{line(seen[whole])} and {line(path)} are one report; name each checkpoint once"
            )
        seen[whole] = path


def _labels(paths: Sequence[Path]) -> list[str]:
    """The name of the directory of each report, or of its file; whole paths if two are equal."""
    names = []
    for path in paths:
        whole = path.absolute()
        names.append(whole.parent.name if whole.name == REPORT else whole.stem)
    several = {name for name, count in Counter(names).items() if count > 1}
    return [
        line(path if name in several or not name else name)
        for name, path in zip(names, paths, strict=True)
    ]


def _first(label: str, document: Document) -> _Read:
    return _Read(_step(label, document), _gates(document), {}, {})


def _later(
    label: str,
    document: Document,
    reported: Reported,
    first: Reported,
    apart: bool,
    allowed: frozenset[str],
    path: Path,
) -> _Read:
    """A report beside the first one, gate by gate."""
    overlap = Overlap.of(reported, first) if apart and first.scored and reported.scored else None
    other = Other("the first report", first if first.scored else None, first.entries, overlap)
    floor, gates = reported.noise_floor, _gates(document)
    changes: dict[str, tuple[Estimate, float]] = {}
    uncompared: dict[str, str] = {}
    for case in reported.cases:
        if case.id not in gates or gates[case.id]["value"] is None:
            continue
        change = change_of(reported, case, other, allowed)
        if isinstance(change, str):
            uncompared[case.id] = change
        elif change.measured:
            noise = 0.0 if floor is None else floor.of(case, change.n)
            changes[case.id] = change, noise if noise > 0 else 0.0
    return _Read(_step(label, document), gates, changes, uncompared)


def _step(label: str, document: Document) -> Step:
    model = document["model"]
    return Step(
        label,
        model["id"],
        model.get("weights_hash", ""),
        document["date"],
        document["verdict"],
        document["exit_code"],
    )


def _gates(document: Document) -> dict[str, Gate]:
    """Its gates on categories, or of the first level that it has any of."""
    levels = {gate["level"] for gate in document["gates"]}
    level = next(level for level in LEVELS if level in levels)
    return {gate["id"]: gate for gate in document["gates"] if gate["level"] == level}


def _series(found: Sequence[_Read], lost: list[str], notes: list[str]) -> Series:
    """The gates that all have, and the changes of all of them judged together."""
    first = found[0]
    common = [gate for gate in first.gates if all(gate in each.gates for each in found)]
    if not common:
        raise ReportError(
            "the reports have no gate in common; run the same tests (-k, -m, --axis) on each "
            "checkpoint"
        )
    notes += _absent(found, common)
    for each in found[1:]:
        if apart := [gate for gate in common if gate in each.uncompared]:
            lost.append(
                f"{each.step.label}: the changes of {len(apart)} of {len(common)} gates are not "
                f"known, first {apart[0]}: {each.uncompared[apart[0]]}"
            )
    places = [(gate, k) for gate in common for k, each in enumerate(found) if gate in each.changes]
    size = len(common) * (len(found) - 1)
    adjusted = dict(zip(places, holm([_p(found, *at) for at in places], size), strict=True))
    tracks = [
        Track(
            first.gates[gate],
            tuple(
                replace(
                    _point(each.gates[gate]),
                    change=each.changes[gate][0] if gate in each.changes else None,
                    p=float(adjusted.get((gate, k), 1.0)),
                )
                for k, each in enumerate(found)
            ),
        )
        for gate in common
    ]
    return Series(tuple(each.step for each in found), tuple(tracks), tuple(lost), tuple(notes))


def _absent(found: Sequence[_Read], common: Sequence[str]) -> Iterator[str]:
    """What is left out because not every report has it."""
    every = dict.fromkeys(gate for each in found for gate in each.gates)
    missing = [gate for gate in every if gate not in common]
    if missing:
        lacking = next(each.step.label for each in found if missing[0] not in each.gates)
        yield (
            f"{len(missing)} gates are left out that not every report has, first {missing[0]}, "
            f"which {lacking} lacks; run the same tests on each checkpoint to see them"
        )
    other = [
        gate
        for gate in common
        if len({(each.gates[gate]["limit"], each.gates[gate]["opposite"]) for each in found}) > 1
    ]
    if other:
        yield (
            f"the limits of {len(other)} gates differ between the reports, first {other[0]}: those "
            "of the first report are drawn, and each verdict is by its own"
        )


def _p(found: Sequence[_Read], gate: str, place: int) -> float:
    """Two-sided p-value of "it did not change by more than the noise floor"."""
    change, noise = found[place].changes[gate]
    return min(1.0, 2.0 * min(change.p_above(noise), change.p_below(-noise)))


def _point(gate: Gate) -> Point:
    return Point(gate["value"], gate["low"], gate["high"], Verdict(gate["limit_verdict"]))
