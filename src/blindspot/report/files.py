"""Files of a run: report.json and samples.jsonl.gz, each whole or not at all."""

from __future__ import annotations

import gzip
import json
import shutil
from collections.abc import Collection, Iterator, Mapping
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from typing import Any

from pydantic_core import PydanticSerializationError, to_json

from blindspot import __version__, files
from blindspot.baselines.scores import Scores
from blindspot.gates.tally import Tally
from blindspot.measurements.registry import BEHAVIORAL
from blindspot.report.schema import SCHEMA_VERSION, Document, Gate, Record
from blindspot.run.observations import Observation
from blindspot.run.result import Measured

REPORT = "report.json"
SAMPLES = "samples.jsonl.gz"
SCORES = "scores.npz"
PAGE = "report.html"
CARD = "report-model-card.yaml"
SEARCH = "search.json"
#: Compression of samples.jsonl.gz: the next level takes half as long again and saves a fourteenth.
_COMPRESSION = 3
#: Samples that are compressed at once.
_LINES = 256


def report_document(record: Record, tally: Tally, exit_code: int, *, command: str) -> Document:
    """The content of report.json: the record, cut to the gates whose tests ran."""
    gates = [
        Gate(**{**gate, "test": tally.nodes[gate["id"]]})
        for gate in record["gates"]
        if gate["id"] in tally.verdicts
    ]
    judged = {(gate["measurement"], gate["slice"]) for gate in gates}
    found = record | {
        "incomplete": tally.incomplete,
        "gates": gates,
        "mechanistic": [
            assay
            for assay in record["mechanistic"]
            if (assay["measurement"], assay["slice"]) in judged
        ],
    }
    return Document(
        schema_version=SCHEMA_VERSION,
        blindspot_version=__version__,
        date=datetime.now(UTC).isoformat(timespec="seconds"),
        command=command,
        verdict=tally.verdict(exit_code),
        exit_code=exit_code,
        **found,
    )


def write_report(directory: Path, document: Document) -> Path:
    """Write report.json; an older one stays whole until the new one is complete."""
    return files.replace(directory / REPORT, _as_json(document, indent=1))


def samples(measured: Measured) -> Iterator[dict[str, Any]]:
    """One row per prompt with its answer and readings; then the texts of assays.

    NaN without a reading.
    """
    for whole, table in measured.tables.items():
        name = whole.id
        for row in table.rows:
            yield {"slice": name, **_sample(row)}
    for part, assayed in measured.assayed.items():
        for sample in assayed.samples:
            yield {"slice": part.id, "measurement": part.measurement, **sample}


def _sample(row: Observation) -> dict[str, Any]:
    prompt = row.prompt
    return {
        "measurement": prompt.slice.measurement,
        "wording": prompt.wording,
        "order": prompt.order,
        "identifiers": prompt.identifiers,
        "words": prompt.words,
        **BEHAVIORAL[prompt.slice.measurement].sample(prompt),
        "prompt": prompt.text,
        "answer": row.answer.text,
        "complete": row.answer.complete,
        "margin": row.answer.margin,
        "reading": row.reading,
        "value": row.value,
        "forced_choice": row.forced,
        "log_odds": row.log_odds,
        "mass": row.answer.mass,
        "first_mass": row.answer.first_mass,
        "candidates": dict(zip(prompt.candidates, row.answer.log_probabilities, strict=True)),
    }


def remove_others(directory: Path, written: Collection[str]) -> None:
    """Remove an earlier run's files after this one's are ``written``, to avoid confusion."""
    for name in (REPORT, SAMPLES, SCORES, PAGE, CARD, SEARCH):
        if name not in written:
            (directory / name).unlink(missing_ok=True)


def write_samples(path: Path, measured: Measured) -> None:
    """Write all samples, gzipped; the same answers give the same bytes."""
    with (
        files.writer(path) as raw,
        gzip.GzipFile("", "wb", compresslevel=_COMPRESSION, fileobj=raw, mtime=0) as file,
    ):
        lines = map(_as_json, samples(measured))
        while some := b"".join(islice(lines, _LINES)):
            file.write(some)


def _as_json(value: Mapping[str, Any], indent: int | None = None) -> bytes:
    """JSON and a line end, by pydantic's writer: a third of the time of Python's own.

    NaN, which JSON lacks, becomes null.
    """
    try:
        return to_json(value, indent=indent, inf_nan_mode="null") + b"\n"
    except PydanticSerializationError:  # a lone surrogate: JSON can only escape it
        numbers = json.loads(json.dumps(value), parse_constant=lambda _: None)
        text = json.dumps(numbers, indent=indent, ensure_ascii=False) + "\n"
        return text.encode("utf-8", "backslashreplace")


def write_scores(path: Path, scores: Scores) -> None:
    """Write the score of every prompt, for comparisons without a model."""
    files.replace(path, scores.packed())


def take_over(source: Path, directory: Path) -> bool:
    """Move a file that a worker wrote to the user's directory; returns whether there was one."""
    if not source.is_file():
        return False
    with source.open("rb") as content, files.writer(directory / source.name) as file:
        shutil.copyfileobj(content, file)
    return True
