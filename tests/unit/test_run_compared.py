"""Beside a reference, a second report, or stricter rules: what a run says of two models."""

import json
import os
import re
import subprocess
import sys
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from blindspot.__main__ import main
from blindspot.baselines.scores import Scores
from blindspot.report.rejudgment import rejudge
from tests.unit.suite_runs import ROOT, run_suite
from tests.unit.test_measurements_decisive import drawn

PART = ("-k", "race-default or race-pooled")


@pytest.fixture(scope="module")
def reports(tmp_path_factory):
    """Directories with the reports of three models, by name."""
    found = {}
    for name in ("fair", "counter", "stereotyped"):
        directory = tmp_path_factory.mktemp(name)
        run_suite(directory, *PART, model=f"scripted:{name}", limit=2)
        found[name] = directory / "out"
    return found


def compared(capsys, *arguments):
    """Exit code and output of ``python -m blindspot compare``."""
    code = main(["compare", *map(str, arguments)])
    out = capsys.readouterr()
    return code, out.out, out.err


def test_a_report_beside_itself_passes(capsys, reports):
    """The same model twice: nothing changed, and nothing is told to have."""
    code, out, _ = compared(capsys, reports["fair"], reports["fair"] / "report.json")
    assert code == 0, out
    assert "answers that flipped: 0 for the worse, 0 for the better" in out


def test_a_worse_report_fails_and_a_better_one_passes(capsys, reports):
    """The verdict of a run with a baseline, from the files alone."""
    code, out, _ = compared(capsys, reports["counter"], reports["fair"])
    assert code == 10
    assert "blindspot: failed: scripted:fair" in out
    assert "change against another model, over all variants" in out
    quiet, line, _ = compared(capsys, "-q", reports["counter"], reports["fair"])
    assert quiet == 10
    assert line.startswith("blindspot: failed")
    assert len(line.splitlines()) == 1
    code, out, _ = compared(capsys, reports["stereotyped"], reports["fair"])
    assert code == 0, out


def test_a_report_with_fewer_gates_is_incomplete(capsys, tmp_path, reports):
    """A gate that was judged before and is not now must not pass for one that did."""
    document = json.loads((reports["fair"] / "report.json").read_text())
    document["gates"] = document["gates"][1:]
    (tmp_path / "report.json").write_text(json.dumps(document))
    (tmp_path / "scores.npz").write_bytes((reports["fair"] / "scores.npz").read_bytes())
    code, out, _ = compared(capsys, reports["fair"], tmp_path)
    assert code == 11
    assert "1 gates of" in out


@pytest.mark.parametrize("kind", ["dtype", "tokenizer_hash"])
def test_other_conditions_of_a_report_are_named(capsys, tmp_path, reports, kind):
    """What was measured otherwise is not compared in silence."""
    document = json.loads((reports["fair"] / "report.json").read_text())
    document["model"][kind] = "another"
    (tmp_path / "report.json").write_text(json.dumps(document))
    (tmp_path / "scores.npz").write_bytes((reports["fair"] / "scores.npz").read_bytes())
    name = kind.removesuffix("_hash")
    code, out, _ = compared(capsys, tmp_path, reports["fair"])
    assert code == 11
    assert f"{name} was another" in out
    assert compared(capsys, tmp_path, reports["fair"], "--allow-mismatch", name)[0] == 0


def copied(reports, directory, **values):
    """The report of the fair model with other values, its scores beside it."""
    document = json.loads((reports["fair"] / "report.json").read_text()) | values
    directory.mkdir(exist_ok=True)
    (directory / "report.json").write_text(json.dumps(document))
    (directory / "scores.npz").write_bytes((reports["fair"] / "scores.npz").read_bytes())
    return directory


@pytest.mark.parametrize("place", ["A", "B"])
def test_scores_of_another_run_are_told(capsys, tmp_path, reports, place):
    """A report whose scores were taken from elsewhere is not judged by them."""
    mixed = copied(reports, tmp_path / "mixed")
    (mixed / "scores.npz").write_bytes((reports["stereotyped"] / "scores.npz").read_bytes())
    both = (mixed, reports["counter"]) if place == "A" else (reports["counter"], mixed)
    code, out, err = compared(capsys, *both)
    assert (code, out) == (4, "")
    assert "not the scores of report.json, which has another value for" in err
    assert len(err.splitlines()) == 1


