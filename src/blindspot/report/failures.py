"""Gates that did not pass, with the command to rerun each; and all gates in numbers."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from dataclasses import dataclass

from blindspot.gates.verdict import Verdict
from blindspot.measurements.base import WORD
from blindspot.measurements.registry import TOPICS
from blindspot.report.numbers import counted
from blindspot.report.schema import Document, Gate
from blindspot.report.sentences import LEVELS, OTHERS, by_verdict, title, worst_first

#: Most rows on the page; report.json has all. Those that did not pass come first.
MOST, MOST_FAILED = 2500, 1000
#: Failures of one measurement shown at first.
_OPEN = 1


@dataclass(frozen=True, slots=True)
class Failure:
    """A gate that did not pass."""

    gate: Gate
    rerun: str

    @property
    def said(self) -> str:
        """Its message, without the id shown above it."""
        return self.gate["message"].removeprefix(f"{self.gate['id']}: ")


@dataclass(frozen=True, slots=True)
class Failures:
    """Gates of one measurement that did not pass: some shown, the rest and words collapsed."""

    title: str
    count: str
    shown: list[Failure]
    folded: list[Failure]
    words: list[Failure]
    left_out: int


@dataclass(frozen=True, slots=True)
class Table:
    """Gates of one measurement and level."""

    title: str
    gates: list[Gate]
    count: str
    left_out: int


@dataclass(frozen=True, slots=True)
class Power:
    """Minimum detectable effects of the gates of one measurement."""

    title: str
    level: str
    gates: int
    least: float
    middle: float
    most: float
    unit: str


def rerun(document: Document, gate: Gate) -> str:
    """The command that runs one gate again."""
    return f"{document['command']} {shlex.quote(gate['test'])}"


def failures(document: Document) -> list[Failures]:
    """Gates that did not pass, by measurement, the worst first."""
    found, left = [], MOST_FAILED
    for measurement, gates in _by_measurement(document).items():
        beyond = [
            Failure(gate, rerun(document, gate))
            for gate in worst_first(gates)
            if not Verdict(gate["verdict"]).green
        ]
        if beyond:
            whole = [one for one in beyond if one.gate["level"] != WORD]
            words = [one for one in beyond if one.gate["level"] == WORD]
            found.append(
                Failures(
                    title(measurement),
                    by_verdict(one.gate["verdict"] for one in beyond),
                    whole[:_OPEN],
                    whole[_OPEN:],
                    words[:left],
                    len(words[left:]),
                )
            )
            left -= len(words[:left])
    return found


def waived(document: Document) -> list[Gate]:
    """Gates with a waiver, expired ones first."""
    found = [(gate, gate["waiver"]) for gate in document["gates"] if gate["waiver"]]
    found.sort(key=lambda both: not both[1]["expired"])
    return [gate for gate, _ in found]


def tables(document: Document) -> list[Table]:
    """All gates by measurement and level, as many as fit on the page."""
    left, found = MOST, []
    for measurement, gates in _by_measurement(document).items():
        for level, noun in LEVELS.items():
            mine = worst_first(gate for gate in gates if gate["level"] == level)
            if not mine:
                continue
            shown = mine[: max(left, 0)]
            left -= len(shown)
            heading = f"{title(measurement)}, {counted(len(mine), noun)}"
            found.append(
                Table(
                    heading,
                    shown,
                    by_verdict(gate["verdict"] for gate in mine),
                    len(mine) - len(shown),
                )
            )
    return found


def power(document: Document) -> list[Power]:
    """Minimum detectable effects and changes, the most sensitive gate first."""
    found = []
    for measurement, gates in _by_measurement(document).items():
        heading = title(measurement)
        for level in LEVELS:
            known: dict[tuple[str, str], list[float]] = {}
            for gate in gates:
                for what, mde in _detectable(gate) if gate["level"] == level else ():
                    known.setdefault((gate["unit"], what), []).append(mde)
            for (unit, what), values in known.items():
                values.sort(key=abs if what else None, reverse=unit == "share" and not what)
                middle = values[len(values) // 2]
                told = f"{level}, {unit}{what}"
                found.append(Power(heading, told, len(values), values[0], middle, values[-1], unit))
    return found


def _detectable(gate: Gate) -> Iterator[tuple[str, float]]:
    """The minimum detectable effect of a gate, and its detectable changes against other models."""
    if gate["mde"] is not None:
        yield "", gate["mde"]
    for kind in OTHERS:
        against = gate["against"][kind]
        if against is not None and against["mde"] is not None:
            yield f", change against the {kind}", against["mde"]


def _by_measurement(document: Document) -> dict[str, list[Gate]]:
    found: dict[str, list[Gate]] = {name: [] for name in TOPICS}
    for gate in document["gates"]:
        found.setdefault(gate["measurement"], []).append(gate)
    return {name: gates for name, gates in found.items() if gates}
