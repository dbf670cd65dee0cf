"""``pytest -m search`` as users run it: found or not, asked once, apart from the gates."""

import json
import os
import sys
from types import SimpleNamespace

import pytest

from blindspot.__main__ import main
from blindspot.search.exploration import Exploration
from blindspot.search.run import SearchRun
from blindspot.search.space import Space
from blindspot.stimuli import load_stimuli
from tests.unit.suite_runs import asked, run_suite

SEARCH = ("tests/search",)
ONE = ("-k", "race-default", "--search-examples", "40")
TWO = ("-k", "default or uppercase", "--search-examples", "30")


def search(directory, *arguments, model="sensitive:to-capitals", env=None, paths=SEARCH):
    """A run of the search on a model whose bias is known, with the stimuli that are shipped."""
    env = {"SCRIPTED_STIMULI": "shipped"} | (env or {})
    own = ("-p", "tests.unit.sensitive_models", "-m", "search")
    return run_suite(directory, *own, *arguments, model=model, env=env, limit=None, paths=paths)


def document(run):
    """The content of search.json."""
    return json.loads((run.output_path / "search.json").read_text("utf-8"))


def searches(run):
    """The searches of search.json by id."""
    return {one["id"]: one for one in document(run)["searches"]}


@pytest.fixture(scope="module")
def first(tmp_path_factory):
    """Two searches, serially, with a log beside them."""
    directory = tmp_path_factory.mktemp("first")
    run = search(directory, *TWO, env={"SENSITIVE_LOG": str(directory / "log")})
    assert run.code == 1, run.out
    return run


def test_find_rerun_promote_judge(first, tmp_path):
    """A finding is told, comes again by its rerun line without asking, and becomes a test.

    Also by --lf.
    """
    store = first.output_path.parent / "store"
    found = searches(first)["race-default"]["found"]
    assert found["changes"] == ["upper-case"]
    assert (found["wording"], found["words"]) == ("gap-sentence", ["wallet", "revolver"])
    line = "race-default: stereotype effect +0.00 becomes +1.00 by upper-case alone (change +1.00"
    assert line in first.out
    assert "    | PUT white AND black INTO THE GAPS, ONE IN EACH, " in first.out
    assert "rerun: pytest --model sensitive:to-capitals " in first.out
    assert " -m search -k race-default --hypothesis-seed=0 --search-examples 30\n" in first.out
    assert f"promote: python -m blindspot promote {found['id']} --store " in first.out
    assert "blindspot search: sensitive:to-capitals: 2 of 2 searches found" in first.out
    assert "no gate was judged" not in first.out
    assert not (first.output_path / "report.json").exists()

    log = tmp_path / "log"
    rerun = ("-k", "race-default", "--hypothesis-seed=0", *TWO[2:], "--store", str(store))
    cache = ("--lf", "-o", f"cache_dir={first.output_path.parent / 'cache'}")
    again = search(tmp_path, *rerun, *cache, env={"SENSITIVE_LOG": str(log)})
    assert again.code == 1
    assert "rerun previous 1 failure" in again.out
    assert not asked(log), "a second run asks nothing"
    assert searches(again)["race-default"] == searches(first)["race-default"]

    where = ("--store", store, "--to", tmp_path / "p")
    assert main(["promote", found["id"], *map(str, where)]) == 0
    kept = ("--include-path", str(tmp_path / "p"), "-p", "tests.unit.sensitive_models")
    judged = {
        model: run_suite(
            tmp_path,
            *kept,
            "-m",
            "promoted",
            model=f"sensitive:{model}",
            limit=None,
            paths=SEARCH,
            env={"SCRIPTED_STIMULI": "shipped"},
        )
        for model in ("to-capitals", "steady")
    }
    assert judged["to-capitals"].code == 1
    assert f"test_promoted_case[{found['id']}]" in judged["to-capitals"].out
    assert f"{found['id']}: stereotype effect +0.00 becomes +1.00" in judged["to-capitals"].out
    assert judged["steady"].code == 0, judged["steady"].out


