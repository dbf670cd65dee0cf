"""Scores of every prompt in one compact file: a later run is paired with them, prompt by prompt.

A npz without pickle: columns over all prompts, and one JSON text with the names behind the columns,
the distinct answers, and the cluster contributions of the gates on the residual stream, which have
no prompts of their own: of the comparison that decided, and of all of them where there are several.
"""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from blindspot import files
from blindspot.baselines.file import ANEW, MOST, REMEDY
from blindspot.errors import BaselineError, line
from blindspot.estimates.clusters import Contributions, FactorSums
from blindspot.measurements.registry import BEHAVIORAL, answers
from blindspot.measurements.tables import Digests, Flags, Floats, Rows, Table, Words
from blindspot.stimuli import Slice

SCHEMA_VERSION = 3
_ANSWERS = answers()
_READINGS = tuple(_ANSWERS)
_OF_READING: Floats = np.array(list(_ANSWERS.values()))
_IDENTIFIER, _SECOND = 1, 2
#: The scores of 60,000 prompts take 3 MB, and 20 MB unpacked.
LARGEST, UNPACKED = 128 * 2**20, 512 * 2**20
#: Columns of the file: type, and content for each prompt.
_COLUMNS: Mapping[str, type[np.generic]] = {
    "slice": np.uint16,
    "positive": np.uint16,
    "negative": np.uint16,
    "wording": np.uint16,
    "orders": np.uint8,
    "reading": np.uint8,
    "log_odds": np.float32,
    "mass": np.float32,
    "forced": np.float32,  # 0 where it follows from the log-odds
    "text": np.uint32,
    "prompt": np.uint32,  # digest of what was asked
}


class StoredTable(Table):
    """A slice as accepted: columns, and the words behind their numbers."""

    def __init__(self, part: Slice, columns: Mapping[str, NDArray[Any]], names: Names) -> None:
        super().__init__(part)
        self._columns, self._names = columns, names

    @cached_property
    def generated(self) -> Floats:
        values: Floats = _OF_READING[self._columns["reading"]]
        return values

    @cached_property
    def log_odds(self) -> Floats:
        return self._columns["log_odds"].astype(np.float64)

    @cached_property
    def mass(self) -> Floats:
        return self._columns["mass"].astype(np.float64)

    @cached_property
    def forced(self) -> Floats:
        found = self.measurement.forced(self.log_odds)
        return self._columns["forced"].astype(np.float64) if found is None else found

    @cached_property
    def positive_identifier_first(self) -> Flags:
        return (self._columns["orders"] & _IDENTIFIER) > 0

    @cached_property
    def second_order(self) -> Flags:
        return (self._columns["orders"] & _SECOND) > 0

    @cached_property
    def words(self) -> list[Words]:
        words = self._names.words
        both = zip(self._columns["positive"], self._columns["negative"], strict=True)
        return [(words[positive], words[negative]) for positive, negative in both]

    @cached_property
    def wordings(self) -> list[str]:
        return [self._names.wordings[number] for number in self._columns["wording"]]

    @cached_property
    def readings(self) -> list[str]:
        return [_READINGS[number] for number in self._columns["reading"]]

    @cached_property
    def texts(self) -> list[str]:
        return [self._names.texts[number] for number in self._columns["text"]]

    @property
    def digests(self) -> Digests:
        return self._columns["prompt"]


@dataclass(frozen=True)
class Names:
    """The meaning of the numbers in columns."""

    words: Sequence[str]
    wordings: Sequence[str]
    texts: Sequence[str]


