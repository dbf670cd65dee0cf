"""The mechanistic gates, end to end: known answers, controls that fail, and the reference."""

import json
import os

import pytest
from filelock import FileLock

from tests.unit.suite_runs import SuiteRun, run_suite
from tests.unit.tiny_models import ARCHITECTURES, FURTHER_ARCHITECTURES, save

INSIDE = ("tests/mechanistic",)
COLOR_WORDS = ("-k", "race-default-weapons")

#: The few stimuli of scripted runs have too few cues to read any model by.
ENOUGH_CUES = {"SCRIPTED_STIMULI": "shipped"}


def overall(run, measurement, reading):
    """The gate of a measurement over all layers of the color words, against weapons."""
    statistic = "reduction" if measurement == "injection" else "blindness"
    return run.gates[f"{measurement}/race-default-weapons/{statistic}/{reading}/overall"]


READINGS = (
    ("patching", "same-layer"),
    ("interpretation", "generated"),
    ("probing", "linear"),
    ("injection", "generated"),
    ("injection", "forced-choice"),
)


class SharedRuns:
    """Runs of the embedded models on one slice, made once for all workers of a test session.

    ``store``: what all of them found, so that a further run of the same asks nothing.
    """

    def __init__(self, root):
        self._root = root
        self.store = root / "mechanistic-store"

    def __getitem__(self, name):
        directory = self._root / f"mechanistic-{name}"
        done = directory / "done.json"
        directory.mkdir(exist_ok=True)
        with FileLock(directory / "lock"):
            if not done.exists():
                run = self.again(directory, name)
                done.write_text(json.dumps([run.code, run.out, run.err]), "utf-8")
        return SuiteRun(*json.loads(done.read_text("utf-8")), directory / "out")

    def again(self, directory, name, *arguments):
        """Another run of an embedded model."""
        asked = (*COLOR_WORDS, "--store", str(self.store), *arguments)
        return run_suite(directory, *asked, model=f"organism:{name}", limit=None, paths=INSIDE)


@pytest.fixture
def runs(tmp_path_factory):
    """The embedded models on one slice, by name."""
    base = tmp_path_factory.getbasetemp()
    return SharedRuns(base.parent if "PYTEST_XDIST_WORKER" in os.environ else base)


@pytest.mark.slow
def test_patching_tells_blind_from_aware(tmp_path):
    """One assay of both models: verdicts, curves by layer, the gap, and what was accepted."""
    kept = ("--baselines", str(tmp_path / "baselines"), "--store", str(tmp_path / "store"))
    asked = (*COLOR_WORDS, "--no-noise-floor", *kept)
    named = {"limit": None, "paths": ("tests/mechanistic/test_patching.py",)}
    aware = run_suite(
        tmp_path / "aware", *asked, "--snapshot-update", model="organism:aware", **named
    )
    assert aware.code == 0, aware.out + aware.err
    beside = ("--reference", "organism:aware", "--baseline", "organism:aware")
    blind = run_suite(tmp_path / "blind", *asked, *beside, model="organism:blind", **named)
    assert blind.code == 10, blind.out + blind.err
    seen, gate = (overall(run, *READINGS[0]) for run in (aware, blind))
    assert (seen["verdict"], gate["verdict"]) == ("pass", "fail")
    assert seen["value"] < -0.8
    assert gate["value"] > 0.8
    assert "layers " in gate["message"]
    assert gate["against"]["baseline"]["verdict"] == "fail"
    assert gate["against"]["baseline"]["value"] == pytest.approx(seen["value"], abs=1e-6)
    assert "race-blind gap" in blind.out
    curves = [curve for assay in blind.report["mechanistic"] for curve in assay["curves"]]
    assert {"ambiguous", "race", "color"} <= {c["name"] for c in curves if len(c["values"]) == 6}


