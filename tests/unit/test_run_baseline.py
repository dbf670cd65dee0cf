"""Accepted baselines: written through syrupy, compared, and never compared in silence."""

import json
import re
import shutil

import pytest

from blindspot.session.comparing import same_model
from tests.unit.suite_runs import ROOT, run_suite

#: Accepting needs the full prompts, so these runs judge one category of one variant.
PART = ("-k", "race-default-weapons and (category or validity)")

#: That workers hear of it too is proved by longer runs.
WORKERS = [
    pytest.param((), id="serial"),
    pytest.param(("-n", "2"), marks=pytest.mark.slow, id="-n 2"),
]


@pytest.fixture(scope="module")
def accepted(tmp_path_factory):
    """A directory with the accepted baseline of the fair model."""
    directory = tmp_path_factory.mktemp("accepted")
    run = run_suite(directory, "--snapshot-update", *PART, limit=None)
    assert run.code == 0, run.out
    return directory / "baselines"


@pytest.fixture(scope="module")
def others(tmp_path_factory):
    """A directory with the accepted baselines of a model at each end of the scale."""
    directory = tmp_path_factory.mktemp("others")
    for model, code in (("scripted:counter", 0), ("scripted:stereotyped", 10)):
        run = run_suite(directory, "--snapshot-update", *PART, model=model, limit=None)
        assert run.code == code, run.out
    return directory / "baselines"


def judged(directory, accepted, *arguments, model="scripted:fair", part=PART):
    """A run that compares with what was accepted."""
    return run_suite(
        directory, *part, "--baselines", str(accepted), *arguments, model=model, limit=None
    )


def edited(accepted, directory, change):
    """A copy of the accepted baseline with a change; its scores are not changed."""
    for scores in accepted.glob("*.npz"):
        shutil.copy(scores, directory)
    path = directory / "scripted--fair.json"
    data = json.loads((accepted / "scripted--fair.json").read_text())
    change(data)
    path.write_text(json.dumps(data))
    return directory


def test_update_writes_one_reviewable_file(accepted):
    """The file is sorted JSON with provenance, a figure a gate, and ends in a newline."""
    path, scores = accepted / "scripted--fair.json", next(accepted.glob("*.npz"))
    assert {path, scores} == set(accepted.iterdir())
    text = path.read_text()
    data = json.loads(text)
    assert text == json.dumps(data, indent=1, sort_keys=True) + "\n"
    provenance = {"weights", "tokenizer", "template", "dtype", "device", "date", "prompt_set"}
    assert provenance <= data["provenance"].keys()
    assert data["scores"] == scores.name
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


def test_worse_within_the_ceiling_fails_too(tmp_path, others):
    """Below every ceiling and yet beyond the margin of the baseline: a regression."""
    run = judged(tmp_path, others, "--baseline", "scripted:counter")
    assert run.code == 10
    gate = run.gates["implicit/race-default-weapons/stereotype/generated"]
    assert (gate["limit_verdict"], gate["regression_verdict"]) == ("pass", "fail")
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
    assert run.gates["implicit/race-default-weapons/stereotype/generated"]["improved"]
    assert "improved beyond the noise; hold the model to it with: pytest --model" in run.out
    found = run.report["comparisons"]["baseline"]
    assert found["signature"][0]["direction"] == "down"


@pytest.mark.parametrize("condition", ["tokenizer", "dtype", "device"])
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


def test_a_quick_look_is_not_compared_in_silence(tmp_path, accepted):
    """--limit asks other prompts than were accepted: incomplete, and the note says why."""
    run = run_suite(tmp_path, *PART, "--baselines", str(accepted), limit=1)
    assert run.code == 11
    assert "--limit asks a part of the prompts of scripted--fair.json" in run.out


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


