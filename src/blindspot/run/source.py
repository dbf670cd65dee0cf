"""The source of a run's prompts: the fixtures, or the published prompts of the paper."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Protocol

from blindspot.measurements import registry
from blindspot.stimuli import Prompt, Slice, Stimuli


class PromptSource(Protocol):
    """Slices of prompts, however they are made."""

    def slices(self, measurement: str) -> list[Slice]:
        """All category slices of a measurement."""
        ...

    def pair_slices(self, measurement: str) -> list[Slice]:
        """All word-pair slices of a measurement."""
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

    def supports(self, part: Slice, statistic: str) -> bool:
        """Whether the prompts of a slice can measure a statistic."""
        ...

    def beside(self, model: str, answers: Mapping[str, str]) -> list[dict[str, Any]]:
        """Rows of reports about these prompts besides the gates; ``answers``: by prompt text."""
        ...


class FixturePrompts:
    """The counterbalanced prompts of the axes and wordings, at most ``limit`` pairs a category."""

    def __init__(self, stimuli: Stimuli, limit: int | None = None) -> None:
        self.stimuli = stimuli
        self.limit = limit

    def slices(self, measurement: str) -> list[Slice]:
        """All category slices of a measurement."""
        return registry.slices(self.stimuli, measurement)

    def pair_slices(self, measurement: str) -> list[Slice]:
        """All word-pair slices of a measurement."""
        return registry.pair_slices(self.stimuli, measurement, self.limit)

    def prompts(self, part: Slice) -> Iterable[Prompt]:
        """The prompts of a slice."""
        return registry.render(self.stimuli, part, self.limit)

    def trials(self, part: Slice) -> Iterable[Prompt]:
        """All orders of the first word pair of the first variant and category of the axis."""
        axis = self.stimuli.axes[part.axis]
        variant, category = next(iter(axis.variants)), next(iter(axis.categories))
        words = axis.categories[category]
        first = Slice(
            part.measurement, part.axis, variant, category, (words.positive[0], words.negative[0])
        )
        return registry.render(self.stimuli, first)

    def controls(self, axis: str) -> frozenset[str]:
        """The variants that the axis says are controls."""
        variants = self.stimuli.axes[axis].variants
        return frozenset(name for name, variant in variants.items() if variant.control)

    def supports(self, part: Slice, statistic: str) -> bool:
        """Always: every wording asks all orders, and every statement has its reverse."""
        return True

    def beside(self, model: str, answers: Mapping[str, str]) -> list[dict[str, Any]]:
        """Nothing besides the gates."""
        return []
