"""Accepted baselines: written through syrupy, compared, and never compared in silence."""

import json

import pytest

from tests.unit.suite_runs import run_suite

#: Accepting needs the full prompts, so these runs judge one category of one variant.
PART = ("-k", "race-default-weapons and (category or validity)")


@pytest.fixture(scope="module")
def accepted(tmp_path_factory):
    """A directory with the accepted baseline of the fair model."""
    directory = tmp_path_factory.mktemp("accepted")
    run = run_suite(directory, "--snapshot-update", *PART, limit=None)
    assert run.code == 0, run.out
    return directory / "baselines"


def judged(directory, accepted, *arguments, model="scripted:fair", part=PART):
    """A run that compares with what was accepted."""
    return run_suite(
        directory, *part, "--baselines", str(accepted), *arguments, model=model, limit=None
    )


def edited(accepted, directory, change):
    """A copy of the accepted baseline with a change."""
    path = directory / "scripted--fair.json"
    data = json.loads((accepted / "scripted--fair.json").read_text())
    change(data)
    path.write_text(json.dumps(data))
    return directory


def test_update_writes_one_reviewable_file(accepted):
    """The file is sorted JSON with provenance, a figure a gate, and ends in a newline."""
    (path,) = accepted.iterdir()
    assert path.name == "scripted--fair.json"
    text = path.read_text()
    data = json.loads(text)
    assert text == json.dumps(data, indent=1, sort_keys=True) + "\n"
    assert {"weights", "tokenizer", "template", "dtype"} <= data["provenance"].keys()
    assert "implicit/race-default-weapons/stereotype/generated" in data["gates"]
    for entry in data["gates"].values():
        assert set(entry) == {"level", "n", "prompts", "standard_error", "value"}


def test_same_model_passes_against_its_baseline(tmp_path, accepted):
    """The accepted model again: passes, and the report shows the baseline."""
    run = judged(tmp_path, accepted)
    assert run.code == 0, run.out
    assert {gate["regression_verdict"] for gate in run.gates.values()} == {"pass"}
    assert all(gate["baseline"] is not None for gate in run.gates.values())
    assert "no regression was checked" not in run.out


def test_worse_than_the_baseline_fails(tmp_path, accepted):
    """A model that is worse beyond the margin fails, though another model was accepted."""
    run = judged(
        tmp_path, accepted, "--baseline", "scripted:fair", model="scripted:aligned-but-blind"
    )
    assert run.code == 10
    gate = run.gates["implicit/race-default-weapons/stereotype/generated"]
    assert gate["regression_verdict"] == "fail"
    assert gate["baseline"] == 0.0


def test_worse_within_the_ceiling_fails_too(tmp_path, accepted):
    """Below every ceiling and yet beyond the margin of the baseline: a regression."""

    def better_before(data):
        for name, entry in data["gates"].items():
            if "/stereotype/" in name:
                entry["value"] = -0.5

    directory = edited(accepted, tmp_path, better_before)
    run = judged(tmp_path, directory)
    assert run.code == 10
    gate = run.gates["implicit/race-default-weapons/stereotype/generated"]
    assert (gate["limit_verdict"], gate["regression_verdict"]) == ("pass", "fail")
    assert "baseline -0.50" in run.out


def test_better_than_the_baseline_passes_and_says_so(tmp_path, accepted):
    """An improvement is no failure, and is marked as one."""

    def worse_before(data):
        for name, entry in data["gates"].items():
            if "/stereotype/" in name:
                entry["value"] = 0.9

    run = judged(tmp_path, edited(accepted, tmp_path, worse_before))
    assert run.code == 0
    assert run.gates["implicit/race-default-weapons/stereotype/generated"]["improved"]


@pytest.mark.parametrize("condition", ["tokenizer", "template", "dtype"])
def test_other_conditions_are_named(tmp_path, accepted, condition):
    """Another tokenizer, template or dtype is named and incomplete, unless it is allowed."""

    def change(data):
        data["provenance"][condition] = "another"

    directory = edited(accepted, tmp_path, change)
    run = judged(tmp_path, directory)
    assert run.code == 11
    assert f"{condition} was another" in run.out
    allowed = judged(tmp_path, directory, "--allow-mismatch", condition)
    assert allowed.code == 0, allowed.out


def test_other_prompts_are_named(tmp_path, accepted):
    """A gate whose prompts changed is not compared, and the run is incomplete."""

    def change(data):
        data["gates"]["implicit/race-default-weapons/stereotype/generated"]["prompts"] = "f" * 16

    directory = edited(accepted, tmp_path, change)
    run = judged(tmp_path, directory)
    assert run.code == 11
    assert "its prompts are not those of the baseline" in run.out
    assert judged(tmp_path, directory, "--allow-mismatch", "prompts").code == 0


def test_gate_without_an_accepted_value_is_incomplete(tmp_path, accepted):
    """A new or renamed gate is not green beside an accepted baseline."""

    def change(data):
        del data["gates"]["implicit/race-default-weapons/stereotype/generated"]

    run = judged(tmp_path, edited(accepted, tmp_path, change))
    assert run.code == 11
    assert "does not hold it" in run.out


