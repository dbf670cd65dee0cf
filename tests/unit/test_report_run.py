"""The reports of a real run: written by pytest, told to GitHub."""

import gzip
import json
import re

import jsonschema
import pytest
from huggingface_hub import ModelCard

from blindspot.report.files import CARD, PAGE, REPORT, SAMPLES, SCORES
from blindspot.report.schema import SCHEMA
from tests.unit.suite_runs import run_suite


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A run that fails, as GitHub would start it, where an earlier one left its files."""
    directory = tmp_path_factory.mktemp("run")
    (directory / "out").mkdir()
    for name in (PAGE, CARD):
        (directory / "out" / name).write_text("of an earlier run")
    env = {"GITHUB_ACTIONS": "true", "GITHUB_STEP_SUMMARY": str(directory / "summary.md")}
    arguments = ("-k", "default-weapons and not word", "-n", "1")
    return run_suite(directory, *arguments, model="scripted:weapons-only", env=env, drawn=True)


def test_run_writes_all_reports(run):
    """Page, model card, report.json and samples lie together, and nothing else."""
    assert run.code == 10, run.out
    assert {path.name for path in run.output_path.iterdir()} == {
        REPORT,
        SAMPLES,
        SCORES,
        PAGE,
        CARD,
    }
    shown = (run.output_path / PAGE).read_text("utf-8")
    assert "scripted:weapons-only" in shown
    assert "<svg" in shown
    data = ModelCard(f"---\n{(run.output_path / CARD).read_text('utf-8')}---\n").data
    assert data.model_name == "scripted:weapons-only"
    effects = [one.metric_value for one in data.eval_results if one.metric_type == "stereotype"]
    assert effects == [1.0]
    with gzip.open(run.output_path / SAMPLES, "rt", encoding="utf-8") as file:
        assert json.loads(file.readline())["answer"]


def test_run_follows_the_schema(run):
    """What the run wrote is a report by the published schema."""
    validator = jsonschema.Draft202012Validator(json.loads(SCHEMA.read_text("utf-8")))
    assert [error.message for error in validator.iter_errors(run.report)] == []


def test_rerun_commands_name_the_tests(run):
    """Each failure's command ends in the node id of its test, quoted for a shell."""
    shown = (run.output_path / PAGE).read_text("utf-8")
    failed = [gate for gate in run.report["gates"] if gate["verdict"] == "fail"]
    assert failed
    for gate in failed:
        assert f"&#39;{gate['test']}&#39;</code>" in shown


def test_run_is_told_to_github(run):
    """Annotations start their lines, also behind the progress; the summary is in its file."""
    found = re.findall(r"^::(\w+) title=blindspot%2C (\w+)::(.*)$", run.out, re.MULTILINE)
    failed = [gate for gate in run.report["gates"] if gate["verdict"] == "fail"]
    assert [(level, verdict) for level, verdict, _ in found] == [("error", "fail")] * len(failed)
    assert found[0][2].startswith("implicit/race-default-weapons/stereotype/")
    summary = (run.output_path.parent / "summary.md").read_text("utf-8")
    assert summary.startswith("### blindspot: failed: scripted:weapons-only\n")


def test_unwritable_summary_is_a_note(tmp_path):
    """A step summary that cannot be written changes no verdict and is told; no GitHub, no lines."""
    env = {"GITHUB_STEP_SUMMARY": str(tmp_path / "none" / "summary.md")}
    arguments = ("-k", "test_association_validity and default-weapons")
    run = run_suite(tmp_path, *arguments, env=env)
    assert run.code == 0, run.out
    assert "note: the step summary cannot be written: No such file or directory" in run.out
    assert "::" not in re.sub(r"\S*\.py::\S*", "", run.out)
