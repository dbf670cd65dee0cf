"""The worked examples of docs/extending.md, built in a copy of the project and run there."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.unit.suite_runs import ROOT, SuiteRun, run_suite

DOCUMENT = ROOT / "docs" / "extending.md"
#: Files that a change may touch at most; of a backend, the second one gets a line.
MOST = {
    "A new mechanistic assay": 5,
    "A new behavioral measurement": 6,
    "A model backend": 2,
    "A command line flag": 2,
    "A statistic on the page": 3,
    "How a gate is judged": 2,
    "An axis": 2,
}
#: The examples of measurements, and models that fail them: one associates the stereotype in every
#: answer, the other does not see the group inside.
PATHS = {
    "attribution": "tests/implicit/test_attribution.py",
    "centroid": "tests/mechanistic/test_centroid.py",
}
MODELS = {
    "attribution": "scripted:stereotyped",
    "centroid": "scripted:stereotyped+organism:blind",
}
#: Gates of ours, which the other examples change.
OURS = "tests/implicit/test_association.py"


class Block(NamedTuple):
    """A block of code: in which section, of which kind, for which file."""

    section: str
    kind: str
    path: str
    text: str


def blocks() -> Iterator[Block]:
    for section in re.split(r"^## ", DOCUMENT.read_text("utf-8"), flags=re.MULTILINE)[1:]:
        found = re.finditer(r"^```(\w+)\n# (\S+)\n(.*?)^```$", section, re.MULTILINE | re.DOTALL)
        for block in found:
            yield Block(section.splitlines()[0], *block.groups())


def apply(block: Block, root: Path) -> None:
    """Write a new file, append to a table of limits, or patch: hunks are parted by ``@@``."""
    path = root / block.path
    if block.kind == "diff":
        text = path.read_text("utf-8")
        for hunk in block.text.split("@@\n"):
            lines = hunk.splitlines(keepends=True)
            old = "".join(line[1:] for line in lines if not line.startswith("+"))
            new = "".join(line[1:] for line in lines if not line.startswith("-"))
            assert text.count(old) == 1, f"{block.path}: {old!r}"
            text = text.replace(old, new)
        path.write_text(text, "utf-8")
    elif path.exists():
        assert block.kind == "toml", f"{block.path} already exists"
        path.write_text(f"{path.read_text('utf-8')}\n{block.text}", "utf-8")
    else:
        path.write_text(block.text, "utf-8")


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the project with all examples in it."""
    root = tmp_path_factory.mktemp("extended")
    for name in ("conftest.py", "pyproject.toml"):
        shutil.copy(ROOT / name, root / name)
    kept = shutil.ignore_patterns("organisms", "labels", "test_*")
    shutil.copytree(ROOT / "src", root / "src")  # with byte code, which holds for what is the same
    shutil.copytree(ROOT / "fixtures", root / "fixtures", ignore=kept)
    (root / "fixtures" / "organisms").symlink_to(ROOT / "fixtures" / "organisms")
    for name in ("implicit", "mechanistic", "unit"):
        shutil.copytree(ROOT / "tests" / name, root / "tests" / name, ignore=kept)
    shutil.copy(ROOT / OURS, root / OURS)
    shutil.copy(ROOT / "tests" / "__init__.py", root / "tests" / "__init__.py")
    for block in blocks():
        apply(block, root)
    return root


@pytest.fixture(scope="module")
def run_of(tree: Path, tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], SuiteRun]:
    """The gates of an example on one category."""

    @cache
    def run(name: str) -> SuiteRun:
        return run_suite(
            tmp_path_factory.mktemp(name),
            *("-k", "race-default-weapons", "--note", "as every week"),
            model=MODELS[name],
            limit=3,
            paths=(PATHS[name],),
            root=tree,
        )

    return run


@pytest.fixture(scope="module")
def trade(tree: Path, tmp_path_factory: pytest.TempPathFactory) -> SuiteRun:
    """The gates of the new axis, of a model that is just within its limit."""
    return run_suite(
        tmp_path_factory.mktemp("trade"),
        "--axis",
        "trade",
        "-k",
        "category",
        "--fraction",
        "all",
        "--reference",
        "scripted:stereotyped",
        model="scripted:leaning",
        limit=None,
        paths=(OURS,),
        root=tree,
        env={"SCRIPTED_STIMULI": "shipped"},
    )


def files(section: str) -> set[str]:
    """What the example of a section touches."""
    return {block.path for block in blocks() if block.section == section}


@pytest.mark.parametrize(("section", "most"), MOST.items())
def test_an_example_touches_few_files(section: str, most: int) -> None:
    """What is known of a thing is in one place."""
    assert 0 < len(files(section)) <= most


def test_the_table_counts_the_files_of_the_examples() -> None:
    """The numbers at the top are those of the sections."""
    rows = re.findall(r"^\| \[.*\]\(#(.*)\) \| (.*) \|$", DOCUMENT.read_text("utf-8"), re.MULTILINE)
    sections = {re.sub(r"\s", "-", name.lower()): name for name in MOST}
    assert [anchor for anchor, _ in rows] == list(sections)
    for anchor, said in rows:
        found = files(sections[anchor])
        if said == "TOML only":
            assert {Path(name).suffix for name in found} == {".toml"}
        elif said == "1, and a line":
            lines = [b.text for b in blocks() if b.section == sections[anchor] and b.kind == "diff"]
            assert (len(found), "".join(lines).count("\n+")) == (2, 1)
        else:
            assert len(found) == int(said)


