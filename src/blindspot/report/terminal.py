"""The run in the terminal: a table per measurement, the worst pairs, and the verdict."""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

import pytest
from rich.table import Table
from rich.text import Text

from blindspot.errors import line as one_line
from blindspot.gates.tally import Tally
from blindspot.gates.verdict import Verdict
from blindspot.measurements.base import GENERATED, POOLED, VALIDITY, WORD
from blindspot.measurements.behavioral import Behavioral
from blindspot.measurements.registry import BEHAVIORAL, DERIVED
from blindspot.report import inside
from blindspot.report.axes import matrix
from blindspot.report.numbers import counted
from blindspot.report.parts import mitigated, parts_of
from blindspot.report.schema import Against, Effects, Gate, Record
from blindspot.report.sentences import Statement, by_verdict, statements
from blindspot.report.tables import (
    accepted,
    columns,
    interval,
    limits,
    percent,
    plain,
    render,
    signed,
    verdict_cell,
)

_NARROW = 80
#: Characters of a column's title in the matrix of axes.
_COLUMN = 6
#: Of what is said of one thing: a reason from elsewhere may be long.
_LONGEST = 240
_ASCII = str.maketrans("\N{MINUS SIGN}\N{EN DASH}\N{NO-BREAK SPACE}", "-- ")


def write_summary(
    terminal: pytest.TerminalReporter, record: Record | None, tally: Tally, told: Closing
) -> None:
    """Write the summary of a run; with ``-q`` only the verdict line."""
    if tally.usage:
        terminal.write_line(f"ERROR: {one_line(tally.usage)}", red=True)
        return
    if record is not None and terminal.verbosity >= 0:
        terminal.section("blindspot", cyan=True, bold=True)
        width, color = max(terminal._tw.fullwidth, _NARROW), terminal._tw.hasmarkup
        for line in body(record, tally, width, color):
            terminal.write_line(line)
    for line in remarks(tally, quiet=terminal.verbosity < 0):
        terminal.write_line(line, purple=line.startswith("incomplete"))
    if record is not None and terminal.verbosity >= 0:
        for line in in_words(record, tally, terminal._tw.hasmarkup):
            terminal.write_line(line)
    ending = tally.verdict(told.exit_code).color
    for line in closing(record, tally, told, quiet=terminal.verbosity < 0):
        terminal.write_line(line, **{ending: True})


def body(record: Record, tally: Tally, width: int, color: bool) -> Iterator[str]:
    """The tables and lists of a run, line by line."""
    blocks = (
        _matrix(record, tally, width, color),
        *_tables(record, tally, width, color),
        [*map(one_line, _worst_lines(record))],
        [*map(one_line, _published_lines(record))],
    )
    for block in blocks:
        yield from block
        if block:
            yield ""


def remarks(tally: Tally, *, quiet: bool = False) -> Iterator[str]:
    """Notes besides the figures; ``quiet``: only why a run is incomplete."""
    yield from map(one_line, _remarks(tally, quiet))


def _remarks(tally: Tally, quiet: bool) -> Iterator[str]:
    if not quiet:
        for reason, count in tally.not_offered.items():
            gates = "gate is" if count == 1 else "gates are"
            yield f"note: {count} {gates} not offered: {reason}"
        yield from (f"note: {note}" for note in tally.notes)
    yield from (f"incomplete: {reason}" for reason in tally.incomplete)


def _matrix(record: Record, tally: Tally, width: int, color: bool) -> list[str]:
    """Of a run over several axes: the worst gate of each axis in each thing that was asked."""
    found = matrix([gate for gate in record["gates"] if gate["id"] in tally.verdicts])
    if found is None:
        return []
    table = columns(*(one[:_COLUMN] for one in found.topics))
    for row in found.rows:
        cells = [
            Text(one.figure.translate(_ASCII), style=Verdict(one.verdict).look.style)
            if one
            else Text("")
            for one in row.cells
        ]
        table.add_row(row.name, *cells, verdict_cell([one.verdict for one in row.statements]))
    return [
        "the worst gate of each axis; no figure is over axes",
        render(table, width, color),
    ]


