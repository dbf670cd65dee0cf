"""The files in which prompts go elsewhere and answers come back: JSON lines behind a head."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from blindspot import files
from blindspot.errors import BlindspotError, ModelError, line
from blindspot.models.base import Missing

#: Bump when a file is read in another way.
VERSION = 1
#: All axes in every wording have 200,000 prompts; an answer is rarely longer than a kilobyte.
LARGEST = 2**30
REMEDY = "name a file that python -m blindspot answers import wrote"
#: Log-probabilities that a float has no room for, or that are none.
_MOST = 1e6


@dataclass(frozen=True, slots=True)
class Head:
    """The first line of a file of prompts or answers.

    ``kind``: ``prompts`` or ``answers``; ``digest``: of the ids of all prompts; ``arguments``: of
    pytest, which select them; ``chat``: whether they were messages; ``model``: its name, "" if it
    was not given; ``scored``: whether every answer has its log-probabilities.
    """

    kind: str
    prompts: int
    digest: str
    arguments: tuple[str, ...] = ()
    chat: bool = False
    model: str = ""
    scored: bool = False

    def as_json(self) -> dict[str, Any]:
        """As it is written."""
        return {
            "blindspot": self.kind,
            "version": VERSION,
            "prompts": self.prompts,
            "digest": self.digest,
            "arguments": list(self.arguments),
            "chat": self.chat,
            "model": self.model,
            "scored": self.scored,
        }

    @classmethod
    def of(cls, found: Any) -> Head:
        """A first line as it was read.

        Raises:
            ValueError: it is none; says what it is.
        """
        if not isinstance(found, dict) or found.get("blindspot") not in ("prompts", "answers"):
            raise ValueError("not a file of prompts or answers of blindspot")
        if found.get("version") != VERSION:
            said = line(repr(found.get("version")), 40)
            raise ValueError(f"of version {said}; this version of blindspot reads {VERSION}")
        arguments, count = found.get("arguments"), found.get("prompts")
        if not (
            isinstance(arguments, list)
            and all(isinstance(each, str) for each in arguments)
            and isinstance(count, int)
            and all(isinstance(found.get(key), str) for key in ("digest", "model"))
            and all(isinstance(found.get(key), bool) for key in ("chat", "scored"))
        ):
            raise ValueError("its first line is damaged")
        return cls(
            found["blindspot"],
            count,
            found["digest"],
            tuple(arguments),
            found["chat"],
            found["model"],
            found["scored"],
        )


@dataclass(frozen=True, slots=True)
class Given:
    """An answer as it was given elsewhere.

    ``ended``: whether the model ended it; ``scores``: log-probability (nats) of each candidate as a
    whole, () if they are not known; ``missing``: why there is no answer, of `Missing`, and
    ``error`` what was said.
    """

    text: str = ""
    ended: bool = False
    scores: tuple[float, ...] = ()
    missing: str = ""
    error: str = ""


@dataclass(frozen=True, slots=True)
class Exported:
    """A prompt as it is exported; ``candidates``: what follows it, character by character."""

    id: str
    slice: str
    text: str
    candidates: tuple[str, ...]
    max_tokens: int


def following(prompt: str, candidate: str, *, chat: bool) -> str:
    """What stands behind a prompt where a candidate is its answer."""
    joined = chat or not prompt or prompt.endswith("\n") or candidate[:1].isspace()
    return candidate if joined else f" {candidate}"


def set_digest(ids: Sequence[str]) -> str:
    """What tells a set of prompts from others."""
    return files.digest(*sorted(ids))


def read_lines(
    path: Path, error: type[BlindspotError] = ModelError, remedy: str = REMEDY
) -> tuple[Head, list[Any], str]:
    """The head of a file, the objects that follow, and the digest of its content.

    Raises:
        ModelError: it cannot be read or is none; or ``error`` instead.
    """
    raw = files.read(path, LARGEST, "prompts or answers", error=error, remedy=remedy)
    rows = []
    for number, each in enumerate(raw.splitlines(), 1):
        if each.strip():
            try:
                rows.append(files.parse_json(each))
            except ValueError as fault:
                raise error(f"{line(path)}: line {number}: {line(fault, 200)}; {remedy}") from None
    try:
        return Head.of(rows[0] if rows else None), rows[1:], files.digest(raw)
    except ValueError as fault:
        raise error(f"{line(path)}: {fault}; {remedy}") from None


def exported_of(row: Any) -> Exported:
    """A prompt as it was read; in a chat, its only message.

    Raises:
        ValueError: it is none.
    """
    if not isinstance(row, dict):
        raise ValueError("not an object")
    text = row.get("prompt")
    if "messages" in row:
        messages = row["messages"]
        message = messages[0] if isinstance(messages, list) and len(messages) == 1 else None
        text = message.get("content") if isinstance(message, dict) else None
    candidates, length = row.get("candidates"), row.get("max_tokens")
    if not (
        isinstance(text, str)
        and isinstance(row.get("id"), str)
        and isinstance(row.get("slice"), str)
        and isinstance(candidates, list)
        and all(isinstance(each, str) for each in candidates)
        and isinstance(length, int)
    ):
        raise ValueError("not a prompt: id, slice, prompt or messages, candidates, max_tokens")
    return Exported(row["id"], row["slice"], text, tuple(candidates), length)


def given_of(row: Any) -> Given:
    """The answer in a line; an ``error`` stands for an answer that nobody gave.

    Raises:
        ValueError: there is none, or a part of it is of another type.
    """
    text, error = row.get("answer"), row.get("error") or ""
    ended, missing = row.get("ended", False), row.get("missing") or ""
    scores = row.get("log_probabilities") or []
    if not isinstance(error, str) or not isinstance(missing, str) or missing not in ("", *Missing):
        raise ValueError("its error is no text")
    if error and not missing:
        missing = Missing.UNANSWERED.value
    if text is None and missing:
        text = ""
    if not isinstance(text, str):
        raise ValueError("it has no answer (a text) and no error")
    if not isinstance(ended, bool):
        raise ValueError("ended is neither true nor false")
    if not (isinstance(scores, list) and all(map(_is_log_probability, scores))):
        raise ValueError("log_probabilities is not a list of numbers up to 0")
    if scores and len(scores) != len(row.get("candidates") or ()):
        raise ValueError(f"{len(scores)} log-probabilities for another number of candidates")
    return Given(text, ended, tuple(map(float, scores)), missing, error)


def _is_log_probability(value: Any) -> bool:
    number = isinstance(value, int | float) and not isinstance(value, bool)
    return number and -_MOST < value <= 1e-3
