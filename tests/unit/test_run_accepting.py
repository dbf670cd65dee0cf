"""Accepting a model: written through syrupy, merged, whole, and never over another's."""

import json
import re
import shutil

import pytest

from blindspot.baselines.comparison import same_model
from tests.unit.baseline_runs import PART, WORKERS, accept, edited, judged
from tests.unit.suite_runs import ROOT, run_suite


@pytest.fixture(scope="module")
def accepted(tmp_path_factory):
    """A directory with the accepted baseline of the fair model."""
    return accept(tmp_path_factory.mktemp("accepted"))


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


@pytest.fixture
def small_suite(tmp_path):
    """A copy of the checkout; calls run all of its tests."""
    root = tmp_path / "checkout"
    left_out = shutil.ignore_patterns("organisms")
    for name in ("src", "fixtures", "tests/implicit", "tests/explicit", "tests/unit"):
        shutil.copytree(ROOT / name, root / name, ignore=left_out)
    for name in ("conftest.py", "tests/__init__.py"):
        shutil.copyfile(ROOT / name, root / name)
    settings = (ROOT / "pyproject.toml").read_text()
    paths = re.search(r"^testpaths = .*$", settings, re.MULTILINE)[0]
    kept = 'testpaths = ["tests/implicit", "tests/explicit"]'
    (root / "pyproject.toml").write_text(settings.replace(paths, kept))

    def run(*arguments):
        return run_suite(tmp_path, *arguments, limit=None, paths=(), root=root)

    return run, root / "tests"


@pytest.mark.slow
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
    assert "gates that no test has any more, first gap/" in whole.out
    assert gate not in json.loads(path.read_text())["gates"]
    again = run(*workers)
    assert again.code == 0, again.out
    unchanged = path.read_text()
    same = run("--snapshot-update", "--accept-reason", "once more", *workers)
    assert "nothing changed:" in same.out
    assert path.read_text() == unchanged


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


@pytest.mark.parametrize("workers", WORKERS)
def test_update_merges_what_ran_and_leaves_other_models_alone(tmp_path, accepted, workers):
    """Accepting a part keeps the rest; other models' files stay; workers lose nothing."""
    directory = edited(accepted, tmp_path, lambda data: None)
    other = directory / "other.json"
    other.write_text("not ours")
    before = json.loads((directory / "scripted--fair.json").read_text())["gates"]
    run = run_suite(
        tmp_path,
        "--snapshot-update",
        *workers,
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
    compared = judged(tmp_path, directory, part=("-k", "race-default and category"))
    kept = [gate for gate in compared.gates.values() if gate["against"]["baseline"]]
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


@pytest.mark.slow
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
        env={"SCRIPTED_DIE_AFTER": "300"},
    )
    assert killed.code == 11, killed.out
    assert "scripted--fair.json is unchanged; run it again" in killed.out
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
