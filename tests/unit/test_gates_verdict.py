"""The verdicts: one list of them in the whole package, complete, and worst first."""

from __future__ import annotations

import ast
from itertools import pairwise
from pathlib import Path

import pytest

import blindspot
from blindspot.gates.verdict import ExitCode, RunVerdict, Verdict, worst
from blindspot.report import page

PACKAGE = Path(blindspot.__file__).parent
STYLE = (Path(page.__file__).parent / "templates" / "style.css").read_text("utf-8")


def test_the_worst_comes_first() -> None:
    """Verdicts that fail a test come before those that do not, and reports last."""
    order = list(Verdict)
    assert all(one.green <= other.green for one, other in pairwise(order))
    assert worst(order) is order[0] is Verdict.FAIL
    assert worst([]) is order[-1] is Verdict.REPORTED
    assert [verdict.severity for verdict in order] == list(range(len(order)))


@pytest.mark.parametrize("verdict", Verdict)
def test_every_verdict_has_a_look_and_words(verdict: Verdict) -> None:
    """Whoever adds a verdict is asked for all that reports show of it."""
    assert verdict.look.style
    assert len(verdict.look.symbol) == 1
    assert verdict.words.meaning
    assert verdict.green or (verdict.look.annotation and verdict.words.one and verdict.words.beside)


def test_the_page_has_a_color_for_every_verdict() -> None:
    """The style sheet defines the tones, light and dark, that verdicts name."""
    tones = {verdict.look.tone for verdict in Verdict} | {verdict.tone for verdict in RunVerdict}
    for tone in tones - {""}:
        assert STYLE.count(f"--{tone}:") >= 2, tone
    for verdict in Verdict:
        assert f".badge.{verdict}" not in STYLE, "comes from the verdict"


def test_every_exit_code_of_a_gate_has_a_word() -> None:
    """A run that ends with the code of a gate is worded by it."""
    words = {verdict.exit_code: RunVerdict.of(verdict.exit_code) for verdict in Verdict}
    assert words == {
        ExitCode.BIAS: "failed",
        ExitCode.INCOMPLETE: "incomplete",
        ExitCode.INCONCLUSIVE: "inconclusive",
        ExitCode.PASSED: "passed",
    }


def _listed(node: ast.AST) -> set[str]:
    """The verdicts that a literal list, a set, a dict's keys or a `Literal` name."""
    if isinstance(node, ast.Dict):
        parts: list[ast.expr | None] = [*node.keys]
    elif isinstance(node, ast.List | ast.Set | ast.Tuple):
        parts = [*node.elts]
    else:
        return set()
    words = {part.value for part in parts if isinstance(part, ast.Constant)}
    words |= {
        part.attr.lower()
        for part in parts
        if isinstance(part, ast.Attribute)
        and isinstance(part.value, ast.Name)
        and part.value.id == "Verdict"
    }
    return {str(word) for word in words} & {*Verdict}


def test_verdicts_are_listed_once() -> None:
    """Nobody outside the room of the gates keeps a list of verdicts: they iterate over it.

    What a measurement says when it fails or passes are its own sentences.
    """
    found = [
        f"{path.relative_to(PACKAGE)}:{node.lineno}"
        for path in sorted(PACKAGE.rglob("*.py"))
        if path.parent.name not in ("gates", "measurements")
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(node, ast.expr) and len(_listed(node)) > 1
    ]
    assert found == []
