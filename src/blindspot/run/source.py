"""The source of a run's prompts: the fixtures, or the published prompts of the paper."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any, Literal, Protocol, cast

from blindspot.measurements import registry
from blindspot.stimuli import DEFAULT_SELECTION, Prompt, Selection, Slice, Stimuli
from blindspot.stimuli.examples import Examples

Kind = Literal["group", "control", "homonym"]
"""What identifiers are: words for groups, those of a control, or homonyms without a group."""


class PromptSource(Protocol):
    """Slices of prompts, however they are made."""

    @property
    def conditions(self) -> dict[str, str]:
        """Which prompts of the stimuli they are, as reports and baselines record it."""
        ...

    def slices(self, measurement: str) -> list[Slice]:
        """All category slices of a measurement."""
        ...

    def word_slices(self, measurement: str) -> list[Slice]:
        """All slices of a single word of a measurement."""
        ...

    def prompts(self, part: Slice) -> Iterable[Prompt]:
        """The prompts of a slice."""
        ...

    def trials(self, part: Slice) -> Iterable[Prompt]:
        """Prompts by which the forms of a slice's answers are decided, wording by wording.

        They depend on its axis and measurement alone, and not on how much of it is asked.
        """
        ...

    def controls(self, axis: str) -> frozenset[str]:
        """Variants that are controls: not part of figures over all variants."""
        ...

    def kind(self, part: Slice) -> Kind:
        """What the identifiers of a slice are."""
        ...

    def supports(self, part: Slice, statistic: str) -> bool:
        """Whether the prompts of a slice can measure a statistic."""
        ...

    def beside(self, model: str, answers: Mapping[str, str]) -> list[dict[str, Any]]:
        """Rows of reports about these prompts besides the gates; ``answers``: by prompt text."""
        ...


class FixturePrompts:
    """The prompts of a selection of the axes and wordings, each pair and wording in all orders.

    In front of each stand its solved examples, if there are any.
    """

    def __init__(
        self,
        stimuli: Stimuli,
        selection: Selection = DEFAULT_SELECTION,
        examples: Examples | None = None,
    ) -> None:
        self.stimuli = stimuli
        self.selection = selection
        self.examples = examples

    @property
    def conditions(self) -> dict[str, str]:
        """Those of the selection, and how much of an axis was held out."""
        held = {
            f"held out of {name}": f"{sum(len(w) for two in one.words.values() for w in two)} "
            f"words, {len(one.wordings)} wordings"
            for name, one in self.stimuli.held_out.items()
        }
        return self.selection.conditions | held

    def slices(self, measurement: str) -> list[Slice]:
        """All category slices of a measurement."""
        return registry.slices(self.stimuli, measurement, self.selection)

    def word_slices(self, measurement: str) -> list[Slice]:
        """All slices of a single word of a measurement."""
        return registry.word_slices(self.stimuli, measurement, self.selection)

    def prompts(self, part: Slice) -> Iterable[Prompt]:
        """The prompts of a slice."""
        return map(self._shown, registry.render(self.stimuli, part, self.selection))

    def trials(self, part: Slice) -> Iterable[Prompt]:
        """A wording's first word pair in two opposite orders: each identifier and word leads once.

        In the axis's first variant and category.
        """
        axis = self.stimuli.axes[part.axis]
        variant, category = next(iter(axis.variants)), next(iter(axis.categories))
        first: dict[str, tuple[str, str]] = {}
        for prompt in registry.render(
            self.stimuli, Slice(part.measurement, part.axis, variant, category)
        ):
            words = first.setdefault(prompt.wording, prompt.words)
            if prompt.words == words and prompt.positive_identifier_first == prompt.second_order:
                yield self._shown(prompt)

    def _shown(self, prompt: Prompt) -> Prompt:
        """A prompt behind its examples, if there are any."""
        if self.examples is None or not self.examples.count:
            return prompt
        part = prompt.slice
        before = self.examples.of(part.measurement, part.axis, prompt.wording)
        return cast("Prompt", replace(cast("Any", prompt), text=before + prompt.text))

    def controls(self, axis: str) -> frozenset[str]:
        """The variants that the axis says are controls; all of one of homonyms."""
        own = self.stimuli.axes[axis]
        return frozenset(
            name for name, variant in own.variants.items() if own.homonyms or variant.control
        )

    def kind(self, part: Slice) -> Kind:
        """As the axis says."""
        if self.stimuli.axes[part.axis].homonyms:
            return "homonym"
        return "control" if part.variant in self.controls(part.axis) else "group"

    def supports(self, part: Slice, statistic: str) -> bool:
        """Always: every wording asks all orders, and every statement has its reverse."""
        return True

    def beside(self, model: str, answers: Mapping[str, str]) -> list[dict[str, Any]]:
        """Nothing besides the gates."""
        return []
