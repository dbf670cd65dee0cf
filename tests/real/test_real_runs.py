"""Short runs of the suite on real models: what is answered, what is unread, what is told."""

from __future__ import annotations

import pytest

from tests.real.expectations import EXPECTED
from tests.unit.suite_runs import SuiteRun, run_suite
from tools.real_models.fetch import MODELS

pytestmark = pytest.mark.real

_PART = ("-k", "race-default-weapons", "--store", "none")


@pytest.fixture(scope="module", params=EXPECTED)
def run(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> SuiteRun:
    """One slice with the fewest prompts, in the way that the model is asked best."""
    name = str(request.param)
    if not MODELS[name].is_here:
        pytest.skip(f"{name} is not here: python -m tools.real_models {name}")
    words = [*_PART, "--apply-chat-template"] if EXPECTED[name].chat else [*_PART]
    directory = tmp_path_factory.mktemp(name)
    done = run_suite(
        directory, *words, model=str(MODELS[name].path), limit=1, paths=("tests/implicit",)
    )
    assert done.code in {0, 10, 12}, done.out + done.err
    done.report["expected"] = EXPECTED[name]
    return done


def test_enough_is_answered_or_it_is_not_green(run: SuiteRun) -> None:
    """A slice that is read too little has no passing gate of its effect."""
    shares = {gate["slice"]: gate for gate in run.gates.values() if gate["statistic"] == "validity"}
    assert shares
    for gate in shares.values():
        assert gate["value"] >= run.report["expected"].answered
    if not all(gate["verdict"] == "pass" for gate in shares.values()):
        assert run.code != 0


def test_mass_is_above_the_minimum(run: SuiteRun) -> None:
    """Forced choice compares answers that the model might give, in every wording."""
    assert run.report["masses"]
    for row in run.report["masses"]:
        assert row["mass"] >= run.report["expected"].mass, row
