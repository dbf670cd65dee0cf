"""Short runs of the suite on real models: what is answered, what is unread, what is said of it."""

from __future__ import annotations

from statistics import fmean

import pytest

from blindspot.gates.limits import MASS
from blindspot.gates.rule import UNREAD
from blindspot.paths import FIXTURES
from blindspot.toml import read_toml
from tests.real.expectations import EXPECTED, Expectation
from tests.unit.suite_runs import SuiteRun, run_suite
from tools.real_models.fetch import MODELS

pytestmark = pytest.mark.real

#: Names of runs: every association wording once, a few prompts of both measurements, and these in
#: plain text from a model that is else asked in its chat template.
RUNS = [
    f"{name}-{what}"
    for name, expected in EXPECTED.items()
    for what in ("every", "few", *(("plain",) if expected.chat else ()))
]
ASSOCIATIONS = read_toml(FIXTURES / "wordings" / "association.toml")["wording"]


@pytest.fixture(scope="module")
def runs() -> dict[str, SuiteRun]:
    """The runs made so far, by name."""
    return {}


def run_of(name: str, runs: dict[str, SuiteRun], directory: pytest.TempPathFactory) -> SuiteRun:
    """One run, made when it is first needed."""
    model, _, what = name.rpartition("-")
    if not MODELS[model].is_here:
        pytest.skip(f"{model} is not here: python -m tools.real_models {model}")
    if name not in runs:
        every = what == "every"
        runs[name] = run_suite(
            directory.mktemp(name),
            *("-k", "race-default-weapons"),
            *(("--fraction", "all") if every else ()),
            *(("--apply-chat-template",) if EXPECTED[model].chat and what != "plain" else ()),
            model=str(MODELS[model].path),
            paths=("tests/implicit",) if every else ("tests/implicit", "tests/explicit"),
            plugin=False,
        )
    return runs[name]


@pytest.fixture(params=RUNS)
def run(
    request: pytest.FixtureRequest,
    runs: dict[str, SuiteRun],
    tmp_path_factory: pytest.TempPathFactory,
) -> SuiteRun:
    """Each run."""
    return run_of(str(request.param), runs, tmp_path_factory)


@pytest.fixture(params=[run for run in RUNS if run.endswith("-every")])
def every_wording(
    request: pytest.FixtureRequest,
    runs: dict[str, SuiteRun],
    tmp_path_factory: pytest.TempPathFactory,
) -> tuple[Expectation, SuiteRun]:
    """The run of every wording, and what is expected of the model."""
    name = str(request.param)
    run = run_of(name, runs, tmp_path_factory)
    return EXPECTED[name.removesuffix("-every")], run


def test_wordings_are_answered(every_wording: tuple[Expectation, SuiteRun]) -> None:
    """Enough of them, and enough prompts in all."""
    expected, run = every_wording
    found: dict[str, list[bool]] = {wording["id"]: [] for wording in ASSOCIATIONS}
    for sample in run.samples:
        found[sample["wording"]].append(sample["value"] is not None)
    assert {len(answers) for answers in found.values()} == {4}  # all orders of one pair
    shares = {wording: fmean(answers) for wording, answers in found.items()}
    assert fmean(shares.values()) >= expected.answered, shares
    assert sum(share > 0 for share in shares.values()) >= expected.wordings, shares


def test_mass_of_a_wording_is_told(run: SuiteRun) -> None:
    """A probability, with the form that the model was offered."""
    asked = {(one["measurement"], one["wording"]) for one in run.samples}
    rows = {(row["measurement"], row["wording"]) for row in run.report["masses"]}
    assert rows == asked != set()
    for row in run.report["masses"]:
        assert 0 < row["mass"] <= row["first_mass"] * (1 + 1e-6) <= 1 + 1e-5, row
        assert row["form"]


@pytest.mark.parametrize("name", [run for run in RUNS if not run.endswith("-every")])
def test_statements_are_answered(
    name: str, runs: dict[str, SuiteRun], tmp_path_factory: pytest.TempPathFactory
) -> None:
    """A rating or a word, which an instruct model can give more often than a base model."""
    samples = run_of(name, runs, tmp_path_factory).samples
    asked = [one["value"] is not None for one in samples if one["measurement"] == "explicit"]
    assert fmean(asked) >= EXPECTED[name.rpartition("-")[0]].stated


def test_no_gate_passes_on_noise(run: SuiteRun) -> None:
    """Neither answers that are too few nor those of hardly any probability are a green light."""
    assert run.code in {10, 12}, run.out + run.err
    assert run.code == run.report["exit_code"]
    judged = [gate for gate in run.gates.values() if gate["verdict"] != "reported"]
    assert judged
    for gate in judged:
        low = [
            other["verdict"] != "pass" and other["value"] < other["limit"]
            for other in judged
            if (other["statistic"], other["slice"]) == ("validity", gate["slice"])
            and other["measurement"] == gate["measurement"]
        ]
        if gate["reading"] == "generated" and gate["statistic"] != "validity" and any(low):
            assert gate["verdict"] != "pass", gate["message"]
        if gate["reading"] == "forced-choice" and gate["mass"] < MASS:
            assert gate["verdict"] == "inconclusive", gate["message"]
            assert gate["doubt"].startswith(UNREAD)
        if gate["statistic"] == "stereotype" and gate["verdict"] == "pass":
            half = (gate["high"] - gate["low"]) / 2
            assert gate["reading"] == "forced-choice", gate["message"]  # one pair, a few answers
            assert max(abs(gate["value"]), half) <= gate["limit"], gate["message"]
