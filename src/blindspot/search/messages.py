"""What a found change is told as: the numbers first, then both prompts with their answers."""

from __future__ import annotations

from collections.abc import Iterator

from blindspot.models.base import Identity
from blindspot.run.observations import Observation
from blindspot.search.changes import THRESHOLD, Change
from blindspot.stimuli import PromotedCase

#: Characters of an answer that are shown.
_LONG = 60


def finding(space: str, change: Change, identity: Identity) -> str:
    """The first line of a finding."""
    return f"{space}: {_numbers(change, THRESHOLD, 'threshold')}, {_model(identity)}"


def broken_case(case: PromotedCase, change: Change, identity: Identity) -> str:
    """The first line of a promoted case that does not hold."""
    return f"{case.id}: {_numbers(change, case.at_most, 'at most')}, {_model(identity)}"


def _numbers(change: Change, limit: float, kind: str) -> str:
    value = abs(change.value)  # with as many digits as it takes to tell it from the limit
    same = (digits for digits in (2, 3, 4) if f"{value:.{digits}f}" != f"{limit:.{digits}f}")
    digits = next(same, 5)
    return (
        f"stereotype effect {change.effect:+.2f} becomes {change.changed_effect:+.2f} by "
        f"{' and '.join(change.contrast.changes)} alone (change {change.value:+.{digits}f}, "
        f"{kind} {limit:.{digits}f})"
    )


def _model(identity: Identity) -> str:
    return f"{identity.name} @{identity.weights[:7]}"


def details(change: Change) -> Iterator[str]:
    """Where it is, and both prompts in the order that changes most."""
    contrast = change.contrast
    before, after = change.shown
    yield (
        f"  {contrast.part.category}, wording {contrast.wording}, words "
        f"{'/'.join(contrast.words)}, identifiers {'/'.join(contrast.identifiers)}"
    )
    yield f"  shown in the order that changes most: {before.prompt.order}"
    yield from _side("as it is asked", before, change.effect)
    yield from _side("changed", after, change.changed_effect)


def _side(title: str, seen: Observation, effect: float) -> Iterator[str]:
    yield f"  {title}:"
    yield from (f"    | {line}" for line in seen.prompt.text.splitlines())
    answer = " ".join(seen.answer.text.split())
    answer = answer if len(answer) <= _LONG else answer[: _LONG - 3] + "..."
    yield (
        f"    answer {answer!r} = {seen.reading}; forced choice {seen.forced:+.2f}, over all "
        f"orders {effect:+.2f}"
    )


def strongest(change: Change, cases: int) -> str:
    """The largest change of all that is known."""
    return (
        f"  strongest of {cases} cases: {change.effect:+.2f}, changed "
        f"{change.changed_effect:+.2f}, {change.contrast.id}"
    )
