"""The verdict in plain words: of the run, and of each measurement."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TypeVar

from blindspot.gates.rule import SIGNS, UNREAD, Others, is_reversed
from blindspot.gates.verdict import RunVerdict, Verdict
from blindspot.measurements.base import (
    CATEGORY,
    FORCED_CHOICE,
    OVERALL,
    POOLED,
    WORD,
    Level,
)
from blindspot.measurements.registry import BEHAVIORAL, MECHANISTIC, TOPICS, topic
from blindspot.report.numbers import (
    counted,
    figure,
    interval,
    limits,
    plain,
    signed,
    stereotyped_share,
)
from blindspot.report.parts import mitigated
from blindspot.report.schema import Against, Document, Gate, SignatureLine
from blindspot.report.text import line

_T = TypeVar("_T")

#: Names of gates by level, in the order in which they represent a measurement.
LEVELS: dict[Level, str] = {
    CATEGORY: "category gate",
    POOLED: "pooled gate",
    WORD: "word gate",
}
OTHERS: tuple[Others, ...] = ("baseline", "reference")


def title(topic: str) -> str:
    """The heading of a measurement, or of a statistic with its own topic."""
    return TOPICS[topic].title if topic in TOPICS else topic


@dataclass(frozen=True, slots=True)
class Statement:
    """The summary of one measurement: a verdict, a sentence, and the numbers behind it.

    ``topic``: of `TOPICS`; ``brief``: the same numbers for a terminal; ``figure``: the value alone.
    """

    topic: str
    title: str
    verdict: str
    said: str
    numbers: str
    count: str
    brief: str
    figure: str


@dataclass(frozen=True, slots=True)
class Summary:
    """The first thing on the page."""

    verdict: str
    lead: str
    statements: list[Statement]
    judged: int


def worst_first(gates: Iterable[Gate]) -> list[Gate]:
    """The worst verdicts first; among equals, those farthest beyond their limit."""
    return sorted(gates, key=lambda gate: (Verdict(gate["verdict"]).severity, -_excess(gate)))


def by_verdict(verdicts: Iterable[str]) -> str:
    """How many of each verdict, the worst first."""
    count = Counter(verdicts)
    return ", ".join(f"{count[verdict]:,} {verdict}" for verdict in Verdict if count[verdict])


def by_turns(ordered: Iterable[_T], judged: Callable[[_T], tuple[str, Gate]]) -> list[_T]:
    """By verdict, words last; the worst gate of each measurement before any second one.

    Otherwise the measurement with the largest numbers would take all places at the top.

    Args:
        ordered: the worst first.
        judged: the deciding verdict of each, and its gate.
    """
    seen: Counter[tuple[str, str, str]] = Counter()
    placed = []
    for one in ordered:
        verdict, gate = judged(one)
        kind = verdict, gate["level"], gate["measurement"]
        word, place = gate["level"] == WORD, _place(gate["measurement"])
        placed.append((Verdict(verdict).severity, word, seen[kind], place, one))
        seen[kind] += 1
    return [one for *_, one in sorted(placed, key=lambda places: places[:4])]


def _place(measurement: str) -> int:
    """The position of a measurement on the page: behaviour before assays."""
    return [*TOPICS].index(measurement) if measurement in TOPICS else len(TOPICS)


def _excess(gate: Gate) -> float:
    """How far it is beyond its limit, or its change beyond a margin."""
    sign = SIGNS[gate["direction"]]
    over = []
    if gate["value"] is not None and gate["limit"] is not None:
        over.append(sign * (gate["value"] - gate["limit"]))
        if gate["opposite"] is not None:
            over.append(gate["opposite"] - gate["value"])
    for _, one in _compared(gate):
        if one["change"] is not None and not Verdict(one["verdict"]).green:
            over.append(sign * one["change"] - (one["margin"] or 0.0))
    return max(over, default=0.0)


def _compared(gate: Gate) -> list[tuple[Others, Against]]:
    """The models that a gate is compared with."""
    both = [(kind, gate["against"][kind]) for kind in OTHERS]
    return [(kind, one) for kind, one in both if one is not None]


def summarized(document: Document) -> Summary:
    """The verdict of a run and of each measurement in it."""
    gates = document["gates"]
    count = Counter(Verdict(gate["verdict"]) for gate in gates)
    judged = sum(number for verdict, number in count.items() if verdict.judged)
    return Summary(document["verdict"], _lead(document, count, judged), statements(gates), judged)


def statements(gates: Iterable[Gate]) -> list[Statement]:
    """What each thing that was asked says, in the order of reports."""
    groups: dict[str, list[Gate]] = {name: [] for name in TOPICS}
    for gate in gates:
        groups.setdefault(topic(gate["measurement"], gate["statistic"]), []).append(gate)
    return [_statement(name, mine) for name, mine in groups.items() if mine]


def _lead(document: Document, count: Counter[Verdict], judged: int) -> str:
    """One or two sentences on the whole run."""
    clauses = (
        verdict.words.count(count[verdict], counted(judged, "gate"))
        for verdict in Verdict
        if count[verdict]
    )
    parts = [clause for clause in clauses if clause]
    if not parts and judged:
        within = "clearly within" if document["mode"] == "strict" else "within"
        parts.append(f"all {counted(judged, 'gate')} are {within} their limits")
    lead = "; ".join(parts) or "no gate was judged"
    if document["verdict"] == RunVerdict.FAILED and not count[Verdict.FAIL]:
        lead += "; a test itself broke"
    if cure := mitigated(document["gates"]):
        lead = f"{cure}. {lead[0].upper()}{lead[1:]}"
    told = [f"{lead[0].upper()}{lead[1:]}", *filter(None, (_beside(document, k) for k in OTHERS))]
    return f"{'. '.join(told)}."


def _beside(document: Document, kind: Others) -> str:
    """The outcome of comparisons with another model; "" without any."""
    every = [one for gate in document["gates"] for k, one in _compared(gate) if k == kind]
    if not (found := [one for one in every if Verdict(one["verdict"]).judged]):
        return ""
    comparison = document["comparisons"][kind]
    name = line(comparison["name"] if comparison else document["baseline"]["model"] or "", 80)
    count = Counter(Verdict(one["verdict"]) for one in found)
    better = sum(one["improved"] for one in found)
    told = [
        f"{number:,} {what}"
        for number, what in (
            (count[Verdict.FAIL], "worsened beyond the margin"),
            (count[Verdict.INCONCLUSIVE], "are inconclusive"),
            (better, "improved by more than the noise"),
        )
        if number
    ]
    return f"Against the {kind} {name}, of {counted(len(found), 'gate')} " + (
        ", ".join(told) or "none worsened beyond the margin"
    )


def _statement(name: str, gates: Sequence[Gate]) -> Statement:
    ordered = worst_first(gates)
    verdict = ordered[0]["verdict"]
    shown = min(
        (gate for gate in ordered if gate["verdict"] == verdict),
        key=lambda gate: [*LEVELS].index(gate["level"]),
    )
    return Statement(
        name,
        title(name),
        verdict,
        _said(name, shown),
        _numbers(name, shown),
        _count(ordered),
        f"{_brief(shown)}; {_share(shown, ordered)}",
        figure(shown["value"], shown["unit"]),
    )


def homonyms_said(signature: Sequence[SignatureLine], kind: Others) -> str:
    """What became of ambiguous words that name no group, in a sentence; "" where none was read."""
    moved = {line["name"].partition("/")[2]: line["direction"] for line in signature}
    homonyms = moved.pop("homonyms", "not measured")
    beyond = {
        name.removesuffix("-homonyms"): direction
        for name, direction in moved.items()
        if name.endswith("-homonyms")
    }
    if not beyond or "not measured" in (homonyms, *beyond.values()):
        return ""
    about = [axis for axis, direction in beyond.items() if direction == "up"]
    if about:
        also = "; homonyms moved too, but less" if homonyms == "up" else ""
        return (
            f"it sees the group in words of {', '.join(about)} less than the {kind}, beyond what "
            f"became of homonyms: that is about groups{also}"
        )
    if homonyms == "up":
        return (
            f"it takes homonyms in their literal sense more than the {kind}, and words for groups "
            "no more than these: that is about every ambiguous word, not about groups"
        )
    return f"words for groups did not become more literal than homonyms, beside the {kind}"


def _said(name: str, gate: Gate) -> str:
    """The sentence on a measurement with this worst gate."""
    words = TOPICS.get(name)
    verdict = Verdict(gate["verdict"])
    passed = verdict.green and verdict.judged
    spoken = Verdict.FAIL if verdict is Verdict.WAIVED else Verdict.PASS if passed else verdict
    if spoken is Verdict.ERROR:
        return "it could not be measured or compared"
    if (kind := _decisive(gate)) is not None:
        worse = (words.worse if words else "it is worse than {}").format(f"the {kind}")
        return (
            f"{worse}, beyond the margin" if spoken is Verdict.FAIL else f"it may be that {worse}"
        )
    if gate["waiver"] and gate["waiver"]["expired"]:
        return "its waiver has expired"
    if gate["doubt"].startswith(UNREAD):
        return "too few of its answers can be read to tell"
    said = words.said(spoken) if words else ""
    if words and spoken is Verdict.FAIL and is_reversed(gate["value"], gate["opposite"]):
        return words.reversed
    if name in MECHANISTIC and spoken is Verdict.INCONCLUSIVE and gate["unreadable"]:
        said += ": the controls do not separate in this model"
    elif name not in MECHANISTIC and spoken is Verdict.REPORTED and gate["unreadable"]:
        said = f"not judged: {gate['unreadable']}"
    return said


def _decisive(gate: Gate) -> Others | None:
    """The other model against which a gate does not pass; None if it passes, or fails its limit."""
    found: list[tuple[Verdict, Others | None]] = [(Verdict(gate["limit_verdict"]), None)]
    found += [(Verdict(one["verdict"]), kind) for kind, one in _compared(gate)]
    verdict, kind = min(found, key=lambda one: one[0].severity)
    return None if verdict.green else kind


def _numbers(name: str, gate: Gate) -> str:
    """The worst category's figure against its limit."""
    layers = {"": "", OVERALL: ", all layers"}.get(gate["band"], f", {gate['band']} layers")
    reading = ", forced choice" if gate["reading"] == FORCED_CHOICE else ""
    where = gate["slice"] + reading + layers
    if gate["value"] is None:
        return f"{where}: {gate['missing'] or gate['unreadable'] or 'not measured'}"
    if (kind := _decisive(gate)) is not None and (against := gate["against"][kind]) is not None:
        return (
            f"{where}: {figure(gate['value'], gate['unit'])}, a change of "
            f"{signed(against['change'])} ({interval(against['low'], against['high'])}); "
            f"at most {plain(against['margin'])} for the worse is allowed"
        )
    value = figure(gate["value"], gate["unit"])
    told = f"{where}: {value} ({interval(gate['low'], gate['high'], gate['unit'])})"
    if (known := BEHAVIORAL.get(name)) is not None and known.shares:
        told += f", or {stereotyped_share(gate['value'])} stereotyped answers"
    if gate["limit"] is None:
        return f"{told}; not gated"
    if gate["doubt"]:
        return f"{told}; {gate['doubt']}"
    limit = limits(gate["limit"], gate["opposite"], gate["unit"])
    if gate["opposite"] is not None:
        return f"{told}; {limit} is allowed"
    floor = gate["direction"] == "at_least"
    return f"{told}; {f'at least {limit} is required' if floor else f'at most {limit} is allowed'}"


