"""The benchmark of the two readings compares before it times."""

import json
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest

from tests.unit.suite_runs import ROOT

PAPER = "generation, one at a time (a)"
ROWS = {
    PAPER,
    "generation, one at a time, ended by the model",
    "generation, batches of 16 (b)",
    "generation, ours",
    "forced choice, one pass a candidate",
    "forced choice, ours",
    "both readings, ours cold",
    "both readings, ours warm",
}
HARNESS = "forced choice, lm-evaluation-harness (c)"


@pytest.fixture
def rooms(monkeypatch):
    """The benchmark's modules, as its script finds them."""
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    import behaviour
    import behaviour_rows
    import behaviour_subjects
    import equality

    return behaviour, behaviour_rows, behaviour_subjects, equality


@pytest.fixture
def subject(rooms):
    """The tiny model."""
    import torch

    return rooms[2].subject_of("llama-tiny", "cpu", torch.float32)


@pytest.fixture(scope="module")
def smoke(tmp_path_factory):
    """What the command prints and writes for a tiny model."""
    file = tmp_path_factory.mktemp("benchmark") / "rows.json"
    command = [sys.executable, "benchmarks/behaviour.py", "--smoke", "--profile", "--skip-memory"]
    done = subprocess.run(
        [*command, "--threads", "1", "--json", str(file)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=300,
        check=True,
    )
    return done.stdout, json.loads(file.read_text(encoding="utf-8"))


def test_rows_have_names_times_and_ratios(smoke):
    """Every way is there, with a ratio to the paper's way; lm-evaluation-harness if installed."""
    printed, written = smoke
    rows = {row["name"]: row for row in written["rows"]}
    assert set(rows) - {HARNESS} == ROWS
    assert (HARNESS in rows) == ("lm-eval: not installed" not in printed)
    for name, row in rows.items():
        assert row["seconds"] > 0
        assert row["ratio"] == pytest.approx(rows[PAPER]["seconds"] / row["seconds"])
        assert name in printed


def test_tokens_are_counted_against_those_needed(smoke):
    """The paper's way feeds more than ours, ours no fewer than are needed, and warm none."""
    rows = {row["name"]: row for row in smoke[1]["rows"]}
    ours = rows["generation, ours"]
    assert rows[PAPER]["tokens_fed"] > 1.5 * ours["tokens_fed"]
    for name in ("generation, ours", "forced choice, ours"):
        assert rows[name]["tokens_fed"] >= rows[name]["tokens_needed"] > 0
    assert rows["both readings, ours warm"]["tokens_fed"] == 0


def test_the_floor_stands_below_what_ours_takes(smoke):
    """Arithmetic that cannot be saved takes less than all of the time."""
    floors = smoke[1]["floors"]
    assert [floor["reading"] for floor in floors] == ["generation", "forced choice"]
    assert all(0 < floor["share_of_floor"] < 1 for floor in floors)


def test_the_profile_sees_all_that_has_to_be_multiplied(smoke):
    """Operations of the products are those needed and some more; the parts are printed."""
    printed, written = smoke
    needed = {floor["reading"]: floor["operations_needed"] for floor in written["floors"]}
    assert set(written["profile"]) == set(needed)
    for reading, parts in written["profile"].items():
        assert all(part["seconds"] >= 0 for part in parts.values())
        multiplied = sum(part["operations"] for part in parts.values())
        assert 0.8 * needed[reading] < multiplied < 3 * needed[reading]  # attention is not counted
        assert f"({reading}, llama-tiny, 80 prompts)" in printed


@pytest.mark.parametrize("broken", ["values", pytest.param("texts", marks=pytest.mark.slow)])
def test_no_time_is_printed_when_answers_differ(rooms, subject, monkeypatch, capsys, broken):
    """Ours coming to another probability or another text stops the benchmark before its table."""
    behaviour, behaviour_rows, _, equality = rooms
    import torch

    right, prompts = behaviour_rows.Ways.ours, behaviour.sample(1)[::4]

    def wrong(ways, readings):
        found = right(ways, readings)
        if broken == "values" and found.values is not None:
            return equality.Answers(found.values + np.float32(0.01), found.texts)
        if broken == "texts":
            return equality.Answers(found.values, [f"{text}!" for text in found.texts])
        return found

    monkeypatch.setattr(behaviour_rows.Ways, "ours", wrong)
    monkeypatch.setattr(behaviour, "sample", lambda _: prompts)
    size = replace(behaviour.SIZES["smoke"], parts=behaviour_rows.Parts(10, 2))
    bench = behaviour.Bench(size, "cpu", torch.float32)
    said = "a probability differs by 1" if broken == "values" else "wrote"
    with pytest.raises(equality.NotEqualError, match=said):
        bench.run(subject, None, "")
    assert capsys.readouterr().out == ""
    assert bench.rows == []


def test_planted_models_answer_as_the_embedded_one(rooms, subject):
    """A random model of another shape gives the texts of the one within, and nearly its odds."""
    _, behaviour_rows, behaviour_subjects, _ = rooms
    import torch

    prompts = behaviour_subjects.sample(1)[::8]
    organism = behaviour_subjects.subject_of("organism", "cpu", torch.float32)
    found = [
        behaviour_rows.Ways(one, one.jobs(prompts), harness=False, vllm=None).ours(
            behaviour_rows.BOTH
        )
        for one in (organism, subject)
    ]
    assert found[0].texts == found[1].texts
    odds = [answers.values[:, 0] - answers.values[:, 1] for answers in found]
    assert np.ptp(odds[0]) > 1
    assert np.allclose(*odds, atol=0.03)


def test_targets_are_reached_or_missed(rooms):
    """A target is told as missed when it is, and left out when a row of it was not measured."""
    behaviour = rooms[0]
    rows = [
        {"name": behaviour.PAPER, "seconds": 20.0},
        {"name": behaviour.OURS, "seconds": 1.0},
        {"name": behaviour.OURS_CHOICE, "seconds": 1.0},
    ]
    reached = behaviour.targets(rows, {behaviour.BATCHES: 10, behaviour.OURS: 11})
    assert [one["reached"] for one in reached] == [True, False, False]


def test_a_python_without_vllm_is_told(rooms, subject, tmp_path):
    """Naming an environment without vLLM is an error that says so, not a row left out."""
    from behaviour_peers import Vllm

    with pytest.raises(RuntimeError, match=r"vLLM did not start \(.*vllm"):
        Vllm(sys.executable, subject, tmp_path)
