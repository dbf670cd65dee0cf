"""The benchmark of the residual stream compares before it times."""

import json
import subprocess
import sys

import numpy as np
import pytest

from tests.unit.suite_runs import ROOT

WORKS = ("patch sweep", "bare patch sweep", "selfie sweep", "injection windows")
PLAIN = "plain hooks, one at a time (a)"


@pytest.fixture
def rooms(monkeypatch):
    """The benchmark's modules, as its script finds them."""
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    import equality
    import residual
    import residual_rows

    return residual, residual_rows, equality


@pytest.fixture(scope="module")
def smoke(tmp_path_factory):
    """What the command prints and writes for a tiny model."""
    file = tmp_path_factory.mktemp("benchmark") / "rows.json"
    command = [sys.executable, "benchmarks/residual.py", "--smoke", "--quick", "--threads", "1"]
    done = subprocess.run(
        [*command, "--json", str(file)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=300,
        check=True,
    )
    return done.stdout, json.loads(file.read_text(encoding="utf-8"))


def test_each_workload_has_our_row_and_that_of_plain_hooks(smoke):
    """`--json` writes a row for each way to do each workload: seconds, and their ratio to (a)."""
    _, written = smoke
    rows = {row["name"]: row for row in written["rows"]}
    assert set(rows) >= {f"{work}, {name}" for work in WORKS for name in ("ours", PLAIN)}
    for name, row in rows.items():
        plain = rows[f"{name.split(', ')[0]}, {PLAIN}"]
        assert 0 < row["low"] <= row["seconds"] <= row["high"], name
        assert row["ratio"] == pytest.approx(plain["seconds"] / row["seconds"]), name
        assert 0 < row["share"] <= 1, name


def test_what_is_needed_is_less_than_what_is_done(smoke):
    """Operations: the floor lies below ours, and ours below one forward pass a patch."""
    _, written = smoke
    assert [work["name"] for work in written["workloads"]] == list(WORKS)
    for work in written["workloads"]:
        counts = [work[f"operations_{name}"] for name in ("needed", "ours", "plain")]
        assert 0 < counts[0] < counts[1] < counts[2], work["name"]


def test_memory_is_that_of_another_process(smoke):
    """Peak memory is told beside the loaded model's, and above its weights."""
    memory = smoke[1]["memory"]
    assert memory["model"] < memory["before"] <= memory["peak"]


def test_libraries_have_rows_only_where_they_are_installed(smoke):
    """A library that is not installed is told so, and has no row."""
    printed, written = smoke
    names = [row["name"] for row in written["rows"]]
    for library in ("TransformerLens", "nnsight", "pyvene"):
        missing = library in written["not_installed"]
        assert (f"{library}: not installed" in printed) is missing
        assert any(library in name for name in names) is not missing


def test_probabilities_were_compared(smoke):
    """Every row of a sweep says by how much its probabilities differ from (a): not above 1e-4."""
    printed, written = smoke
    assert written["tolerance"] == 1e-4
    for row in written["rows"]:
        assert row["difference"] <= (1e-4 if "patch sweep" in row["name"] else 1), row["name"]
    for table in printed.split("\n\n")[1:-1]:
        assert table.index("compared with (a)") < table.index("wall s"), table


@pytest.mark.parametrize("broken", ["ours", pytest.param("plain", marks=pytest.mark.slow)])
def test_no_time_is_printed_when_numbers_differ(rooms, monkeypatch, capsys, broken):
    """A way that comes to other probabilities stops the benchmark before its table."""
    residual, residual_rows, equality = rooms
    import torch
    from residual_subjects import random_llama

    subject = random_llama("llama-tiny", "cpu", torch.float32)
    (work, *_) = residual.works_of(subject, residual.SIZES["smoke"])
    right = work.ours if broken == "ours" else residual_rows.plain_hooks

    def wrong(*asked):
        answers = right(*asked)
        return equality.Answers(values=answers.values + np.float32(3e-4))

    if broken == "ours":
        object.__setattr__(work, "ours", wrong)
    else:
        monkeypatch.setattr(residual_rows, "plain_hooks", wrong)
    bench = residual.Bench("cpu", torch.float32)
    with pytest.raises(equality.NotEqualError, match=r"a probability differs by 3\.0e-04"):
        bench.run(work, (), residual.SIZES["smoke"])
    assert capsys.readouterr().out == ""
    assert bench.rows == []


def test_numbers_that_are_none_are_not_equal(rooms):
    """NaN is no agreement."""
    equality = rooms[2]
    found = equality.Answers(values=np.array([[np.nan]], np.float32))
    with pytest.raises(equality.NotEqualError):
        equality.compare("x", found, equality.Answers(values=np.zeros((1, 1), np.float32)), 1e-4, 0)


@pytest.mark.parametrize(("margin", "equal"), [(1e-4, True), (0.1, False)])
def test_texts_may_differ_at_a_near_tie_only(rooms, margin, equal):
    """Another text is a fault unless two tokens were about as good."""
    equality = rooms[2]
    found = equality.Answers(texts=["a b", "c"])
    expected = equality.Answers(texts=["a b", "d"], margins=[1.0, margin])
    if equal:
        assert equality.compare("x", found, expected, 1e-4, 1e-3) == 0.5
    else:
        with pytest.raises(equality.NotEqualError, match="'c' in place of 'd'"):
            equality.compare("x", found, expected, 1e-4, 1e-3)


@pytest.mark.parametrize("layers", [6, 12, 32])
@pytest.mark.parametrize("step", [1, 3, 6])
def test_layers_measured_in_part_stand_for_all(rooms, layers, step):
    """Layers that are taken for all have as many blocks behind them on average."""
    chosen = rooms[1].symmetric(layers, step)
    assert np.mean(sorted(chosen)) == (layers - 1) / 2
    assert len(chosen) == (layers if step == 1 else 2 * -(-(layers // 2) // step))
