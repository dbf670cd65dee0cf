"""Mistakes of the user: one clear line and exit 4, before anything is asked."""

import pytest

from blindspot.store import Store
from tests.unit.baseline_runs import WORKERS
from tests.unit.suite_runs import ROOT, run_suite

GATE = (
    '@pytest.mark.blindspot_gate(measurement="implicit", statistic="stereotype", level="category")'
    "\n"
)
MISTAKES = {
    "no such directory": (("--model", "./nowhere"), "./nowhere"),
    "directory without a model": (("--model", str(ROOT / "docs")), "docs"),
    "unknown organism": (("--model", "organism:unicorn"), "unicorn"),
    "empty model": (("--model", ""), "--model"),
    "empty output path": (("--output-path", ""), "--output-path"),
    "no axis": (("--axis", ","), "--axis"),
    "long model": (("--model", "x" * 300), "--model"),
    "long store": (("--store", "x" * 300), "--store"),
    "long output path": (("--output-path", "x" * 300), "--output-path"),
    "long baselines": (("--baselines", "x" * 300), "--baselines"),
    "long limits": (("--gates", "x" * 300), "--gates"),
    "unknown flag": (("--frobnicate",), "--frobnicate"),
    "limit of nothing": (("--limit", "0"), "--limit"),
    "batch size": (("--batch-size", "many"), "--batch-size"),
    "dtype": (("--dtype", "float8"), "--dtype"),
    "seed below 0": (("--seed", "-1"), "--seed"),
    "seed beyond all": (("--seed", "9" * 30), "--seed"),
    "model args": (("--model", "organism:aware", "--model-args", "x"), "--model-args"),
    "include path": (("--include-path", "/nope"), "/nope"),
    "prompts from": (("--prompts-from", "/nope"), "/nope"),
    "prompts from nothing": (("--prompts-from", str(ROOT / "docs")), "docs"),
    "gates": (("--gates", "/nope.toml"), "/nope.toml"),
    "junitxml": (("--model", "organism:aware", "--junitxml", f"{__file__}/x.xml"), "--junitxml"),
    "baselines": (("--model", "organism:aware", "--baselines", __file__), "--baselines"),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_mistake_is_one_line(tmp_path, name):
    """The line names what is wrong; no traceback, nothing asked, exit 4."""
    arguments, part = MISTAKES[name]
    run = run_suite(tmp_path, *arguments, model=None, limit=None)
    told = run.out + run.err
    assert run.code == 4, told
    assert part in told
    assert "Traceback" not in told
    assert "INTERNALERROR" not in told
    assert not (tmp_path / "store").exists()


def test_mistake_under_xdist(tmp_path):
    """With workers the controller tells the mistake before it starts any."""
    run = run_suite(tmp_path, "-n", "2", model="./nowhere")
    assert run.code == 4
    assert "./nowhere" in run.out + run.err
    assert "Traceback" not in run.out + run.err


def test_typo_in_a_wording(tmp_path):
    """A typo in a user's TOML names file, key and remedy."""
    (tmp_path / "mine.toml").write_text(
        'measurement = "implicit"\n[[wording]]\nid = "mine"\ntext = "{frist} {second}"\n'
        'answer = "{first_word}{first_choice}{second_word}{second_choice}"\n'
    )
    run = run_suite(tmp_path, "--include-path", str(tmp_path))
    assert run.code == 4
    assert "mine.toml: wording[mine]" in run.out + run.err
    assert "{frist}" in run.out + run.err


def test_typo_in_gates(tmp_path):
    """A typo in a limits file is told too."""
    path = tmp_path / "gates.toml"
    path.write_text(
        (ROOT / "fixtures" / "gates.toml").read_text().replace("\nat_most", "\nat_mots", 1)
    )
    run = run_suite(tmp_path, "--gates", str(path))
    assert run.code == 4
    assert "gates.toml" in run.out + run.err
    assert "at_mots: unknown key; did you mean at_most?" in run.out + run.err


def test_own_limits_are_used(tmp_path):
    """--gates judges by other limits."""
    path = tmp_path / "gates.toml"
    text = (ROOT / "fixtures" / "gates.toml").read_text()
    path.write_text(text.replace("at_most = 0.20", "at_most = 0.99", 1))
    run = run_suite(tmp_path, "--gates", str(path), "-k", "test_category_association")
    assert {gate["limit"] for gate in run.gates.values()} == {0.99, None}


def test_unwritable_output_is_told_at_once(tmp_path):
    """An output directory that cannot be written is a usage error, before anything is asked."""
    blocker = tmp_path / "blocker"
    blocker.write_text("")
    run = run_suite(tmp_path, "--output-path", str(blocker / "below"))
    assert run.code == 4
    assert "--output-path" in run.out + run.err
    assert not (tmp_path / "store").exists()


@pytest.mark.parametrize("workers", WORKERS)
def test_ordinary_failure_comes_before_a_bias_failure(tmp_path, workers):
    """A failing test that is no gate: exit 1, whatever the gates say."""
    (tmp_path / "test_plain.py").write_text("def test_plain():\n    assert False\n")
    run = run_suite(
        tmp_path,
        *workers,
        model="scripted:stereotyped",
        paths=("tests/implicit", str(tmp_path / "test_plain.py")),
    )
    assert run.code == 1


@pytest.mark.parametrize("workers", WORKERS)
def test_gate_judged_twice_is_refused(tmp_path, workers):
    """Two tests that judge the same gate would count it twice."""
    (tmp_path / "test_again.py").write_text(
        f"import pytest\n{GATE}def test_again(case, judge):\n    judge(case)\n"
    )
    run = run_suite(tmp_path, *workers, paths=("tests/implicit", str(tmp_path / "test_again.py")))
    assert run.code == 4, run.out + run.err
    assert "as does" in run.out + run.err
    assert "INTERNALERROR" not in run.out


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (f"import pytest\n{GATE}def test_a(case):\n    pass\n", 1),
        (
            f"import pytest\n{GATE}@pytest.mark.skip\ndef test_a(case, judge):\n    judge(case)\n",
            11,
        ),
    ],
    ids=["never judged", "skipped"],
)
def test_gate_that_says_nothing_is_not_green(tmp_path, body, code):
    """A gate test that never judges fails; a skipped one leaves the run incomplete."""
    (tmp_path / "test_a.py").write_text(body)
    run = run_suite(tmp_path, "-k", "default-weapons", paths=(str(tmp_path / "test_a.py"),))
    assert run.code == code, run.out


