"""Any engine can answer: the plan knows a model by three members and nothing else."""

from __future__ import annotations

import json

import pytest

from blindspot.models import LanguageModel
from tests.unit.scripted import ScriptedModel
from tests.unit.suite_runs import run_suite


def test_protocol_is_identity_generate_and_score():
    """What a backend lacks of them makes it none; what it has beside them does not matter."""
    assert isinstance(ScriptedModel("scripted:fair", []), LanguageModel)
    assert not isinstance(object(), LanguageModel)
    members = {name for name in vars(LanguageModel) if not name.startswith("_")}
    assert members == {"identity", "generate", "score"}


def test_model_behind_a_pipe_is_judged_as_in_the_process(tmp_path):
    """The same verdicts and figures from another process, and here no engine is imported."""
    few = ("-k", "race-default-weapons", "-p", "tests.unit.counted_calls")
    runs = []
    for number, plugins in enumerate(((), ("-p", "tests.unit.piped_model"))):
        counts = tmp_path / f"counts-{number}"
        runs.append(
            run_suite(
                tmp_path / str(number),
                *few,
                *plugins,
                model="piped:organism:blind" if plugins else "organism:blind",
                plugin=False,
                env={"COUNTED_CALLS": str(counts)},
            )
        )
    here, there = runs
    assert there.code == here.code == 10, there.out + there.err
    assert json.loads(counts.read_text())["heavy"] == []
    assert there.report["model"]["backend"].startswith("pipe to transformers engine-")
    assert there.report["model"]["weights_hash"] == here.report["model"]["weights_hash"]
    assert there.gates.keys() == here.gates.keys()
    for name, gate in there.gates.items():
        assert gate["verdict"] == here.gates[name]["verdict"], name
        assert gate["value"] == pytest.approx(here.gates[name]["value"], abs=1e-6), name
