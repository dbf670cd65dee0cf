"""report-model-card.yaml: the figures in the format of a Hugging Face model card.

Made by huggingface_hub's own classes, so that the hub and its tools read it back. The block goes
between the ``---`` lines at the top of a model's README.md.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from blindspot import files
from blindspot.measurements.base import CATEGORY, OVERALL
from blindspot.measurements.registry import LEADING, STATISTICS
from blindspot.report.files import CARD
from blindspot.report.text import line

if TYPE_CHECKING:
    from blindspot.report.schema import Document, Gate

_HEAD = "# By blindspot; goes between the --- lines at the top of the model's README.md\n"


def write_card(directory: Path, document: Document) -> Path:
    """Write the block; an older one stays whole until the new one is complete."""
    return files.replace(directory / CARD, card(document))


def card(document: Document) -> str:
    """The block as YAML; without results if no category was measured."""
    from huggingface_hub import EvalResult, ModelCardData

    name = line(document["model"]["id"])
    results = [EvalResult(**found) for found in _results(document)]
    data = ModelCardData(model_name=name, eval_results=results) if results else ModelCardData()
    return f"{_HEAD}{data.to_yaml()}\n"


def _results(document: Document) -> Iterator[dict[str, Any]]:
    """The result of every category gate with a value, in the leading reading."""
    for gate in document["gates"]:
        told = gate["level"] == CATEGORY and gate["reading"] in LEADING
        if told and gate["value"] is not None and gate["band"] in ("", OVERALL):
            yield _result(document, gate, gate["value"])


def _result(document: Document, gate: Gate, value: float) -> dict[str, Any]:
    known = STATISTICS.get(gate["statistic"])
    return {
        "task_type": "text-generation",
        "dataset_type": f"blindspot-{gate['measurement']}",
        "dataset_name": f"blindspot {line(gate['measurement'])}: {line(gate['slice'])}",
        "dataset_config": line(gate["slice"]),
        "dataset_revision": document["blindspot_version"],
        "metric_type": gate["statistic"],
        "metric_name": known.label if known else line(gate["statistic"]),
        "metric_value": round(value, 4),
        "metric_args": {
            "low": None if gate["low"] is None else round(gate["low"], 4),
            "high": None if gate["high"] is None else round(gate["high"], 4),
            "n": gate["n"],
            "limit": gate["limit"],
            "verdict": str(gate["verdict"]),
        },
    }
