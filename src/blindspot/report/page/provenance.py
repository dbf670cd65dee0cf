"""Provenance of the numbers: the models, their conditions, the run."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from blindspot.report.schema import Document

_NAMES = {
    "id": "model",
    "name": "model",
    "weights": "weights hash",
    "weights_hash": "weights hash",
    "tokenizer": "tokenizer hash",
    "tokenizer_hash": "tokenizer hash",
    "template_hash": "template hash",
    "dtype": "number format",
}


@dataclass(frozen=True, slots=True)
class Source:
    """One model, or the run, as names and values."""

    title: str
    facts: list[tuple[str, str]]


def sources(document: Document) -> list[Source]:
    """The run, the model, and what it was compared with."""
    found = [Source("This run", list(_run(document)))]
    found.append(Source("Model", list(_facts(document["model"]))))
    baseline = document["baseline"]
    if baseline["found"]:
        facts = {"model": baseline["model"] or "", "file": baseline["path"]}
        found.append(Source("Baseline", list(_facts(facts | (baseline["provenance"] or {})))))
    comparison = document["comparisons"]["reference"]
    if comparison is not None:
        model = comparison["model"] or {}
        found.append(Source("Reference", list(_facts({"name": comparison["name"]} | model))))
    return found


def _run(document: Document) -> Iterator[tuple[str, str]]:
    yield "date", document["date"].replace("T", " ").replace("+00:00", " UTC")
    yield "blindspot", document["blindspot_version"]
    yield "command", document["command"]
    yield "mode", document["mode"]
    yield "prompts", f"{document['prompts']:,}"
    yield from document["selection"].items()
    if document["examples"]:
        yield "solved examples in front of each prompt", str(document["examples"])
    yield "exit code", str(document["exit_code"])


def _facts(found: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for key, value in found.items():
        if isinstance(value, Mapping):
            yield from ((str(name), str(one)) for name, one in value.items())
        elif value not in ("", None, 0):
            text = f"{value:,}" if isinstance(value, int) else str(value)
            yield _NAMES.get(key, key.replace("_", " ")), text
