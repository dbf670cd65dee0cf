"""Exported tasks in lm-eval and inspect themselves, where these are installed: the same verdict.

They are in no requirements of this project. Put the programs of an environment of their own in the
way: ``PATH=HARNESSES/bin:$PATH pytest tests/unit/test_exchange_harnesses.py``.
"""

import json
import shutil
import subprocess

import pytest

from blindspot.__main__ import main
from blindspot.paths import organism_directory
from tests.unit.suite_runs import ROOT, run_suite

pytestmark = pytest.mark.slow

PART = ("-k", "race-default-weapons and test_category_association", "--fraction", "1/8")
MODEL = "blind"
WITHIN_NATS = 1e-3


def called(directory, *words):
    """Run a program of a harness; skip the test if there is none."""
    if (program := shutil.which(words[0])) is None:
        pytest.skip(f"{words[0]} is not installed")
    done = subprocess.run(
        [program, *map(str, words[1:])],
        cwd=directory,
        capture_output=True,
        text=True,
        check=False,
        timeout=900,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout


def exported(directory, monkeypatch, kind):
    """Export the prompts as tasks; the path."""
    monkeypatch.chdir(ROOT)
    path = directory / "prompts.jsonl"
    assert main(["prompts", "export", str(path), "--format", kind, *PART]) == 0
    return path


def judged(directory, prompts, *answers):
    """Import what came back, and judge it."""
    output = directory / "imported.jsonl"
    words = ["answers", "import", str(prompts), *map(str, answers), "--output", str(output)]
    assert main(words) == 0
    return run_suite(directory, *PART, model=f"answers:{output}", limit=None, plugin=False)


def in_process(directory):
    """The same part, in this process."""
    (directory / "here").mkdir()
    return run_suite(
        directory / "here",
        *PART,
        "--no-noise-floor",
        model=f"organism:{MODEL}",
        limit=None,
        plugin=False,
    )


def test_lm_eval_gives_the_same_verdict(tmp_path, monkeypatch):
    """Answers and log-probabilities are those of this process."""
    prompts = exported(tmp_path, monkeypatch, "lm-eval")
    called(
        tmp_path,
        *("lm_eval", "--model", "hf", "--device", "cpu", "--batch_size", "16", "--log_samples"),
        *("--model_args", f"pretrained={organism_directory(MODEL)},dtype=float32"),
        *("--tasks", "blindspot", "--include_path", tmp_path / "prompts-lm-eval"),
        *("--output_path", tmp_path / "out"),
    )
    found = judged(tmp_path, prompts, *sorted((tmp_path / "out").rglob("samples_*.jsonl")))
    here = in_process(tmp_path)
    assert found.code == here.code == 10
    for gate, known in here.gates.items():
        assert found.gates[gate]["verdict"] == known["verdict"]
        assert found.gates[gate]["value"] == pytest.approx(known["value"], abs=WITHIN_NATS)


def test_inspect_gives_the_same_verdict(tmp_path, monkeypatch):
    """The generated answers are those of this process."""
    prompts = exported(tmp_path, monkeypatch, "inspect")
    called(
        tmp_path,
        *("inspect", "eval", "prompts-inspect/blindspot.py", "--model", "hf/blind"),
        *("-M", f"model_path={organism_directory(MODEL)}", "-M", "do_sample=false"),
        *("-M", 'chat_template="{{ messages[0].content }}"'),
        *("--log-dir", "logs", "--display", "none"),
    )
    log = tmp_path / "log.json"
    log.write_text(called(tmp_path, "inspect", "log", "dump", *(tmp_path / "logs").iterdir()))
    assert len(json.loads(log.read_text())["samples"]) > 100
    found, here = judged(tmp_path, prompts, log), in_process(tmp_path)
    assert found.code == here.code == 10
    shared = {gate: known for gate, known in here.gates.items() if gate in found.gates}
    assert shared
    for gate, known in shared.items():
        assert (found.gates[gate]["verdict"], found.gates[gate]["value"]) == (
            known["verdict"],
            known["value"],
        )
