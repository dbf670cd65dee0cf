"""Answers of a model to prompts, checked on arrival from a backend or from the store."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from numbers import Real
from typing import Any

from blindspot.errors import BlindspotError, ModelError
from blindspot.models.base import LanguageModel
from blindspot.stimuli import Prompt
from blindspot.store import StoredAnswer


@dataclass(frozen=True, slots=True)
class Answer:
    """The answer of the model to one prompt.

    ``text``: greedy continuation, until the answer was complete; ``margin``: smallest gap between
    its best and second-best logits; ``log_probabilities``: of each candidate as a whole, in nats;
    NaN if the model does not offer them.
    """

    text: str
    complete: bool
    margin: float
    log_probabilities: tuple[float, ...]

    @classmethod
    def of(cls, prompt: Prompt, stored: StoredAnswer, *, scored: bool = True) -> Answer:
        """The stored answer to a prompt; ``scored``: from a model that offers scores.

        Raises:
            ValueError: it is not of that shape.
        """
        try:
            text, complete, margin, scores = stored
        except TypeError:
            raise ValueError("not a list") from None
        if not (isinstance(text, str) and isinstance(complete, bool) and _is_number(margin)):
            raise ValueError("not [text, complete, margin]")
        if not scored and scores == []:
            scores = [math.nan] * len(prompt.candidates)
        elif fault := _fault(prompt.candidates, scores):
            raise ValueError(fault)
        return cls(text, complete, margin, tuple(scores))


@contextmanager
def blamed(model: LanguageModel, prompts: Sequence[Prompt]) -> Iterator[None]:
    """Any error of a backend, as one line that names backend and prompts."""
    try:
        yield
    except BlindspotError:
        raise
    except Exception as error:
        what = f"{type(error).__name__}: {error}".split("\n", 1)[0]
        raise ModelError(
            f"{_backend(model)} failed on {len(prompts):,} prompts, the first of which is "
            f"{_quoted(prompts[0])}: {what}; -v shows where"
        ) from error


def check_scores(model: LanguageModel, prompts: Sequence[Prompt], scores: Any) -> None:
    if not isinstance(scores, Sequence) or len(scores) != len(prompts):
        raise ModelError(
            f"{_backend(model)}: score() did not return a list of {len(prompts)} scores"
        )
    for prompt, given in zip(prompts, scores, strict=True):
        if fault := _fault(prompt.candidates, given):
            raise ModelError(f"{_backend(model)}: score() returned {fault} for {_quoted(prompt)}")


def check_generations(model: LanguageModel, prompts: Sequence[Prompt], given: Any) -> None:
    if not isinstance(given, Sequence) or len(given) != len(prompts):
        raise ModelError(f"{_backend(model)}: generate() did not return {len(prompts)} answers")
    for prompt, each in zip(prompts, given, strict=True):
        for name, kind in (("text", str), ("complete", bool), ("margin", Real)):
            value = getattr(each, name, None)
            if not (_is_number(value) if kind is Real else isinstance(value, kind)):
                raise ModelError(
                    f"{_backend(model)}: generate() returned a {name} of type "
                    f"{type(value).__name__} for {_quoted(prompt)}"
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
        if not math.isfinite(score):
            return f"the log-probability {float(score)}"
    return ""


def _is_number(value: object) -> bool:
    return isinstance(value, Real) and not isinstance(value, bool)


def _backend(model: LanguageModel) -> str:
    return f"{model.identity.name}: the backend {model.identity.backend}"


def _quoted(prompt: Prompt) -> str:
    return f"the prompt {prompt.text[:60]!r}"
