"""Where an answer begins among the tokens of a prompt and its answer. No torch."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from blindspot.errors import ModelError
from blindspot.models.transformers.formats import PromptFormat
from blindspot.models.transformers.prefix_tree import Tokens, common_length


@dataclass(frozen=True, slots=True)
class EncodedRequest:
    """A prompt and its complete answers as tokens.

    ``texts``: prompt and answer as one sequence, one per candidate. ``start``: first token that is
    scored, the same for all candidates. ``prompt``: tokens of the prompt alone.
    """

    prompt: Tokens
    texts: tuple[Tokens, ...]
    start: int


def encode(
    prompts: PromptFormat,
    asked: Sequence[tuple[str, tuple[str, ...]]],
    room: Callable[[Sequence[int], int], int],
) -> list[EncodedRequest]:
    """Tokens of rendered prompts and their candidates.

    ``room``: of tokens and how many are to follow, how many may; raises if there is none.

    Raises:
        ModelError: a text that does not fit in the model's context, or a candidate without tokens.
    """
    joined = [prompts.join(rendered, c) for rendered, candidates in asked for c in candidates]
    encoded = iter(prompts.encode(joined))
    found = []
    for (_, candidates), prompt in zip(asked, prompts.encode([r for r, _ in asked]), strict=True):
        texts = tuple(next(encoded) for _ in candidates)
        start = min((common_length(prompt, text) for text in texts), default=len(prompt))
        if start == 0:  # nothing precedes the first token: the text has no opening token
            opening = prompts.encode([""])[0]
            texts, start = tuple((*opening, *text) for text in texts), len(opening)
        for text, candidate in zip(texts, candidates, strict=True):
            if len(text) <= start:
                raise ModelError(
                    f"{prompts.name}: its tokenizer has no tokens for the answer {candidate!r}; "
                    "omit it, or use another model"
                )
            room(text[:-1], 1)
        found.append(EncodedRequest(prompt, texts, start))
    return found
