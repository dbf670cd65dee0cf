"""What is known of the server behind a model: pure data, for reports."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Check:
    """One question of the handshake, and what came of it."""

    name: str
    found: str


@dataclass(frozen=True, slots=True)
class Server:
    """A server as its handshake found it.

    Attributes:
        address: where its endpoints are.
        kind: name and version of the software, "" where it does not say.
        requests: how many the handshake took.
        scores: how log-probabilities of given answers are had; "" where they are not.
        greedy: whether the same prompt gave the same answer.
        spread: largest difference between log-probabilities of the same token (nats), NaN if there
            are none.
        context: most tokens of prompt and answer, 0 if it does not say.
        concurrency: requests at once.
        checks: the handshake, question by question.
        lacking: optional members of the model that this server cannot serve.
    """

    address: str
    kind: str
    requests: int
    scores: str
    greedy: bool
    spread: float
    context: int
    concurrency: int
    checks: tuple[Check, ...] = ()
    lacking: frozenset[str] = frozenset()
