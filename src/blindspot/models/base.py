"""The protocol that every backend implements: what a language model must offer.

Pure data and typing; imports no torch. A backend answers whole lists of requests and decides how to
batch them. Results come in the order of the requests and must not depend on the other requests in
the list, except by rounding.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Protocol, TypeVar, runtime_checkable

from blindspot.models.server import Server

#: Called with the number of requests finished since the last call.
Progress = Callable[[int], None]

Request = TypeVar("Request")
Result = TypeVar("Result")
#: Beginning of the weights of an `Identity` that is not known: another run has another one.
UNKNOWN = "unknown:"


@dataclass(frozen=True, slots=True)
class Identity:
    """Everything that decides what a model answers. Recorded in reports, baselines and store keys.

    ``weights``, ``tokenizer`` and ``template`` are sha256 hex digests of content (``template`` is
    "" when prompts are sent as plain text), so a new checkpoint at the same path is a new identity.
    ``backend`` names the implementation and its version, ``versions`` the libraries whose numerics
    affect the answers. ``weights`` begins with `UNKNOWN` where nobody can read them.
    """

    name: str
    weights: str
    tokenizer: str
    dtype: str
    template: str = ""
    template_text: str = ""
    revision: str = ""
    architecture: str = ""
    parameters: int = 0
    device: str = "cpu"
    backend: str = "transformers"
    versions: dict[str, str] = field(default_factory=dict)

    def fingerprint(self) -> str:
        """Digest of what decides the answers, without name, path or device index.

        Library versions and the device type are part of it: after an upgrade the model is asked
        again, and reports name what computed the answers.
        """
        deciding = asdict(self)
        for key in ("name", "revision", "template_text", "parameters"):
            del deciding[key]
        deciding["device"] = self.device.partition(":")[0]
        return hashlib.sha256(json.dumps(deciding, sort_keys=True).encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class GenerationRequest:
    """One prompt to continue greedily until ``is_complete(text so far)`` or ``max_new_tokens``."""

    prompt: str
    is_complete: Callable[[str], bool]
    max_new_tokens: int = 40


class Missing(StrEnum):
    """Why a server gave no answer: the reading of such an answer."""

    UNANSWERED = "unanswered"  # the request failed: the run is incomplete, the next one asks again
    CUT = "cut short"  # the tokens were used up before the answer began, as by reasoning
    FILTERED = "filtered"  # a content filter removed it
    BLOCKED = "blocked"  # the server's policy refused the prompt


@dataclass(frozen=True, slots=True)
class Generation:
    """A greedy answer.

    ``margin``: smallest gap between the best and the second-best logit over the tokens kept
    (logits, >= 0; small = numerically undecided). ``complete``: the answer ended by itself
    (``is_complete`` or end of text) rather than at the token limit. ``missing``: why there is none,
    "" if there is one; ``error``: what the server said.
    """

    text: str
    tokens: int
    complete: bool
    margin: float
    missing: str = ""
    error: str = ""


@dataclass(frozen=True, slots=True)
class ScoreRequest:
    """One prompt and the complete candidate answers that the model must choose among.

    A candidate is the text that would follow the prompt. The backend joins the two as the prompt
    format requires (by a space in plain text, by nothing after a chat template's generation
    prompt), and by nothing if the candidate begins with white space.
    """

    prompt: str
    candidates: tuple[str, ...]


class Scored(tuple[float, ...]):
    """Log-probability (nats) of each candidate of a request as a whole continuation.

    ``first``: log-probability that the continuation begins with the first token of any candidate;
    NaN where the backend does not know it. ``error``: why there are none, "" if there are some.
    """

    first: float
    error: str

    def __new__(cls, values: Iterable[float], first: float = math.nan, error: str = "") -> Scored:
        """The candidates in the order of the request."""
        made = super().__new__(cls, values)
        made.first, made.error = first, error
        return made


@runtime_checkable
class LanguageModel(Protocol):
    """A causal language model behind any backend: the required members.

    A backend may offer more, each by having the members: `HasScores`, `AnswersEarly`,
    `AnswersTogether`, `HasResidualStream`, `HasWeights`, `HasReplicas`, `HasPrice`, `IsServed`,
    `IsShared`, `IsAnswered`.
    Gates that need a missing one are reported as not offered.
    """

    @property
    def identity(self) -> Identity:
        """The identity of the model, for reports and store keys."""
        ...

    def generate(
        self, requests: Sequence[GenerationRequest], *, progress: Progress | None = None
    ) -> list[Generation]:
        """Greedy continuations, in the order of the requests."""
        ...


def in_order(
    all_of: Callable[[Sequence[Request], Callable[[int, Result], None]], None],
    requests: Sequence[Request],
    progress: Progress | None,
) -> list[Result]:
    """The results of requests that are handed over one by one, in the order of the requests."""
    found: dict[int, Result] = {}

    def done(number: int, result: Result) -> None:
        found[number] = result
        if progress is not None:
            progress(1)

    all_of(requests, done)
    return [found[number] for number in range(len(requests))]


def offers(model: LanguageModel, ability: str) -> bool:
    """Whether a model has an optional member; looks at its class and loads nothing.

    A model on a server may have it in vain: its server is asked.
    """
    if not hasattr(type(model), ability):
        return False
    return not (hasattr(type(model), "server") and ability in model.server.lacking)  # type: ignore[attr-defined]


@runtime_checkable
class HasScores(Protocol):
    """A `LanguageModel` that gives the probability of an answer: required for forced choice."""

    def score(
        self, requests: Sequence[ScoreRequest], *, progress: Progress | None = None
    ) -> list[tuple[float, ...]]:
        """Log-probability (nats) of each candidate as a whole continuation, request by request.

        `Scored` tuples also say how likely the first tokens are, which only reports need.
        """
        ...


@runtime_checkable
class AnswersEarly(LanguageModel, Protocol):
    """A `LanguageModel` that hands over each answer as soon as it has it, whole lists at a time.

    A long list is then answered in full batches, and still loses little if the run is killed. Any
    other backend gets short lists. ``done``: called once per request, in any order, with its number
    and its result; what it raises ends the work.
    """

    def generate_each(
        self, requests: Sequence[GenerationRequest], done: Callable[[int, Generation], None]
    ) -> None:
        """Greedy continuations."""
        ...

    def score_each(
        self, requests: Sequence[ScoreRequest], done: Callable[[int, tuple[float, ...]], None]
    ) -> None:
        """Log-probability (nats) of each candidate as a whole continuation."""
        ...


@runtime_checkable
class AnswersTogether(AnswersEarly, Protocol):
    """A model that scores candidates and generates in one go, and computes each prompt once."""

    def answer_each(
        self,
        scores: Sequence[ScoreRequest],
        generations: Sequence[GenerationRequest],
        scored: Callable[[int, tuple[float, ...]], None],
        generated: Callable[[int, Generation], None],
    ) -> None:
        """As ``score_each`` and ``generate_each``, of the same prompts in the same order.

        ``scored`` is called before ``generated`` for each of them.
        """
        ...


@runtime_checkable
class HasWeights(Protocol):
    """A `LanguageModel` that takes memory or connections on first use."""

    @property
    def notes(self) -> tuple[str, ...]:
        """Notes on how it was loaded, for readers of its answers; none before it is."""
        ...

    def check_files(self) -> None:
        """Check that the model exists before any request.

        Raises:
            ModelError: it does not, or its files are not those of a model.
        """
        ...

    def release(self) -> None:
        """Release the weights; the next request loads them again."""
        ...


@runtime_checkable
class HasReplicas(Protocol):
    """A `LanguageModel` that is computed in several places at once, and needs longer lists."""

    @property
    def replicas(self) -> int:
        """How many places."""
        ...


@runtime_checkable
class HasPrice(Protocol):
    """A `LanguageModel` whose answers cost money; what they will cost is said beforehand."""

    def bill(self, prompts: Sequence[str], length: int) -> str:
        """What prompts will cost, in words; ``length``: most tokens of an answer."""
        ...


@runtime_checkable
class IsAnswered(Protocol):
    """A `LanguageModel` that was asked before: it has one answer to each prompt that it knows.

    So nothing is asked again for a noise floor, and candidates have the form of their wording.
    """

    def check_prompts(self, prompts: Sequence[str]) -> None:
        """Refuse prompts that it does not know, before any answer is read.

        Raises:
            ModelError: says how many, and how the first one begins.
        """
        ...


@runtime_checkable
class IsShared(Protocol):
    """A `LanguageModel` whose processes in a run share what they found out before the first prompt.

    So may later runs.
    """

    def share(self, run: Path, store: Path | None) -> None:
        """Share it.

        Args:
            run: directory of the run.
            store: directory of the store, None if nothing is kept.
        """
        ...


@runtime_checkable
class IsServed(Protocol):
    """A `LanguageModel` on a server that was examined before the first prompt."""

    @property
    def server(self) -> Server:
        """What is known of the server.

        Raises:
            ModelError: it does not do what it is asked; one sentence with the remedy.
        """
        ...
