"""A run within a budget of time: the fraction of its prompts that the model can answer in it."""

from __future__ import annotations

import json
import math
import sys
import time
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import astuple, replace
from fractions import Fraction
from itertools import chain

from blindspot import files
from blindspot.errors import BlindspotError
from blindspot.models.base import HasScores
from blindspot.run.ask import try_out
from blindspot.run.cases import Case
from blindspot.run.cost import trial_of
from blindspot.run.findings import trials_of, units_of
from blindspot.run.plan import Plan, plan_of
from blindspot.run.source import FixturePrompts
from blindspot.run.turns import Share
from blindspot.session.progress import Bars, duration, uncaptured
from blindspot.session.session import Session
from blindspot.stimuli import Slice

#: Fractions to choose from.
FRACTIONS = tuple(
    Fraction(1, one) for one in (1, 2, 3, 4, 5, 6, 8, 10, 12, 16, 20, 24, 32, 40, 48, 64)
)
#: What deciding the form of a wording takes, in answers to its trial prompts: SmolLM2 took 1.2.
_FORMED = 1.5
#: Share of a budget that is planned; the rest is for prompts that take longer than those tried.
_PLANNED = 0.85
#: The choice, in the directory of the run.
_CHOSEN = "budget"
#: Most slices that are named.
_NAMED = 3


def settle_budget(
    session: Session, cases: Iterable[Case], *, again: bool
) -> Collection[Slice] | None:
    """Choose the fraction of the prompts, once for all processes of a run.

    Assays get at most half of the time, if there are prompts, and look at the slices that fit.

    Args:
        session: whose inputs take the fraction.
        cases: of the run.
        again: whether some prompts are asked twice.

    Returns:
        The slices that assays look at; None for all.

    Raises:
        BlindspotError: the smallest fraction takes longer than the budget, or the model fails.
    """
    if session.options.budget is None:
        return None
    path = session.directory / _CHOSEN
    if not path.exists():
        fraction, inside = _chosen(session, tuple(cases), again)
        files.replace(path, json.dumps([str(fraction), [astuple(part) for part in inside]]))
    chosen, looked = json.loads(path.read_text("utf-8"))
    session.inputs.narrow(Fraction(chosen))
    return {Slice(*part) for part in looked}


def _chosen(
    session: Session, cases: tuple[Case, ...], again: bool
) -> tuple[Fraction, Sequence[Slice]]:
    options, inputs = session.options, session.inputs
    assert isinstance(inputs.source, FixturePrompts)
    plans = _plans(session, cases, again)
    whole = next(plans)
    size = _size(whole, session)
    prompts = [prompt for some in whole.prompts.values() for prompt in some]
    trial = trial_of(prompts or whole.trials_inside)
    if not trial:
        return FRACTIONS[0], whole.inside
    bars, label = Bars(session), f"{options.candidate}, trial"
    share = Share(watched=lambda count: bars(count, label, "prompts"))
    try_out(inputs.model, trial[:1], share)  # loads the model
    took = try_out(inputs.model, trial, share)
    each = took.each / session.workers
    token = _models(session) * took.seconds / max(took.tokens, 1)
    left = options.seconds * _PLANNED - (time.monotonic() - session.began)
    costs = _costs(whole)
    inside, tokens = _fitting_inside(costs, left / (2 if size else 1) / token)
    if whole.inside and not inside and not size:
        raise BlindspotError(
            f"--budget {options.budget}: no assay fits in it; give more time, or select fewer (-k)"
        )
    asked, fraction, count = _fitting(session, whole, plans, each, left - tokens * token)
    if asked + tokens * token > left:  # the smallest fraction takes more than half
        inside, tokens = _fitting_inside(costs, (left - asked) / token)
    looked = tokens * token
    if asked > left:
        raise BlindspotError(
            f"--budget {options.budget}: fraction {fraction} takes about {duration(asked)}; "
            "give more time, or select fewer tests (-k, -m)"
        )
    said = f"--budget {options.budget}: fraction {fraction}, {count:,} prompts"
    if whole.inside:
        said += f", assays of {len(inside)} of {len(whole.inside)} slices"
    said += f", about {duration(asked + looked)}"
    if fraction < 1:
        wider = math.sqrt(size / count)
        said += f"; intervals up to {wider:.1f} times as wide as those of all {size:,}"
    if omitted := [part for part in whole.inside if part not in inside]:
        said += f"; not looked at: {_named(omitted)}"
    session.ledger.note([said])
    with uncaptured(session):
        print(f"{options.candidate}: {said}", file=sys.stderr, flush=True)
    return fraction, inside


def _named(parts: Sequence[Slice]) -> str:
    """The first slices by name."""
    names = [f"{part.measurement} of {part.id}" for part in parts[:_NAMED]]
    more = len(parts) - len(names)
    return ", ".join([*names, f"{more} more"] if more else names)


def _costs(plan: Plan) -> dict[Slice, dict[str, int]]:
    """The tokens that the units of each slice compute, roughly, by unit.

    Category by category, the cheapest assays first.
    """
    places = list(dict.fromkeys(map(_category, plan.inside)))
    costs = {
        part: {
            unit.content: unit.tokens
            for units in (trials_of, units_of)
            for unit in units(plan.assays, [part])
        }
        for part in plan.inside
    }
    rank = {part: (places.index(_category(part)), sum(costs[part].values())) for part in costs}
    return {part: costs[part] for part in sorted(costs, key=rank.__getitem__)}


def _fitting_inside(
    costs: Mapping[Slice, Mapping[str, int]], most: float
) -> tuple[list[Slice], int]:
    """The first slices whose units compute at most so many tokens together; and how many they do.

    A slice that is too dear is left out, not those behind it.
    """
    found, done = [], dict[str, int]()
    for part, units in costs.items():
        together = {**done, **units}
        if sum(together.values()) <= most:
            found.append(part)
            done = together
    return found, sum(done.values())


def _category(part: Slice) -> tuple[str, str, str]:
    return part.axis, part.variant, part.category


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


def _forms(plan: Plan, session: Session) -> float:
    """What deciding the forms of answers takes, in answers to prompts."""
    models = (session.inputs.model, session.inputs.reference)
    return _FORMED * len(plan.trials) * sum(isinstance(model, HasScores) for model in models)
