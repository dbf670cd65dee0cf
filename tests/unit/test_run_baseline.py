"""Accepted baselines are compared with, and never in silence."""

import pytest

from tests.unit.baseline_runs import PART, WORKERS, accept, edited, judged
from tests.unit.suite_runs import run_suite


@pytest.fixture(scope="module")
def accepted(tmp_path_factory):
    """A directory with the accepted baseline of the fair model."""
    return accept(tmp_path_factory.mktemp("accepted"))


@pytest.fixture(scope="module")
def others(tmp_path_factory):
    """A directory with the accepted baselines of a model at each end of the scale."""
    directory = tmp_path_factory.mktemp("others")
    for model in ("scripted:counter", "scripted:stereotyped"):
        run = run_suite(directory, "--snapshot-update", *PART, model=model, limit=None)
        assert run.code == 10, run.out
    return directory / "baselines"


def test_same_model_passes_against_its_baseline(tmp_path, accepted):
    """The accepted model again: passes, and the report shows the baseline."""
    run = judged(tmp_path, accepted)
    assert run.code == 0, run.out
    assert {gate["against"]["baseline"]["verdict"] for gate in run.gates.values()} == {"pass"}
    assert all(gate["against"]["baseline"]["value"] is not None for gate in run.gates.values())
    assert "regressions were not checked" not in run.out


def test_other_examples_are_other_prompts(tmp_path, accepted):
    """A baseline of prompts without examples is refused for a run with them, and named."""
    run = judged(tmp_path, accepted, "--num-fewshot", "2")
    assert run.code == 11
    assert "examples was none, is 2 of seed 0" in run.out
    assert run.report["examples"] == 2
    assert "--num-fewshot 2" in run.report["command"]


def test_worse_than_the_baseline_fails(tmp_path, accepted):
    """A model that is worse beyond the margin fails, though another model was accepted."""
    run = judged(
        tmp_path, accepted, "--baseline", "scripted:fair", model="scripted:aligned-but-blind"
    )
    assert run.code == 10
    gate = run.gates["implicit/race-default-weapons/stereotype/generated"]
    assert gate["against"]["baseline"]["verdict"] == "fail"
    assert gate["against"]["baseline"]["value"] == 0.0


def test_worse_within_the_ceiling_fails_too(tmp_path, others):
    """Below every ceiling and yet beyond the margin of the baseline: a regression."""
    run = judged(tmp_path, others, "--baseline", "scripted:counter")
    assert run.code == 10
    gate = run.gates["implicit/race-default-weapons/stereotype/generated"]
    assert (gate["limit_verdict"], gate["against"]["baseline"]["verdict"]) == ("pass", "fail")
    assert "baseline -1.00" in run.out
    found = run.report["comparisons"]["baseline"]
    assert {row["name"]: row["direction"] for row in found["signature"]} == {
        "implicit": "up",
        "explicit": "up",
    }
    flipped = {row["slice"]: row for row in found["flips"]["slices"] if row["worse"]}
    assert flipped["race-default-weapons"]["better"] == 0
    assert flipped["race-default-weapons"]["p"] < 1e-9
    example = next(e for e in found["flips"]["examples"] if e["measurement"] == "implicit")
    assert (example["before"]["reading"], example["after"]["reading"]) == ("counter", "stereotyped")
    assert "wallet" in example["prompt"]


def test_better_than_the_baseline_passes_and_offers_to_tighten(tmp_path, others):
    """An improvement is no failure, is marked as one, and the run says how to hold it."""
    run = judged(tmp_path, others, "--baseline", "scripted:stereotyped")
    assert run.code == 0, run.out
    assert run.gates["implicit/race-default-weapons/stereotype/generated"]["against"]["baseline"][
        "improved"
    ]
    assert "improved by more than the noise; make that the baseline: pytest --model" in run.out
    found = run.report["comparisons"]["baseline"]
    assert found["signature"][0]["direction"] == "down"


@pytest.mark.parametrize(
    "condition",
    ["tokenizer", *(pytest.param(n, marks=pytest.mark.slow) for n in ("dtype", "device"))],
)
def test_other_conditions_are_named(tmp_path, accepted, condition):
    """Another tokenizer, dtype or device is named and incomplete, unless it is allowed."""

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