@dataclass(frozen=True)
class Scores:
    """All prompts by category slice, and contributions of mechanistic gates by their id.

    ``compared``: of gates whose comparison was chosen by their limit, all of them by name.
    ``forms``: of the compared answers, by wording.
    """

    tables: Mapping[Slice, Table] = field(default_factory=dict)
    contributions: Mapping[str, Contributions] = field(default_factory=dict)
    compared: Mapping[str, Mapping[str, Contributions]] = field(default_factory=dict)
    forms: Mapping[str, str] = field(default_factory=dict)

    def of_gates(self, gates: Container[str]) -> Scores:
        """These without mechanistic gates that are not named."""
        kept = {gate: each for gate, each in self.contributions.items() if gate in gates}
        compared = {gate: each for gate, each in self.compared.items() if gate in gates}
        return Scores(self.tables, kept, compared, self.forms)

    def merged(self, newer: Scores) -> Scores:
        """These scores updated by a newer run: in each slice, the word pairs that it asked."""
        tables = dict(self.tables)
        for part, table in newer.tables.items():
            tables[part] = _merged(tables[part], table) if part in tables else table
        return Scores(
            tables,
            {**self.contributions, **newer.contributions},
            {**self.compared, **newer.compared},
            {**self.forms, **newer.forms},
        )

    def packed(self) -> bytes:
        """The file; the same scores give the same bytes."""
        names: dict[str, dict[str, int]] = {"words": {}, "wordings": {}, "texts": {}}

        def number(kind: str, labels: Sequence[str]) -> list[int]:
            known = names[kind]
            for label in dict.fromkeys(labels):
                known.setdefault(label, len(known))
            return list(map(known.__getitem__, labels))

        parts = sorted(self.tables)
        columns: dict[str, list[Any]] = {name: [] for name in _COLUMNS}
        for index, part in enumerate(parts):
            table = self.tables[part]
            columns["slice"].append([index] * len(table))
            columns["positive"].append(number("words", [words[0] for words in table.words]))
            columns["negative"].append(number("words", [words[1] for words in table.words]))
            columns["wording"].append(number("wordings", table.wordings))
            orders = _IDENTIFIER * table.positive_identifier_first + _SECOND * table.second_order
            columns["orders"].append(orders)
            columns["reading"].append(list(map(_READINGS.index, table.readings)))
            columns["log_odds"].append(table.log_odds)
            columns["mass"].append(table.mass)
            follows = table.measurement.forced(table.log_odds) is not None
            columns["forced"].append(np.zeros(len(table)) if follows else table.forced)
            columns["text"].append(number("texts", table.texts))
            columns["prompt"].append(table.digests)
        head = {
            "schema_version": SCHEMA_VERSION,
            "readings": _READINGS,
            "slices": [[p.measurement, p.axis, p.variant, p.category] for p in parts],
            **{kind: list(known) for kind, known in names.items()},
            "contributions": {
                gate: _as_json(self.contributions[gate]) for gate in sorted(self.contributions)
            },
            "compared": {
                gate: {name: _as_json(each) for name, each in self.compared[gate].items()}
                for gate in sorted(self.compared)
            },
            "forms": dict(self.forms),
        }
        text = json.dumps(head, sort_keys=True)  # ASCII, whatever a model wrote
        file = io.BytesIO()
        arrays = {
            name: np.concatenate([np.asarray(part, kind) for part in columns[name]])
            if columns[name]
            else np.zeros(0, kind)
            for name, kind in _COLUMNS.items()
        }
        np.savez_compressed(
            file, allow_pickle=False, head=np.frombuffer(text.encode("ascii"), np.uint8), **arrays
        )
        return file.getvalue()


def read_scores(path: Path) -> Scores:
    """The scores in a file.

    Raises:
        BaselineError: it cannot be read or is of another shape; names the file and the remedy.
    """
    raw = files.read(path, LARGEST, "scores", error=BaselineError, remedy=REMEDY)
    try:
        arrays = _arrays(raw)
        head = files.parse_json(arrays["head"].tobytes())
        if head["schema_version"] != SCHEMA_VERSION:
            raise BaselineError(
                f"{path}: schema_version {line(repr(head['schema_version']), 40)}, this version of "
                f"blindspot reads {SCHEMA_VERSION}; {ANEW}"
            )
        return _unpacked(head, arrays)
    except (ValueError, KeyError, TypeError, AttributeError, ArithmeticError) as error:
        if isinstance(error, BaselineError):
            raise
        said = f"no {error}" if isinstance(error, KeyError) else str(error)
        raise BaselineError(
            f"{path}: not scores of blindspot ({line(said, 200)}); {REMEDY}"
        ) from None


def _arrays(raw: bytes) -> dict[str, NDArray[Any]]:
    """The arrays of a npz by name: no pickles, and no more than `UNPACKED` bytes.

    Raises:
        ValueError: it is damaged.
    """
    try:
        with zipfile.ZipFile(io.BytesIO(raw)) as archive:
            sizes = {member.filename: member.file_size for member in archive.infolist()}
            if sum(sizes.values()) > UNPACKED:
                raise ValueError(f"it unpacks to more than {UNPACKED // 2**20} MiB")
            arrays = {}
            for name in ("head", *_COLUMNS):
                with archive.open(f"{name}.npy") as file:
                    arrays[name] = np.lib.format.read_array(file, allow_pickle=False)
            return arrays
    # One flipped byte may raise nearly anything: zlib.error, RuntimeError if it looks encrypted,
    # NotImplementedError, EOFError, MemoryError, and whatever numpy's header evaluates to.
    except Exception as error:
        raise ValueError(f"damaged: {error}" if str(error) else "damaged") from None


