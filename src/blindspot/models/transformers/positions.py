"""Positions of characters of a prompt in its tokens. No torch."""

from __future__ import annotations

from collections.abc import Sequence

from blindspot.errors import ModelError
from blindspot.models.transformers.formats import PromptFormat
from blindspot.stimuli import Span

Tokens = tuple[int, ...]

#: Placeholder message that shows what a chat template puts around one.
_MESSAGE = "{message}"


def locate(
    prompts: PromptFormat, text: str, spans: Sequence[Span]
) -> tuple[Tokens, tuple[int, ...]]:
    """Tokens of a prompt as sent to the model, and the last token of each span.

    The last token of a word is the only one that has seen the whole word. It covers the span's last
    character, and more if the tokenizer joins that to what follows.

    Args:
        prompts: tokenizer and template.
        text: the prompt, not rendered.
        spans: characters (start, end) in ``text``, end exclusive.

    Returns:
        Tokens, and for each span the index of its last token.

    Raises:
        ModelError: a span that no token covers, or a tokenizer without offsets.
    """
    tokens, runs = locate_all(prompts, text, spans)
    return tokens, tuple(run[-1] for run in runs)


def locate_all(
    prompts: PromptFormat, text: str, spans: Sequence[Span]
) -> tuple[Tokens, tuple[tuple[int, ...], ...]]:
    """Tokens of a prompt, and all tokens that each span touches, as ``locate``."""
    rendered = prompts.render(text)
    start = _start(prompts, rendered, text)
    tokens, offsets = with_offsets(prompts, rendered)
    return tokens, tuple(_run(prompts, text, span, start, offsets) for span in spans)


def _run(
    prompts: PromptFormat, text: str, span: Span, start: int, offsets: Sequence[Span]
) -> tuple[int, ...]:
    """Tokens that a span touches, the last of which covers its last character."""
    first, end = span
    if 0 <= first < end <= len(text):
        first, end = first + start, end + start
        run = tuple(n for n, (one, other) in enumerate(offsets) if one < end and other > first)
        if run and offsets[run[-1]][1] >= end > offsets[run[-1]][0]:
            return run
    raise ModelError(
        f"{prompts.name}: no token covers {text[max(0, span[0]) : max(0, span[1])]!r} (characters "
        f"{span[0]} to {span[1]}) of the prompt {text!r}; use other words, or another model"
    )


def _start(prompts: PromptFormat, rendered: str, text: str) -> int:
    """Position of the prompt's text in the rendered one."""
    if not prompts.chat:
        return 0
    before, _, _ = prompts.render(_MESSAGE).partition(_MESSAGE)
    inner = text.strip()  # most templates trim
    if rendered.startswith(before):
        # After what the template puts before any message, which may use the same words.
        start = rendered.find(inner, len(before))
        found = start >= 0 and not rendered[len(before) : start].strip()
    else:
        start = rendered.find(inner)
        found = rendered.count(inner) == 1
    if not found:
        raise ModelError(
            f"{prompts.name}: its chat template changes the prompt {text!r}; its words are then "
            "not found; omit --apply-chat-template"
        )
    return start - text.index(inner)


def with_offsets(prompts: PromptFormat, rendered: str) -> tuple[Tokens, list[Span]]:
    """Tokens of a rendered text exactly as the engine feeds them, and the characters of each.

    Opening tokens of the tokenizer cover nothing: (0, 0).

    Raises:
        ModelError: the tokenizer has no offsets, or gives other tokens with them.
    """
    tokenizer = prompts.tokenizer
    if not getattr(tokenizer, "is_fast", False):
        raise ModelError(
            f"{prompts.name}: its tokenizer {type(tokenizer).__name__} does not say which "
            "characters a token covers, so the words in a prompt cannot be found; save a "
            "tokenizer.json for it, or skip the mechanistic tests with -m 'not mechanistic'"
        )
    (tokens,) = prompts.encode([rendered])
    encoded = tokenizer(
        rendered, add_special_tokens=False, return_offsets_mapping=True, verbose=False
    )
    ids, offsets = tuple(encoded["input_ids"]), encoded["offset_mapping"]
    opening = len(tokens) - len(ids)
    if opening < 0 or tokens[opening:] != ids:
        raise ModelError(
            f"{prompts.name}: its tokenizer {type(tokenizer).__name__} gives other tokens when it "
            "reports their characters; skip the mechanistic tests with -m 'not mechanistic'"
        )
    return tokens, [(0, 0)] * opening + [(int(one), int(other)) for one, other in offsets]
