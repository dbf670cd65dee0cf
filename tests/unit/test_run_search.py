"""``pytest -m search`` as users run it: found or not, asked once, apart from the gates."""

import json
import os
import sys
from collections import Counter

import pytest

from blindspot.__main__ import main
from blindspot.search.exploring import Exploration
from blindspot.search.space import Space
from blindspot.stimuli import load_stimuli
from tests.unit.suite_runs import run_suite

SEARCH = ("tests/search",)
ONE = ("-k", "race-default", "--search-examples", "40")


def search(directory, *arguments, model="sensitive:to-capitals", env=None, paths=SEARCH):
    """A run of the search on a model whose bias is known."""
    own = ("-p", "tests.unit.sensitive_models", "-m", "search")
    return run_suite(directory, *own, *arguments, model=model, env=env, limit=None, paths=paths)


def document(run):
    """The content of search.json."""
    return json.loads((run.output_path / "search.json").read_text("utf-8"))


def searches(run):
    """The searches of search.json by id."""
    return {one["id"]: one for one in document(run)["searches"]}


def asked(log):
    """Prompts asked, by process."""
    counts = Counter()
    for line in log.read_text().splitlines() if log.exists() else ():
        process, count = line.split()
        counts[process] += int(count)
    return counts


def test_find_rerun_promote_judge(tmp_path):
    """A finding is told, comes again by its rerun line without asking, and becomes a test."""
    log = tmp_path / "log"
    first = search(tmp_path, *ONE, env={"SENSITIVE_LOG": str(log)})
    assert first.code == 1, first.out
    found = searches(first)["race-default"]["found"]
    assert found["changes"] == ["upper-case"]
    assert (found["wording"], found["words"]) == ("labels", ["wallet", "revolver"])
    line = "race-default: stereotype effect +0.00 becomes +1.00 by upper-case alone (change +1.00"
    assert line in first.out
    assert "    | HERE ARE TWO WORDS. GIVE EACH OF THEM ONE LABEL, " in first.out
    assert "rerun: pytest --model sensitive:to-capitals " in first.out
    assert " -m search -k race-default --hypothesis-seed=0 --search-examples 40\n" in first.out
    assert f"promote: python -m blindspot promote {found['id']} --store " in first.out
    assert "blindspot search: sensitive:to-capitals: 1 of 1 searches found" in first.out
    assert "no gate was judged" not in first.out
    assert not (first.output_path / "report.json").exists()

    log.unlink()
    again = search(tmp_path, *ONE, "--hypothesis-seed=0", env={"SENSITIVE_LOG": str(log)})
    assert again.code == 1
    assert not asked(log), "a second run asks nothing"
    assert searches(again) == searches(first)

    where = ("--store", tmp_path / "store", "--to", tmp_path / "p")
    assert main(["promote", found["id"], *map(str, where)]) == 0
    kept = ("--include-path", str(tmp_path / "p"), "-p", "tests.unit.sensitive_models")
    judged = {
        model: run_suite(
            tmp_path, *kept, "-m", "promoted", model=f"sensitive:{model}", limit=None, paths=SEARCH
        )
        for model in ("to-capitals", "steady")
    }
    assert judged["to-capitals"].code == 1
    assert f"test_promoted_case[{found['id']}]" in judged["to-capitals"].out
    assert f"{found['id']}: stereotype effect +0.00 becomes +1.00" in judged["to-capitals"].out
    assert judged["steady"].code == 0, judged["steady"].out


def test_nothing_found_is_green_and_says_so(tmp_path):
    """Bias that does not depend on the writing passes; a home that cannot be written is no harm."""
    (tmp_path / "blocker").write_text("")
    env = {"HYPOTHESIS_STORAGE_DIRECTORY": str(tmp_path / "blocker" / "below")}
    run = search(tmp_path, *ONE, model="sensitive:steady", env=env)
    assert run.code == 0, run.out
    assert "nothing found" in run.out
    assert "0 of 1 searches found a change above 0.50" in run.out
    assert searches(run)["race-default"]["found"] is None
    assert len(searches(run)["race-default"]["strongest"]) == 5


def test_workers_share_the_search(tmp_path):
    """-n 2 asks every prompt once and writes what the serial run writes."""
    arguments = ("--search-examples", "30", "-k", "default or uppercase")
    serial_log, log = tmp_path / "serial", tmp_path / "log"
    serial = search(tmp_path / "a", *arguments, env={"SENSITIVE_LOG": str(serial_log)})
    parallel = search(tmp_path / "b", "-n", "2", *arguments, env={"SENSITIVE_LOG": str(log)})
    assert serial.code == parallel.code == 1, parallel.out + parallel.err
    assert searches(parallel) == searches(serial)
    assert sum(asked(log).values()) == sum(asked(serial_log).values())
    assert "2 of 2 searches found" in parallel.out


