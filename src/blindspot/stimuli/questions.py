"""Questions about the meaning of a placeholder, as they are put to a model."""

from __future__ import annotations

from dataclasses import dataclass

from blindspot.stimuli.collection import Stimuli
from blindspot.stimuli.senses import CLOSED, OPEN, PLACEHOLDER_SLOT, InterpretationQuestion
from blindspot.stimuli.template import Span, fill

#: Which sense a closed question names first.
GROUP_FIRST = "group-first"
LITERAL_FIRST = "literal-first"


@dataclass(frozen=True, slots=True)
class Question:
    """A prompt with a placeholder to overwrite, and the answers whose probabilities are read.

    ``span``: characters of the placeholder in ``text``; its last token is written over.
    ``candidates``: answers as they would follow the prompt, without leading space; what is read is
    the probability of the first token of each that the others do not begin with.
    """

    text: str
    span: Span
    candidates: tuple[str, ...] = ()


def closed_questions(stimuli: Stimuli, axis: str, variant: str) -> list[tuple[str, str, Question]]:
    """Questions that name both senses, each in both orders: (id, order, question).

    The candidates are always (group, literal), whatever the order in the text.
    """
    group, literal = stimuli.axes[axis].sense_names(variant)
    return [
        (question.id, order, _asked(question, senses, (group, literal)))
        for question in stimuli.questions.get(stimuli.axes[axis].language, ())
        if question.kind == CLOSED
        for order, senses in ((GROUP_FIRST, (group, literal)), (LITERAL_FIRST, (literal, group)))
    ]


def open_questions(stimuli: Stimuli, axis: str, variant: str) -> list[tuple[str, Question]]:
    """Questions that are continued freely: (id, question). The same for every variant."""
    return [
        (question.id, _asked(question, ("", ""), ()))
        for question in stimuli.questions.get(stimuli.axes[axis].language, ())
        if question.kind == OPEN
    ]


def _asked(
    question: InterpretationQuestion, senses: tuple[str, str], candidates: tuple[str, ...]
) -> Question:
    values = {
        PLACEHOLDER_SLOT: question.placeholder,
        "first_sense": senses[0],
        "second_sense": senses[1],
    }
    filled = fill(question.text, values)
    (span,) = filled.spans[PLACEHOLDER_SLOT]
    return Question(filled.text, span, candidates)
