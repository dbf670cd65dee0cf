"""Questions as tokens: where to write, and which tokens distinguish the candidates. No torch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from blindspot.errors import ModelError
from blindspot.models.transformers.formats import PromptFormat
from blindspot.models.transformers.positions import Tokens, locate_all, with_offsets
from blindspot.models.transformers.prefix_tree import common_length
from blindspot.stimuli import Question, Span


@dataclass(frozen=True, slots=True)
class Target:
    """A question as sent to the model.

    ``tokens``: all of them, up to the one after which the candidates differ. ``place``: index of
    the placeholder's last token. ``candidates``: token of each that is read.
    """

    tokens: Tokens
    place: int
    candidates: tuple[int, ...]

    @property
    def answers_in_place(self) -> bool:
        """Whether the placeholder is itself the token after which the answer is read."""
        return self.place == len(self.tokens) - 1


def target_of(prompts: PromptFormat, question: Question) -> Target:
    """Prepare a question.

    Each candidate is tokenized after the prompt. Tokens that all of them begin with are fed, and
    the probability is conditional on those; if the tokenizer joins the end of the prompt to every
    candidate, the fed tokens end before that.

    Raises:
        ValueError: a question without candidates, or with an empty one.
        ModelError: one token does not distinguish the candidates, or the placeholder is not found.
    """
    if not question.candidates or not all(question.candidates):
        raise ValueError(f"a question without candidates, or with an empty one: {question}")
    rendered = prompts.render(question.text)
    alone, (run,) = locate_all(prompts, question.text, [question.span])
    joined = [prompts.join(rendered, candidate) for candidate in question.candidates]
    texts, offsets = zip(*(with_offsets(prompts, text) for text in joined), strict=True)
    first = texts[0] if len(texts) > 1 else alone
    shared = min(common_length(first, text) for text in (texts[1:] or texts))
    _tell_apart(prompts, question, rendered, texts, offsets, shared)
    if common_length(alone, texts[0][:shared]) <= run[-1]:
        raise ModelError(
            f"{prompts.name}: its tokenizer joins the placeholder "
            f"{question.text[slice(*question.span)]!r} of {question.text!r} to the answers; "
            "put a word between them"
        )
    return Target(texts[0][:shared], run[-1], tuple(text[shared] for text in texts))


def _tell_apart(
    prompts: PromptFormat,
    question: Question,
    rendered: str,
    texts: Sequence[Tokens],
    offsets: Sequence[Sequence[Span]],
    shared: int,
) -> None:
    """Refuse candidates that do not have distinct tokens after the shared ones."""
    why = ""
    seam = len(prompts.join(rendered, ""))
    tokens: dict[int, str] = {}
    for candidate, text, covered in zip(question.candidates, texts, offsets, strict=True):
        if len(text) <= shared:
            why = f"{candidate!r} has no token of its own"
        elif text[shared] in tokens:
            why = f"{tokens[text[shared]]!r} and {candidate!r} differ later than others"
        elif covered[shared][0] < len(rendered) and covered[shared][1] <= seam:
            why = f"the token before {candidate!r} differs from the one before the others"
        else:
            tokens[text[shared]] = candidate
    if why:
        raise ModelError(
            f"{prompts.name}: no single token distinguishes the answers "
            f"{', '.join(map(repr, question.candidates))} to {question.text!r} ({why}); use "
            "other answers"
        )
