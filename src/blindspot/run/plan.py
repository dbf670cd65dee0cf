"""What the selected tests need of a model, and the asking of it."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace

from blindspot.measurements.mechanistic import PASSES, Assay, Findings, Formed, Unit
from blindspot.models.base import HasWeights, Identity, IsServed, LanguageModel
from blindspot.models.server import Server
from blindspot.run.answer import Answer
from blindspot.run.ask import ask, perform
from blindspot.run.cases import Case
from blindspot.run.cost import timed
from blindspot.run.findings import trials_of, units_of
from blindspot.run.forms import Forms, decided, in_forms, name_of
from blindspot.run.noise import INSIDE_TOGETHER, TOGETHER, chosen, looked_again
from blindspot.run.source import PromptSource
from blindspot.run.turns import Share, Watch
from blindspot.stimuli import IMPLICIT, AssociationPrompt, Prompt, Slice
from blindspot.store import Store

#: Opens a progress bar: how much there is to do, of whom, and what is counted.
Bar = Callable[[int, str, str], AbstractContextManager[Watch]]


@dataclass(frozen=True)
class Plan:
    """The gates of a run, and what a model must do for them.

    Attributes:
        cases: the gates, in the order of reports.
        prompts: by category slice, each category's in one fixed order.
        trials: prompts by which the forms of answers are decided, in each wording that is asked.
        trials_inside: the same of answers that assays compare.
        assays: the ways to look into a model, by measurement.
        inside: the slices that they look at.
        omitted: the slices that they do not look at, for lack of time.
        places: positions in ``prompts`` that are asked again.
        inside_again: the slices that are looked at again.
    """

    cases: tuple[Case, ...]
    prompts: Mapping[Slice, Sequence[Prompt]]
    trials: Sequence[Prompt] = ()
    trials_inside: Sequence[Prompt] = ()
    assays: Mapping[str, Assay] = field(default_factory=dict)
    inside: Sequence[Slice] = ()
    omitted: Sequence[Slice] = ()
    places: Mapping[Slice, Sequence[int]] = field(default_factory=dict)
    inside_again: Sequence[Slice] = ()

    @property
    def once(self) -> Plan:
        """The same without what is done again."""
        return replace(self, places={}, inside_again=())

    def in_forms(self, forms: Forms) -> Plan:
        """The same with the candidates of its prompts in these forms, and those of its assays."""

        def written(prompt: AssociationPrompt) -> AssociationPrompt:
            return prompt.in_form(forms.get(name_of(prompt), prompt.answer))

        return replace(
            self,
            prompts={p: in_forms(some, forms) for p, some in self.prompts.items()},
            assays={
                name: assay.in_forms(written) if isinstance(assay, Formed) else assay
                for name, assay in self.assays.items()
            },
        )

    def compared(self, tried: Mapping[str, Findings]) -> list[Prompt]:
        """The trials of answers that assays compare, after their own trials."""
        wanted = {
            (part.axis, wording)
            for part in self.inside
            if isinstance(assay := self.assays[part.measurement], Formed)
            for wording in assay.compared(part, tried)
        }
        return [one for one in self.trials_inside if (one.slice.axis, one.wording) in wanted]

    @property
    def repeated(self) -> list[Prompt]:
        """The prompts that are asked again, slice by slice."""
        return [self.prompts[part][place] for part, found in self.places.items() for place in found]


@dataclass(frozen=True)
class Answers:
    """What a model gave to a plan.

    Attributes:
        identity: of the model.
        given: the answers, slice by slice.
        forms: of the answers that were compared, by wording.
        found: what units of assays found, by content.
        given_again: the second answers to those that were asked again.
        found_again: the same of units.
        notes: what the model has to say of itself.
        server: what the model is on, if it is on one.
    """

    identity: Identity
    given: Sequence[Answer]
    forms: Forms = field(default_factory=dict)
    found: Mapping[str, Findings] = field(default_factory=dict)
    given_again: Sequence[Answer] = ()
    found_again: Mapping[str, Findings] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    server: Server | None = None

    @property
    def all(self) -> Iterator[Answer]:
        """The answers of both times."""
        yield from self.given
        yield from self.given_again


def plan_of(
    cases: Iterable[Case],
    source: PromptSource,
    assays: Mapping[str, Assay],
    *,
    again: bool,
    inside: Collection[Slice] | None = None,
) -> Plan:
    """What cases need.

    Args:
        cases: of the run.
        source: of their prompts.
        assays: by measurement.
        again: some of it once more, to see whether that comes out the same.
        inside: the slices that assays look at; None for all.
    """
    cases = tuple(cases)
    every = list(dict.fromkeys(case.part for case in cases if case.mechanistic))
    looked = every if inside is None else [part for part in every if part in inside]
    omitted = [part for part in every if part not in looked]
    prompts = prompts_of(source, cases)
    asked = {name_of(prompt) for some in prompts.values() for prompt in some}
    formed = (part for part in looked if isinstance(assays[part.measurement], Formed))
    plan = Plan(
        cases,
        prompts,
        [prompt for prompt in _trials(source, prompts) if name_of(prompt) in asked],
        _trials(source, (replace(part, measurement=IMPLICIT) for part in formed)),
        assays if looked else {},
        looked,
        omitted,
    )
    if not again:
        return plan
    again_inside = looked_again(plan.assays, looked)
    return replace(plan, places=chosen(plan.prompts), inside_again=again_inside)


def _trials(source: PromptSource, parts: Iterable[Slice]) -> list[Prompt]:
    """Prompts by which forms are decided, of every measurement and axis once."""
    axes = {(part.measurement, part.axis): part for part in parts}
    return [prompt for part in axes.values() for prompt in source.trials(part)]


def prompts_of(source: PromptSource, cases: Iterable[Case]) -> dict[Slice, list[Prompt]]:
    """The prompts that the cases need, by category slice, in a fixed order."""
    wanted: dict[Slice, set[str] | None] = {}
    for case in cases:
        for part in case.parts:
            if not part.word:
                wanted[part.whole] = None
            elif (some := wanted.setdefault(part.whole, set())) is not None:
                some.add(part.word)
    return {
        whole: [p for p in source.prompts(whole) if some is None or not some.isdisjoint(p.words)]
        for whole, some in wanted.items()
    }


def answers_to(
    plan: Plan,
    model: LanguageModel,
    name: str,
    store: Store,
    share: Share,
    bar: Bar,
    forms: Forms | None = None,
) -> Answers:
    """Have a model do what a plan needs, from the store or else by asking it.

    Args:
        plan: of the run.
        model: the candidate or the reference.
        name: of the model, for messages.
        store: where answers are kept.
        share: of this process in the work.
        bar: shows progress.
        forms: of answers that are settled already, such as those of a baseline.

    Raises:
        ModelError: the model failed or returned an invalid answer, which is not stored.
        UnansweredError: the store lacks something, and the model must not be asked.
    """

    def shown(label: str, unit: str) -> Share:
        return replace(share, watched=lambda size: bar(size, label, unit))

    def asked(prompts: Sequence[Prompt], label: str, at_once: int | None) -> list[Answer]:
        return ask(model, prompts, store, shown(label, "prompts"), again=at_once)

    def looked(
        units: Sequence[Unit], label: str, rows: int | None, speed: float | None = None
    ) -> dict[str, Findings]:
        if not units:
            return {}
        return perform(model, units, store, shown(label, PASSES), again=rows, speed=speed)

    def formed(trials: Sequence[Prompt], known: Forms | None) -> Forms:
        return decided(model, trials, store, shown(f"{name}, forms", "prompts"), known)

    settled = formed(plan.trials, forms)
    plan = plan.in_forms(settled)
    given = asked([prompt for part in plan.prompts.values() for prompt in part], name, None)
    again = asked(plan.repeated, f"{name}, again", TOGETHER) if plan.places else []
    with timed() as took:
        tried = looked(trials_of(plan.assays, plan.inside), f"{name}, inside, trial", None)
    # Only large models are tried, and only of those is the cost worth a line.
    speed = took.tokens / took.seconds or math.nan if any(tried.values()) else None
    settled = {**settled, **formed(plan.compared(tried), {**(forms or {}), **settled})}
    plan = plan.in_forms(settled)
    units = units_of(plan.assays, plan.inside, tried)
    found = tried | looked(units, f"{name}, inside", None, speed)
    units = units_of(plan.assays, plan.inside_again, tried)
    found_again = tried | looked(units, f"{name}, inside again", INSIDE_TOGETHER)
    notes = model.notes if isinstance(model, HasWeights) else ()
    server = model.server if isinstance(model, IsServed) else None
    return Answers(model.identity, given, settled, found, again, found_again, tuple(notes), server)