def test_a_quick_look_is_compared_on_the_common_prompts(tmp_path, accepted):
    """--limit beside a full baseline: too few prompts are inconclusive, and no word is judged."""
    run = run_suite(tmp_path, *PART, "--baselines", str(accepted), limit=1)
    assert run.code == 12
    assert "compared with the baseline scripted--fair.json on the" in run.out
    assert "in common with the baseline scripted--fair.json, 64 are needed" in run.out
    found = {g["id"]: g["against"]["baseline"] for g in run.gates.values() if g["level"] != "word"}
    assert {each["verdict"] for each in found.values()} == {"inconclusive"}
    assert {each["prompts"] for each in found.values()} < {*range(1, 64)}


@pytest.mark.parametrize(("model", "code"), [("scripted:fair", 0), ("scripted:stereotyped", 10)])
def test_fractions_are_compared_on_the_common_prompts(tmp_path, accepted, model, code):
    """Half of the prompts beside all of them: the same verdicts, and the report says how many."""
    half = ("--fraction", "1/2", "--baselines", str(accepted), "--baseline", "scripted:fair")
    run = run_suite(tmp_path, *PART, *half, model=model, limit=None)
    assert run.code == code, run.out
    comparison = run.report["comparisons"]["baseline"]
    assert comparison["prompts"] == run.report["prompts"]
    assert run.report["selection"]["fraction"] == "1/2"
    assert run.report["baseline"]["provenance"]["fraction"] == "1"
    assert "--fraction 1/2" in run.report["command"]
    gate = run.gates["implicit/race-default-weapons/stereotype/generated"]
    assert gate["against"]["baseline"]["prompts"] == gate["n"]


def test_gate_without_an_accepted_value_is_incomplete(tmp_path, accepted):
    """A new or renamed gate is not green beside an accepted baseline."""

    def change(data):
        del data["gates"]["implicit/race-default-weapons/stereotype/generated"]

    run = judged(tmp_path, edited(accepted, tmp_path, change))
    assert run.code == 11
    assert "does not contain this gate" in run.out


def test_vanished_gate_is_incomplete(tmp_path, accepted):
    """A gate that was accepted and that no test can ask any more does not go unnoticed."""

    def change(data):
        entry = data["gates"]["implicit/race-default-weapons/stereotype/generated"]
        data["gates"]["implicit/race-default-gone/stereotype/generated"] = entry

    run = judged(tmp_path, edited(accepted, tmp_path, change))
    assert run.code == 11
    assert "race-default-gone" in run.out


@pytest.mark.parametrize("workers", WORKERS)
def test_vanished_test_is_incomplete(tmp_path, accepted, workers):
    """What no test of the whole suite asks any more is told; a run of some files cannot know."""

    def change(data):
        entry = data["gates"]["implicit/race-default-weapons/stereotype/generated"]
        data["gates"]["gap/race-default-weapons/gap/forced-choice"] = entry

    directory = edited(accepted, tmp_path, change)
    store = ("--store", str(tmp_path / "store"), "--baselines", str(directory))
    whole = run_suite(tmp_path, *PART, *store, *workers, limit=None, paths=())
    assert whole.code == 11, whole.out
    assert "1 gates of the baseline scripted--fair.json are no longer tested" in whole.out
    assert "gap/race-default-weapons/gap/forced-choice" in whole.out
    left_out = ("--ignore", "tests/explicit")
    for some in ((*PART, *store, *workers), (*PART, *store, *left_out)):
        paths = () if "--ignore" in some else ("tests/implicit", "tests/explicit")
        run = run_suite(tmp_path, *some, limit=None, paths=paths)
        assert run.code == 0, run.out


def test_gates_that_a_model_closes_are_incomplete(tmp_path, accepted):
    """Accepted gates inside the model do not vanish with the access to it, unless left out."""

    def change(data):
        entry = data["gates"]["implicit/race-default-weapons/stereotype/generated"]
        data["gates"]["patching/race-default-weapons/blindness/same-layer/overall"] = entry

    directory = edited(accepted, tmp_path, change)
    paths = ("tests/implicit", "tests/mechanistic/test_patching.py")
    beside = ("--baselines", str(directory))
    part = ("-k", "race-default-weapons and (category_association or same-layer-overall)")
    run = run_suite(tmp_path, *part, *beside, limit=None, paths=paths)
    assert run.code == 11, run.out
    assert "are not offered: scripted:fair does not offer access to its residual stream" in run.out
    left = ("-k", "race-default-weapons and category_association")
    assert run_suite(tmp_path, *left, *beside, limit=None, paths=paths).code == 0


