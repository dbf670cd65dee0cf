"""Greedy choices that scoring revealed, which generation need not repeat.

Scoring the candidates of a prompt predicts every one of their tokens. If the greedy choice after
the prompt is the next token of a candidate, the choice after that is known too, and so on: for a
model that answers in the expected form, scoring has already generated the answer.
"""

from __future__ import annotations

from dataclasses import dataclass

#: Cached prompts (about 300 bytes each); the oldest are dropped first.
_REMEMBERED = 1 << 17


@dataclass(frozen=True, slots=True)
class Choices:
    """First tokens of the greedy continuation of a prompt, with the margin (logits) of each."""

    tokens: tuple[int, ...] = ()
    margins: tuple[float, ...] = ()


class KnownChoices:
    """Choices by rendered prompt."""

    def __init__(self) -> None:
        self._known: dict[str, Choices] = {}

    def add(self, rendered: str, choices: Choices) -> None:
        self._known.pop(rendered, None)
        self._known[rendered] = choices
        if len(self._known) > _REMEMBERED:
            del self._known[next(iter(self._known))]

    def of(self, rendered: str) -> Choices:
        return self._known.get(rendered, Choices())