def _tables(record: Record, tally: Tally, width: int, color: bool) -> Iterable[list[str]]:
    gates = [gate for gate in record["gates"] if gate["id"] in tally.verdicts]
    by_key = {(g["measurement"], g["slice"], g["statistic"], g["reading"]): g for g in gates}
    for name, measurement in BEHAVIORAL.items():
        rows = record["effects"].get(name, [])
        mine = [gate for gate in gates if gate["measurement"] == name]
        if not mine:
            continue
        block = [measurement.words.heading]
        if any(_shown(measurement, row, by_key) for row in rows):
            block.append(render(_effects_table(measurement, rows, by_key), width, color))
        if line := _words_line(mine):
            block.append(line)
        yield block
    if pooled := [gate for gate in gates if gate["level"] == POOLED and _compared(gate)]:
        yield [
            "change against another model, over all variants",
            render(_pooled(pooled), width, color),
        ]
    for name, derived in DERIVED.items():
        mine = [gate for gate in gates if gate["measurement"] == name]
        if mine:
            shown = [gate for gate in mine if gate["level"] != WORD]
            block = [derived.words.heading]
            block += [render(_derived_table(shown), width, color)] if shown else []
            yield [*block, *filter(None, [_words_line(mine)])]
    yield from ([block] for block in inside.blocks(record, gates, width, color))
    yield from ([block] for block in inside.comparison_blocks(record, width, color))


def _shown(
    measurement: Behavioral, row: Effects, gates: dict[tuple[str, str, str, str], Gate]
) -> bool:
    """Whether any gate of this row's slice ran."""
    names = (measurement.judged, *(one.name for one in measurement.figures))
    keys = [(VALIDITY, GENERATED), *((name, row["reading"]) for name in names)]
    return any((measurement.name, row["slice"], *key) in gates for key in keys)


def _effects_table(
    measurement: Behavioral,
    rows: Sequence[Effects],
    gates: dict[tuple[str, str, str, str], Gate],
) -> Table:
    beside = [figure for figure in measurement.figures if figure.column]
    titles = ("effect", "95 % int.", "limit", "base", *(one.column for one in beside), "valid")
    table = columns(*titles)
    heading = ""
    for row in rows:
        if not _shown(measurement, row, gates):
            continue
        if heading != (heading := f"{row['axis']} {row['variant']}"):
            table.add_row(Text(heading, style="bold"))
        effects = row["effects"]
        gate = gates.get((measurement.name, row["slice"], measurement.judged, row["reading"]))
        verdicts = [gate["verdict"]] if gate else []
        valid, name = Text(""), Text("    forced choice", style="dim")
        figures = [Text(signed(effects[one.name]["value"])) for one in beside]
        for one, text in zip(beside, figures, strict=True):
            key = (measurement.name, row["slice"], one.name, row["reading"])
            if (found := gates.get(key)) and Verdict(found["verdict"]).judged:
                verdicts.append(found["verdict"])
                if not Verdict(found["verdict"]).green:
                    text.stylize(Verdict(found["verdict"]).look.style)
        if row["reading"] == GENERATED:
            name = Text(f"  {row['category']}")
            valid = Text(percent(effects[VALIDITY]["value"]))
            validity = gates.get((measurement.name, row["slice"], VALIDITY, GENERATED))
            if validity is not None and validity["verdict"] != Verdict.PASS:
                valid.stylize(Verdict(validity["verdict"]).look.style)
                verdicts.append(validity["verdict"])
        table.add_row(
            name,
            signed(effects[measurement.judged]["value"]),
            interval(effects[measurement.judged]),
            limits(gate) if gate else "",
            accepted(gate) if gate else "",
            *figures,
            valid,
            verdict_cell(verdicts),
        )
    return table


def _compared(gate: Gate) -> Against | None:
    """A gate against its baseline, otherwise against the reference."""
    return gate["against"]["baseline"] or gate["against"]["reference"]


