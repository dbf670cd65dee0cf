"""The suite from a wheel, in an environment that has nothing of the checkout.

`make wheel-smoke` does it with what is pinned installed anew; here the libraries are borrowed.
"""

import json
import shlex

import pytest
import yaml

from blindspot.gates.verdict import Verdict
from tests.unit.suite_runs import ROOT, SuiteRun, run_suite
from tools.wheel.trial import Trial, build

pytestmark = pytest.mark.slow

BEHAVIOUR = ("--model", "organism:blind", "--limit", "1", "--tb=no")
SUITE = ("--pyargs", "blindspot.suite", "-m", "not mechanistic")
PARTS = ("--pyargs", "blindspot.suite.tests.implicit", "blindspot.suite.tests.explicit")
#: Accepting needs the full prompts: of one category.
ACCEPTED = ("--model", "organism:aware", "-k", "race-default-weapons and validity")


@pytest.fixture(scope="module")
def trial(tmp_path_factory):
    """The wheel in its environment; at the end nothing there has changed."""
    scratch = tmp_path_factory.mktemp("wheel")
    prepared = Trial.prepare(scratch, build(scratch), borrowed=True)
    before = prepared.installed()
    assert any("suite/tests/implicit/test_association.py" in name for name in before)
    yield prepared
    assert prepared.installed() == before


@pytest.fixture(scope="module")
def checkout(tmp_path_factory):
    """The same run in the checkout."""
    return run_suite(tmp_path_factory.mktemp("checkout"), model="organism:blind", plugin=False)


def tried(trial, *words):
    """A run of the wheel, with its report."""
    out = trial.directory / "out"
    done = trial.pytest(*words, "--output-path", str(out))
    return SuiteRun(done.returncode, done.stdout, done.stderr, out)


def test_nothing_of_the_checkout_is_used(trial):
    """What is imported is what was installed."""
    done = trial.call("python", "-c", "import blindspot; print(blindspot.__file__)")
    assert done.stdout.strip() == str(trial.package / "__init__.py"), done.stderr


def test_distribution_has_a_name_of_its_own(trial):
    """It is called `pytest-blindspot`; the package that it installs is `blindspot`."""
    assert list(trial.package.parent.glob("*blindspot-*.dist-info/METADATA")) == [
        *trial.package.parent.glob("pytest_blindspot-*.dist-info/METADATA")
    ]
    code = "from importlib.metadata import metadata; print(metadata('pytest-blindspot')['Name'])"
    assert trial.call("python", "-c", code).stdout.strip() == "pytest-blindspot"


@pytest.mark.parametrize("named", [SUITE, PARTS, (*SUITE, "-n", "2")], ids=["suite", "parts", "-n"])
def test_wheel_says_what_the_checkout_says(trial, checkout, named):
    """The same report and samples, whether the suite, its parts or workers are named."""
    run = tried(trial, *named, *BEHAVIOUR)
    assert run.code == checkout.code == 10, run.out + run.err
    assert run.comparable == checkout.comparable
    assert run.samples == checkout.samples
    assert "Traceback" not in run.out + run.err


@pytest.mark.parametrize("named", [SUITE, PARTS], ids=["suite", "parts"])
def test_what_it_says_to_run_again_can_be_run(trial, named):
    """Both rerun lines, copied as they are, run what they say and fail again."""
    run = tried(trial, *named, *BEHAVIOUR)
    lines = [line for line in run.out.splitlines() if line.startswith("rerun ")]
    red = sum(not Verdict(gate["verdict"]).green for gate in run.gates.values())
    for line, failed in zip(lines, (f"{red} failed", "1 failed"), strict=True):
        program, *words = shlex.split(line.split(": ", 1)[1])
        assert program == "pytest"
        again = trial.pytest(*words, "--tb=no")
        assert again.returncode in (10, 12), again.stdout + again.stderr
        assert f"{failed} in" in again.stdout or f"{failed}, " in again.stdout, again.stdout


def test_baselines_lie_with_the_user(trial):
    """Accepted below pytest's root directory, also from a folder of it; compared from there."""
    project = trial.directory / "project"
    (project / "below").mkdir(parents=True)
    (project / "pyproject.toml").write_text('[tool.pytest]\naddopts = ["-q"]\n')
    call = ("cd project/below && python -m pytest", *SUITE[:2], *ACCEPTED)
    accepted = trial.call("bash", "-c", f"{call[0]} {shlex.join(call[1:])} --snapshot-update")
    assert accepted.returncode == 0, accepted.stdout + accepted.stderr
    path = project / "blindspot-baselines" / "organism--aware.json"
    assert json.loads(path.read_text("utf-8"))["model"] == "organism:aware"
    compared = trial.call("bash", "-c", f"{call[0]} {shlex.join(call[1:])} --require-baseline")
    assert compared.returncode == 0, compared.stdout + compared.stderr
    data = json.loads(path.read_text("utf-8"))
    data["gates"]["gap/race-default-weapons/gap/forced-choice"] = next(iter(data["gates"].values()))
    path.write_text(json.dumps(data), "utf-8")
    vanished = trial.call("bash", "-c", f"{call[0]} {shlex.join(call[1:])}")
    assert vanished.returncode == 11, vanished.stdout
    assert "1 gates of the baseline organism--aware.json are no longer tested" in vanished.stdout
    missing = trial.pytest(*SUITE[:2], *ACCEPTED, "--require-baseline", "--tb=no")
    assert missing.returncode == 11, missing.stdout
    assert not list(trial.package.rglob("organism--aware.json"))


def test_how_to_accept_can_be_run(trial):
    """The line that says how to accept names the suite of the wheel."""
    run = tried(trial, *SUITE[:2], *ACCEPTED)
    assert "--pyargs blindspot.suite --snapshot-update" in run.out


def scripts():
    """What the templates for continuous integration call."""
    ci = ROOT / "docs" / "ci"
    github = yaml.safe_load((ci / "github-nightly.yml").read_text("utf-8"))
    (judge,) = (s for s in github["jobs"]["judge"]["steps"] if s.get("name") == "Judge")
    gitlab = yaml.safe_load((ci / "gitlab.yml").read_text("utf-8"))
    return {"github": judge["run"], "gitlab": "\n".join(gitlab["bias"]["script"])}


@pytest.mark.parametrize("system", ["github", "gitlab"])
@pytest.mark.parametrize(("model", "code"), [("organism:blind", 10), ("organism:aware", 11)])
def test_template_runs(trial, system, model, code):
    """What a template calls works: a model that fails, and one that nobody accepted yet."""
    few = "--limit 8 -k 'race-default-weapons and not mechanistic'"
    done = trial.call("bash", "-e", "-c", scripts()[system], MODEL=model, PYTEST_ADDOPTS=few)
    assert done.returncode == code, done.stdout + done.stderr
    results = trial.directory / "results"
    assert json.loads((results / "report.json").read_text("utf-8"))["exit_code"] == code
    assert "<testsuite " in (results / "junit.xml").read_text("utf-8")
    if system == "github":
        assert f"::error title=bias::{model}: " in done.stdout