@pytest.mark.slow
def test_stopping_early_is_the_same_failure_with_workers(tmp_path):
    """-x returns 10 with workers too, and the report agrees."""
    run = run_suite(tmp_path, "-x", "-n", "2", model="scripted:stereotyped")
    assert run.code == 10, run.out
    assert run.report["verdict"] == "failed"


def test_report_agrees_with_the_exit_code(tmp_path):
    """An ordinary failure is not a passed run in report.json either."""
    (tmp_path / "test_plain.py").write_text("def test_plain():\n    assert False\n")
    run = run_suite(tmp_path, paths=("tests/explicit", str(tmp_path / "test_plain.py")))
    assert (run.code, run.report["exit_code"], run.report["verdict"]) == (1, 1, "failed")


@pytest.mark.slow
def test_old_report_does_not_pass_for_a_new_one(tmp_path):
    """A run that measures nothing leaves no earlier report behind."""
    assert run_suite(tmp_path, "-k", "default-weapons").report["verdict"] == "passed"
    run = run_suite(tmp_path, "-n", "1", env={"SCRIPTED_DIE_AFTER": "0"}, model="scripted:fair@2")
    assert run.code == 11
    assert run.report["verdict"] == "incomplete"
    assert run.report["gates"] == []


def test_damaged_store_is_mended(tmp_path):
    """A damaged store is set aside with a note, and the run goes on."""
    run_suite(tmp_path, "-k", "default-weapons")
    (model,) = Store(tmp_path / "store").models()
    model.path.write_bytes(b"not a database " * 400)
    run = run_suite(tmp_path, "-k", "default-weapons")
    assert run.code == 0, run.out
    assert "note: the answer store was damaged" in run.out


def test_without_xdist(tmp_path):
    """-p no:xdist works."""
    run = run_suite(tmp_path, "-p", "no:xdist", "-k", "default-weapons")
    assert run.code == 0, run.out + run.err
