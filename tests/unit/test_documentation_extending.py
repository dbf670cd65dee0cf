"""The worked examples of docs/extending.md, built in a copy of the project and run there."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.unit.suite_runs import ROOT, SuiteRun, run_suite

DOCUMENT = ROOT / "docs" / "extending.md"
EXAMPLES = {"A new mechanistic assay": 5, "A new behavioral measurement": 6}
FLAG = "A command line flag"
#: Associates the stereotype in every answer; inside, it does not see the group.
MODEL = "scripted:stereotyped+organism:blind"


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
    """Write a new file, append to a table of limits, or insert lines behind those before them."""
    path = root / block.path
    if block.kind == "diff":
        text, after = path.read_text("utf-8"), ""
        for line in block.text.splitlines(keepends=True):
            if line.startswith("+"):
                assert text.count(after) == 1, f"{block.path}: {after!r}"
                text = text.replace(after, after + line[1:])
                after += line[1:]
            else:
                after = line[1:]
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
    kept = shutil.ignore_patterns("__pycache__", "organisms", "labels", "test_*")
    shutil.copytree(ROOT / "src", root / "src", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copytree(ROOT / "fixtures", root / "fixtures", ignore=kept)
    (root / "fixtures" / "organisms").symlink_to(ROOT / "fixtures" / "organisms")
    for name in ("implicit", "mechanistic", "unit"):
        shutil.copytree(ROOT / "tests" / name, root / "tests" / name, ignore=kept)
    shutil.copy(ROOT / "tests" / "__init__.py", root / "tests" / "__init__.py")
    for block in blocks():
        apply(block, root)
    return root


@pytest.fixture(scope="module")
def run(tree: Path, tmp_path_factory: pytest.TempPathFactory) -> SuiteRun:
    """The gates of both examples on one category."""
    return run_suite(
        tmp_path_factory.mktemp("run"),
        "-k",
        "race-default-weapons",
        model=MODEL,
        limit=None,
        paths=("tests/implicit/test_attribution.py", "tests/mechanistic/test_centroid.py"),
        root=tree,
    )


@pytest.mark.parametrize(("section", "most"), EXAMPLES.items())
def test_an_example_touches_few_files(section: str, most: int) -> None:
    """What is known of a measurement is in one place."""
    touched = {block.path for block in blocks() if block.section == section}
    assert 4 <= len(touched) <= most


def test_a_flag_is_a_row_and_its_consumer(tree: Path, tmp_path: Path) -> None:
    """The run prints the note of the example, and its rerun has it."""
    assert len({block.path for block in blocks() if block.section == FLAG}) == 2
    few = ("--note", "as every week", "-k", "race-default-weapons and validity")
    paths = ("tests/implicit/test_attribution.py",)
    run = run_suite(tmp_path, *few, model=MODEL, paths=paths, root=tree)
    assert run.code == 0, run.out + run.err
    assert "\nnote: as every week\n" in run.out
    assert "--note 'as every week'" in run.report["command"]


@pytest.mark.parametrize(
    ("gate", "verdict"),
    [
        ("attribution/race-default-weapons/attribution/generated", "fail"),
        ("attribution/race-default-weapons/validity/generated", "pass"),
        ("centroid/race-default-weapons/blindness/mean-difference/overall", "fail"),
        ("centroid/race-default-weapons/blindness/mean-difference/late", "reported"),
    ],
)
def test_the_examples_are_judged(run: SuiteRun, gate: str, verdict: str) -> None:
    """A model with the planted fault fails both, and the rules of the examples hold."""
    assert run.code == 10, run.out + run.err
    assert run.gates[gate]["verdict"] == verdict, run.gates[gate]["message"]


@pytest.mark.parametrize("name", ["attribution", "centroid"])
def test_the_examples_are_in_every_report(run: SuiteRun, name: str) -> None:
    """The terminal has a table, the page a verdict in words, the model card a result."""
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


def test_unit_tests_of_the_examples_pass(tree: Path, tmp_path: Path) -> None:
    """Both unit tests are run as they stand in the document."""
    names = (
        "tests/unit/test_measurements_attribution.py",
        "tests/unit/test_measurements_centroid.py",
    )
    run = run_suite(tmp_path, "--store", "none", model=None, limit=None, paths=names, root=tree)
    assert run.code == 11, run.out + run.err  # options of ours, and no gate
    assert " passed" in run.out
    assert " failed" not in run.out
