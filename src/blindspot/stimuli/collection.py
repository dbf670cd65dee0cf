"""Everything that can be asked, as read from the files."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from blindspot.stimuli.schema import Axis, ExplicitWording, ImplicitWording
from blindspot.stimuli.senses import (
    ContextTemplate,
    InterpretationQuestion,
    Sense,
    UnrelatedWords,
)

if TYPE_CHECKING:
    from blindspot.stimuli.contrasts import PromotedCase
    from blindspot.stimuli.transformations import Transformation


@dataclass(frozen=True, slots=True)
class Stimuli:
    """Everything that can be asked: axes by name, the rest by language and in file order.

    ``senses``: by language and name, the neutral one among them. ``questions``: closed and open.
    ``unfit``: by (axis, variant), why the shipped files cannot be used for assays of a user's
    variant.
    ``transformations``: by language, those for every language under "any". ``promoted``: by id.
    """

    axes: dict[str, Axis]
    implicit: dict[str, tuple[ImplicitWording, ...]]
    explicit: dict[str, tuple[ExplicitWording, ...]]
    senses: dict[str, dict[str, Sense]] = field(default_factory=dict)
    templates: dict[str, tuple[ContextTemplate, ...]] = field(default_factory=dict)
    unrelated: dict[str, tuple[UnrelatedWords, ...]] = field(default_factory=dict)
    questions: dict[str, tuple[InterpretationQuestion, ...]] = field(default_factory=dict)
    unfit: dict[tuple[str, str], str] = field(default_factory=dict)
    transformations: dict[str, tuple[Transformation, ...]] = field(default_factory=dict)
    promoted: dict[str, PromotedCase] = field(default_factory=dict)
