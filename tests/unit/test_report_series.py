"""Reports of checkpoints in order: when a gate began to fail, and the page of the curves."""

import json
import re
import shutil

import pytest

from blindspot.__main__ import main
from blindspot.gates.verdict import Verdict
from blindspot.report.series import Point, Series, Step, Track
from blindspot.report.turns import begun, lead, said, short
from tests.unit.report_parts import gate
from tests.unit.suite_runs import run_suite
from tests.unit.test_report_page import Page

PART = "race-default-weapons and test_category_association"


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """Directories with the reports of a fair model, of the same again, and of a biased one."""
    root, found = tmp_path_factory.mktemp("series"), []
    for name, model, part in (
        ("step-10", "fair", PART),
        ("step-20", "fair", PART),
        ("step-300", "stereotyped", PART),
        ("other", "fair", "race-default-guilt and test_category_association"),
        ("fewer", "stereotyped", PART),
    ):
        arguments = ("--fraction", "1/2") if name == "fewer" else ()
        run = run_suite(root, "-k", part, *arguments, model=f"scripted:{model}", limit=None)
        found.append(shutil.move(run.output_path, root / name))
    return found


@pytest.fixture
def compared(capsys, monkeypatch, tmp_path):
    """Exit code and output of ``python -m blindspot compare``, in an empty directory."""
    monkeypatch.chdir(tmp_path)

    def compare(*arguments):
        code = main(["compare", *map(str, arguments)])
        out = capsys.readouterr()
        return code, out.out, out.err

    return compare


def test_the_step_is_named_at_which_it_went_wrong(compared, tmp_path, runs):
    """The table has every step, the sentence the one, and the exit code is that of the last run."""
    code, out, _ = compared(*runs[:2], runs[2] / "report.json")
    assert code == 10
    words = " ".join(out.split())
    assert "from step-300 on, it associates the groups with the stereotypes (implicit: 1" in words
    assert re.search(
        r"implicit race-default-weapons: \S+ at first; fails from step-300 on: \+1", words
    )
    assert re.search(r"(?m)^implicit race-default-weapons +\S+ +\S+ +\+1.00\*$", out)
    assert max(map(len, out.splitlines()[:-1])) <= 80
    page = (tmp_path / "series.html").read_text()
    parsed = Page(page)
    assert parsed.open == []
    ids = parsed.of("id")
    assert len(ids) == len(set(ids))
    assert "from step-300 on" in page
    assert page.count("<svg") == 2
    assert not {"script", "img", "iframe"} & parsed.tags


def test_models_that_do_not_differ_have_no_step(compared, runs):
    """Nothing fails, nothing is named, and the exit code is that of a run that passed."""
    same = shutil.copytree(runs[0], runs[0].parent / "step-40", dirs_exist_ok=True)
    code, out, _ = compared(*runs[:2], same)
    assert code == 0, out
    assert "none failed and none clearly changed (exit 0)" in out
    assert "gate by gate" not in out
    code, quiet, _ = compared("-q", *runs[:2], same)
    assert (code, len(quiet.splitlines())) == (0, 1)


def test_back_again_is_told(compared, runs):
    """A gate that no longer fails, and where the last run passed."""
    code, out, _ = compared(runs[2], *runs[:2])
    assert code == 0
    words = " ".join(out.split())
    assert "fails in the first report already: +1.00, then passes from step-10 on" in words


def test_what_cannot_be_compared_is_left_out_or_refused(compared, runs):
    """Other gates, other prompts, other conditions: a line each, with the remedy."""
    code, out, err = compared(runs[0], runs[1], runs[3])
    assert (code, out) == (4, "")
    assert "no gate in common; run the same tests" in err
    code, out, _ = compared(runs[0], runs[1], runs[4])
    assert code == 10
    assert "fewer was asked other prompts than step-10 (fraction was 1, is 1/2)" in out
    assert "fails from fewer on" in out
    otherwise = shutil.copytree(runs[1], runs[1].parent / "otherwise", dirs_exist_ok=True)
    document = json.loads((otherwise / "report.json").read_text())
    document["model"]["dtype"] = "bfloat16"
    (otherwise / "report.json").write_text(json.dumps(document))
    code, out, _ = compared(runs[0], otherwise, runs[1])
    assert code == 11
    assert "incomplete: otherwise was measured otherwise than step-10: dtype was" in out
    assert "--allow-mismatch dtype" in out
    assert compared(runs[0], otherwise, runs[1], "--allow-mismatch", "dtype")[0] == 0