def test_vanished_gate_is_incomplete(tmp_path, accepted):
    """A gate that was accepted and that no test can ask any more does not go unnoticed."""

    def change(data):
        entry = data["gates"]["implicit/race-default-weapons/stereotype/generated"]
        data["gates"]["implicit/race-default-gone/stereotype/generated"] = entry

    run = judged(tmp_path, edited(accepted, tmp_path, change))
    assert run.code == 11
    assert "race-default-gone" in run.out


def test_one_test_by_its_id_is_compared_alone(tmp_path, accepted):
    """The rerun line of one gate does not complain that the others did not run."""
    node = (
        "tests/implicit/test_association.py::test_category_association"
        "[race-default-weapons-generated]"
    )
    run = run_suite(tmp_path, "--baselines", str(accepted), paths=(node,), limit=None)
    assert run.code == 0, run.out
    assert [gate["regression_verdict"] for gate in run.gates.values()] == ["pass"]


def test_part_is_not_accepted_under_other_conditions(tmp_path, accepted):
    """Accepting a part under other conditions would hide that the rest was measured otherwise."""

    def change(data):
        data["provenance"]["dtype"] = "bfloat16"

    directory = edited(accepted, tmp_path, change)
    before = (directory / "scripted--fair.json").read_text()
    part = ("-k", "race-default-guilt and validity")
    run = judged(tmp_path, directory, "--snapshot-update", part=part)
    assert run.code == 4
    assert "dtype was bfloat16" in run.out + run.err
    assert (directory / "scripted--fair.json").read_text() == before
    whole = judged(tmp_path, directory, "--snapshot-update")
    assert whole.code == 0, whole.out
    assert '"dtype": "float32"' in (directory / "scripted--fair.json").read_text()


def test_update_into_an_unwritable_place_is_told_at_once(tmp_path):
    """Where the baseline cannot be written, nothing is asked."""
    blocker = tmp_path / "blocker"
    blocker.write_text("")
    run = run_suite(
        tmp_path, "--snapshot-update", "--baselines", str(blocker / "below"), limit=None
    )
    assert run.code == 4
    assert "--baselines" in run.out + run.err
    assert not (tmp_path / "store").exists()


@pytest.mark.parametrize("flag", [("--require-baseline",), ("--baseline", "nobody")], ids=str)
def test_missing_baseline_that_was_asked_for(tmp_path, flag):
    """A baseline that was asked for and is missing makes the run incomplete, with the remedy."""
    run = run_suite(tmp_path, *flag)
    assert run.code == 11
    assert "is missing; accept th" in run.out


@pytest.mark.parametrize(
    "content",
    [b"", b"{", b"[]", b'{"schema_version": 1}', b'{"schema_version": 99}', b"\xff\xfe"],
    ids=["empty", "cut off", "list", "no gates", "future", "binary"],
)
def test_broken_baseline_is_a_usage_error(tmp_path, content):
    """A baseline file of another shape: one line with the file and the remedy, exit 4."""
    directory = tmp_path / "broken"
    directory.mkdir()
    (directory / "scripted--fair.json").write_bytes(content)
    run = run_suite(tmp_path, "--baselines", str(directory), "-k", "default-weapons and category")
    assert run.code == 4, run.out
    assert "scripted--fair.json" in run.out + run.err
    assert "--snapshot-update" in run.out + run.err
    assert "Traceback" not in run.out + run.err


def test_update_merges_what_ran_and_leaves_other_models_alone(tmp_path, accepted):
    """Accepting a part keeps the rest; other models' files stay; workers lose nothing."""
    directory = edited(accepted, tmp_path, lambda data: None)
    other = directory / "other.json"
    other.write_text("not ours")
    before = json.loads((directory / "scripted--fair.json").read_text())["gates"]
    run = run_suite(
        tmp_path,
        "--snapshot-update",
        "-n",
        "2",
        "-k",
        "race-default-guilt and category",
        "--baselines",
        str(directory),
        limit=None,
    )
    assert run.code == 0, run.out
    after = json.loads((directory / "scripted--fair.json").read_text())["gates"]
    assert before.items() <= after.items()
    new = set(after) - set(before)
    assert len(new) == 4
    assert all("guilt" in name for name in new)
    assert other.read_text() == "not ours"
    assert {path.name for path in directory.glob("*.json*")} == {
        "other.json",
        "scripted--fair.json",
    }


def test_update_records_improvements(tmp_path, accepted):
    """Accepting a better model replaces the worse value; a one-sided rule does not freeze it."""

    def worse_before(data):
        for entry in data["gates"].values():
            entry["value"] = 0.9

    directory = edited(accepted, tmp_path, worse_before)
    judged(tmp_path, directory, "--snapshot-update")
    gates = json.loads((directory / "scripted--fair.json").read_text())["gates"]
    assert gates["implicit/race-default-weapons/stereotype/generated"]["value"] == 0.0


@pytest.mark.parametrize("flag", [("--limit", "1"), ("--prompts-from", ".")], ids=str)
def test_update_is_refused_on_part_of_the_prompts(tmp_path, flag):
    """A baseline is accepted from the full prompts only."""
    run = run_suite(tmp_path, "--snapshot-update", *flag, limit=None)
    assert run.code == 4
    assert flag[0] in run.out + run.err
    assert not (tmp_path / "baselines").exists()
