"""Units that the assays of a run need, and their results."""

from __future__ import annotations

import base64
import io
import zipfile
import zlib
from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from blindspot.measurements.mechanistic import Assay, Assayed, Findings, Unit
from blindspot.run.cases import Case
from blindspot.stimuli import Slice
from blindspot.store import StoredAnswer

#: Errors of reading something that is not an npz file.
_BROKEN = (ValueError, TypeError, AttributeError, OSError, EOFError, zipfile.BadZipFile, zlib.error)


def parts_of(cases: Iterable[Case]) -> list[Slice]:
    """The distinct slices that the mechanistic cases need."""
    return list(dict.fromkeys(case.part for case in cases if case.mechanistic))


def units_of(assays: Mapping[str, Assay], parts: Sequence[Slice]) -> list[Unit]:
    """The units of all slices, equal ones once, in an order independent of that of the slices."""
    units = {unit.content: unit for part in parts for unit in assays[part.measurement].units(part)}
    return [units[content] for content in sorted(units)]


def pack(findings: Findings) -> StoredAnswer:
    """Findings as JSON for the store: texts as they are, arrays as one npz file."""
    arrays = {name: item for name, item in findings.items() if not isinstance(item, list)}
    texts = {name: item for name, item in findings.items() if isinstance(item, list)}
    file = io.BytesIO()
    np.savez_compressed(file, allow_pickle=False, **arrays)
    return [texts, base64.b64encode(file.getvalue()).decode("ascii")]


def unpack(answer: StoredAnswer) -> Findings:
    """Findings from the JSON in the store.

    Raises:
        ValueError: `pack` did not write it.
    """
    try:
        texts, encoded = answer
        with np.load(io.BytesIO(base64.b64decode(encoded)), allow_pickle=False) as file:
            return {**texts, **{name: file[name] for name in file.files}}
    except _BROKEN as error:
        raise ValueError(f"not the findings of an assay: {error}") from None


def assay_all(
    assays: Mapping[str, Assay], parts: Sequence[Slice], findings: Mapping[str, Findings]
) -> dict[Slice, Assayed]:
    """The result of every slice."""
    return {part: assays[part.measurement].measure(part, findings) for part in parts}