@pytest.fixture
def small_suite(tmp_path):
    """A copy of the checkout that asks of two words a side; calls to it run all of its tests."""
    root = tmp_path / "checkout"
    left_out = shutil.ignore_patterns("__pycache__", "organisms")
    for name in ("src", "fixtures", "tests/implicit", "tests/explicit", "tests/unit"):
        shutil.copytree(ROOT / name, root / name, ignore=left_out)
    for name in ("conftest.py", "tests/__init__.py"):
        shutil.copyfile(ROOT / name, root / name)
    settings = (ROOT / "pyproject.toml").read_text()
    paths = re.search(r"^testpaths = .*$", settings, re.MULTILINE)[0]
    kept = 'testpaths = ["tests/implicit", "tests/explicit"]'
    (root / "pyproject.toml").write_text(settings.replace(paths, kept))
    axis = root / "fixtures" / "axes" / "race.toml"
    head, lists = axis.read_text().split("[categories.weapons]")
    lists = re.sub(r"\[(\"\w+\"), (\"\w+\"), [^]]*\]", r"[\1, \2]", lists)
    axis.write_text(f"{head}[categories.weapons]{lists}")

    def run(*arguments):
        return run_suite(tmp_path, *arguments, limit=None, paths=(), root=root)

    return run, root / "tests"


@pytest.mark.parametrize("workers", WORKERS)
def test_removed_test_is_missed_until_the_suite_is_accepted_without_it(
    tmp_path, small_suite, workers
):
    """A test that is gone is never green; accepting the whole suite forgets it, a part does not."""
    run, tests = small_suite
    assert run("--snapshot-update", *workers).code == 0
    path = tmp_path / "baselines" / "scripted--fair.json"
    gate = "gap/race-default-weapons/gap/generated"
    assert gate in json.loads(path.read_text())["gates"]
    (tests / "explicit" / "test_gap.py").unlink()
    missed = run(*workers)
    assert missed.code == 11, missed.out
    assert "are no longer tested, first gap/" in missed.out
    data = json.loads(path.read_text())
    data["provenance"]["weights"] = "0" * 64
    path.write_text(json.dumps(data))
    part = run("--snapshot-update", "-k", "default", *workers)
    assert part.code == 4, part.out
    assert gate in json.loads(path.read_text())["gates"]
    whole = run("--snapshot-update", *workers)
    assert whole.code == 0, whole.out
    assert "gates that no test asks any more left it, first gap/" in whole.out
    assert gate not in json.loads(path.read_text())["gates"]
    again = run(*workers)
    assert again.code == 0, again.out
    unchanged = path.read_text()
    same = run("--snapshot-update", "--accept-reason", "once more", *workers)
    assert "nothing changed:" in same.out
    assert path.read_text() == unchanged


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
    assert "look into the model, and scripted:fair gives no access" in run.out
    left = ("-k", "race-default-weapons and category_association")
    assert run_suite(tmp_path, *left, *beside, limit=None, paths=paths).code == 0


def test_another_model_of_the_same_file_name_is_not_replaced(tmp_path, accepted):
    """Whose baseline a file is stands in it: one of another model is not touched."""

    def change(data):
        data["model"] = "scripted/fair"

    directory = edited(accepted, tmp_path, change)
    before = {path.name: path.read_bytes() for path in directory.iterdir() if path.is_file()}
    run = judged(tmp_path, directory, "--snapshot-update")
    assert run.code == 4, run.out
    assert "the baseline of scripted/fair, which has the same file name" in run.out + run.err
    after = {path.name: path.read_bytes() for path in directory.iterdir() if path.is_file()}
    assert after == before


def test_one_directory_is_one_model_however_it_is_written(tmp_path, monkeypatch):
    """A relative and an absolute path and a link name the same checkpoint; a sibling does not."""
    for name in ("a/final", "b/final"):
        (tmp_path / name).mkdir(parents=True)
    (tmp_path / "link").symlink_to(tmp_path / "a")
    monkeypatch.chdir(tmp_path)
    for name in ("a/final", "./a/final", "link/final", str(tmp_path / "a" / "final")):
        assert same_model(name, "a/final")
    assert not same_model("b/final", "a/final")
    assert not same_model("gone/final", "a/final")
    assert same_model("org/name", "org/name")
    assert not same_model("org/name", "org/other")


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
    (scores,) = directory.glob("*.npz")
    assert {path.name for path in directory.iterdir() if path.is_file()} == {
        "other.json",
        "scripted--fair.json",
        scores.name,
    }
    compared = judged(tmp_path, directory, part=("-k", "category and not pair"))
    kept = [gate for gate in compared.gates.values() if gate["regression_verdict"]]
    assert {gate["category"] for gate in kept} == {"weapons", "guilt"}


