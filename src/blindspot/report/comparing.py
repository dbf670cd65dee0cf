"""``python -m blindspot compare A/report.json B/report.json``: the gate, without a model."""

from __future__ import annotations

import argparse
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from blindspot.baselines import Baseline
from blindspot.errors import ReportError
from blindspot.estimates import load_gates
from blindspot.estimates.gates import Others
from blindspot.paths import FIXTURES
from blindspot.plan.outcomes import Other, outcomes
from blindspot.plan.reported import Reported
from blindspot.plan.scores import read_scores
from blindspot.report.files import REPORT, SCORES
from blindspot.report.ledger import Ledger
from blindspot.report.reading import load_document
from blindspot.report.record import (
    Beside,
    Record,
    baseline_record,
    comparison_records,
    family_records,
    gate_record,
)
from blindspot.report.terminal import Closing, body, closing, remarks

if TYPE_CHECKING:
    Subcommands = argparse._SubParsersAction[argparse.ArgumentParser]

MISMATCHES = ("tokenizer", "template", "dtype", "device", "backend", "versions", "prompts")

COMPARE = """\
Judge the model of report B beside that of report A, from the files of --output-path alone: the same
gates, statistics and exit codes as a run with a baseline. A and B name a report.json or the
directory that holds it; scores.npz must lie beside it. Exit codes: 0 passed, 4 usage, 10 a gate
failed, 11 incomplete, 12 inconclusive.
"""


def add_command(commands: Subcommands) -> None:
    """Add ``compare`` to the subcommands of ``python -m blindspot``."""
    parser = commands.add_parser(
        "compare", help="judge one report beside another, without a model", description=COMPARE
    )
    parser.add_argument("baseline", metavar="A", type=Path, help="report to compare with")
    parser.add_argument("candidate", metavar="B", type=Path, help="report of the model under test")
    parser.add_argument(
        "--gates", metavar="FILE", type=Path, default=FIXTURES / "gates.toml", help="limits"
    )
    parser.add_argument("--strict", action="store_true", help="pass only what is clearly within")
    parser.add_argument(
        "--allow-mismatch",
        metavar="WHAT",
        action="append",
        default=[],
        choices=MISMATCHES,
        help="compare although this differs: " + ", ".join(MISMATCHES),
    )
    parser.add_argument("-q", "--quiet", action="store_true", help="the verdict line only")
    parser.set_defaults(run=run_compare)


def run_compare(arguments: argparse.Namespace) -> int:
    """Compare two reports; the exit code.

    Raises:
        ReportError: one of them cannot be read.
        StimulusError: the limits cannot be read.
    """
    gates = load_gates(arguments.gates)
    theirs, path, _ = _read(arguments.baseline)
    ours, _, document = _read(arguments.candidate)
    allowed = frozenset(arguments.allow_mismatch)
    baseline = Baseline(path, theirs.identity.name, theirs.provenance, theirs.entries, SCORES)
    ledger = Ledger()
    for kind, how in baseline.mismatches(ours.provenance):
        if kind not in allowed:
            ledger.lose(f"{path} was measured otherwise: {how}; --allow-mismatch {kind} if meant")
    cases = ours.cases
    vanished = sorted(theirs.entries.keys() - {case.id for case in cases})
    if vanished:
        ledger.lose(f"{len(vanished)} gates of {path} were not judged in B, first {vanished[0]}")
    other = Other.of_baseline(baseline, theirs)
    found = outcomes(
        ours, cases, gates, {"baseline": other}, allowed=allowed, strict=arguments.strict
    )
    beside: dict[Others, Beside] = {
        "baseline": Beside(baseline.model, {"name": baseline.model}, theirs)
    }
    results = list(found.values())
    record = Record(
        model=document["model"],
        prompts=document["prompts"],
        alpha=gates.alpha,
        mode="strict" if arguments.strict else "default",
        families=family_records(results, gates.alpha),
        noise_floor=None,
        sections=document["effects"],
        gates=[gate_record(ours, outcome, beside) for outcome in results],
        worst=document["worst_pairs"],
        baseline=baseline_record(baseline, path=str(path), named=True, accept="", uncompared=""),
        incomplete=ledger.incomplete,
        published=[],
        assays=document["mechanistic"],
        comparisons=comparison_records(ours, results, beside),
    )
    ledger.verdicts = {gate["id"]: gate["verdict"] for gate in record["gates"]}
    code = ledger.exit_code(0)
    _print(record, ledger, Closing(ours.identity.name, code), quiet=arguments.quiet)
    return code


def _print(record: Record, ledger: Ledger, told: Closing, *, quiet: bool) -> None:
    width = max(80, shutil.get_terminal_size().columns)
    if not quiet:
        for line in body(record, ledger, width, sys.stdout.isatty()):
            print(line)
    for line in (*remarks(ledger, quiet=quiet), *closing(record, ledger, told, quiet=quiet)):
        print(line)


def _read(given: Path) -> tuple[Reported, Path, dict[str, Any]]:
    """A report with its scores, its path and its content.

    Raises:
        ReportError: names the file and the remedy.
    """
    path = given / REPORT if given.is_dir() else given
    document: dict[str, Any] = {**load_document(path)}
    scores = path.with_name(SCORES)
    if not document["gates"]:
        raise ReportError(f"{path}: no gate was judged there; run the model again")
    if not scores.is_file():
        raise ReportError(f"{scores}: missing; keep it beside {path.name}, or run the model again")
    return Reported(document, read_scores(scores)), path, document
