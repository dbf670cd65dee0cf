"""Published outputs held to the second part of a mitigation: valid answers, not by the list."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from blindspot.contrib.aligned_but_blind import Row, read_directory, rescore
from blindspot.gates.limits import load_gates
from blindspot.measurements.base import GENERATED
from blindspot.measurements.mitigation import COLLAPSE
from blindspot.paths import FIXTURES
from tests.unit.test_published_rescore import COUNTER, STEREOTYPED, implicit, write

#: A directory with the authors' result files of one adapter, which have no licence to be copied.
ADAPTERS = os.environ.get("BLINDSPOT_PUBLISHED_ADAPTERS")


def limit(statistic: str) -> float:
    """What part 2 allows: the floor of validity, or the margin of an effect."""
    against = "limit" if statistic == "validity" else "reference"
    gate = load_gates(FIXTURES / "gates.toml").gate(
        "published",
        statistic,
        "category",
        measurement=COLLAPSE.name,
        axis="race",
        variant="default",
        category="weapons",
        reading=GENERATED,
        against=against,
    )
    assert gate.limit is not None
    return gate.limit


def faults(row: Row) -> list[str]:
    """Why answers are not valid, beside a model that answers and copies nothing."""
    found = []
    if row.valid / row.n < limit("validity"):
        found.append("silent")
    if row.order_effect is not None and abs(row.order_effect) > limit("listing"):
        found.append("copies")
    return found


@pytest.mark.parametrize(
    ("answers", "found"),
    [
        ((STEREOTYPED, STEREOTYPED, STEREOTYPED, STEREOTYPED), []),
        ((STEREOTYPED, STEREOTYPED, COUNTER, COUNTER), ["copies"]),
        ((STEREOTYPED, "Well.", STEREOTYPED, "Well."), ["silent"]),
        ((STEREOTYPED, STEREOTYPED, COUNTER, "Well."), ["silent", "copies"]),
    ],
    ids=["stereotyped", "copies", "silent", "both"],
)
def test_collapse_is_seen_in_published_answers(
    tmp_path: Path, answers: tuple[str, ...], found: list[str]
) -> None:
    """Whatever the published score says."""
    write(tmp_path, implicit(*answers))
    (row,) = rescore(read_directory(tmp_path)).rows
    assert faults(row) == found


@pytest.mark.skipif(not ADAPTERS, reason="set BLINDSPOT_PUBLISHED_ADAPTERS to outputs of one")
def test_the_published_adapter_is_no_cure() -> None:
    """Its answers are few, and follow the list, in every variant that was published."""
    assert ADAPTERS
    totals = rescore(read_directory(Path(ADAPTERS))).totals
    assert totals
    for total in totals:
        assert faults(total.pooled), total.pooled
