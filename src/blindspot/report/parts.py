"""The parts of a mitigation: whether a changed model is a cure, in a line."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from blindspot.gates.verdict import Verdict, worst
from blindspot.measurements.base import VALIDITY
from blindspot.measurements.mitigation import PARTS
from blindspot.measurements.registry import ALL, MEASUREMENTS
from blindspot.report.schema import Gate

_SILENT = "the model no longer answers"


@dataclass(frozen=True, slots=True)
class PartVerdict:
    """A part with the worst verdict of its gates.

    ``whole``: whether all that belongs to it was judged; ``broken``: a clause on a model that fails
    it, "" where it does not. ``spared``: what was not judged because the reference has nothing of
    it to lose; it does not pass, and the other measurements of the part decide.
    """

    number: int
    name: str
    verdict: Verdict
    whole: bool
    broken: str = ""
    spared: tuple[str, ...] = ()

    @property
    def said(self) -> str:
        """The verdict in a word."""
        if self.verdict is Verdict.REPORTED:
            return "not judged"
        word = self.verdict.upper() if self.verdict.look.loud else self.verdict.value
        if self.verdict is Verdict.FAIL:
            return word
        without = f" without {' and '.join(self.spared)}" if self.spared else ""
        return f"{word}{without}" if self.whole else f"{word}, in part"


def parts_of(gates: Iterable[Gate]) -> list[PartVerdict]:
    """Every part; nothing if no gate belongs to one."""
    mine: dict[int, list[Gate]] = {number: [] for number in PARTS}
    for gate in gates:
        if part := MEASUREMENTS[gate["measurement"]].part:
            mine[part].append(gate)
    return [_part(number, some) for number, some in mine.items()] if any(mine.values()) else []


def _part(number: int, gates: list[Gate]) -> PartVerdict:
    judged = {gate["measurement"] for gate in gates if Verdict(gate["verdict"]).judged}
    spared = {gate["measurement"] for gate in gates if gate["unreadable"]} - judged
    verdict = worst(gate["verdict"] for gate in gates)
    failed = {gate["statistic"] for gate in gates if gate["verdict"] == Verdict.FAIL}
    broken = _SILENT if VALIDITY in failed else PARTS[number].broken
    wanted = {one.name for one in ALL if one.part == number}
    return PartVerdict(
        number,
        PARTS[number].name,
        verdict,
        bool(judged) and judged | spared >= wanted,
        broken if failed else "",
        tuple(MEASUREMENTS[one].words.title.rpartition(": ")[2] for one in sorted(spared)),
    )


def mitigated(gates: Iterable[Gate]) -> str:
    """Whether it is a cure, in plain words; "" if nothing of a mitigation was judged."""
    parts = parts_of(gates)
    if not parts:
        return ""
    failed = [part for part in parts if part.broken]
    if failed:
        clauses = dict.fromkeys(part.broken for part in failed)
        return f"no cure: {'; '.join(clauses)} ({_named(failed)})"
    unknown = [part for part in parts if part.verdict is not Verdict.PASS or not part.whole]
    if unknown:
        return f"not known to be a cure: {_named(unknown)} not passed"
    told = f"a cure: all {len(parts)} parts hold"
    if spared := [one for part in parts for one in part.spared]:
        return f"{told}; {' and '.join(spared)} not judged, the reference has nothing to lose"
    return told


def _named(parts: list[PartVerdict]) -> str:
    noun = "part" if len(parts) == 1 else "parts"
    return f"{noun} {', '.join(str(part.number) for part in parts)}"
