"""Findings of searches as plain data: one record per search, and search.json with all of them."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from statistics import fmean
from typing import Any

from blindspot import __version__, files
from blindspot.models.base import Identity
from blindspot.report.files import SEARCH
from blindspot.report.text import shortened
from blindspot.search.change import THRESHOLD, Change
from blindspot.search.exploration import Exploration
from blindspot.stimuli import Found, PromotedCase

SCHEMA_VERSION = 1

#: How many of the largest changes are reported.
STRONGEST = 5

Record = dict[str, Any]


def case_of(change: Change, identity: Identity) -> PromotedCase:
    """A change as a case to promote."""
    found = Found(
        model=identity.name,
        weights=identity.weights,
        effect=round(change.effect, 6),
        changed_effect=round(change.changed_effect, 6),
    )
    return PromotedCase.of(change.contrast, THRESHOLD, found)


def search_record(
    exploration: Exploration, change: Change | None, identity: Identity, test: str
) -> Record:
    """One search: its size, and what it found."""
    space = exploration.space
    return {
        "id": space.id,
        "axis": space.axis,
        "variant": space.variant,
        "test": test,
        "model": _model(identity),
        "cases": len(exploration.changes),
        "prompts": exploration.prompts,
        "batches": exploration.batches,
        "left_out": space.left_out,
        "found": None if change is None else _found(change, identity),
        "strongest": [_summary(one) for one in exploration.strongest(STRONGEST)],
        "by_change": _by_change(exploration),
    }


def _model(identity: Identity) -> Record:
    return {
        "id": identity.name,
        "revision": identity.revision,
        "weights_hash": identity.weights,
        "tokenizer_hash": identity.tokenizer,
        "template_hash": identity.template,
        "dtype": identity.dtype,
    }


def _summary(change: Change) -> Record:
    contrast = change.contrast
    return {
        "id": contrast.id,
        "category": contrast.part.category,
        "wording": contrast.wording,
        "changes": list(contrast.changes),
        "identifiers": list(contrast.identifiers),
        "words": list(contrast.words),
        "effect": change.effect,
        "changed_effect": change.changed_effect,
        "change": change.value,
    }


def _found(change: Change, identity: Identity) -> Record:
    return _summary(change) | {
        "prompts": [
            {
                "changed": changed,
                "order": one.prompt.order,
                "prompt": one.prompt.text,
                "answer": shortened(one.answer.text),
                "reading": one.reading,
                "forced_choice": one.forced,
            }
            for changed, side in ((False, change.before), (True, change.after))
            for one in side
        ],
        "case": case_of(change, identity).model_dump(mode="json", exclude_none=True),
    }


def _by_change(exploration: Exploration) -> list[Record]:
    """Every transformation alone, over drawn cases: those asked while shrinking are no sample."""
    drawn = [exploration.changes[one] for one in exploration.planned]
    rows = []
    for name in (one.id for one in exploration.space.changes):
        moved = [abs(one.value) for one in drawn if one.contrast.changes == (name,)]
        if moved:
            mean, largest = fmean(moved), max(moved)
            rows.append({"changes": name, "cases": len(moved), "mean": mean, "largest": largest})
    return rows


def search_document(records: Iterable[Record], *, seed: object, examples: int) -> Record:
    """The content of search.json."""
    searches = sorted(records, key=lambda record: str(record["id"]))
    return {
        "schema_version": SCHEMA_VERSION,
        "blindspot_version": __version__,
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "model": searches[0]["model"] if searches else None,
        "seed": str(seed),
        "examples": examples,
        "threshold": THRESHOLD,
        "searches": [{k: v for k, v in record.items() if k != "model"} for record in searches],
    }


def write_document(directory: Path, document: Record) -> None:
    """Write search.json; an older one stays whole until the new one is complete."""
    text = json.dumps(document, indent=1, ensure_ascii=False, allow_nan=False) + "\n"
    directory.mkdir(parents=True, exist_ok=True)
    files.replace(directory / SEARCH, text)


def merged_by_change(records: Sequence[Record]) -> list[Record]:
    """The rows of all searches combined, one per transformation, the largest mean first."""
    merged: dict[str, list[Record]] = {}
    for row in (row for record in records for row in record["by_change"]):
        merged.setdefault(row["changes"], []).append(row)
    together = [
        {
            "changes": name,
            "cases": (cases := sum(row["cases"] for row in rows)),
            "mean": sum(row["mean"] * row["cases"] for row in rows) / cases,
            "largest": max(row["largest"] for row in rows),
        }
        for name, rows in merged.items()
    ]
    return sorted(together, key=lambda row: -row["mean"])
