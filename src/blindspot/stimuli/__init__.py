"""Axes, categories, wordings, senses and questions, and the prompts made of them. No torch."""

from blindspot.stimuli.collection import Stimuli
from blindspot.stimuli.compatibility import transformations_of
from blindspot.stimuli.contexts import (
    AMBIGUOUS,
    GROUP_FIRST,
    LITERAL_FIRST,
    NEUTRAL,
    UNRELATED,
    Context,
    ambiguous_contexts,
    closed_questions,
    cued_contexts,
    mechanistic_slices,
    open_questions,
    senses_of,
    undescribed,
    unrelated_contexts,
)
from blindspot.stimuli.contrasts import ORDERS, Contrast, Found, PromotedCase
from blindspot.stimuli.design import DEFAULT_SELECTION, Selection
from blindspot.stimuli.loader import (
    EVERY,
    load_stimuli,
    read_axis,
    read_contexts,
    read_promoted,
    read_questions,
    read_sense,
    read_transformations,
    read_wordings,
    shipped_axes,
)
from blindspot.stimuli.prompts import (
    EXPLICIT,
    IMPLICIT,
    AssociationPrompt,
    Prompt,
    Slice,
    StatementPrompt,
    pairs,
)
from blindspot.stimuli.questions import Question
from blindspot.stimuli.senses import (
    ContextTemplate,
    Cue,
    InterpretationQuestion,
    Sense,
    UnrelatedWords,
)
from blindspot.stimuli.template import Span
from blindspot.stimuli.transformations import Transformation, transform

__all__ = [
    "AMBIGUOUS",
    "DEFAULT_SELECTION",
    "EVERY",
    "EXPLICIT",
    "GROUP_FIRST",
    "IMPLICIT",
    "LITERAL_FIRST",
    "NEUTRAL",
    "ORDERS",
    "UNRELATED",
    "AssociationPrompt",
    "Context",
    "ContextTemplate",
    "Contrast",
    "Cue",
    "Found",
    "InterpretationQuestion",
    "PromotedCase",
    "Prompt",
    "Question",
    "Selection",
    "Sense",
    "Slice",
    "Span",
    "StatementPrompt",
    "Stimuli",
    "Transformation",
    "UnrelatedWords",
    "ambiguous_contexts",
    "closed_questions",
    "cued_contexts",
    "load_stimuli",
    "mechanistic_slices",
    "open_questions",
    "pairs",
    "read_axis",
    "read_contexts",
    "read_promoted",
    "read_questions",
    "read_sense",
    "read_transformations",
    "read_wordings",
    "senses_of",
    "shipped_axes",
    "transform",
    "transformations_of",
    "undescribed",
    "unrelated_contexts",
]