def _pooled(gates: Sequence[Gate]) -> Table:
    table = columns("change", "95 % int.", "margin", "finds")
    heading = ""
    for gate in gates:
        heading_of = f"{gate['measurement']} ({gate['reading'].replace('-', ' ')})"
        if heading != (heading := heading_of):
            table.add_row(Text(heading, style="bold"))
        if (found := _compared(gate)) is None:
            continue
        table.add_row(
            f"  {gate['axis']} {gate['category']}",
            signed(found["change"]),
            interval(found),
            plain(found["margin"]),
            plain(found["mde"]) if found["mde"] is not None else "",
            verdict_cell([gate["verdict"]]),
        )
    return table


def _derived_table(gates: Sequence[Gate]) -> Table:
    """What is made of other effects; of several statistics or readings each has a row."""
    table = columns("effect", "95 % int.", "limit", "base", "change", "margin")
    parts: dict[str, list[Gate]] = {}
    for gate in gates:
        parts.setdefault(gate["slice"], []).append(gate)
    several = len({(gate["statistic"], gate["reading"]) for gate in gates}) > 1
    for name, mine in parts.items():
        if several:
            table.add_row(Text(name, style="bold"))
        for gate in mine:
            reading = f", {gate['reading'].replace('-', ' ')}" if gate["reading"] else ""
            beside = _compared(gate)
            table.add_row(
                f"  {gate['statistic']}{reading}" if several else name,
                signed(gate["value"]),
                interval(gate),
                limits(gate),
                signed(beside["value"]) if beside else "",
                signed(beside["change"]) if beside else "",
                plain(beside["margin"]) if beside else "",
                verdict_cell([gate["verdict"]]),
            )
    return table


def _words_line(gates: Sequence[Gate]) -> str:
    words = [gate for gate in gates if gate["level"] == WORD]
    if not words:
        return ""
    values = [gate["value"] for gate in words if gate["value"] is not None]
    spread = f"; effects {min(values):+.2f} to {max(values):+.2f}" if values else ""
    told = by_verdict(gate["verdict"] for gate in words)
    return f"{counted(len(words), 'gate')} on single words: {told}{spread}"


def _worst_lines(record: Record) -> list[str]:
    if not record["worst_pairs"]:
        return []
    lines = ["worst word pairs, each with one of its answers"]
    for pair in record["worst_pairs"]:
        example = pair["example"]
        answer = " ".join(str(example["answer"]).split())
        answer = answer if len(answer) <= 60 else answer[:57] + "..."
        lines += [
            f"  {pair['value']:+.2f}  {pair['slice']} ({pair['n']} answers)",
            f"         {example['wording']}: {answer!r} = {example['reading']}",
        ]
    return lines


def _published_lines(record: Record) -> list[str]:
    if not record["published"]:
        return []
    lines = ["published score (hits / denominator as the paper counts) and ours"]
    for row in record["published"]:
        score = "none" if row["published"] is None else f"{100 * row['published']:.1f} %"
        ours = "none" if row["balanced"] is None else f"{100 * row['balanced']:.1f} %"
        lines += [
            f"  {row['slice']}: published {row['hits']}/{row['denominator']} = {score}",
            f"    order-balanced {ours}, valid {row['valid']}/{row['n']}, "
            f"order copies {row['order_copies']}",
        ]
    return lines


def _improvement(record: Record, tally: Tally, accept: str) -> Iterable[str]:
    """Suggest a tighter baseline if the model improved by more than its noise."""
    better = sum(
        bool((found := gate["against"]["baseline"]) and found["improved"])
        and Verdict(gate["verdict"]).green
        for gate in record["gates"]
        if gate["id"] in tally.verdicts
    )
    if better:
        gates = "1 gate has" if better == 1 else f"{better} gates have"
        yield f"{gates} improved by more than the noise; make that the baseline: {accept}"