def _brief(gate: Gate) -> str:
    """The worst figure and its limit in a few words."""
    if gate["value"] is None:
        return f"{gate['slice']}: {gate['missing'] or gate['unreadable'] or 'not measured'}"
    if (kind := _decisive(gate)) is not None and (against := gate["against"][kind]) is not None:
        change, margin = signed(against["change"]), plain(against["margin"])
        return f"{gate['slice']} changed by {change} (margin {margin})"
    limit = limits(gate["limit"], gate["opposite"], gate["unit"])
    word = "at least" if gate["direction"] == "at_least" else "limit"
    return f"{gate['slice']} {figure(gate['value'], gate['unit'])} ({word} {limit})"


def _share(shown: Gate, gates: Sequence[Gate]) -> str:
    """How many gates of the level of one have its verdict, of those that are judged."""
    verdicts = [Verdict(gate["verdict"]) for gate in gates if gate["level"] == shown["level"]]
    judged = [verdict for verdict in verdicts if verdict.judged]
    same = judged.count(Verdict(shown["verdict"]))
    noun = LEVELS[shown["level"]].removeprefix("category ")
    return f"{same:,} of {counted(len(judged), noun)} {shown['verdict']}"


def _count(gates: Sequence[Gate]) -> str:
    """How many gates of each level did not pass."""
    told = []
    for level, noun in LEVELS.items():
        verdicts = [Verdict(gate["verdict"]) for gate in gates if gate["level"] == level]
        if judged := [verdict for verdict in verdicts if verdict.judged]:
            told.append(f"{counted(len(judged), noun)}: {by_verdict(judged)}")
    return "; ".join(told) or f"{counted(len(gates), 'figure')}, not gated"
