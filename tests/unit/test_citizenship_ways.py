"""Whatever way pytest runs the suite, it measures the same numbers and comes to the same verdict.

Every way asks a model of its own store and is compared with the serial run, all of report.json and
all samples: gates, values, intervals, messages, in the same order.
"""

import shutil
from importlib.metadata import distributions

import pytest

from blindspot.gates.verdict import Verdict
from tests.unit.suite_runs import ROOT, run_suite

PATHS = ("tests/implicit", "tests/explicit")

#: Ways that run every test; words beside the command, and the environment.
WAYS = {
    "-n 2": (("-n", "2"), {}),
    "-n 2 --dist loadfile": (("-n", "2", "--dist", "loadfile"), {}),
    "-n 2 --dist each": (("-n", "2", "--dist", "each"), {}),
    "-p no:xdist": (("-p", "no:xdist"), {}),
    "pytest-randomly": (("-p", "randomly", "-p", "no:random_order"), {}),
    "pytest-randomly -n 2": (("-p", "randomly", "-n", "2"), {}),
    "pytest-random-order": (("--random-order-bucket=global",), {}),
    "-p no:terminal": (("-p", "no:terminal"), {}),
    "-p no:cacheprovider": (("-p", "no:cacheprovider"), {}),
    "-p no:syrupy": (("-p", "no:syrupy"), {}),
    "-W error": (("-W", "error"), {}),
    "-rA --durations": (("-rA", "--durations=3", "-vv", "-s"), {}),
    "--setup-show": (("--setup-show",), {}),
    "--import-mode": (("--import-mode=importlib",), {}),
    "no autoload": (("-p", "blindspot.plugin"), {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}),
    "hash seed": ((), {"PYTHONHASHSEED": "1"}),
    "hash seed -n 2": (("-n", "2"), {"PYTHONHASHSEED": "2"}),
}
QUICK = ("no autoload", "pytest-random-order")
#: Of any number: what a pass of other rows changes in float32.
ROUNDING = 1e-4
#: Those in which a model that computes could be asked otherwise than serially.
ASKED = ("-n 2", "-p no:xdist", "pytest-randomly -n 2", "pytest-random-order", "hash seed -n 2")


def installed(way):
    """Skip a way whose plugin is not there."""
    name = next((word for word in way.split() if word.startswith("pytest-")), "")
    if name and not [*distributions(name=name)]:
        pytest.skip(f"{name} is not installed")


def alike(one, other, rounding):
    """Whether two values of JSON are the same, their numbers up to rounding."""
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(alike(one[k], other[k], rounding) for k in one)
    if isinstance(one, list):
        return len(one) == len(other) and all(map(alike, one, other, [rounding] * len(one)))
    return one == (pytest.approx(other, abs=rounding) if isinstance(one, float) else other)


def same(run, serial, rounding=0.0):
    """Whether two runs said and kept the same."""
    assert run.code == serial.code, run.out + run.err
    if rounding:
        assert alike(run.comparable, serial.comparable, rounding)
        assert alike(run.samples, serial.samples, rounding)
    else:
        assert run.comparable == serial.comparable
        assert run.samples == serial.samples
    assert "INTERNALERROR" not in run.out
    return True


@pytest.fixture(scope="module")
def scripted(tmp_path_factory):
    """The serial run of a scripted model."""
    run = run_suite(tmp_path_factory.mktemp("scripted"), model="scripted:weapons-only")
    assert run.code == 10, run.out
    return run


@pytest.fixture(scope="module")
def blind(tmp_path_factory):
    """The serial run of the embedded model that must fail."""
    run = run_suite(tmp_path_factory.mktemp("blind"), model="organism:blind", plugin=False)
    assert run.code == 10, run.out
    return run


@pytest.mark.parametrize(
    "way", [way if way in QUICK else pytest.param(way, marks=pytest.mark.slow) for way in WAYS]
)
def test_same_whatever_the_way(tmp_path, scripted, way):
    """The report of a scripted model does not depend on how pytest came to run its tests."""
    installed(way)
    arguments, env = WAYS[way]
    assert same(run_suite(tmp_path, *arguments, model="scripted:weapons-only", env=env), scripted)