def _unpacked(head: Mapping[str, Any], columns: Mapping[str, NDArray[Any]]) -> Scores:
    size = len(columns["slice"])
    for name, kind in _COLUMNS.items():
        if columns[name].shape != (size,) or columns[name].dtype != kind:
            raise ValueError(f"column {name} is of another shape or type")
    names = Names(*(_texts(head[kind]) for kind in ("words", "wordings", "texts")))
    parts = [
        Slice(measurement, axis, variant, category)
        for measurement, axis, variant, category in map(_texts, head["slices"])
    ]
    bounds = {
        "slice": len(parts),
        "positive": len(names.words),
        "negative": len(names.words),
        "wording": len(names.wordings),
        "orders": 4,
        "reading": len(head["readings"]),
        "text": len(names.texts),
    }
    if unknown := {*head["readings"]} - {*_READINGS}:
        raise ValueError(f"there is no reading {min(unknown)!r}")
    if len(set(parts)) < len(parts) or any(part.measurement not in BEHAVIORAL for part in parts):
        raise ValueError("its slices are missing or repeated")
    for name, bound in bounds.items():
        if size and int(columns[name].max()) >= bound:
            raise ValueError(f"column {name} refers to a missing entry")
    odds = columns["log_odds"]  # NaN throughout: of a model that offers no scores
    if not (
        (np.isfinite(odds).all() and (abs(columns["forced"]) <= 1).all()) or np.isnan(odds).all()
    ):
        raise ValueError("a score is not a finite number")
    if not ((columns["mass"] >= 0) & (columns["mass"] <= 1) | np.isnan(odds)).all():
        raise ValueError("a mass is not a probability")
    # A file names the readings that existed when it was written.
    now = np.array([_READINGS.index(name) for name in head["readings"]], np.uint8)
    columns = {**columns, "reading": now[columns["reading"]]}
    tables: dict[Slice, Table] = {}
    for index, part in enumerate(parts):
        rows = columns["slice"] == index
        own = {name: columns[name][rows] for name in _COLUMNS}
        tables[part] = StoredTable(part, own, names)
    kept = {gate: _from_json(data) for gate, data in head["contributions"].items()}
    compared = {
        gate: {name: _from_json(data) for name, data in several.items()}
        for gate, several in head["compared"].items()
    }
    forms = dict(zip(head["forms"], _texts([*head["forms"].values()]), strict=True))
    return Scores(tables, kept, compared, forms)


def _texts(items: Any) -> list[str]:
    if not isinstance(items, list) or not all(isinstance(item, str) for item in items):
        raise ValueError("its names are not strings")
    return items


def _merged(old: Table, new: Table) -> Table:
    """The old table with the word pairs of the new one in place of its own."""
    kept = [
        place for pair, places in old.pairs.items() if pair not in new.pairs for place in places
    ]
    return Rows([(old, sorted(kept)), (new, range(len(new)))]) if kept else new


def _as_json(found: Contributions) -> dict[str, Any]:
    return {
        "value": found.value,
        "floor": found.floor,
        "n": found.n,
        "unit": found.unit,
        "factors": {
            name: {
                level: float(total)
                for level, total, present in zip(part.levels, part.sums, part.present, strict=True)
                if present
            }
            for name, part in found.factors.items()
        },
    }


def _from_json(data: Mapping[str, Any]) -> Contributions:
    """The stored contributions of one gate.

    Raises:
        ValueError: they give no estimate.
    """
    factors = {
        name: FactorSums(
            tuple(sums),
            np.ones(len(sums), np.bool_),
            np.array([float(total) for total in sums.values()], np.float64),
        )
        for name, sums in data["factors"].items()
    }
    value, floor, n, unit = data["value"], data["floor"], data["n"], data["unit"]
    numbers = [value, floor, *(total for part in factors.values() for total in part.sums)]
    if not all(abs(number) < MOST for number in numbers) or floor < 0:
        raise ValueError("a contribution is not a number, or far beyond any measurement")
    if not factors or any(part.count < 2 for part in factors.values()):
        raise ValueError("a contribution has too few clusters")
    if type(n) is not int or n < 1 or not isinstance(unit, str):
        raise ValueError("a contribution has no count or unit")
    found = Contributions(float(value), factors, float(floor), n, unit)
    found.estimate()
    return found
