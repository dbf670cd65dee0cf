"""What the selected tests ask of a model, told before any model is loaded."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from blindspot.measurements.mechanistic import PASSES
from blindspot.run.cases import Case
from blindspot.run.findings import trials_of, units_of
from blindspot.run.plan import plan_of
from blindspot.session.inputs import Inputs
from blindspot.session.progress import rounded


def outlook(inputs: Inputs, cases: Iterable[Case]) -> Iterator[str]:
    """A line on prompts, and one on assays."""
    plan = plan_of(cases, inputs.source, inputs.assays, again=False)
    also = "" if inputs.options.reference is None else ", and as much of the reference"
    if prompts := sum(map(len, plan.prompts.values())):
        yield f"{prompts:,} prompts to ask{also}"
    trials = sum(unit.tokens for unit in trials_of(plan.assays, plan.inside))
    units = units_of(plan.assays, plan.inside)
    if units:
        size, tokens = sum(unit.size for unit in units), sum(unit.tokens for unit in units)
        said = f"{size:,} {PASSES} inside, about {rounded(tokens):,} tokens of a large model{also}"
        if trials:
            said += f"; a trial of about {rounded(trials):,} shows how much of it can be read"
        yield said
