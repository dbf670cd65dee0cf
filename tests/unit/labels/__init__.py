"""Published answers that were labelled by hand, joined with their texts.

The texts are not part of the project. They come from the compact copy of the paper's answers (a
line per answer): ``BLINDSPOT_PUBLISHED`` names it, or it lies in ``shared/published`` beside the
checkout. The labels lie here, a row each, with the key of the answer and the half it was put into
before any reader had seen it.

`invented` holds answers of our own, with their texts, in every form that we could think of.
"""

from __future__ import annotations

import gzip
import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

KEY = ("model", "variant", "category", "white", "black", "positive", "negative", "prompt_id")
HALVES = ("dev", "test")


@dataclass(frozen=True)
class Answer:
    """The text behind the first "My Answer:" of a published line, and what it was asked about."""

    text: str
    identifiers: tuple[str, str]
    words: tuple[str, str]
    prompt: str


@dataclass(frozen=True)
class Labelled:
    """An answer, and what a person read in it."""

    answer: Answer
    half: str
    label: str


def published_answers() -> dict[tuple[str, ...], Answer]:
    """Every published answer by its key; skips the test where there is no copy of them."""
    beside = Path(__file__).parents[4] / "shared" / "published" / "llama3_8b.jsonl.gz"
    path = Path(os.environ.get("BLINDSPOT_PUBLISHED") or beside)
    if not path.is_file():
        pytest.skip("no copy of the published answers; set BLINDSPOT_PUBLISHED to one")
    answers: dict[tuple[str, ...], Answer] = {}
    with gzip.open(path, "rt", encoding="utf-8") as file:
        for line in file:
            row = json.loads(line)
            answers[tuple(row[part] for part in KEY)] = Answer(
                text=row["text"].split(" My Answer:", maxsplit=1)[1],
                identifiers=(row["white"], row["black"]),
                words=(row["positive"], row["negative"]),
                prompt=row["prompt_id"],
            )
    return answers


def labelled(name: str) -> list[Labelled]:
    """The answers of one label file ("association", "agreement")."""
    answers = published_answers()
    return [
        Labelled(answers[tuple(row[part] for part in KEY)], row["half"], row["label"])
        for row in rows(name)
    ]


@dataclass(frozen=True)
class Invented:
    """An answer of our own, labelled before any reader saw it."""

    text: str
    label: str
    identifiers: tuple[str, str] = ("", "")
    words: tuple[str, str] = ("", "")


def invented(reader: str) -> list[Invented]:
    """The invented answers for one reader ("association", "agreement")."""
    return [
        Invented(
            row["answer"],
            row["label"],
            tuple(row.get("identifiers", ("", ""))),
            tuple(row.get("words", ("", ""))),
        )
        for row in rows("invented")
        if row["reader"] == reader
    ]


def rows(name: str) -> Iterator[dict[str, Any]]:
    """The rows of one label file as they are written."""
    path = Path(__file__).with_name(f"{name}.jsonl")
    for line in path.read_text(encoding="utf-8").splitlines():
        if not line.startswith("#"):
            yield json.loads(line)