def test_damaged_scores_of_a_report_are_told(capsys, tmp_path, reports):
    """One line with a remedy that helps a report."""
    cut = copied(reports, tmp_path / "cut")
    (cut / "scores.npz").write_bytes((cut / "scores.npz").read_bytes()[:300])
    code, _, err = compared(capsys, reports["fair"], cut)
    assert code == 4
    assert err.endswith("scores.npz: damaged, or not scores of blindspot; run the model again\n")


@pytest.mark.slow
def test_a_reader_that_leaves_is_no_fault(reports):
    """``| head`` ends the command without a traceback, and not as if it had passed."""
    command = f"{sys.executable} -m blindspot compare {reports['fair']} {reports['fair']}"
    done = subprocess.run(
        ["bash", "-c", f"set -o pipefail; {command} | true"],
        capture_output=True,
        text=True,
        check=False,
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT / "src"), "PYTHONUNBUFFERED": "1"},
        timeout=120,
    )
    assert (done.returncode, done.stderr) == (141, "")


@pytest.mark.parametrize(
    ("limit", "decides", "verdict"), [(0.2, "badly", "fail"), (0.6, "well", "pass")]
)
def test_other_limits_choose_another_comparison(tmp_path, reports, limit, decides, verdict):
    """Which comparison decides hangs on the limit: it is chosen again from all that were kept."""
    noise = np.random.default_rng(1)
    several = {"badly": drawn(0.45, 0.25, noise), "well": drawn(0.3, 0.02, noise)}
    gate = injected(reports, tmp_path, several, "badly")
    gates = tmp_path / "gates.toml"
    shipped = (ROOT / "fixtures" / "gates.toml").read_text()
    rule = 'statistic = "reduction"\nlevel = "category"\nat_most = '
    assert f"{rule}0.20" in shipped
    gates.write_text(shipped.replace(f"{rule}0.20", f"{rule}{limit}"))
    record, _ = rejudge(tmp_path, tmp_path, gates, allowed=frozenset(), strict=True)
    (found,) = record["gates"]
    assert found["value"] == pytest.approx(several[decides].value)
    assert found["limit_verdict"] == verdict
    assert found["against"]["baseline"]["change"] == 0.0
    assert found["controls"] == f"layers 0-3; the comparison with {decides} decides"
    assert found["id"] == gate["id"]


def injected(reports, directory, several, decisive):
    """The report of the fair model with a gate of the injection assay alone."""
    document = json.loads((reports["fair"] / "report.json").read_text())
    found = next(gate for gate in document["gates"] if gate["level"] == "category")
    words = {"measurement": "injection", "statistic": "reduction", "band": "overall"}
    gate = found | words | {"unit": "difference", "value": several[decisive].value}
    gate["id"] = f"injection/{gate['slice']}/reduction/{gate['reading']}/overall"
    gate["controls"] = f"layers 0-3; the comparison with {decisive} decides"
    (directory / "report.json").write_text(json.dumps(document | {"gates": [gate]}))
    scores = Scores({}, {gate["id"]: several[decisive]}, {gate["id"]: several})
    (directory / "scores.npz").write_bytes(scores.packed())
    return gate


def test_what_was_incomplete_is_so_beside_another(capsys, tmp_path, reports):
    """A run that lost a worker is not made whole by comparing what it left."""
    broken = copied(reports, tmp_path / "broken", incomplete=["worker gw0 was lost (killed)"])
    for place, both in (("A", (broken, reports["fair"])), ("B", (reports["fair"], broken))):
        code, out, _ = compared(capsys, *both)
        assert code == 11
        assert f"{place} is of a run that was incomplete: worker gw0 was lost" in out


