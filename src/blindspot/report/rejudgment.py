"""A run judged again against another one, from the files of both."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path

from blindspot import files
from blindspot.baselines import Baseline
from blindspot.baselines.choice import Choice
from blindspot.baselines.comparison import mismatches, selected_otherwise
from blindspot.baselines.scores import Scores, read_scores
from blindspot.errors import BaselineError, ReportError, line
from blindspot.gates.limits import GateTable, load_gates
from blindspot.gates.outcomes import Other, limit_of, outcomes
from blindspot.gates.rule import Others
from blindspot.gates.tally import Tally
from blindspot.report.document import load_document
from blindspot.report.files import REPORT, SCORES
from blindspot.report.gate import Beside, gate_record
from blindspot.report.record import baseline_record, comparison_records, family_records
from blindspot.report.schema import Document, Record
from blindspot.run.overlap import Overlap, shared
from blindspot.run.reported import Reported


def rejudge(
    before: Path, after: Path, limits: Path, *, allowed: frozenset[str], strict: bool
) -> tuple[Record, Tally]:
    """The record and the verdicts of one report against another.

    Args:
        before: the report to compare with, or its directory.
        after: the report of the model under test.
        limits: gates.toml.
        allowed: mismatches that the user allows.
        strict: see `judge`.

    Raises:
        ReportError: a report cannot be read, or lacks its scores.
        StimulusError: the limits cannot be read.
    """
    gates = load_gates(limits)
    theirs, path, other_document = read_report(before, gates, scoreless="scores" in allowed)
    ours, _, document = read_report(after, gates)
    baseline = Baseline(path, theirs.identity.name, theirs.provenance, theirs.entries, SCORES)
    kept = theirs if theirs.scored else None
    apart = bool(selected_otherwise(theirs.provenance, ours.provenance))
    overlap = Overlap.of(ours, theirs) if apart and kept else None
    tally = Tally()
    for kind, how in mismatches(baseline.provenance, ours.provenance):
        if kind not in allowed:
            tally.lose(
                f"{path} was measured differently: {how}; if intended, --allow-mismatch {kind}"
            )
    for place, each in (("A", other_document), ("B", document)):
        for reason in each["incomplete"]:
            tally.lose(f"{place} is of a run that was incomplete: {reason}")
    cases = ours.cases
    vanished = sorted(theirs.entries.keys() - {case.id for case in cases})
    if vanished and not apart:
        tally.lose(f"{len(vanished)} gates of {path} were not judged in B, first {vanished[0]}")
    other, floor = Other.of_baseline(baseline, kept, overlap), ours.noise_floor
    if overlap is not None:
        tally.notes.append(shared(overlap, other.name, document["prompts"]))
    if floor is None:
        tally.notes.append(
            "the run of B measured no noise floor (--noise-floor): margins are unchanged"
        )
    found = outcomes(
        ours,
        cases,
        gates,
        {"baseline": other},
        allowed=allowed,
        strict=strict,
        floor=None if floor is None else floor.of,
    )
    beside: dict[Others, Beside] = {
        "baseline": Beside(baseline.model, {"name": baseline.model}, kept, overlap)
    }
    results = list(found.values())
    record = Record(
        model=document["model"],
        prompts=document["prompts"],
        selection=document["selection"],
        examples=document["examples"],
        alpha=gates.alpha,
        mode="strict" if strict else "default",
        families=family_records(results, gates.alpha),
        noise_floor=document["noise_floor"],
        effects=document["effects"],
        gates=[gate_record(ours, outcome, beside) for outcome in results],
        pairs=document["pairs"],
        worst_pairs=document["worst_pairs"],
        baseline=baseline_record(Choice(path, named=True, baseline=baseline), accept=""),
        incomplete=tally.incomplete,
        published=[],
        masses=document["masses"],
        mechanistic=document["mechanistic"],
        comparisons=comparison_records(ours, results, beside),
    )
    tally.verdicts = {outcome.case.id: outcome.verdict for outcome in results}
    tally.conclude()
    return record, tally


def read_report(
    given: Path, gates: GateTable, *, scoreless: bool = False
) -> tuple[Reported, Path, Document]:
    """A report with its scores, which may be missing if ``scoreless``, its path and its content.

    Raises:
        ReportError: names the file and the remedy.
    """
    path = given / REPORT if files.is_directory(given) else given
    document = load_document(path)
    scores = path.with_name(SCORES)
    if not document["gates"]:
        raise ReportError(f"{path}: contains no judged gate; run the model again")
    if not files.is_file(scores):
        if scoreless:
            return Reported(document, Scores(), partial(limit_of, gates)), path, document
        raise ReportError(f"{scores}: missing; keep it beside {path.name}, or run the model again")
    try:
        found = Reported(document, read_scores(scores), partial(limit_of, gates))
    except ValueError as error:
        if not isinstance(error, BaselineError):
            raise ReportError(f"{path}: {line(error, 200)}; run the model again") from None
        raise ReportError(
            f"{scores}: damaged, or not scores of blindspot; run the model again"
        ) from None
    if wrong := next(_astray(found), None):
        raise ReportError(
            f"{scores}: not the scores of {path.name}, which has another value for {wrong}; keep "
            "the files of a run together, or run the model again"
        )
    return found, path, document


def _astray(found: Reported) -> Iterator[str]:
    """Gates whose value does not match the scores."""
    for case in found.cases:
        held, scored = found.entries.get(case.id), found.contributions(case)
        if held is not None and scored is not None and not found.holds(case, held.value):
            yield case.id
