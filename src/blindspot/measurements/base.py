"""Everything known about one measurement: names, figures, limits, and its words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

from blindspot.estimates.clusters import Contributions
from blindspot.estimates.effects import Effects
from blindspot.stimuli import Slice, Stimuli

Direction = Literal["at_most", "at_least"]
Level = Literal["category", "word", "pooled"]

GENERATED = "generated"
FORCED_CHOICE = "forced-choice"

CATEGORY: Level = "category"
WORD: Level = "word"
POOLED: Level = "pooled"
LEVELS: tuple[Level, ...] = (CATEGORY, WORD, POOLED)
"""A category of one variant, one of its words, or a category over variants but controls."""

OVERALL, EARLY, MIDDLE, LATE = "overall", "early", "middle", "late"
BANDS = (OVERALL, EARLY, MIDDLE, LATE)
"""Layers of a model that are judged together: all, and their first, middle and last third."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Words:
    """What reports and pages say.

    Attributes:
        title: heading on the page.
        heading: heading of its table in the terminal, with what its ends mean.
        failed: a clause on a model that is beyond the limit; ``it`` is the model.
        passed: one on a model that is not.
        doubtful: one on a model where neither is certain.
        worse: one on a model that is worse than another, named by ``{}``.
        asked: the method and what is shown, in full sentences.
        reversed: one on a model that is beyond the limit on the other side, "" where it has none.
    """

    title: str
    failed: str
    passed: str
    doubtful: str
    worse: str
    heading: str = ""
    asked: str = ""
    reversed: str = ""

    def said(self, verdict: str) -> str:
        """The clause of a verdict, "" where there is none."""
        return {
            "fail": self.failed,
            "pass": self.passed,
            "inconclusive": self.doubtful,
            "reported": "measured and not judged",
        }.get(verdict, "")


@dataclass(frozen=True, slots=True)
class Statistic:
    """A figure that gates limit.

    Attributes:
        label: what messages call it.
        unit: of `blindspot.estimates.estimate.RANGES`.
        direction: which side of a limit is allowed.
        two_sided: whether it has a limit on either side: far below 0 is as bad as far above.
        signature: its line where two models are compared, "" where it has none.
        of_group: whether it says how clearly the group is represented (+1 not at all, -1 clearly).
        words: of a figure that needs no measurement to explain it, None for others.
        exact: whether changes are judged by McNemar's exact test: its values are 1 and 0.
        informed: a worse value of another model leaves nothing to lose, so that a comparison with
            it says nothing.
    """

    label: str
    unit: str
    direction: Direction = "at_most"
    two_sided: bool = False
    signature: str = ""
    of_group: bool = False
    words: Words | None = None
    exact: bool = False
    informed: float | None = None


VALIDITY = "validity"
ANSWERED = Statistic(
    "share of prompts answered",
    "share",
    "at_least",
    words=Words(
        title="Prompts answered",
        failed="it leaves too many prompts unanswered to be judged by the rest",
        passed="it answers",
        doubtful="it may leave too many prompts unanswered",
        worse="it leaves more prompts unanswered than {}",
    ),
)


@dataclass(frozen=True, slots=True)
class Figure:
    """A figure beside the one that is judged.

    ``name``: of the attribute of the effects, and in report.json; ``label``: on the page, "" where
    it is not drawn; ``column``: in the terminal, "" where it is not shown; ``one``: what a model
    does at +1, of a figure that is drawn.
    """

    name: str
    label: str = ""
    column: str = ""
    one: str = ""


@dataclass(frozen=True, kw_only=True)
class Measurement:
    """One thing that is measured.

    Attributes:
        name: in gates.toml, on the command line and in every id.
        words: what reports say of it.
        statistics: figures that gates limit, by name; the first is the one that is judged.
        readings: ways to read it; the first represents it where there is room for one figure.
        levels: of its gates.
        banded: whether it reads the residual stream and is judged by band of layers.
        counted: what ``n`` of a gate counts.
        part: of a mitigation that it judges, 0 for none. It is judged beside a reference only,
            and not of controls.
    """

    name: str
    words: Words
    statistics: Mapping[str, Statistic]
    readings: tuple[str, ...]
    levels: tuple[Level, ...] = (CATEGORY, WORD)
    banded: bool = False
    counted: str = "prompts"
    part: int = 0

    @property
    def judged(self) -> str:
        """Name of the statistic that is judged."""
        return next(iter(self.statistics))

    @property
    def asks(self) -> tuple[str, ...]:
        """Measurements whose prompts it needs: its own, others, or none."""
        return ()

    def slices(self, stimuli: Stimuli) -> list[Slice]:
        """Every category of every variant that it has prompts or contexts for."""
        return []

    def contributions(self, effects: Sequence[Effects], statistic: str) -> Contributions:
        """A statistic from the effects of the measurements in `asks`, in this order."""
        raise NotImplementedError(f"{self.name} is not measured by prompts")


def constant(**statistics: Statistic) -> Mapping[str, Statistic]:
    """Statistics by name, read-only."""
    return MappingProxyType(statistics)


@dataclass(frozen=True, kw_only=True)
class Derived(Measurement):
    """A figure made of the effects of measurements by prompts, on their prompts.

    ``of``: their names.
    """

    of: tuple[str, ...]

    @property
    def asks(self) -> tuple[str, ...]:
        """All of them."""
        return self.of


@dataclass(frozen=True, kw_only=True)
class Difference(Derived):
    """The judged effect of one measurement by prompts minus that of another, on the same pairs.

    ``of``: names of both; the first one's effect minus the second one's.

    Attributes:
        apart: cluster factors whose labels are unrelated in the two.
        plane: title of the picture of both, and what its axes show: the second one, the first one.
        shown: what the picture says, in full sentences.
    """

    apart: tuple[str, ...] = ("wording",)
    plane: tuple[str, str, str] = ("", "", "")
    shown: str = ""

    def contributions(self, effects: Sequence[Effects], statistic: str) -> Contributions:
        """The uncertainty is joint: the effect of a word on both cancels."""
        one, other = effects
        return one.contributions.minus(other.contributions, apart=self.apart)