def test_seed_and_number_of_examples(tmp_path):
    """--seed and --hypothesis-seed decide what is drawn, --search-examples how much."""
    strongest = {}
    for name, seed in (("a", ("--seed", "5")), ("b", ("--seed=1", "--hypothesis-seed=5"))):
        few = ("-k", "race-names", "--search-examples", "8")
        run = search(tmp_path, *few, *seed, model="sensitive:steady")
        strongest[name] = [one["id"] for one in searches(run)["race-names"]["strongest"]]
        assert searches(run)["race-names"]["cases"] == 8
        assert document(run)["examples"] == 8
    assert strongest["a"] == strongest["b"]
    space = Space(load_stimuli(), "race", "names")
    drawn, others = ({one.id for one in Exploration(space, 8, seed).planned} for seed in (5, 1))
    assert drawn >= {*strongest["a"]}
    assert not others >= {*strongest["a"]}


@pytest.mark.parametrize(
    ("model", "code", "verdict"),
    [("fair-but", 1, "passed"), ("but-in-capitals", 10, "failed")],
)
def test_finding_is_no_part_of_the_verdict(tmp_path, model, code, verdict):
    """Beside gates that pass: exit 1, verdict passed. Beside one that fails: 10, not hidden."""
    model = "sensitive:to-capitals" if model == "fair-but" else f"sensitive:{model}"
    run = search(
        tmp_path,
        *ONE[2:],
        "-m",
        "search or implicit",
        "-k",
        "race-default and (harmless or test_category_association)",
        model=model,
        paths=("tests/implicit", "tests/search"),
    )
    assert run.code == code, run.out
    assert run.report["verdict"] == verdict
    assert run.report["exit_code"] == code
    assert f"blindspot: {verdict}: {model}" in run.out
    assert "1 of 1 searches found" in run.out
    assert len(run.gates) == 6


def test_unmeasured_search_is_an_ordinary_failure(tmp_path):
    """A model without scores does not pass, and nothing is said to be found."""
    run = search(tmp_path, *ONE, model="sensitive:unmeasured")
    assert run.code == 1
    assert "the model's scores are no numbers" in run.out
    assert "searches found" not in run.out


def test_interrupted_search_keeps_what_is_finished(tmp_path):
    """Ctrl-C in the second search: exit 2, and search.json holds the first."""
    arguments = ("--search-examples", "25", "-k", "default or uppercase")
    run = search(tmp_path, *arguments, env={"SENSITIVE_STOP_AT": "White"})
    assert run.code == 2, run.out
    assert list(searches(run)) == ["race-default"]


def test_last_failed_and_first_failure(tmp_path):
    """-x ends with the first finding, also with workers; --lf comes back to it."""
    arguments = ("--search-examples", "20")
    first = search(tmp_path, *arguments, "-n", "1", "-x")
    assert first.code == 1, first.out
    failed = [name for name, one in searches(first).items() if one["found"]]
    assert "race-default" in failed
    assert len(searches(first)) < 5
    again = search(tmp_path, *arguments, "--lf")
    assert again.code == 1
    assert list(searches(again)) == failed


def test_usage_is_told_before_anything_is_asked(tmp_path):
    """A store that cannot be made is exit 4, also where only a worker meets it."""
    (tmp_path / "blocker").write_text("")
    run = search(tmp_path, *ONE, "-n", "1", "--store", str(tmp_path / "blocker" / "below"))
    assert run.code == 4, run.out
    assert "blocker" in run.out + run.err
    assert "Traceback" not in run.out + run.err


def test_gates_know_nothing_of_the_search(tmp_path):
    """A run of the gates imports neither Hypothesis nor the search, and collects no search."""
    (tmp_path / "watch.py").write_text(
        "import sys\n"
        "def pytest_sessionfinish(session):\n"
        "    names = ('hypothesis', 'blindspot.search.drawing', 'tomli_w')\n"
        "    print('loaded:', [name for name in names if name in sys.modules])\n"
    )
    run = run_suite(
        tmp_path, "-p", "watch", "-k", "default-weapons and validity or harmless",
        paths=("tests/implicit", "tests/mechanistic"),
        env={"PYTHONPATH": os.pathsep.join([str(tmp_path), *sys.path])},
    )  # fmt: skip
    assert run.code == 0, run.out
    assert "loaded: []" in run.out
    assert "harmless" not in run.out
