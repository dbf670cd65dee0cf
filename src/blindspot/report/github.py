"""GitHub Actions: a summary of the step, and annotations; elsewhere nothing.

Everything that comes from a model or a user is escaped: a name must neither become markup nor a
workflow command.
"""

from __future__ import annotations

import html
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

from blindspot import files
from blindspot.gates.verdict import Verdict
from blindspot.report.axes import matrix
from blindspot.report.changes import changes, uncompared
from blindspot.report.failures import failures
from blindspot.report.numbers import interval, signed
from blindspot.report.sentences import by_turns, summarized, worst_first
from blindspot.report.text import line, visible

if TYPE_CHECKING:
    from blindspot.report.schema import Document

SUMMARY = "GITHUB_STEP_SUMMARY"
RUNNING = "GITHUB_ACTIONS"
#: GitHub shows ten annotations of a kind per step and silently drops the rest.
MOST = 10
_LISTED = 20
#: Markdown characters to escape; the others do nothing within a line.
_MARKS = re.compile(r"([\\`*_\[\]|~$])")


def announce(document: Document, environ: Mapping[str, str], out: TextIO) -> None:
    """Report a run to GitHub: append to the step summary, print annotations.

    Raises:
        OSError: the summary cannot be written.
    """
    if environ.get(RUNNING) == "true":
        out.write("".join(f"\n{command}" for command in workflow_commands(document)) + "\n")
        out.flush()
    if path := environ.get(SUMMARY):
        files.append(Path(path), summary(document))


def workflow_commands(document: Document) -> list[str]:
    """Annotations for failed and inconclusive gates, and how many more there are."""
    found = list(_annotations(document))
    if len(found) > MOST:
        more = f"{len(found) - MOST} more; the step summary and report.html have all"
        return [*found[:MOST], f"::notice title=blindspot::{_data(more)}"]
    return found


def _annotations(document: Document) -> Iterator[str]:
    for reason in document["incomplete"]:
        yield f"::error title={_property('blindspot, incomplete')}::{_data(line(reason))}"
    told = [gate for gate in document["gates"] if Verdict(gate["verdict"]).look.annotation]
    for gate in by_turns(worst_first(told), lambda gate: (gate["verdict"], gate)):
        title = _property(f"blindspot, {gate['verdict']}")
        level = Verdict(gate["verdict"]).look.annotation
        yield f"::{level} title={title}::{_data(line(gate['message']))}"


def _data(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")


def summary(document: Document) -> str:
    """The step summary: verdict, measurements, changes, and how to rerun failures."""
    found = summarized(document)
    model = _text(document["model"]["id"])
    lines = [f"### blindspot: {found.verdict}: {model}", "", _text(found.lead), ""]
    reasons = document["incomplete"]
    lines += [f"- incomplete: {_text(reason)}" for reason in reasons[:_LISTED]]
    lines += [f"- and {len(reasons) - _LISTED} more"] if len(reasons) > _LISTED else []
    lines += [""] if reasons else []
    lines += _table(
        ("verdict", "measured", "in words", "worst category"),
        (
            (one.verdict, one.title, one.said, f"{one.numbers} ({one.count})")
            for one in found.statements
        ),
    )
    if (axes := matrix(document["gates"])) is not None:
        lines += _table(
            ("axis", *axes.titles),
            (
                (row.name, *(f"{one.verdict} {one.figure}" if one else "" for one in row.cells))
                for row in axes.rows
            ),
        )
    if why := uncompared(document):
        lines += [f"Regressions were not checked: {_text(why)}.", ""]
    for change in changes(document):
        lines += [f"**Against the {change.kind} {_text(change.name)}**: {_text(change.lead)}", ""]
        lines += _table(
            ("signature", change.kind, "this model", "change", "95 % interval", "direction"),
            (
                (
                    row["title"],
                    signed(row["theirs"]),
                    signed(row["ours"]),
                    signed(row["change"]),
                    interval(row["low"], row["high"]),
                    row["direction"],
                )
                for row in change.signature
            ),
        )
    listed = [one for group in failures(document) for one in (*group.shown, *group.folded)]
    if listed:
        count = f"{min(len(listed), _LISTED)} of {len(listed)} gates that did not pass"
        commands = "\n".join(one.rerun.replace("\n", " ") for one in listed[:_LISTED])
        lines += [f"<details><summary>Run again: {count}</summary>", "", *_fenced(commands)]
        lines += ["</details>", ""]
    return "\n".join(lines) + "\n"


def _table(head: Iterable[str], rows: Iterable[Iterable[str]]) -> list[str]:
    found = [[_text(cell) for cell in row] for row in rows]
    if not found:
        return []
    head = [*head]
    return [
        f"| {' | '.join(head)} |",
        f"|{' --- |' * len(head)}",
        *(f"| {' | '.join(row)} |" for row in found),
        "",
    ]


def _text(text: str) -> str:
    """Untrusted text, escaped for Markdown."""
    return _MARKS.sub(r"\\\1", html.escape(line(text), quote=False))


def _fenced(text: str) -> list[str]:
    """A code block with a fence longer than any in the text."""
    runs = re.findall("`+", text)
    fence = "`" * max(3, 1 + max(map(len, runs), default=0))
    return [f"{fence}console", visible(text), fence, ""]