@pytest.mark.slow
def test_workers_share_the_search(first, tmp_path):
    """-n 2 asks every prompt once and writes what the serial run writes."""
    log = tmp_path / "log"
    parallel = search(tmp_path, "-n", "2", *TWO, env={"SENSITIVE_LOG": str(log)})
    assert parallel.code == 1, parallel.out + parallel.err
    assert searches(parallel) == searches(first)
    serial = asked(first.output_path.parent / "log")
    assert sum(asked(log).values()) == sum(serial.values())
    assert "2 of 2 searches found" in parallel.out


def test_nothing_found_is_green_and_says_so(tmp_path):
    """Bias that does not depend on the writing passes; seed and number of examples are kept.

    A home of Hypothesis that cannot be written is no harm.
    """
    (tmp_path / "blocker").write_text("")
    env = {"HYPOTHESIS_STORAGE_DIRECTORY": str(tmp_path / "blocker" / "below")}
    few = ("-k", "race-names", "--search-examples", "8", "--seed=1", "--hypothesis-seed=5")
    run = search(tmp_path, *few, model="sensitive:steady", env=env)
    assert run.code == 0, run.out
    assert "nothing found" in run.out
    assert "0 of 1 searches found a change above 0.50 (seed 5, 8 examples each;" in run.out
    (names,) = searches(run).values()
    assert names["found"] is None
    assert names["cases"] == document(run)["examples"] == 8
    strongest = {one["id"] for one in names["strongest"]}
    space = Space(load_stimuli(), "race", "names")
    drawn, others = ({one.id for one in Exploration(space, 8, seed).planned} for seed in (5, 1))
    assert len(strongest) == 5
    assert drawn >= strongest
    assert not others >= strongest


@pytest.mark.parametrize(("given", "seed"), [("5", "5"), (None, 3)])
def test_seed_is_that_of_hypothesis_else_ours(given, seed):
    """Without --hypothesis-seed the run's own --seed, 0 unless it is given."""
    config = SimpleNamespace(getoption=lambda name, default: given)
    run = SearchRun(SimpleNamespace(config=config, options=SimpleNamespace(seed=3)))
    assert run.seed == seed


def test_finding_is_no_part_of_the_verdict(tmp_path):
    """Beside gates that pass, a finding is exit 1 and the verdict passed."""
    run = search(
        tmp_path,
        *ONE[2:],
        "-m",
        "search or implicit",
        "-k",
        "race-default and (harmless or test_category_association)",
        paths=("tests/implicit", "tests/search"),
    )
    assert run.code == 1, run.out
    assert (run.report["verdict"], run.report["exit_code"]) == ("passed", 1)
    assert "blindspot: passed: sensitive:to-capitals" in run.out
    assert "1 of 1 searches found" in run.out
    assert len(run.gates) == 6


def test_interrupted_search_keeps_what_is_finished(tmp_path):
    """Ctrl-C in the second search: exit 2, and search.json holds the first."""
    arguments = ("--search-examples", "15", "-k", "default or uppercase")
    spaces = [Space(load_stimuli(), "race", variant) for variant in ("default", "uppercase")]
    together = {
        prompt.text
        for space in spaces
        for contrast in Exploration(space, 15, 0).planned
        for prompt in contrast.prompts
    }
    stop = {"SENSITIVE_STOP_AT": " and Black", "SENSITIVE_STOP_BEHIND": str(len(together))}
    run = search(tmp_path, *arguments, env=stop)
    assert run.code == 2, run.out
    assert list(searches(run)) == ["race-default"]


@pytest.mark.slow
def test_first_failure_ends_the_search(tmp_path):
    """-x ends with a finding and its code, also with workers, where pytest would say 2."""
    run = search(tmp_path, "--search-examples", "20", "-n", "1", "-x")
    assert run.code == 1, run.out
    assert any(one["found"] for one in searches(run).values())
    assert len(searches(run)) < 5


def test_usage_is_told_before_anything_is_asked(tmp_path):
    """A store that cannot be made is exit 4."""
    (tmp_path / "blocker").write_text("")
    run = search(tmp_path, *ONE, "--store", str(tmp_path / "blocker" / "below"))
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
        paths=("tests/implicit", "tests/mechanistic"), process=True,
        env={"PYTHONPATH": os.pathsep.join([str(tmp_path), *sys.path])},
    )  # fmt: skip
    assert run.code == 0, run.out
    assert "loaded: []" in run.out
    assert "harmless" not in run.out
