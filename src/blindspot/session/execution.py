"""A run from its plan to its record: ask, read, judge, record. Values in, a value out."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property, partial
from typing import cast

from blindspot.baselines.choice import Choice
from blindspot.errors import line
from blindspot.gates.limits import GateTable
from blindspot.gates.outcomes import Other, limit_of, outcomes
from blindspot.gates.rule import Others
from blindspot.models.base import HasWeights, LanguageModel, Missing
from blindspot.report.gate import Beside
from blindspot.report.record import baseline_record, build_record
from blindspot.report.schema import Gate, Published, Record
from blindspot.report.schema import NoiseFloor as ReportedNoiseFloor
from blindspot.run.answer import Answer
from blindspot.run.cases import Case
from blindspot.run.noise import NoiseFloor
from blindspot.run.overlap import Overlap, shared
from blindspot.run.plan import Answers, Bar, Plan, answers_to
from blindspot.run.result import Kept, Measured, result_of
from blindspot.run.source import PromptSource
from blindspot.run.turns import Share
from blindspot.session.options import Options
from blindspot.store import Store

#: Fields of a reference's identity in reports.
_SHOWN = ("name", "weights", "dtype", "revision", "tokenizer", "template")


@dataclass(frozen=True)
class Run:
    """All that is settled before anything is asked.

    Attributes:
        options: what the user asked for.
        plan: the gates, and what they need of a model.
        source: of the prompts.
        gates: the limits.
        model: that one under test.
        reference: one to compare with.
        baseline: one that was accepted.
        accept: the command that accepts the model.
        gone: gates that leave the baseline when the model is accepted.
        incomplete: why the run is not complete, as far as it is known.
    """

    options: Options
    plan: Plan
    source: PromptSource
    gates: GateTable
    model: LanguageModel
    reference: LanguageModel | None
    baseline: Choice
    accept: str
    gone: Sequence[str]
    incomplete: Sequence[str]


@dataclass(frozen=True)
class Ran:
    """What came of a run.

    ``measured``: None where another process asked; ``cases``: its gates; ``notes``: what the models
    say of themselves.
    """

    record: Record
    measured: Measured | None = None
    cases: tuple[Case, ...] = ()
    notes: tuple[str, ...] = ()

    @cached_property
    def gates(self) -> dict[str, Gate]:
        """The gates by id."""
        return {gate["id"]: gate for gate in self.record["gates"]}


def execute(run: Run, open_store: Callable[[], Store], bar: Bar) -> Ran:
    """Ask everything that the gates of a run need, measure it and judge it.

    Raises:
        BlindspotError: the model or the store cannot be used.
    """
    answers = asked(run, open_store, Share(), bar)
    return judged(run, answers)


def asked(run: Run, open_store: Callable[[], Store], share: Share, bar: Bar) -> list[Answers]:
    """What the model gives to the plan, then what the reference does.

    Raises:
        BlindspotError: the model or the store cannot be used.
        UnansweredError: the store does not know everything, and it was not to be asked.
    """
    scores = run.baseline.scores  # compared in the forms in which they were accepted
    work = [(run.plan, run.model, run.options.candidate, None if scores is None else scores.forms)]
    if run.reference is not None and run.options.reference is not None:
        work.append((run.plan.once, run.reference, run.options.reference, None))
    answers, store = [], open_store()
    try:
        for plan, model, name, forms in work:
            answers.append(answers_to(plan, model, name, store, share, bar, forms))
            if len(work) > 1 and isinstance(model, HasWeights):
                model.release()  # one after the other: two may not fit in memory
    finally:
        store.close()
    return answers


def judged(run: Run, answers: Sequence[Answers]) -> Ran:
    """The verdicts on the answers, and the record of them."""
    options, plan, gates = run.options, run.plan, run.gates
    limit = partial(limit_of, gates)
    theirs = (result_of(plan.once, each, limit)[0] for each in answers[1:])
    measured, floor = result_of(plan, answers[0], limit)
    others = _others(run.baseline, limit, measured, *theirs)
    found = outcomes(
        measured,
        plan.cases,
        gates,
        {against: other for against, (other, _) in others.items()},
        allowed=frozenset(options.allow_mismatch),
        strict=options.strict,
        floor=None if floor is None else floor.of,
    )
    record = build_record(
        measured,
        found.values(),
        alpha=gates.alpha,
        strict=options.strict,
        baseline=baseline_record(run.baseline, accept=run.accept),
        incomplete=[*run.incomplete, *_unanswered(*(one for each in answers for one in each.all))],
        published=_published(run.source, measured),
        selection=run.source.conditions,
        others={against: beside for against, (_, beside) in others.items()},
        noise_floor=_reported(floor),
        examples=options.num_fewshot or 0,
        server=answers[0].server,
    )
    notes = tuple(note for each in answers for note in each.notes)
    notes += tuple(
        shared(other.overlap, other.name, measured.prompts)
        for other, _ in others.values()
        if other.overlap is not None
    )
    return Ran(record, measured, plan.cases, notes)


def _others(
    choice: Choice,
    limit: Callable[[Case], float],
    measured: Measured,
    reference: Measured | None = None,
) -> dict[Others, tuple[Other, Beside]]:
    """The models that a run compares with, for verdicts and reports."""
    others: dict[Others, tuple[Other, Beside]] = {}
    if (baseline := choice.baseline) is not None:
        measures = None if choice.scores is None else Kept(choice.scores, limit)
        overlap = Overlap.of(measured, measures) if choice.partial and measures else None
        shown = {"name": baseline.model, **baseline.provenance}
        beside = Beside(baseline.model, shown, measures, overlap)
        others["baseline"] = (Other.of_baseline(baseline, measures, overlap), beside)
    if reference is not None:
        identity = asdict(reference.identity)
        shown = {key: identity[key] for key in _SHOWN}
        name = reference.identity.name
        others["reference"] = (
            Other(f"the reference {name}", reference),
            Beside(name, shown, reference),
        )
    return others


def _unanswered(*answers: Answer) -> list[str]:
    """That prompts are unanswered, if any are."""
    errors = [one.error for one in answers if one.missing == Missing.UNANSWERED]
    if not errors:
        return []
    what = "1 prompt is" if len(errors) == 1 else f"{len(errors):,} prompts are"
    return [f"{what} unanswered: {line(errors[0], 300)}; run again, which asks only for them"]


def _reported(floor: NoiseFloor | None) -> ReportedNoiseFloor | None:
    return None if floor is None else cast("ReportedNoiseFloor", floor.as_record())


def _published(source: PromptSource, measured: Measured) -> list[Published]:
    answers = {
        row.prompt.text: row.answer.text for table in measured.tables.values() for row in table.rows
    }
    return cast("list[Published]", source.beside(measured.identity.name, answers))