def test_update_replaces_what_was_accepted_of_the_model(tmp_path, accepted):
    """Accepting anew replaces values and scores; a one-sided rule does not freeze them."""

    def change(data):
        data["provenance"]["weights"] = "0" * 64
        for entry in data["gates"].values():
            entry["value"] = 0.9

    directory = edited(accepted, tmp_path, change)
    judged(tmp_path, directory, "--snapshot-update", "--accept-reason", "better data")
    data = json.loads((directory / "scripted--fair.json").read_text())
    assert data["gates"]["implicit/race-default-weapons/stereotype/generated"]["value"] == 0.0
    assert data["provenance"]["accept_reason"] == "better data"
    assert judged(tmp_path, directory).code == 0


def test_scores_that_do_not_belong_to_the_values_are_told(tmp_path, accepted):
    """A baseline whose values were edited by hand is not compared with in silence."""

    def edit(data):
        data["gates"]["implicit/race-default-weapons/stereotype/generated"]["value"] = -0.5

    run = judged(tmp_path, edited(accepted, tmp_path, edit))
    assert run.code == 11
    assert "give 0.000000 where it holds -0.500000" in run.out


def test_missing_scores_are_told(tmp_path, accepted):
    """Without the scores of single prompts nothing is paired: incomplete, unless it is meant."""
    directory = edited(accepted, tmp_path, lambda data: None)
    next(directory.glob("*.npz")).unlink()
    run = judged(tmp_path, directory)
    assert run.code == 11
    assert "scores of single prompts are missing" in run.out
    allowed = judged(tmp_path, directory, "--allow-mismatch", "scores")
    gate = allowed.gates["implicit/race-default-weapons/stereotype/generated"]
    assert gate["regression_verdict"] == "pass"
    assert gate["change_high"] > 0.001  # as if the two were independent


@pytest.mark.parametrize("damage", ["cut off", "empty", "no scores"])
def test_damaged_scores_are_a_usage_error(tmp_path, accepted, damage):
    """Scores that cannot be read: one line with the file and a remedy that works, exit 4."""
    directory = edited(accepted, tmp_path, lambda data: None)
    path = next(directory.glob("*.npz"))
    content = {"cut off": path.read_bytes()[:200], "empty": b"", "no scores": b"no scores"}
    path.write_bytes(content[damage])
    run = judged(tmp_path, directory)
    assert run.code == 4
    assert path.name in run.out + run.err
    assert "remove it and accept the whole suite anew" in run.out + run.err
    assert "pickle" not in run.out + run.err
    assert "Traceback" not in run.out + run.err
    path.unlink()
    assert judged(tmp_path, directory, "--snapshot-update").code == 0
    assert judged(tmp_path, directory).code == 0


def test_an_update_that_is_cut_short_leaves_the_old_baseline(tmp_path, accepted):
    """A worker that dies while a model is accepted: the old files stay as they were."""
    directory = edited(accepted, tmp_path, lambda data: None)
    before = {path.name: path.read_bytes() for path in directory.iterdir() if path.is_file()}
    killed = run_suite(
        tmp_path,
        "--snapshot-update",
        *PART,
        "-n",
        "2",
        "--store",
        "none",
        "--baselines",
        str(directory),
        limit=None,
        env={"SCRIPTED_DIE_AFTER": "500"},
    )
    assert killed.code == 11, killed.out
    assert "scripted--fair.json stays as it was" in killed.out
    assert before == {
        path.name: path.read_bytes() for path in directory.iterdir() if path.is_file()
    }


def test_a_model_is_accepted_under_ci_with_a_reason_only(tmp_path):
    """In a pipeline somebody has to say why a model is accepted."""
    run = run_suite(tmp_path, "--snapshot-update", *PART, limit=None, env={"CI": "true"})
    assert run.code == 4
    assert "--accept-reason" in run.out + run.err
    assert not (tmp_path / "baselines").exists()
    pointless = run_suite(tmp_path, "--accept-reason", "why", *PART)
    assert pointless.code == 4
    assert "without --snapshot-update" in pointless.out + pointless.err


@pytest.mark.parametrize("flag", [("--limit", "1"), ("--prompts-from", ".")], ids=str)
def test_update_is_refused_on_part_of_the_prompts(tmp_path, flag):
    """A baseline is accepted from the full prompts only."""
    run = run_suite(tmp_path, "--snapshot-update", *flag, limit=None)
    assert run.code == 4
    assert flag[0] in run.out + run.err
    assert not (tmp_path / "baselines").exists()
