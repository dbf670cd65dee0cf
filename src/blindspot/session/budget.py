"""A run within a budget of time: the fraction of its prompts that the model can answer in it."""

from __future__ import annotations

import math
import sys
import time
from collections.abc import Iterable, Iterator
from dataclasses import replace
from fractions import Fraction

from blindspot import files
from blindspot.errors import BlindspotError
from blindspot.models.base import HasScores
from blindspot.run.ask import ask
from blindspot.run.cases import Case
from blindspot.run.cost import timed, trial_of
from blindspot.run.findings import trials_of, units_of
from blindspot.run.plan import Plan, plan_of
from blindspot.run.source import FixturePrompts
from blindspot.run.turns import Share
from blindspot.session.progress import Bars, duration, uncaptured
from blindspot.session.session import Session
from blindspot.store import Store

#: Fractions to choose from.
FRACTIONS = tuple(Fraction(1, one) for one in (1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64))
#: What deciding the form of a wording takes, in answers to its trial prompts: SmolLM2 took 1.5.
_FORMED = 2
#: Share of a budget that is planned; the rest is for prompts that take longer than those tried.
_PLANNED = 0.85
#: The choice, in the directory of the run.
_CHOSEN = "fraction"


def settle_budget(session: Session, cases: Iterable[Case], *, again: bool) -> None:
    """Choose the fraction of the prompts, once for all processes of a run.

    Args:
        session: whose inputs take the fraction.
        cases: of the run.
        again: whether some prompts are asked twice.

    Raises:
        BlindspotError: the smallest fraction or the assays take longer than the budget, or the
            model fails.
    """
    if session.options.budget is None:
        return
    chosen = session.directory / _CHOSEN
    if not chosen.exists():
        files.replace(chosen, str(_chosen(session, tuple(cases), again)))
    session.inputs.narrow(Fraction(chosen.read_text("utf-8")))


def _chosen(session: Session, cases: tuple[Case, ...], again: bool) -> Fraction:
    options, inputs = session.options, session.inputs
    assert isinstance(inputs.source, FixturePrompts)
    plans = _plans(session, cases, again)
    whole = next(plans)
    size = _size(whole, session)
    prompts = [prompt for some in whole.prompts.values() for prompt in some]
    trial = trial_of(prompts)
    if not trial:
        return FRACTIONS[0]
    bars, label = Bars(session), f"{options.candidate}, trial"
    share = Share(watched=lambda count: bars(count, label, "prompts"))
    # A store of its own: stored answers have no speed. The first prompt loads the model.
    ask(inputs.model, trial[:1], Store(None), share)
    with timed() as took:
        ask(inputs.model, trial, Store(None), share)
    each = took.seconds / len(trial) / session.workers
    inside = _inside(session, whole) * took.seconds / max(took.tokens, 1)
    left = options.seconds * _PLANNED - (time.monotonic() - session.began) - inside
    plan, fraction = whole, FRACTIONS[0]
    for fraction in FRACTIONS:
        count = _size(plan, session)
        asked = (count + _forms(plan, session)) * each
        if asked <= left:
            said = (
                f"--budget {options.budget}: fraction {fraction}, {count:,} prompts, "
                f"about {duration(asked + inside)}"
            )
            if fraction < 1:
                wider = math.sqrt(size / count)
                said += f"; intervals up to {wider:.1f} times as wide as those of all {size:,}"
            session.ledger.note([said])
            with uncaptured(session):
                print(f"{options.candidate}: {said}", file=sys.stderr, flush=True)
            return fraction
        plan = next(plans, plan)
    if asked <= left + inside:
        raise BlindspotError(
            f"--budget {options.budget}: the assays alone take about {duration(inside)}; give more "
            "time, or leave them out: tests/implicit tests/explicit"
        )
    raise BlindspotError(
        f"--budget {options.budget}: fraction {fraction} takes about "
        f"{duration(asked + inside)}; give more time, or select fewer tests (-k, -m)"
    )


def _plans(session: Session, cases: tuple[Case, ...], again: bool) -> Iterator[Plan]:
    """The plan of each fraction."""
    source = session.inputs.source
    assert isinstance(source, FixturePrompts)
    for fraction in FRACTIONS:
        selection = replace(source.selection, fraction=fraction)
        part = FixturePrompts(source.stimuli, selection, source.examples)
        yield plan_of(cases, part, session.inputs.assays, again=again)


def _size(plan: Plan, session: Session) -> int:
    """How many prompts a plan asks, of the model and of its reference."""
    asked = sum(map(len, plan.prompts.values()))
    return asked * _models(session) + len(plan.repeated)


def _models(session: Session) -> int:
    return 1 + (session.inputs.reference is not None)


def _forms(plan: Plan, session: Session) -> int:
    """What deciding the forms of answers takes, in answers to prompts."""
    models = (session.inputs.model, session.inputs.reference)
    return _FORMED * len(plan.trials) * sum(isinstance(model, HasScores) for model in models)


def _inside(session: Session, plan: Plan) -> int:
    """Tokens that the assays of a plan compute, of the model and of its reference, roughly."""
    once = sum(
        unit.tokens for units in (trials_of, units_of) for unit in units(plan.assays, plan.inside)
    )
    return once * _models(session)