@pytest.mark.slow
@pytest.mark.parametrize("way", ASKED)
def test_same_of_an_embedded_model(tmp_path, blind, way):
    """Nor does that of a model that computes; its speed decides which rows share a pass."""
    installed(way)
    arguments, env = WAYS[way]
    run = run_suite(tmp_path, *arguments, model="organism:blind", plugin=False, env=env)
    assert same(run, blind, ROUNDING)


@pytest.mark.slow
@pytest.mark.parametrize("workers", [(), ("-n", "2")], ids=["serial", "-n 2"])
def test_same_inside_the_model(tmp_path, workers):
    """The assays too find the same with workers and in random order."""
    arguments = ("-k", "race-default-weapons and (overall or early)")
    paths = ("tests/mechanistic",)
    serial = run_suite(
        tmp_path / "serial", *arguments, model="organism:blind", plugin=False, paths=paths
    )
    assert serial.report["mechanistic"]
    installed("pytest-random-order")
    shuffled = (*arguments, "--random-order-bucket=global", *workers)
    run = run_suite(
        tmp_path / "other", *shuffled, model="organism:blind", plugin=False, paths=paths
    )
    assert same(run, serial, ROUNDING)


@pytest.mark.parametrize(
    "paths",
    [PATHS[::-1], pytest.param((*PATHS, "tests/implicit"), marks=pytest.mark.slow)],
    ids=["turned", "twice"],
)
def test_same_whatever_order_paths_are_named_in(tmp_path, scripted, paths):
    """The order of the paths on the command line is not that of the report."""
    assert same(run_suite(tmp_path, model="scripted:weapons-only", paths=paths), scripted)


def test_same_from_another_directory(tmp_path, scripted):
    """Called from elsewhere, by the path of the checkout; and what it says to run again works."""
    paths = tuple(str(ROOT / path) for path in PATHS)
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    run = run_suite(tmp_path, model="scripted:weapons-only", paths=paths, cwd=elsewhere)
    assert same(run, scripted)
    (again,) = (line for line in run.out.splitlines() if line.startswith("rerun all that"))
    assert again.endswith(f"{paths[0]} {paths[1]} --lf")
    (one,) = (line for line in run.out.splitlines() if line.startswith("rerun one"))
    path, _, name = one.rsplit(" ", 1)[1].strip("'").partition("::")
    assert (elsewhere / path).resolve() == ROOT / "tests" / "explicit" / "test_gap.py"
    assert f"{path}::{name}" != one
    assert list(elsewhere.iterdir()) == []


@pytest.mark.slow
def test_last_failed_has_the_same_numbers(tmp_path, blind):
    """--lf and -x: of what they run, every figure but what depends on how many gates are judged."""
    of_the_family = ("adjusted", "message", "limit_verdict", "mde", "verdict")
    store = tmp_path / "store"
    shutil.copytree(blind.output_path.parent / "store", store)
    shutil.copytree(blind.output_path.parent / "cache", tmp_path / "cache")
    failed = sum(not Verdict(gate["verdict"]).green for gate in blind.gates.values())
    assert failed > 1
    for arguments, number in ((("--lf",), failed), (("-x",), 1), (("--lf", "-n", "2"), failed)):
        run = run_suite(
            tmp_path, *arguments, "--store", str(store), model="organism:blind", plugin=False
        )
        assert run.code in (10, 12), run.out + run.err
        assert len(run.gates) == number
        for name, gate in run.gates.items():
            assert not Verdict(blind.gates[name]["verdict"]).green
            for key in gate.keys() - set(of_the_family):
                assert gate[key] == blind.gates[name][key], (name, key)


@pytest.mark.parametrize(
    "arguments",
    [
        ("--collect-only", "-q"),
        ("--setup-plan",),
        pytest.param(("--collect-only", "-n", "2"), marks=pytest.mark.slow),
    ],
    ids=" ".join,
)
def test_nothing_is_asked_where_nothing_runs(tmp_path, arguments):
    """--collect-only and --setup-plan ask no model and keep no answers; the first says how many."""
    run = run_suite(tmp_path, *arguments)
    assert run.code == 0, run.out + run.err
    assert ("prompts to ask" in run.out) is (arguments[0] == "--collect-only")
    assert not (tmp_path / "store").exists()
    assert "blindspot:" not in run.out
