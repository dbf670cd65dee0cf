"""The embedded models beside each other: what alignment does wrong is named, and noise is not."""

import pytest

from tests.unit.suite_runs import run_suite

pytestmark = pytest.mark.slow

PART = ("-k", "race-default-weapons and not word or race-pooled-weapons")
PATHS = ("tests/implicit", "tests/explicit", "tests/mechanistic")


def suite(directory, *arguments, model):
    """One category with all that is measured of it, all runs with one store."""
    store = ("--store", str(directory / "store"), "--baselines", str(directory / "baselines"))
    return run_suite(directory, *PART, *store, *arguments, model=model, limit=None, paths=PATHS)


@pytest.fixture(scope="module")
def accepted(tmp_path_factory):
    """A directory in which both models are accepted."""
    directory = tmp_path_factory.mktemp("accepted")
    for name, code in (("aware", 0), ("blind", 10)):
        run = suite(directory, "--snapshot-update", model=f"organism:{name}")
        assert run.code == code, run.out
        assert "gates accepted in" in run.out
    return directory


def signature(run, against="baseline"):
    """Which way each part of the signature moved."""
    return {
        row["name"]: row["direction"] for row in run.report["comparisons"][against]["signature"]
    }


def test_the_blind_model_fails_beside_the_aware_one_by_all_three_signatures(accepted):
    """Associates more, says no more, and no longer sees the group: exit 10, each by its name."""
    run = suite(accepted, "--baseline", "organism:aware", model="organism:blind")
    assert run.code == 10
    assert signature(run) == {
        "implicit": "up",
        "explicit": "unchanged",
        "gap": "up",
        "blindness": "up",
    }
    for gate in (
        "implicit/race-default-weapons/stereotype/forced-choice",
        "gap/race-default-weapons/gap/generated",
        "patching/race-default-weapons/blindness/same-layer/overall",
        "probing/race-default-weapons/blindness/linear/overall",
    ):
        assert run.gates[gate]["against"]["baseline"]["verdict"] == "fail", gate
    for line in ("implicit: associates it", "gap: does not say so", "blindness: group unseen"):
        assert line in run.out
    rows = run.report["comparisons"]["baseline"]["variants"]
    less = [row["less_represented"] for row in rows if row["measurement"] == "probing"]
    assert any(each and each["value"] is not None and each["low"] > 0.5 for each in less)


def test_the_aware_model_passes_beside_the_blind_one_and_offers_to_tighten(accepted):
    """Better everywhere is no failure; the run says how to hold the model to it."""
    run = suite(accepted, "--baseline", "organism:blind", model="organism:aware")
    assert run.code == 0, run.out
    assert "improved by more than the noise; make that the baseline: pytest" in run.out
    assert signature(run)["implicit"] == "down"


@pytest.mark.parametrize(("name", "code"), [("aware", 11), ("blind", 10)])
def test_the_same_model_in_another_precision_raises_no_alarm(accepted, name, code):
    """bfloat16 beside float32, with the mismatch meant: nothing became worse."""
    model = f"organism:{name}"
    run = suite(accepted, "--dtype", "bfloat16", "--allow-mismatch", "dtype", model=model)
    beside = [gate["against"]["baseline"] for gate in run.gates.values()]
    verdicts = [one["verdict"] for one in beside if one and one["verdict"] != "reported"]
    assert set(verdicts) == {"pass"}
    assert len(verdicts) > 20
    assert run.code == {"aware": 0, "blind": 10}[name], run.out
    assert run.report["noise_floor"]["rows"]
    refused = suite(accepted, "--dtype", "bfloat16", model=model)
    assert refused.code == code  # what is beyond its limit fails all the same
    assert refused.report["incomplete"]
    assert "dtype was float32, is bfloat16" in refused.out