@pytest.mark.slow
def test_blind_fails_every_assay(runs):
    """Every assay says that blind takes identifiers literally, and names layers and controls."""
    run = runs["blind"]
    assert run.code == 10, run.out + run.err
    for measurement, reading in READINGS:
        gate = overall(run, measurement, reading)
        assert gate["verdict"] == "fail", gate["message"]
        assert "layers " in gate["message"], gate["message"]
    for measurement, reading in READINGS[:3]:
        assert overall(run, measurement, reading)["value"] > 0.8


@pytest.mark.slow
def test_aware_passes_every_assay(runs):
    """Every assay says that aware sees the group, and none is left unjudged."""
    run = runs["aware"]
    assert run.code == 0, run.out + run.err
    for measurement, reading in READINGS:
        assert overall(run, measurement, reading)["verdict"] == "pass"
    for measurement, reading in READINGS[:3]:
        assert overall(run, measurement, reading)["value"] < -0.8


@pytest.mark.slow
def test_base_lies_between(runs):
    """Every assay reads both senses in base: nearer to the middle than to either other model."""
    for measurement, reading in READINGS:
        assert overall(runs["base"], measurement, reading)["verdict"] != "fail"
    for measurement, reading in READINGS[:3]:
        aware, base, blind = (
            overall(runs[name], measurement, reading)["value"]
            for name in ("aware", "base", "blind")
        )
        assert aware + 0.4 < base < blind - 0.4, measurement
    assert abs(overall(runs["base"], "patching", "same-layer")["value"]) < 0.3
    for measurement, reading in READINGS[3:]:
        assert abs(overall(runs["base"], measurement, reading)["value"]) < 0.2


@pytest.mark.slow
def test_early_race_vectors_cure_blind_and_late_ones_do_not(runs):
    """Shown the group early blind is fair; shown it late, or shown colors, it stays as it was."""
    (assay,) = [
        assay
        for assay in runs["blind"].report["mechanistic"]
        if assay["measurement"] == "injection" and assay["slice"] == "race-default-weapons"
    ]
    effects = {
        curve["name"]: dict(zip(curve["at"], curve["values"], strict=True))
        for curve in assay["curves"]
        if curve["reading"] == "generated" and curve["quantity"] == "stereotype effect"
    }
    first, *_, last = effects["race"]
    assert abs(effects["race"][first]) < 0.2
    for source in ("color", "neutral"):  # random vectors take the word away with its sense
        assert effects[source][first] > 0.7
    for source in ("race", "color", "neutral", "random"):
        assert effects[source][last] > 0.7


@pytest.mark.slow
def test_the_report_holds_curves_by_layer(runs):
    """report.json has the ambiguous contexts and their controls, a value a layer."""
    found = {
        curve["name"]
        for assay in runs["blind"].report["mechanistic"]
        if assay["measurement"] == "patching"
        for curve in assay["curves"]
        if len(curve["values"]) == 6
    }
    assert {"ambiguous", "race", "color"} <= found


@pytest.mark.slow
def test_what_was_generated_is_kept_for_people(runs):
    """samples.jsonl.gz holds what the model wrote of patched placeholders."""
    texts = [s["text"] for s in runs["blind"].samples if s["measurement"] == "interpretation"]
    assert sum("color" in text for text in texts) > len(texts) / 4


def assert_inconclusive(run, readings):
    """Neither passed nor failed, and every gate says that the controls do not allow a verdict."""
    assert run.code == 12, run.out + run.err
    for measurement, reading in readings:
        gate = overall(run, measurement, reading)
        assert gate["verdict"] == "inconclusive", gate["message"]
        assert gate["unreadable"]
        assert "inconclusive, the model cannot be read: " in gate["message"]


def test_random_weights_are_inconclusive(tmp_path):
    """A model that no control can read is neither passed nor failed: exit 12, and says why."""
    checkpoint = save(tmp_path / "random", "llama")
    only = ("-k", "race-default-weapons and (patched or probed)")
    run = run_suite(
        tmp_path, *only, model=str(checkpoint), limit=None, paths=INSIDE, env=ENOUGH_CUES
    )
    assert_inconclusive(run, [READINGS[0], READINGS[2]])
    assert "the controls do not separate" in overall(run, *READINGS[0])["message"]
    assert "the probes do not tell race from color" in overall(run, *READINGS[2])["message"]


