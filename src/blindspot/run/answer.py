"""Answers of a model to prompts, checked on arrival from a backend or from the store."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, fields
from numbers import Real
from typing import Any

from blindspot.errors import BlindspotError, DismissalError, ModelError, line
from blindspot.models.base import Identity, LanguageModel, Missing, ScoreRequest
from blindspot.stimuli import Prompt
from blindspot.store import StoredAnswer

#: A log-probability beyond this is none of a text (nats).
_MOST = 1e9
#: Characters of an error that are shown.
_SHOWN = 300


@dataclass(frozen=True, slots=True)
class Answer:
    """The answer of the model to one prompt.

    ``text``: greedy continuation, until the answer was complete; ``margin``: smallest gap between
    its best and second-best logits; ``log_probabilities``: of each candidate as a whole, in nats;
    NaN if the model does not offer them; ``first``: that of the first tokens of all candidates
    together, NaN if the backend does not know it; ``missing``: why there is no answer, "" if there
    is one; ``error``: what the server said.
    """

    text: str
    complete: bool
    margin: float
    log_probabilities: tuple[float, ...]
    first: float = math.nan
    missing: str = ""
    error: str = ""

    @property
    def mass(self) -> float:
        """Probability of all candidates together: what forced choice rests on. NaN without."""
        return _share(self.log_probabilities)

    @property
    def first_mass(self) -> float:
        """Probability of the first tokens of all candidates together."""
        return _share((self.first,))

    @classmethod
    def of(cls, prompt: Prompt, stored: StoredAnswer, *, scored: bool = True) -> Answer:
        """The stored answer to a prompt; ``scored``: from a model that offers scores.

        Raises:
            ValueError: it is not of that shape.
        """
        try:
            text, complete, margin, scores, first, *reason = stored
        except TypeError:
            raise ValueError("not a list") from None
        missing, error = reason or ("", "")
        if not (isinstance(error, str) and missing in ("", *Missing)):
            raise ValueError("not a reason without an answer")
        if not (isinstance(text, str) and isinstance(complete, bool) and _is_number(margin)):
            raise ValueError("not [text, complete, margin]")
        if not (first is None or (_is_number(first) and first < _MOST)):
            raise ValueError("not a log-probability of the first tokens")
        if (not scored or missing == Missing.UNANSWERED) and scores == []:
            scores = [math.nan] * len(prompt.candidates)
        elif fault := _fault(prompt.candidates, scores):
            raise ValueError(fault)
        first = math.nan if first is None else first
        return cls(text, complete, margin, tuple(scores), first, missing, error)


def _share(log_probabilities: Sequence[float]) -> float:
    """The probability of any of these; NaN, which `min` keeps in its first place, if one is NaN."""
    return min(math.fsum(math.exp(min(each, 0.0)) for each in log_probabilities), 1.0)


@contextmanager
def blamed(backend: str, failed: str) -> Iterator[None]:
    """An error of a backend, whatever it is, as one line.

    Also what is no `Exception`: pytest would take ``sys.exit`` or ``pytest.skip`` in a backend for
    a fault or a wish of its own.

    Args:
        backend: who is to blame.
        failed: at what.

    Raises:
        ModelError: says both, and the error.
    """
    try:
        yield
    except (BlindspotError, DismissalError, KeyboardInterrupt):
        raise
    except BaseException as error:
        what = type(error).__name__
        with suppress(Exception):  # an error that cannot be shown either
            what += f": {error}"
        raise ModelError(f"{backend} {failed}: {line(what, _SHOWN)}; -v shows where") from error


def backend_of(model: LanguageModel) -> str:
    """Who is to blame for what a model gives."""
    return f"{model.identity.name}: the backend {model.identity.backend}"


def checked_identity(model: LanguageModel) -> Identity:
    """The identity of a model.

    Raises:
        ModelError: it is none, or a field of it is of another type.
    """
    backend = f"the backend {type(model).__name__}"
    with blamed(backend, "has no identity"):
        found = model.identity
    if not isinstance(found, Identity):
        raise ModelError(f"{backend} has a {type(found).__name__} as its identity")
    for each in fields(Identity):
        value = getattr(found, each.name)
        if each.name == "versions":
            valid = isinstance(value, dict) and all(
                isinstance(text, str) for pair in value.items() for text in pair
            )
        elif each.name == "parameters":
            valid = type(value) is int and 0 <= value < 2**63
        else:
            valid = isinstance(value, str)
        if not valid:
            raise ModelError(
                f"{backend} has an identity whose {each.name} is {line(repr(value), 60)}; "
                f"give {each.type}"
            )
    return found


def check_scores(model: LanguageModel, asked: Sequence[ScoreRequest], scores: Any) -> None:
    if not isinstance(scores, Sequence) or len(scores) != len(asked):
        raise ModelError(
            f"{backend_of(model)}: score() did not return a list of {len(asked)} scores"
        )
    for request, given in zip(asked, scores, strict=True):
        if getattr(given, "error", ""):
            continue
        if fault := _fault(request.candidates, given):
            shown = f"the prompt {request.prompt[:60]!r}"
            raise ModelError(f"{backend_of(model)}: score() gave {fault} for {shown}")


def first_of(given: Sequence[float]) -> float | None:
    """The log-probability of the first tokens of all candidates; None if it is not known."""
    first = getattr(given, "first", math.nan)
    return float(first) if _is_number(first) and abs(first) < _MOST else None


def check_generations(model: LanguageModel, prompts: Sequence[Prompt], given: Any) -> None:
    if not isinstance(given, Sequence) or len(given) != len(prompts):
        raise ModelError(f"{backend_of(model)}: generate() did not return {len(prompts)} answers")
    for prompt, each in zip(prompts, given, strict=True):
        for name, kind in (("text", str), ("complete", bool), ("margin", Real)):
            value = getattr(each, name, None)
            if not (_is_number(value) if kind is Real else isinstance(value, kind)):
                raise ModelError(
                    f"{backend_of(model)}: generate() returned a {name} of type "
                    f"{type(value).__name__} "
                    f"for {quoted(prompt)}"
                )


def _fault(candidates: Sequence[str], scores: Any) -> str:
    """The fault in the scores of one prompt; "" if they are valid."""
    if not isinstance(scores, Sequence) or isinstance(scores, str):
        return f"a {type(scores).__name__}"
    if len(scores) != len(candidates):
        return f"{len(scores)} log-probabilities for {len(candidates)} candidates"
    for score in scores:
        if not _is_number(score):
            return f"a {type(score).__name__} as a log-probability"
        if not abs(score) < _MOST:
            return f"the log-probability {float(score)}"
    return ""


def _is_number(value: object) -> bool:
    """Whether it is a real number that a float can hold."""
    if not isinstance(value, Real) or isinstance(value, bool):
        return False
    try:
        float(value)
    except (OverflowError, ValueError):
        return False
    return True


def quoted(prompt: Prompt) -> str:
    return f"the prompt {prompt.text[:60]!r}"