@dataclass(frozen=True, slots=True)
class Closing:
    """Data of the last lines: the model, how the run ended, and how to continue.

    ``rerun``: reruns the gates that did not pass; ``rerun_one``: the test of a name; ``accept``:
    makes the model its own baseline. Empty if there is no such command.
    """

    model: str
    exit_code: int
    rerun: str = ""
    rerun_one: Callable[[str], str] | None = None
    accept: str = ""


def in_words(record: Record, tally: Tally, color: bool) -> Iterator[str]:
    """One sentence for each thing that was asked; beside what does not pass, its worst figure.

    Things of which the same is said share the sentence.
    """
    gates = [gate for gate in record["gates"] if gate["id"] in tally.verdicts]
    shared: dict[tuple[str, str], list[Statement]] = {}
    for one in statements(gates):
        shared.setdefault((one.verdict, one.said), []).append(one)
    if not shared:
        return
    yield from _parts(gates)
    table = Table.grid(padding=(0, 2, 0, 0))
    table.add_column(no_wrap=True)
    table.add_column()
    for (verdict, said), some in shared.items():
        names = ", ".join(one.topic for one in some)
        lines = [f"{said} ({names})"]
        if Verdict(verdict).severity < Verdict.PASS.severity:
            lines = [said, *(f"{one.topic}: {one.brief}" for one in some)]
        told = "\n".join(one_line(text, _LONGEST).translate(_ASCII) for text in lines)
        table.add_row(verdict_cell([verdict]), Text(told))
    yield "in words"
    yield from (f"  {line}" for line in render(table, _NARROW - 2, color).splitlines())
    yield ""


def _parts(gates: Sequence[Gate]) -> Iterator[str]:
    """Whether a changed model is a cure, and its parts."""
    if told := mitigated(gates):
        yield f"mitigation: {told}"
        said = (f"{one.number} {one.name}: {one.said}" for one in parts_of(gates))
        yield from (f"  {line}" for line in textwrap.wrap("; ".join(said), _NARROW - 2))
        yield ""


def closing(
    record: Record | None, tally: Tally, told: Closing, *, quiet: bool = False
) -> Iterator[str]:
    """The last lines: how to continue, the verdict, what was not compared; if quiet, one line."""
    yield from map(one_line, _closing(record, tally, told, quiet))


def _closing(record: Record | None, tally: Tally, told: Closing, quiet: bool) -> Iterator[str]:
    count = tally.count()
    first = min(tally.verdicts, key=lambda gate: (tally.verdicts[gate].severity, gate), default="")
    if first and not tally.verdicts[first].green and told.rerun and told.rerun_one and not quiet:
        yield f"rerun all that did not pass: {told.rerun}"
        yield f"rerun one of them: {told.rerun_one(tally.nodes[first])}"
    if record is not None and told.accept and not quiet:
        yield from _improvement(record, tally, told.accept)
    counts = [f"{count[verdict]} {verdict}" for verdict in Verdict if count[verdict]]
    if lacking := tally.not_offered.total():
        counts.append(f"{lacking} not offered")
    counted = ", ".join(counts)
    if {verdict for verdict in count if verdict.judged} == {Verdict.WAIVED}:
        counted += "; every gate is waived"
    verdict = tally.verdict(told.exit_code)
    line = f"blindspot: {verdict}: {told.model}: {counted or 'no gate was judged'}"
    unchecked = "" if record is None else _unchecked(record)
    if quiet:
        tail = "; regressions were not checked" if unchecked else ""
        yield f"{line} (exit {told.exit_code}){tail}"
        return
    yield f"{line} (exit {told.exit_code})"
    if unchecked:
        yield f"regressions were not checked: {unchecked}"


def _unchecked(record: Record) -> str:
    """Why the run was not compared with a baseline, and how to do it; "" if it was."""
    baseline = record["baseline"]
    if baseline["uncompared"] or baseline["found"]:
        return str(baseline["uncompared"])
    return (
        "there is no accepted baseline for this model; if it may be released, accept it with: "
        f"{baseline['accept']}"
    )
