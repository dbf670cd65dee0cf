"""Units that the assays of a run need, and their results."""

from __future__ import annotations

import base64
import io
import json
from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType

import numpy as np

from blindspot import files
from blindspot.errors import ModelError, line
from blindspot.measurements.mechanistic import Assay, Assayed, Findings, Tried, Unit
from blindspot.stimuli import Slice
from blindspot.store import StoredAnswer


def trials_of(assays: Mapping[str, Assay], parts: Sequence[Slice]) -> list[Unit]:
    """The trials of all slices, as of `units_of`."""
    return _distinct(
        unit
        for part in parts
        if isinstance(assay := assays[part.measurement], Tried)
        for unit in assay.trials(part)
    )


def units_of(
    assays: Mapping[str, Assay],
    parts: Sequence[Slice],
    tried: Mapping[str, Findings] = MappingProxyType({}),
) -> list[Unit]:
    """The units of all slices, equal ones once, in an order independent of that of the slices.

    ``tried``: findings of trials; slices that they have ended need no more.
    """
    return _distinct(
        unit for part in parts for unit in _left(assays[part.measurement], part, tried)
    )


def _left(assay: Assay, part: Slice, tried: Mapping[str, Findings]) -> Sequence[Unit]:
    if tried and isinstance(assay, Tried):
        return assay.remaining(part, tried)
    return assay.units(part)


def _distinct(units: Iterable[Unit]) -> list[Unit]:
    found = {unit.content: unit for unit in units}
    return [found[content] for content in sorted(found)]


def pack(findings: Findings) -> StoredAnswer:
    """Findings as JSON for the store: texts as they are, arrays as one npz file."""
    arrays = {name: item for name, item in findings.items() if not isinstance(item, list)}
    texts = {name: item for name, item in findings.items() if isinstance(item, list)}
    file = io.BytesIO()
    np.savez_compressed(file, allow_pickle=False, **arrays)
    encoded = base64.b64encode(file.getvalue()).decode("ascii")
    return [texts, encoded, _digest(texts, encoded)]


def unpack(answer: StoredAnswer) -> Findings:
    """Findings from the JSON in the store.

    Raises:
        ValueError: `pack` did not write it.
    """
    try:
        texts, encoded, written = answer
        if written != _digest(texts, encoded):
            raise ValueError("changed since it was written")
        with np.load(io.BytesIO(base64.b64decode(encoded)), allow_pickle=False) as file:
            return {**texts, **{name: file[name] for name in file.files}}
    except (ValueError, TypeError, RecursionError) as error:
        raise ValueError(f"not the findings of an assay: {error}") from None


def _digest(texts: Mapping[str, list[str]], encoded: str) -> str:
    """What only findings that were packed have: whatever else has their place is found again."""
    return files.digest(json.dumps(texts, sort_keys=True), encoded)


def assay_all(
    assays: Mapping[str, Assay], parts: Sequence[Slice], findings: Mapping[str, Findings]
) -> dict[Slice, Assayed]:
    """The result of every slice.

    Raises:
        ModelError: they are not of the shape that the assay left behind.
    """
    found = {}
    for part in parts:
        try:
            found[part] = assays[part.measurement].measure(part, findings)
        except (LookupError, ValueError, TypeError, AssertionError) as error:
            what = line(f"{type(error).__name__}: {error}", 200)
            raise ModelError(
                f"{part.measurement}: what was found inside the model cannot be read ({what}); ask "
                "again with --store none; -v shows where"
            ) from error
    return found
