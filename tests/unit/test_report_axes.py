"""A run over several axes: a matrix first, then each axis; no figure over axes."""

import re

from blindspot.estimates import Estimate
from blindspot.gates.rule import Check, Gate, families_of, judge
from blindspot.report.axes import matrix
from blindspot.report.github import summary
from blindspot.report.page import page
from tests.unit.report_documents import document


def test_one_axis_needs_no_matrix():
    """The page of a single axis is as it was."""
    assert matrix(document()["gates"]) is None


def test_each_axis_has_a_row_and_each_thing_asked_a_column():
    """The worst gate stands in each cell, and what was not asked is empty."""
    gates = document(axes=("first", "second"))["gates"]
    gates = [
        gate for gate in gates if (gate["axis"], gate["measurement"]) != ("second", "patching")
    ]
    found = matrix(gates)
    assert [row.name for row in found.rows] == ["first", "second"]
    assert {"implicit", "explicit", "gap", "patching"} <= set(found.topics)
    first, second = found.rows
    assert first.cells[found.topics.index("implicit")].verdict == "fail"
    assert second.cells[found.topics.index("patching")] is None
    assert second.statements


def test_the_page_shows_the_matrix_before_each_axis():
    """A reader sees all axes at a glance; every chart belongs to one of them."""
    html = page(document(axes=("first", "second"), compared=False))
    assert html.index('id="axes"') < html.index('id="axis-1"') < html.index('id="axis-2"')
    assert html.index('id="axis-2"') < html.index('id="changed"')
    for title in ("Word association (implicit), first", "Word association (implicit), second"):
        assert title in html
    ids = re.findall(r'\bid="([^"]+)"', html)
    assert len(ids) == len(set(ids))


def test_the_step_summary_has_the_matrix():
    """One row an axis, with the verdict in words."""
    text = summary(document(axes=("first", "second"), compared=False))
    rows = [line for line in text.splitlines() if line.startswith(("| first", "| second"))]
    assert len(rows) == 2
    assert "fail" in rows[0]


def test_every_axis_has_families_of_its_own():
    """The error rate is shared over the axes of a run, and held within each."""
    gates = [
        Gate(f"implicit/{axis}-{n}", "implicit", "stereotype", "effect", 0.2, "limit", axis=axis)
        for axis in ("first", "second")
        for n in range(3)
    ]
    results = judge(
        [Check(gate, Estimate(0.0, 0.02, 48, 12, 11.0, "effect")) for gate in gates], 0.05
    )
    assert families_of(results, 0.05) == {
        "first: category": (3, 0.025),
        "second: category": (3, 0.025),
    }
    alone = judge(
        [Check(gate, Estimate(0.0, 0.02, 48, 12, 11.0, "effect")) for gate in gates[:3]], 0.05
    )
    assert families_of(alone, 0.05) == {"category": (3, 0.05)}