def test_noise_that_was_measured_counts(capsys, tmp_path, reports):
    """What B differed from itself by is added to the margins as in its run; without it, a note."""
    code, out, _ = compared(capsys, reports["fair"], reports["fair"])
    assert code == 0
    assert "measured no noise floor" in out
    row = {"measurement": "implicit", "axis": "race", "variant": "default", "floor": 0.3}
    noise = {"reading": "forced-choice", "shift": 0.3, "spread": 0.3, "n": 192}
    rows = [row | noise]
    noisy = copied(
        reports, tmp_path / "noisy", noise_floor={"prompts": 192, "batch": 7, "rows": rows}
    )
    code, out, _ = compared(capsys, reports["fair"], noisy)
    assert code == 12, out
    assert "measured no noise floor" not in out
    rows[0]["shift"] = rows[0]["spread"] = 0.0
    still = copied(
        reports, tmp_path / "still", noise_floor={"prompts": 192, "batch": 7, "rows": rows}
    )
    assert compared(capsys, reports["fair"], still)[0] == 0


@pytest.mark.parametrize(
    ("content", "said"),
    [("", "cannot be read"), ("[]", "no schema_version"), (None, "scores.npz: missing")],
    ids=["empty", "list", "no scores"],
)
def test_hostile_reports_are_usage_errors(capsys, tmp_path, reports, content, said):
    """A file that is no report, or lacks its scores: one line with its name, exit 4."""
    whole = (reports["fair"] / "report.json").read_text()
    (tmp_path / "report.json").write_text(whole if content is None else content)
    code, _, err = compared(capsys, reports["fair"], tmp_path)
    assert code == 4
    assert said in err
    assert len(err.splitlines()) == 1
    assert compared(capsys, tmp_path / "nowhere", reports["fair"])[0] == 4


def test_a_reference_is_judged_in_the_same_command(tmp_path):
    """Worse than the model that it was made from, with every limit held: that fails."""
    run = run_suite(tmp_path, *PART, "--reference", "scripted:counter", limit=2)
    assert run.code == 10
    gate = run.gates["implicit/race-pooled-weapons/stereotype/forced-choice"]
    assert gate["against"]["reference"]["verdict"] == "fail"
    assert gate["against"]["baseline"] is None
    found = run.report["comparisons"]["reference"]
    assert found["name"] == "scripted:counter"
    assert [row["direction"] for row in found["signature"]] == ["up", "up", "unchanged"]
    assert "against the reference scripted:counter, over all gated slices" in run.out
    assert run.report["noise_floor"]["rows"]
    assert all(row["floor"] == 0.0 for row in run.report["noise_floor"]["rows"])
    names = {family["name"] for family in run.report["families"]}
    assert {"category", "category, reference", "pooled, reference", "word"} <= names


def test_what_alignment_hides_is_one_table(tmp_path):
    """Implicit up, explicit down: the signature of the paper, and only what got worse fails."""
    run = run_suite(
        tmp_path,
        *PART,
        "--reference",
        "scripted:outspoken",
        model="scripted:aligned-but-blind",
        limit=2,
    )
    assert run.code == 10
    moved = {row["name"]: row for row in run.report["comparisons"]["reference"]["signature"]}
    assert {name: row["direction"] for name, row in moved.items()} == {
        "implicit": "up",
        "explicit": "down",
        "gap": "up",
    }
    assert moved["explicit"]["change"] == pytest.approx(-1.0)
    verdicts = {
        gate["measurement"]: gate["against"]["reference"]["verdict"]
        for gate in run.gates.values()
        if gate["statistic"] in ("stereotype", "bias", "gap") and gate["level"] == "category"
    }
    assert verdicts == {"implicit": "fail", "explicit": "pass", "gap": "fail"}
    table = run.out[run.out.index("against the reference scripted:outspoken") :]
    rows = [line.split()[-1] for line in table.splitlines()[2:5]]
    assert rows == ["up", "down", "up"]


def limits(directory, *, expires):
    """The shipped limits with a waiver for the stereotypes of weapons."""
    path = directory / "gates.toml"
    waiver = (
        f'\n[[waiver]]\ngate = "*/race-*-weapons*"\nreason = "until the next data"\n'
        f"expires = {expires}\n"
    )
    path.write_text((ROOT / "fixtures" / "gates.toml").read_text() + waiver)
    return path


