"""A run that judges nothing, a part, or beside the wrong model is never green."""

import json
import pathlib

import pytest

from blindspot.session.flags import Kind, Role, flag_of
from blindspot.session.options import TABLE, Options
from blindspot.session.tests import _NO_GATES
from tests.unit.suite_runs import ROOT, run_here, run_suite
from tests.unit.test_plugin_elsewhere import GATE_TEST

SCRIPTED = ("-p", "tests.unit.scripted", "--model", "scripted:fair")


def other_project(directory):
    """A project that asks for gates and has a test of its own alone."""
    (directory / "pytest.ini").write_text("[pytest]\nblindspot = true\n")
    (directory / "test_own.py").write_text("import pytest\ndef test_own():\n    pass\n")


@pytest.mark.parametrize(
    "asked",
    [
        (),
        ("--require-baseline",),
        ("--snapshot-update",),
        ("--output-path", "out"),
        pytest.param(("-n", "2"), marks=pytest.mark.slow),
        ("-p", "no:blindspot-reports"),
    ],
    ids=" ".join,
)
def test_model_without_gates_is_incomplete(tmp_path, asked):
    """A model is named and no test judges it: exit 11, with the remedy."""
    other_project(tmp_path)
    code, out = run_here(tmp_path, *SCRIPTED, *asked)
    assert code == 11, out
    assert "incomplete: no gate was judged" in out
    assert "--pyargs blindspot.suite" in out


def test_gates_that_nobody_runs_are_incomplete(tmp_path):
    """Collected gates that are never heard of: another plugin runs the loop."""
    other_project(tmp_path)
    (tmp_path / "test_own.py").write_text("import pytest\n" + GATE_TEST)
    (tmp_path / "conftest.py").write_text("def pytest_runtestloop():\n    return True\n")
    code, out = run_here(tmp_path)
    assert code == 11, out
    assert "no gate was judged" in out


def test_listing_tests_judges_nothing_and_is_complete(tmp_path):
    """--collect-only with a model is no run that should have judged."""
    other_project(tmp_path)
    code, out = run_here(tmp_path, *SCRIPTED, "--collect-only")
    assert code == 0, out


def test_mistake_keeps_the_last_report(tmp_path):
    """A typo in --model deletes nothing."""
    out = tmp_path / "out"
    out.mkdir()
    for name in ("report.json", "report.html", "search.json"):
        (out / name).write_text("of last night")
    run = run_suite(tmp_path, model="./nowhere")
    assert run.code == 4
    assert {path.read_text() for path in out.iterdir()} == {"of last night"}
    assert len(list(out.iterdir())) == 3


def test_old_files_go_when_the_new_ones_are_whole(tmp_path):
    """Files of an earlier run that this one does not write cannot pass for its own."""
    out = tmp_path / "out"
    out.mkdir()
    (out / "search.json").write_text("of last night")
    run = run_suite(tmp_path, "-k", "race-default-weapons and validity")
    assert run.code == 0, run.out
    assert not (out / "search.json").exists()
    assert run.report["verdict"] == "passed"


@pytest.mark.slow
def test_optimized_python_accepts_too(tmp_path):
    """``python -O`` strips assertions; what they would do is done all the same."""
    few = ("-k", "race-default-weapons and association_validity", "--snapshot-update")
    quiet = ("-W", "ignore::pytest.PytestConfigWarning")
    run = run_suite(tmp_path, *few, *quiet, limit=None, env={"PYTHONOPTIMIZE": "1"})
    assert run.code == 0, run.out
    assert "1 gates accepted" in run.out
    (path,) = (tmp_path / "baselines").glob("*.json")
    content = json.loads(path.read_text("utf-8"))
    assert len(content["gates"]) == 1
    # The same file, of another model of that name: nobody's word that they are to be compared.
    path.write_text(json.dumps(content | {"model": "other:fair"}), "utf-8")
    run = run_suite(tmp_path, *few[:2], "--require-baseline", limit=None)
    assert run.code == 11, run.out
    joined = " ".join(run.out.split())
    assert "is the baseline of other:fair" in joined
    assert "as scripted:fair" in joined
    assert "--require-baseline" in run.report["command"]


@pytest.mark.parametrize(
    "reduced", ["python_functions=test_category_belief*", "python_files=test_[a-h]*.py"]
)
def test_configuration_that_leaves_tests_out(tmp_path, reduced):
    """A whole run in which pytest's configuration hides tests of the suite says so."""
    run = run_suite(tmp_path, "-o", reduced, "-k", "race-default-weapons", paths=())
    assert run.code == 11, run.out
    assert "tests were not collected" in run.out


def test_every_folder_with_gates_is_collected(pytestconfig):
    """Else each whole run of a checkout would be incomplete, for tests that judge nothing."""
    listed = {pathlib.Path(path).name for path in pytestconfig.getini("testpaths")}
    folders = {path.parent.name for path in (ROOT / "tests").glob("*/test_*.py")}
    assert folders - set(_NO_GATES) <= listed


def test_names_reach_the_terminal_in_one_line(tmp_path):
    """A name that is a command of a CI runner, or colors the terminal, is spelled out."""
    name = "scripted:fair@x\n::error title=x::INJECTED\x1b[31m\u202e"
    run = run_suite(tmp_path, "-k", "race-default-weapons and association", model=name)
    assert "INJECTED" in run.out
    for line in (run.out + run.err).splitlines():
        assert not line.startswith("::")
        assert "\x1b" not in line
        assert "\u202e" not in line


def test_rerun_has_every_flag_that_it_needs():
    """The command of a rerun is that of the table; no row is forgotten."""
    values = {
        Kind.TEXT: "x", Kind.PATH: "x", Kind.NAME: "x", Kind.POSITIVE: 3, Kind.SEED: 3,
        Kind.BATCH: "3", Kind.FRACTION: "1/3", Kind.DURATION: "5m", Kind.SWITCH: True,
        Kind.TOGGLE: False,
    }  # fmt: skip
    for name, row in TABLE.items():
        value = values[row.kind]
        options = Options(**{name: (value,) if row.many else value}, given=frozenset({name}))
        flag = flag_of(name) if row.kind is not Kind.TOGGLE else f"--no-{name.replace('_', '-')}"
        assert (flag in options.selection) == (row.role is not Role.NEITHER or name == "model")
        assert (flag in options.conditions) == (row.role is Role.CONDITION)
