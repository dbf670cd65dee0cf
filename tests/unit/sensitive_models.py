"""Models whose bias depends on how a prompt is written, in ways that are known beforehand.

Load as a plugin, ``-p tests.unit.sensitive_models``, and name one: ``--model sensitive:steady``.
They see texts only, as any model does. Where nothing speaks for the stereotype they copy the order.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Callable, Sequence

from blindspot.models.base import Generation, GenerationRequest, Identity, Progress, ScoreRequest
from blindspot.run.answer import Answer
from blindspot.stimuli import Prompt

#: Log-odds (nats) between the answer that is given and the other one.
SURE = 6.0


def _around(text: str, named: Sequence[str]) -> str:
    """What a prompt says around its identifiers and words."""
    return re.sub("|".join(map(re.escape, named)), "", text)


def _in_capitals(text: str, named: Sequence[str]) -> bool:
    return _around(text, named).isupper()


def steady(text: str, named: Sequence[str]) -> float:
    """Always the stereotype."""
    return 1.0


def fair(text: str, named: Sequence[str]) -> float:
    """Never: copies the order."""
    return 0.0


def to_capitals(text: str, named: Sequence[str]) -> float:
    """The stereotype only where the instruction is in capitals."""
    return 1.0 if _in_capitals(text, named) else 0.0


def but_in_capitals(text: str, named: Sequence[str]) -> float:
    """The stereotype except where the instruction is in capitals: bias that falls counts too."""
    return 0.0 if _in_capitals(text, named) else 1.0


def in_a_corner(text: str, named: Sequence[str]) -> float:
    """Capitals count in four wordings and for six words only."""
    words = {"grenade", "rifle", "convict", "felon", "horrible", "nasty"} & set(named)
    wording = any(word in text for word in ("MOTTO", "VARIABLE", "NUMBER", "CAPTION"))
    return 1.0 if words and wording and _in_capitals(text, named) else 0.0


def together(text: str, named: Sequence[str]) -> float:
    """Capitals count only behind a prefix."""
    prefixed = text.startswith(("HELLO", "THANK", "PLEASE"))
    return 1.0 if prefixed and _in_capitals(text, named) else 0.0


def turning(text: str, named: Sequence[str]) -> float:
    """Copies the order, and the reverse of it in capitals: an order effect, no bias."""
    return -2.0 if _in_capitals(text, named) else 0.0


def a_little(text: str, named: Sequence[str]) -> float:
    """Capitals move it, but by less than the threshold."""
    return 0.4 if _in_capitals(text, named) else 0.0


def unmeasured(text: str, named: Sequence[str]) -> float:
    """Gives no numbers."""
    return float("nan")


LEANINGS: dict[str, Callable[[str, Sequence[str]], float]] = {
    function.__name__.replace("_", "-"): function
    for function in (
        steady,
        fair,
        to_capitals,
        but_in_capitals,
        in_a_corner,
        together,
        turning,
        a_little,
        unmeasured,
    )
}


def scores(leaning: float, copied: bool) -> tuple[float, float]:
    """Log-probabilities of the stereotyped and of the counter answer.

    ``leaning``: 1 the stereotype, 0 the listed order, -2 the reverse of the order; a share between
    is a bias of that size whatever the order.
    """
    if leaning == -2.0:
        return scores(0.0, not copied)
    if leaning in (0.0, 1.0):
        return (0.0, -SURE) if leaning or copied else (-SURE, 0.0)
    half = 0.5 * SURE * leaning / 5
    return (half, -half)


def answers(name: str, prompts: Sequence[Prompt]) -> list[Answer]:
    """What a model of this name answers to known prompts, without a run."""
    return [
        Answer(
            prompt.candidates[0],
            True,
            1.0,
            scores(
                LEANINGS[name](prompt.text, (*prompt.identifiers, *prompt.words)),
                prompt.positive_identifier_first == prompt.positive_word_first,
            ),
        )
        for prompt in prompts
    ]


class SensitiveModel:
    """A `LanguageModel` that answers by the text alone; notes how much it was asked."""

    def __init__(self, name: str) -> None:
        self._leaning = LEANINGS[name.removeprefix("sensitive:")]
        self._asked = 0
        self._given: dict[str, str] = {}
        digest = hashlib.sha256(name.encode()).hexdigest()
        self._identity = Identity(
            name, weights=digest, tokenizer="0" * 64, dtype="float32", backend="sensitive-1"
        )

    @property
    def identity(self) -> Identity:
        return self._identity

    def score(
        self, requests: Sequence[ScoreRequest], *, progress: Progress | None = None
    ) -> list[tuple[float, ...]]:
        if progress:
            progress(len(requests))
        return [self._scores(request) for request in requests]

    def _scores(self, request: ScoreRequest) -> tuple[float, ...]:
        """Of answers of the form "word - identifier, word - identifier"."""
        if len(request.candidates) != 2:
            return tuple(0.0 for _ in request.candidates)
        first, second = (re.findall(r"[\w']+", candidate) for candidate in request.candidates)
        chosen = [word for word, other in zip(first, second, strict=True) if word != other]
        named = {*first}
        places = [request.prompt.rindex(word) for word in chosen]
        found = scores(self._leaning(request.prompt, sorted(named)), places[0] < places[1])
        self._given[request.prompt] = request.candidates[0 if found[0] >= found[1] else 1]
        return found

    def generate(
        self, requests: Sequence[GenerationRequest], *, progress: Progress | None = None
    ) -> list[Generation]:
        """The answer that scored best: scores are asked first."""
        self._note(requests)
        if progress:
            progress(len(requests))
        texts = [self._given.get(request.prompt, "disagree") for request in requests]
        return [Generation(f" {text}", 10, True, 1.0) for text in texts]

    def _note(self, requests: Sequence[GenerationRequest]) -> None:
        """Leave a line a batch in a log; on demand Ctrl-C in a later batch with some word in it.

        Later: behind the first, or behind as many prompts as are wanted.
        """
        before = self._asked
        self._asked += len(requests)
        if log := os.environ.get("SENSITIVE_LOG"):
            with open(log, "a", encoding="utf-8") as file:  # noqa: PTH123
                file.write(f"{os.getpid()} {len(requests)}\n")
        stop_at = os.environ.get("SENSITIVE_STOP_AT")
        later = before >= int(os.environ.get("SENSITIVE_STOP_BEHIND", "1"))
        if stop_at and later and any(stop_at in one.prompt for one in requests):
            raise KeyboardInterrupt


def pytest_blindspot_model(name, config):
    """Give sensitive models to ``--model sensitive:NAME``."""
    return SensitiveModel(name) if name.startswith("sensitive:") else None