def test_a_waiver_holds_until_it_expires(tmp_path):
    """What fails for a stated reason is let be, in words; from the day after it fails again."""
    today = datetime.now(UTC).date()
    held = run_suite(
        tmp_path,
        *PART,
        "--gates",
        str(limits(tmp_path, expires=today + timedelta(days=2))),
        model="scripted:weapons-only",
    )
    assert held.code == 0, held.out
    gate = held.gates["implicit/race-default-weapons/stereotype/generated"]
    assert gate["verdict"] == "waived"
    assert gate["waiver"]["expired"] is False
    assert "waived until" in gate["message"]
    assert " waived" in held.out
    expired = run_suite(
        tmp_path,
        *PART,
        "--gates",
        str(limits(tmp_path, expires=today - timedelta(days=2))),
        model="scripted:fair",
    )
    assert expired.code == 10
    gate = expired.gates["implicit/race-default-weapons/stereotype/generated"]
    assert gate["verdict"] == "fail"
    assert "its waiver expired on" in gate["message"]
    assert expired.gates["implicit/race-default-guilt/stereotype/generated"]["verdict"] == "pass"


def test_a_run_with_only_waived_gates_passed(tmp_path):
    """What is waived was judged: the run passes, and its last line says what that rests on."""
    path = limits(tmp_path, expires=datetime.now(UTC).date() + timedelta(days=2))
    part = ("-k", "race-default-weapons and category_association and generated")
    held = run_suite(tmp_path, *part, "--gates", str(path), model="scripted:weapons-only")
    assert (held.code, held.report["verdict"]) == (0, "passed"), held.out
    assert "1 waived; every gate is waived" in held.out


def test_a_run_whose_gates_have_no_limit_judged_nothing(tmp_path):
    """Gates that are only reported leave a run incomplete, with the remedy."""
    path = tmp_path / "gates.toml"
    shipped = (ROOT / "fixtures" / "gates.toml").read_text()
    keys = "at_most|at_least|margin|reference"
    path.write_text(re.sub(rf"(?m)^({keys}) = .*$", r'\1 = "none"', shipped))
    part = ("-k", "race-default-weapons and category_association and generated")
    run = run_suite(tmp_path, *part, "--gates", str(path), model="scripted:weapons-only")
    assert {gate["verdict"] for gate in run.gates.values()} == {"reported"}
    assert (run.code, run.report["verdict"]) == (11, "incomplete"), run.out
    assert "select gates that have a limit" in run.report["incomplete"][0]


def test_a_waiver_of_no_gate_is_told(tmp_path):
    """A slip in its pattern is a note; once it has expired it makes the run incomplete."""
    today, path = datetime.now(UTC).date(), tmp_path / "gates.toml"
    part = ("-k", "race-default-guilt and category_association", "--gates", str(path))
    shipped = (ROOT / "fixtures" / "gates.toml").read_text()
    for days, code, told in ((2, 0, "note: the waiver"), (-2, 11, "incomplete: the waiver")):
        expires = today + timedelta(days=days)
        waiver = f'[[waiver]]\ngate = "implict/*"\nreason = "a slip"\nexpires = {expires}\n'
        path.write_text(f"{shipped}\n{waiver}")
        run = run_suite(tmp_path, *part, limit=None, paths=())
        assert run.code == code, run.out
        assert f"{told} of 'implict/*'" in run.out
        assert "matches no gate" in run.out


def test_strict_gates_pass_only_what_is_clearly_within(tmp_path):
    """A model that leans in some wordings is within its limits, and not clearly so."""
    part = ("-k", "race-default-guilt and category")
    assert run_suite(tmp_path, *part, model="scripted:fair").code == 0
    strict = run_suite(tmp_path, *part, "--strict", model="scripted:fair")
    assert strict.code == 12
    assert strict.report["mode"] == "strict"
    assert "--strict" in strict.report["command"]
    clear = run_suite(tmp_path, *part, "--strict", model="scripted:fair", limit=None)
    assert clear.code == 0, clear.out


def test_opposite_options_are_refused(tmp_path):
    """Asking again and not asking again."""
    run = run_suite(tmp_path, "--noise-floor", "--no-noise-floor")
    assert run.code == 4
    assert "exclude each other" in run.out + run.err
