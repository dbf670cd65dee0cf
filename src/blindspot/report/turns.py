"""A series in words: when each gate began to fail, or its value to change; and as a short table."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from textwrap import wrap
from typing import Any

from rich.table import Table
from rich.text import Text

from blindspot.errors import line as one_line
from blindspot.gates.rule import is_reversed
from blindspot.gates.verdict import RunVerdict, Verdict
from blindspot.measurements.registry import TOPICS
from blindspot.report.numbers import counted, figure, interval, limits, signed
from blindspot.report.series import Series, Track
from blindspot.report.tables import columns, render

#: Gates in the terminal's table and sentences; the page has all.
MOST = 12
#: Steps in the terminal's table, and letters of their names.
_COLUMNS, _COLUMN = 6, 7
_WIDTH = 80
_ASCII = str.maketrans("\N{MINUS SIGN}\N{EN DASH}\N{NO-BREAK SPACE}", "-- ")


@dataclass(frozen=True, slots=True)
class Begun:
    """Something that began to fail: since when, in words, and in how many slices."""

    since: str
    said: str
    count: str


@dataclass(frozen=True, slots=True)
class Moved:
    """Gates of a variant that moved alike, with a sentence on the first and its last verdict."""

    name: str
    said: str
    verdict: Verdict
    gates: int


def lead(series: Series) -> str:
    """The whole series in a clause."""
    several = counted(len(series.tracks), "gate")
    told = [
        f"{number:,} {verb}"
        for verb, number in (
            ("failed from the first report on", sum(one.turns[:1] == [0] for one in series.tracks)),
            ("began to fail later", sum(any(one.turns[:1]) for one in series.tracks)),
            ("changed and did not fail", sum(not one.turns for one in series.moving)),
        )
        if number
    ]
    if not told:
        return f"of {several}, none failed and none clearly changed"
    return f"of {several}, {', '.join(told)}"


def said(track: Track, series: Series) -> str:
    """When a gate that moves did so, in one sentence."""
    steps, points, gate = series.steps, track.points, track.gate
    unit = gate["unit"]
    clauses = []
    if track.changes is not None and track.changes not in track.turns:
        point = points[track.changes]
        assert point.change is not None
        clauses.append(
            f"changes at {steps[track.changes].label}, by {signed(point.change.value)} "
            f"({interval(*point.change.interval())})"
        )
    for k in track.turns:
        failing, point = points[k].verdict is Verdict.FAIL, points[k]
        side = ", reversed" if failing and is_reversed(point.value, gate["opposite"]) else ""
        verb = "fails" if failing else _after(point.verdict)
        since = " in the first report already" if k == 0 else f" from {steps[k].label} on"
        clauses.append(f"{verb}{since}: {figure(point.value, unit)}{side}")
    told = ", then ".join(clauses)
    start = "" if track.turns[:1] == [0] else f"{figure(points[0].value, unit)} at first; "
    if gate["limit"] is None:
        return f"{start}{told} (not gated)"
    return f"{start}{told} (limit {limits(gate['limit'], gate['opposite'], unit)})"


def _after(verdict: Verdict) -> str:
    """What a gate does that no longer fails."""
    if verdict == Verdict.PASS:
        return "passes"
    return "is inconclusive" if verdict == Verdict.INCONCLUSIVE else "is not judged"


def short(series: Series, longest: int) -> list[str]:
    """Labels for narrow places: without what all begin with, or numbers if still too long."""
    labels = [step.label for step in series.steps]
    first, last = min(labels), max(labels)
    shared = next((first[:k] for k, one in enumerate(first) if last[k] != one), "")
    shared = shared.rstrip("0123456789")
    cut = [label.removeprefix(shared) for label in labels]
    if all(cut) and max(map(len, cut)) <= longest:
        return cut
    return [str(k) for k in range(1, len(labels) + 1)]


def told(series: Series, page: str, *, quiet: bool, color: bool) -> Iterator[str]:
    """The lines for the terminal: a table, what began when, and the verdict; if quiet, the last."""
    if not quiet:
        yield from _table(series, color)
        yield from _in_words(series)
    for each in (*series.notes, *(f"incomplete: {why}" for why in series.lost)):
        yield one_line(each)
    if not quiet:
        yield f"curves: {one_line(page)}"
    last = series.steps[-1]
    verdict = RunVerdict.of(series.exit_code)
    ending = f"blindspot: {verdict}: {last.label}, the last of {len(series.steps)} reports"
    yield f"{one_line(ending)}: {lead(series)} (exit {series.exit_code})"


def begun(series: Series) -> Iterator[Begun]:
    """The things that began to fail, step by step, the earliest first."""
    found: dict[tuple[int, str], Counter[str]] = {}
    every = Counter(track.topic for track in series.tracks if track.leading)
    for track in sorted(series.tracks, key=lambda track: track.turns[:1]):
        if track.turns and track.leading:
            words = TOPICS[track.topic].failed if track.topic in TOPICS else "it fails"
            found.setdefault((track.turns[0], words), Counter())[track.topic] += 1
    for (k, words), topics in found.items():
        since = f"from {series.steps[k].label} on" if k else "from the first report on"
        counts = (f"{name}: {n} of {counted(every[name], 'slice')}" for name, n in topics.items())
        yield Begun(since, words, ", ".join(counts))


def alike(tracks: Iterable[Track], series: Series) -> Iterator[Moved]:
    """The gates that move: those of a variant that moved at the same steps share a sentence."""
    found: dict[tuple[Any, ...], list[Track]] = {}
    for track in tracks:
        gate = track.gate
        how, where = (gate["reading"], gate["band"]), (gate["axis"], gate["variant"])
        key = (track.topic, *how, *where, tuple(track.turns), track.changes)
        found.setdefault(key, []).append(track)
    for some in found.values():
        also = ", ".join(track.gate["word"] or track.gate["category"] for track in some[1:])
        name = some[0].name + (f" (and {also})" if also else "")
        yield Moved(name, said(some[0], series), some[0].points[-1].verdict, len(some))


def _in_words(series: Series) -> Iterator[str]:
    """What began at which step, then a sentence for the gates that moved."""
    if words := [f"  {one.since}, {one.said} ({one.count})" for one in begun(series)]:
        yield "in words"
        yield from (each for text in words for each in _wrapped(text))
    groups = list(alike((track for track in series.moving if track.leading), series))[:MOST]
    if groups:
        yield "gate by gate"
        for one in groups:
            yield from _wrapped(f"  {one.name}: {one.said}")
    if hidden := len(series.moving) - sum(one.gates for one in groups):
        yield f"  {counted(hidden, 'more gate')} on the page: other readings, bands or slices"
    if series.moving or words:
        yield ""


def _wrapped(text: str) -> list[str]:
    return wrap(one_line(text.translate(_ASCII)), _WIDTH, subsequent_indent="    ")


def _table(series: Series, color: bool) -> Iterator[str]:
    """The values of the gates that move, or of any, at some of the steps, evenly chosen."""
    rows = [track for track in series.moving or series.tracks if track.leading][:MOST]
    if not rows:
        return
    last, names = len(series.steps) - 1, short(series, _COLUMN)
    places = sorted({round(k * last / (_COLUMNS - 1)) for k in range(_COLUMNS)})
    table: Table = columns(*(one_line(names[k], _COLUMN) for k in places), verdict=False)
    for track in rows:
        unit, points = track.gate["unit"], track.points
        cells = [
            Text(
                figure(points[k].value, unit).translate(_ASCII)
                + ("*" if points[k].verdict is Verdict.FAIL else " "),
                style=points[k].verdict.look.style if points[k].verdict is Verdict.FAIL else "",
            )
            for k in places
        ]
        table.add_row(one_line(track.name), *cells)
    if names[0] != series.steps[0].label:
        listed = ", ".join(
            f"{names[k]} {series.steps[k].label}" if names[k].isdigit() else series.steps[k].label
            for k in places
        )
        yield from _wrapped(f"reports: {listed}")
    yield from render(table, _WIDTH, color).splitlines()
    yield "* fails its limit"
    yield ""