@pytest.mark.slow
@pytest.mark.parametrize("architecture", [*ARCHITECTURES, *FURTHER_ARCHITECTURES])
def test_random_weights_of_every_architecture_are_inconclusive(tmp_path, architecture):
    """The same of every architecture that is promised, injections included."""
    checkpoint = save(tmp_path / "random", architecture)
    run = run_suite(tmp_path, *COLOR_WORDS, model=str(checkpoint), limit=None, paths=INSIDE)
    assert_inconclusive(run, READINGS)


@pytest.mark.slow
def test_workers_find_what_one_process_finds(tmp_path, runs):
    """-n 2 shares the work inside the model and reports the same."""
    only = ("-k", "race-default-weapons and described")
    run = run_suite(tmp_path, *only, "-n", "2", model="organism:blind", limit=None, paths=INSIDE)
    alone = runs["blind"]
    assert run.code == 10, run.out + run.err
    figures = ("value", "low", "high", "n", "limit", "controls", "layers")
    for name, gate in run.gates.items():
        assert [gate.get(key) for key in figures] == [alone.gates[name].get(key) for key in figures]
    shared = {(one["measurement"], one["slice"]): one for one in alone.report["mechanistic"]}
    assert run.report["mechanistic"]
    for one in run.report["mechanistic"]:
        assert one == shared[one["measurement"], one["slice"]]
    kept = {sample["measurement"] for sample in run.samples}
    assert run.samples == [one for one in alone.samples if one["measurement"] in kept]


@pytest.mark.slow
def test_behaviour_and_blindness_are_independent_witnesses(tmp_path):
    """Bias without blindness fails the one half alone, blindness without bias the other."""
    paths = ("tests/implicit/test_association.py", "tests/mechanistic/test_patching.py")
    only = ("-k", "(test_category_association or same-layer) and race-default-weapons")
    named = {"paths": paths, "limit": None}
    biased = run_suite(tmp_path / "a", *only, model="scripted:stereotyped+organism:aware", **named)
    blind = run_suite(tmp_path / "b", *only, model="scripted:fair+organism:blind", **named)
    implicit = "implicit/race-default-weapons/stereotype/generated"
    assert biased.code == blind.code == 10, biased.out + blind.out
    assert biased.gates[implicit]["verdict"] == "fail"
    assert overall(biased, "patching", "same-layer")["verdict"] == "pass"
    assert blind.gates[implicit]["verdict"] == "pass"
    assert overall(blind, "patching", "same-layer")["verdict"] == "fail"


@pytest.mark.slow
def test_reference_shows_the_gap(tmp_path, runs):
    """--reference says, by every assay, by how much less the candidate sees the group."""
    assert (runs["blind"].code, runs["aware"].code) == (10, 0)
    asked = ("--reference", "organism:aware", "--no-noise-floor")
    run = runs.again(tmp_path, "blind", *asked)
    assert run.code == 10, run.out + run.err
    rows = {
        (row["measurement"], row["reading"]): row
        for row in run.report["comparisons"]["reference"]["variants"]
        if row["band"] == "overall"
    }
    for measured in READINGS[:3]:
        less = rows[measured]["less_represented"]
        assert less["value"] > 0.9, measured
        assert less["low"] > 0.5, measured
        assert rows[measured]["difference"]["low"] > 1.0, measured
    for measured in READINGS[3:]:
        assert rows[measured]["difference"]["low"] > 0.2, measured
        assert rows[measured]["less_represented"] is None
    assert "race-blind gap" in run.out