def test_one_test_by_its_id_is_compared_alone(tmp_path, accepted):
    """The rerun line of one gate does not complain that the others did not run."""
    node = (
        "tests/implicit/test_association.py::test_category_association"
        "[race-default-weapons-generated]"
    )
    run = run_suite(tmp_path, "--baselines", str(accepted), paths=(node,), limit=None)
    assert run.code == 0, run.out
    assert [gate["against"]["baseline"]["verdict"] for gate in run.gates.values()] == ["pass"]


@pytest.mark.parametrize("flag", [("--require-baseline",), ("--baseline", "nobody")], ids=str)
def test_missing_baseline_that_was_asked_for(tmp_path, flag):
    """A baseline that was asked for and is missing makes the run incomplete, with the remedy."""
    run = run_suite(tmp_path, *flag)
    assert run.code == 11
    assert "is missing; accept th" in run.out


@pytest.mark.parametrize(
    "content",
    [b"", b"{", b"[]", b'{"schema_version": 1}', b'{"schema_version": 99}', b"\xff\xfe", None],
    ids=["empty", "cut off", "list", "no gates", "future", "binary", "folder"],
)
def test_broken_baseline_is_a_usage_error(tmp_path, content):
    """A baseline file of another shape: one line with the file and the remedy, exit 4."""
    directory = tmp_path / "broken"
    directory.mkdir()
    path = directory / "scripted--fair.json"
    if content is None:
        path.mkdir()
    else:
        path.write_bytes(content)
    run = run_suite(tmp_path, "--baselines", str(directory), "-k", "default-weapons and category")
    assert run.code == 4, run.out
    assert "scripted--fair.json" in run.out + run.err
    assert "--snapshot-update" in run.out + run.err
    assert "Traceback" not in run.out + run.err


def test_scores_that_do_not_belong_to_the_values_are_told(tmp_path, accepted):
    """A baseline whose values were edited by hand is not compared with in silence."""

    def edit(data):
        data["gates"]["implicit/race-default-weapons/stereotype/generated"]["value"] = -0.5

    run = judged(tmp_path, edited(accepted, tmp_path, edit))
    assert run.code == 11
    assert "give 0.000000 but it records -0.500000" in run.out


def test_missing_scores_are_told(tmp_path, accepted):
    """Without the scores of single prompts nothing is paired: incomplete, unless it is meant."""
    directory = edited(accepted, tmp_path, lambda data: None)
    next(directory.glob("*.npz")).unlink()
    run = judged(tmp_path, directory)
    assert run.code == 11
    assert "scores of single prompts are missing" in run.out
    allowed = judged(tmp_path, directory, "--allow-mismatch", "scores")
    gate = allowed.gates["implicit/race-default-weapons/stereotype/generated"]
    assert gate["against"]["baseline"]["verdict"] == "pass"
    assert gate["against"]["baseline"]["high"] > 0.001  # as if the two were independent


@pytest.mark.parametrize(
    "damage",
    ["cut off", *(pytest.param(n, marks=pytest.mark.slow) for n in ("empty", "no scores"))],
)
def test_damaged_scores_are_a_usage_error(tmp_path, accepted, damage):
    """Scores that cannot be read: one line with the file and a remedy that works, exit 4."""
    directory = edited(accepted, tmp_path, lambda data: None)
    path = next(directory.glob("*.npz"))
    content = {"cut off": path.read_bytes()[:200], "empty": b"", "no scores": b"no scores"}
    path.write_bytes(content[damage])
    run = judged(tmp_path, directory)
    assert run.code == 4
    assert path.name in run.out + run.err
    assert "remove it and accept the whole suite again" in run.out + run.err
    assert "pickle" not in run.out + run.err
    assert "Traceback" not in run.out + run.err
    path.unlink()
    assert judged(tmp_path, directory, "--snapshot-update").code == 0
    assert judged(tmp_path, directory).code == 0