@pytest.mark.parametrize(
    ("third", "said"),
    [
        ("nowhere", "nowhere: cannot be read (No such file"),
        ("empty.json", "cannot be read"),
        ("list.json", "no schema_version"),
        ("newer.json", "schema_version 3"),
        ("twice", "are one report; name each checkpoint once"),
        ("alone", "scores.npz: missing"),
    ],
)
def test_hostile_series_are_usage_errors(compared, tmp_path, runs, third, said):
    """One line that names the file, and nothing is written."""
    for name, content in (("empty", ""), ("list", "[]"), ("newer", '{"schema_version": 3}')):
        (tmp_path / f"{name}.json").write_text(content)
    (tmp_path / "alone").mkdir()
    shutil.copy(runs[0] / "report.json", tmp_path / "alone")
    (tmp_path / "twice").symlink_to(runs[1])
    code, out, err = compared(*runs[:2], tmp_path / third)
    assert (code, out) == (4, "")
    assert said in err
    assert len(err.splitlines()) == 1
    assert not (tmp_path / "series.html").exists()


def test_options_of_the_other_use_are_refused(compared, tmp_path, runs):
    """What would have no effect, and a page that cannot be written."""
    assert compared(*runs[:3], "--strict")[0] == 4
    assert compared(*runs[:2], "--page", "x.html")[0] == 4
    code, _, err = compared(*runs[:3], "--page", tmp_path / "no" / "x.html")
    assert code == 4
    assert "cannot be written" in err
    assert compared(*runs[:3], "--page", tmp_path / "x.html")[0] == 10
    assert (tmp_path / "x.html").exists()


@pytest.mark.slow
def test_three_hundred_reports_are_drawn(compared, tmp_path, runs):
    """A checkpoint every few steps: the table shows some, the page all."""
    several = []
    for k in range(300):
        source = runs[2] if k >= 217 else runs[0]
        several.append(shutil.copytree(source, tmp_path / f"checkpoint-{k}"))
    code, out, _ = compared(*several)
    assert code == 10
    assert "from checkpoint-217 on" in out
    assert max(map(len, out.splitlines()[:-1])) <= 80
    assert "checkpoint-155" in (tmp_path / "series.html").read_text()


def track(*verdicts, values=None):
    """A gate with these verdicts over the steps of a series."""
    values = values or [0.5 if verdict == "fail" else 0.0 for verdict in verdicts]
    made = gate("implicit", ("race", "default", "weapons"), "stereotype", values[0])
    points = [Point(v, v - 0.1, v + 0.1, Verdict(w)) for v, w in zip(values, verdicts, strict=True)]
    return Track({**made, "opposite": -made["limit"]}, tuple(points))


def series(*tracks):
    """A series of these gates, with steps a, b, c ..."""
    steps = [Step(name, "m", "w", "d", "passed", 0) for name in "abcdef"[: len(tracks[0].points)]]
    return Series(tuple(steps), tracks, (), ())


def test_every_turn_is_in_the_sentence():
    """On, off and on again; and a bias turned round is called so."""
    one = track("pass", "fail", "inconclusive", "fail", values=[0.0, 0.5, 0.2, -0.6])
    told = said(one, series(one))
    assert (
        "fails from b on: +0.50, then is inconclusive from c on: +0.20, then fails from d" in told
    )
    assert "reversed" in told
    always = track("fail", "fail")
    assert lead(series(always)) == "of 1 gate, 1 failed from the first report on"
    assert [one.since for one in begun(series(always))] == ["from the first report on"]


def test_labels_are_shortened_or_numbered():
    """What all labels begin with is left out, but no digit of a number; long ones are numbered."""
    made = series(track("pass", "pass"))

    def labels(*names):
        steps = [Step(name, "m", "w", "d", "passed", 0) for name in names]
        return short(Series(tuple(steps), made.tracks, (), ()), 6)

    assert labels("step-1000", "step-1500") == ["1000", "1500"]
    assert labels("base", "an-instruct-model") == ["1", "2"]
    assert labels("a", "ab") == ["a", "ab"]