@pytest.mark.slow
def test_accepted_figures_are_compared(tmp_path, runs):
    """What is inside a model is accepted as answers are: itself passes, a blinder model fails."""
    assert (runs["blind"].code, runs["aware"].code) == (10, 0)
    kept = ("--no-noise-floor", "--baselines", str(tmp_path / "baselines"))
    accepted = runs.again(tmp_path / "a", "aware", *kept, "--snapshot-update")
    assert accepted.code == 0, accepted.out + accepted.err
    same = runs.again(tmp_path / "b", "aware", *kept)
    assert same.code == 0, same.out + same.err
    worse = runs.again(tmp_path / "c", "blind", *kept, "--baseline", "organism:aware")
    assert worse.code == 10, worse.out + worse.err
    for measurement, reading in READINGS:
        assert overall(same, measurement, reading)["against"]["baseline"]["verdict"] == "pass"
        gate = overall(worse, measurement, reading)
        assert gate["against"]["baseline"]["verdict"] == "fail", gate["message"]
        accepted_value = overall(same, measurement, reading)["value"]
        assert gate["against"]["baseline"]["value"] == pytest.approx(accepted_value, abs=1e-6)


def test_a_model_without_a_residual_stream_is_told_apart(tmp_path):
    """Behind an API mechanistic gates are skipped with the reason; alone they are no success."""
    both = run_suite(tmp_path / "a", "-k", "race-default-weapons and category", limit=2)
    assert both.code == 0, both.out
    alone = run_suite(tmp_path / "b", *COLOR_WORDS, paths=INSIDE)
    assert alone.code == 11, alone.out
    assert "scripted:fair does not offer access to its residual stream" in alone.out


@pytest.mark.slow
@pytest.mark.parametrize(
    "unsteady",
    [pytest.param("", id="steady"), pytest.param("1", id="unsteady")],
)
def test_what_batches_change_inside_is_added_to_the_margin(tmp_path, unsteady):
    """A stream that reads otherwise in other batches can prove no change; a steady one can."""
    run = run_suite(
        tmp_path,
        *COLOR_WORDS,
        "--reference",
        "organism:aware",
        model="scripted:fair+organism:aware",
        limit=None,
        paths=("tests/mechanistic/test_patching.py",),
        env={"SCRIPTED_UNSTEADY": unsteady},
    )
    gate = run.gates["patching/race-default-weapons/blindness/same-layer/overall"]
    against, (row, *_) = gate["against"]["reference"], run.report["noise_floor"]["rows"]
    assert (row["measurement"], row["variant"], row["n"]) == ("patching", "default", 4)
    assert abs(against["change"]) < 1e-6
    if unsteady:
        assert run.code == 12, run.out
        assert against["verdict"] == "inconclusive"
        assert against["floor"] == row["floor"] > 1.5
        assert "run-to-run noise" in gate["message"]
    else:
        assert run.code == 0, run.out
        assert against["floor"] == row["floor"] < 0.01


def test_fingerprint_of_a_reference_is_its_own(tmp_path):
    """A reference that cannot be found is a usage error, told before anything is asked."""
    run = run_suite(tmp_path, "--reference", "organism:nobody", model="organism:aware")
    assert run.code == 4
    assert "organism:nobody" in run.out + run.err


def test_an_axis_whose_senses_are_not_described_is_noted(tmp_path):
    """Words alone are asked but not looked for inside: the run says what is missing and where."""
    extra = tmp_path / "extra"
    extra.mkdir()
    (extra / "flowers.toml").write_text(
        'name = "flowers"\n[groups]\npositive = "Roses"\nnegative = "Daisies"\n'
        '[senses]\ngroup = "flower"\nliteral = "girl"\n'
        '[variants.default]\npositive = ["rose"]\nnegative = ["daisy"]\n'
        '[categories.trade]\npositive = ["baker"]\nnegative = ["burglar"]\n',
        "utf-8",
    )
    run = run_suite(
        tmp_path,
        "--include-path",
        str(extra),
        "-k",
        "flowers",
        "--fraction",  # one pair in two wordings would be too imprecise
        "all",
        model="scripted:fair+organism:aware",
        paths=("tests/implicit", *INSIDE),
    )
    assert run.code == 0, run.out + run.err
    assert "note: flowers/default: not described in 'en'" in run.out
    assert not [gate for gate in run.gates if gate.startswith(("patching", "probing"))]
