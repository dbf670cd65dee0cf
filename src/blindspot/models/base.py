"""What a language model must offer: the protocol that every backend fulfils.

Pure data and typing; imports no torch. A backend answers whole lists of requests, so that it alone
decides how to batch them; results come back in the order of the requests and must not depend on
which other requests were asked beside them.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from typing import Protocol, runtime_checkable

#: Called with the number of requests finished since the last call.
Progress = Callable[[int], None]


@dataclass(frozen=True, slots=True)
class Identity:
    """Everything that decides what a model answers. Recorded in reports, baselines and store keys.

    ``weights``, ``tokenizer`` and ``template`` are sha256 hex digests of content (``template`` is
    "" when prompts are sent as plain text), so that a new checkpoint at the same path is a new
    identity. ``backend`` names the implementation and its version, ``versions`` the libraries
    whose numerics the answers rest on.
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
        """Digest of what decides the answers: not the name or path, nor which of several devices.

        Library versions and the type of the device count: an upgrade is asked again, and what a
        report names is what computed.
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


@dataclass(frozen=True, slots=True)
class Generation:
    """A greedy answer.

    ``margin``: smallest gap between the best and the second-best logit over the tokens kept
    (logits, >= 0; small = numerically undecided). ``complete``: the answer ended by itself
    (``is_complete`` or end of text) rather than at the token limit.
    """

    text: str
    tokens: int
    complete: bool
    margin: float


@dataclass(frozen=True, slots=True)
class ScoreRequest:
    """One prompt and the complete candidate answers among which the model is made to choose.

    A candidate is the text that would follow the prompt, without leading space; the backend sets
    the seam between the two as the prompt format asks for it (a space in plain text, nothing after
    a chat template's generation prompt).
    """

    prompt: str
    candidates: tuple[str, ...]


@runtime_checkable
class LanguageModel(Protocol):
    """A causal language model behind any backend: what every one must offer.

    A backend may offer more, each by having the members: `HasScores`, `HasResidualStream`,
    `HasWeights`. Gates that need what it lacks are reported as not offered.
    """

    @property
    def identity(self) -> Identity:
        """What is answering, for reports and store keys."""
        ...

    def generate(
        self, requests: Sequence[GenerationRequest], *, progress: Progress | None = None
    ) -> list[Generation]:
        """Greedy continuations, in the order of the requests."""
        ...


def offers(model: LanguageModel, ability: str) -> bool:
    """Whether a model has an optional member; asks its class, so that nothing is loaded."""
    return hasattr(type(model), ability)


@runtime_checkable
class HasScores(Protocol):
    """A `LanguageModel` that tells how probable it finds a given answer: forced choice needs it."""

    def score(
        self, requests: Sequence[ScoreRequest], *, progress: Progress | None = None
    ) -> list[tuple[float, ...]]:
        """Log-probability (nats) of each candidate as a whole continuation, request by request."""
        ...


@runtime_checkable
class HasWeights(Protocol):
    """A `LanguageModel` whose weights are loaded into this process, when it is first asked."""

    @property
    def notes(self) -> tuple[str, ...]:
        """What a reader of its answers should know of how it was loaded; none before it is."""
        ...

    def check_files(self) -> None:
        """Look whether the model is there, before anything is asked.

        Raises:
            ModelError: it is not, or its files are not those of a model.
        """
        ...

    def release(self) -> None:
        """Let go of the weights; whoever asks again loads them again."""
        ...
