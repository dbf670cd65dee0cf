"""Mistakes of the user: one clear line and exit 4, before anything is asked."""

import pytest

from tests.unit.suite_runs import ROOT, run_suite

MISTAKES = {
    "no such directory": (("--model", "./nowhere"), "./nowhere"),
    "directory without a model": (("--model", str(ROOT / "docs")), "docs"),
    "unknown organism": (("--model", "organism:unicorn"), "unicorn"),
    "empty model": (("--model", ""), "--model"),
    "unknown flag": (("--frobnicate",), "--frobnicate"),
    "limit of nothing": (("--limit", "0"), "--limit"),
    "batch size": (("--batch-size", "many"), "--batch-size"),
    "dtype": (("--dtype", "float8"), "--dtype"),
    "model args": (("--model", "organism:aware", "--model-args", "x"), "--model-args"),
    "include path": (("--include-path", "/nope"), "/nope"),
    "prompts from": (("--prompts-from", "/nope"), "/nope"),
    "prompts from nothing": (("--prompts-from", str(ROOT / "docs")), "docs"),
    "gates": (("--gates", "/nope.toml"), "/nope.toml"),
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
    assert "at_mots" in run.out + run.err


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


@pytest.mark.parametrize("workers", [(), ("-n", "2")], ids=["serial", "-n 2"])
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


def test_gate_judged_twice_is_refused(tmp_path):
    """Two tests that judge the same gate would count it twice."""
    (tmp_path / "test_again.py").write_text(
        "import pytest\n"
        '@pytest.mark.gate(measurement="implicit", statistic="stereotype", level="category")\n'
        "def test_again(case, judge):\n    judge(case)\n"
    )
    run = run_suite(tmp_path, paths=("tests/implicit", str(tmp_path / "test_again.py")))
    assert run.code == 4
    assert "judges already" in run.out + run.err
