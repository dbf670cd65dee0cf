"""A run within a budget of time: the fraction of its prompts that the model can answer in it."""

from __future__ import annotations

import math
import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from fractions import Fraction
from itertools import chain

from blindspot import files
from blindspot.errors import BlindspotError
from blindspot.models.base import HasScores
from blindspot.run.ask import ask
from blindspot.run.cases import Case
from blindspot.run.cost import timed, trial_of
from blindspot.run.findings import trials_of, units_of
from blindspot.run.plan import Plan, categories_of, plan_of
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
_CHOSEN = "budget"
#: Most categories that are named.
_NAMED = 3


def settle_budget(session: Session, cases: Iterable[Case], *, again: bool) -> int | None:
    """Choose the fraction of the prompts, once for all processes of a run.

    Assays get at most half of the time, if there are prompts, and look into as many categories as
    they have time for.

    Args:
        session: whose inputs take the fraction.
        cases: of the run.
        again: whether some prompts are asked twice.

    Returns:
        In how many categories the assays look; None for all.

    Raises:
        BlindspotError: the smallest fraction takes longer than the budget, or the model fails.
    """
    if session.options.budget is None:
        return None
    path = session.directory / _CHOSEN
    if not path.exists():
        fraction, categories = _chosen(session, tuple(cases), again)
        files.replace(path, f"{fraction} {categories}")
    chosen, looked = path.read_text("utf-8").split()
    session.inputs.narrow(Fraction(chosen))
    return int(looked)


def _chosen(session: Session, cases: tuple[Case, ...], again: bool) -> tuple[Fraction, int]:
    options, inputs = session.options, session.inputs
    assert isinstance(inputs.source, FixturePrompts)
    plans = _plans(session, cases, again)
    whole = next(plans)
    size, every = _size(whole, session), categories_of(whole.inside)
    prompts = [prompt for some in whole.prompts.values() for prompt in some]
    trial = trial_of(prompts or whole.trials_inside)
    if not trial:
        return FRACTIONS[0], len(every)
    bars, label = Bars(session), f"{options.candidate}, trial"
    share = Share(watched=lambda count: bars(count, label, "prompts"))
    # A store of its own: stored answers have no speed. The first prompt loads the model.
    ask(inputs.model, trial[:1], Store(None), share)
    with timed() as took:
        ask(inputs.model, trial, Store(None), share)
    each = took.seconds / len(trial) / session.workers
    token = took.seconds / max(took.tokens, 1)
    left = options.seconds * _PLANNED - (time.monotonic() - session.began)
    inside = [token * tokens for tokens in _inside(whole, every)]
    categories = sum(seconds <= left / (2 if size else 1) for seconds in inside)
    if every and not categories and not size:
        raise BlindspotError(
            f"--budget {options.budget}: the assays of one category take about "
            f"{duration(inside[0])}; give more time"
        )
    looked = inside[categories - 1] if categories else 0.0
    asked, fraction, count = _fitting(session, whole, plans, each, left - looked)
    if asked + looked > left:
        categories, looked = 0, 0.0
    if asked > left:
        raise BlindspotError(
            f"--budget {options.budget}: fraction {fraction} takes about {duration(asked)}; "
            "give more time, or select fewer tests (-k, -m)"
        )
    said = f"--budget {options.budget}: fraction {fraction}, {count:,} prompts"
    if every:
        said += f", assays of {categories} of {len(every)} categories"
    said += f", about {duration(asked + looked)}"
    if fraction < 1:
        wider = math.sqrt(size / count)
        said += f"; intervals up to {wider:.1f} times as wide as those of all {size:,}"
    if categories < len(every):
        said += f"; not looked into: {_named(every[categories:])}"
    session.ledger.note([said])
    with uncaptured(session):
        print(f"{options.candidate}: {said}", file=sys.stderr, flush=True)
    return fraction, categories


def _fitting(
    session: Session, whole: Plan, plans: Iterator[Plan], each: float, seconds: float
) -> tuple[float, Fraction, int]:
    """The largest fraction that fits, else the smallest: its seconds, itself, and its prompts.

    ``plans``: of the smaller fractions; ``each``: seconds that a prompt takes.
    """
    for fraction, plan in zip(FRACTIONS, chain([whole], plans), strict=True):
        count = _size(plan, session)
        found = (count + _forms(plan, session)) * each, fraction, count
        if found[0] <= seconds:
            break
    return found


def _named(categories: Sequence[tuple[str, str, str]]) -> str:
    """Their names, the first ones."""
    names = ["-".join(filter(None, one)) for one in categories[:_NAMED]]
    more = len(categories) - len(names)
    return ", ".join([*names, f"{more} more"] if more else names)


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
    return asked * (1 + (session.inputs.reference is not None)) + len(plan.repeated)


def _forms(plan: Plan, session: Session) -> int:
    """What deciding the forms of answers takes, in answers to prompts."""
    models = (session.inputs.model, session.inputs.reference)
    return _FORMED * len(plan.trials) * sum(isinstance(model, HasScores) for model in models)


def _inside(plan: Plan, categories: Sequence[tuple[str, str, str]]) -> list[int]:
    """Tokens that the assays of the first categories compute, roughly: of one, of two and so on."""
    found = []
    for count in range(1, len(categories) + 1):
        some = set(categories[:count])
        parts = [part for part in plan.inside if not some.isdisjoint(categories_of([part]))]
        units = (*trials_of(plan.assays, parts), *units_of(plan.assays, parts))
        found.append(sum(unit.tokens for unit in units))
    return found