@pytest.mark.slow
def test_a_flag_is_a_row_and_its_consumer(run_of: Callable[[str], SuiteRun]) -> None:
    """The run prints the note of the example, and its rerun has it."""
    run = run_of("attribution")
    assert "\nnote: as every week\n" in run.out
    assert "--note 'as every week'" in run.report["command"]


@pytest.mark.slow
def test_a_statistic_is_in_the_report_and_on_the_page(tree: Path, trade: SuiteRun) -> None:
    """The run writes it, the page shows it, and who reads the report again knows it."""
    gate = trade.gates["implicit/trade-default-mood/stereotype/generated"]
    assert 0.0 < gate["p_within"] < 1.0
    page = (trade.output_path / "report.html").read_text("utf-8")
    assert '<th scope="col">p within</th>' in page
    assert f"<td>{gate['p_within']:.2g}</td>" in page
    report = str(trade.output_path)
    done = subprocess.run(
        [sys.executable, "-m", "blindspot", "compare", report, report],
        env={**os.environ, "PYTHONPATH": str(tree / "src")},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 0, done.stdout + done.stderr  # it has a place in the schema


@pytest.mark.slow
def test_a_verdict_is_judged_and_shown_everywhere(trade: SuiteRun) -> None:
    """A rule of two files: in the record, in words, on the page, in the last line; it is green."""
    gate = trade.gates["implicit/trade-default-mood/stereotype/generated"]
    assert gate["limit_verdict"] == "near"
    assert ", near: within, but not clearly (p 0." in gate["message"]
    page = (trade.output_path / "report.html").read_text("utf-8")
    assert '<span class="badge near">near</span>' in page
    assert "≈" in page  # the style sheet has its symbol
    assert "near  " in trade.out[trade.out.index("\nin words\n") :]
    assert re.search(r"^blindspot: passed: scripted:leaning: .*\d near", trade.out, re.MULTILINE)


@pytest.mark.slow
def test_an_axis_is_data(trade: SuiteRun) -> None:
    """Gates, tables, page and the gap to another model speak of the new axis, and of no other."""
    assert {gate["axis"] for gate in trade.gates.values()} == {"trade"}
    page = (trade.output_path / "report.html").read_text("utf-8")
    assert (
        "variants of trade: against the reference scripted:stereotyped, means over categories"
        in trade.out
    )
    assert "<h3>The variants of trade</h3>" in page
    assert "trade-default-mood" in trade.out[trade.out.index("\nin words\n") :]
    for told in (trade.out, re.sub(r"<style>.*?</style>", "", page, flags=re.DOTALL)):
        assert not re.search(r"\brace\b", told)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("gate", "verdict"),
    [
        ("attribution/race-default-weapons/attribution/generated", "fail"),
        ("attribution/race-default-weapons/validity/generated", "pass"),
        ("centroid/race-default-weapons/blindness/mean-difference/overall", "fail"),
        ("centroid/race-default-weapons/blindness/mean-difference/late", "reported"),
    ],
)
def test_the_examples_are_judged(
    run_of: Callable[[str], SuiteRun], gate: str, verdict: str
) -> None:
    """A model with the planted fault fails both, and the rules of the examples hold."""
    run = run_of(gate.partition("/")[0])
    assert run.code == 10, run.out + run.err
    assert run.gates[gate]["verdict"] == verdict, run.gates[gate]["message"]


@pytest.mark.slow
@pytest.mark.parametrize("name", ["attribution", "centroid"])
def test_the_examples_are_in_every_report(run_of: Callable[[str], SuiteRun], name: str) -> None:
    """The terminal has a table, the page a verdict in words, the model card a result."""
    run = run_of(name)
    assert f"\n{name}: " in run.out
    title = {"attribution": "Word attribution", "centroid": "Inside: centroid"}[name]
    said = {
        "attribution": "it says that words belong to the group of the stereotype",
        "centroid": "reads the identifiers in their literal sense",
    }[name]
    page = (run.output_path / "report.html").read_text("utf-8")
    assert f"<h3>{title}: <span>" in page
    assert said in page
    card = (run.output_path / "report-model-card.yaml").read_text("utf-8")
    assert f"blindspot-{name}" in card
    rows = run.report["effects" if name == "attribution" else "mechanistic"]
    assert name in (rows if name == "attribution" else {row["measurement"] for row in rows})


@pytest.mark.slow
def test_unit_tests_of_the_examples_pass(tree: Path, tmp_path: Path) -> None:
    """Both unit tests are run as they stand in the document."""
    names = (
        "tests/unit/test_measurements_attribution.py",
        "tests/unit/test_measurements_centroid.py",
    )
    run = run_suite(
        tmp_path,
        "--store",
        "none",
        model=None,
        limit=None,
        plugin=False,
        paths=names,
        root=tree,
    )
    assert run.code == 11, run.out + run.err  # options of ours, and no gate
    assert " passed" in run.out
    assert " failed" not in run.out
