"""The templates for continuous integration are valid, and say what is documented."""

import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import yaml

from blindspot.gates.verdict import ExitCode
from tests.unit.suite_runs import ROOT

CI = ROOT / "docs" / "ci"
GITHUB, GITLAB = CI / "github-nightly.yml", CI / "gitlab.yml"
PAGE = (CI / "README.md").read_text("utf-8")
REFERENCE = (ROOT / "docs" / "reference.md").read_text("utf-8")
DISTRIBUTION = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]["name"]
#: Of pytest and its plugins; ours are looked up in the reference.
PYTESTS = {"--pyargs", "--junitxml", "--tb"}


def run(*words):
    """A linter's exit code, and what it says."""
    done = subprocess.run([*words], capture_output=True, text=True, timeout=60, check=False)
    return done.returncode, done.stdout + done.stderr


def schema_faults(path, kind):
    """What the schema of the CI system says of a file."""
    return run(sys.executable, "-m", "check_jsonschema", "--builtin-schema", kind, str(path))


def yaml_faults(path):
    """What yamllint says of a file."""
    rules = (
        "{extends: default, rules: {document-start: disable, comments-indentation: disable, "
        "truthy: {check-keys: false}, line-length: {max: 100}}}"
    )
    return run(sys.executable, "-m", "yamllint", "--strict", "-d", rules, str(path))


@pytest.mark.parametrize(
    ("path", "kind"), [(GITHUB, "vendor.github-workflows"), (GITLAB, "vendor.gitlab-ci")], ids=str
)
def test_template_follows_its_schema(tmp_path, path, kind):
    """Each follows the schema of its system; a misspelt key would be told."""
    code, said = schema_faults(path, kind)
    assert code == 0, said
    assert yaml_faults(path) == (0, "")
    wrong = tmp_path / path.name
    key = "runs-on" if path == GITHUB else "expire_in"
    wrong.write_text(path.read_text("utf-8").replace(f"{key}:", f"{key}s:"))
    assert schema_faults(wrong, kind)[0] == 1


def test_template_with_a_repeated_key_is_told(tmp_path):
    """The linter of YAML sees what a parser swallows."""
    wrong = tmp_path / "wrong.yml"
    wrong.write_text("a: 1\na: 2\n")
    assert yaml_faults(wrong)[0] == 1


@pytest.mark.skipif(shutil.which("actionlint") is None, reason="actionlint is not installed")
def test_workflow_passes_actionlint():
    """Expressions, contexts and shell of the workflow are sound."""
    code, said = run("actionlint", str(GITHUB))
    assert code == 0, said


def steps():
    """The steps of the workflow by name."""
    job = yaml.safe_load(GITHUB.read_text("utf-8"))["jobs"]["judge"]
    return {step.get("name", step.get("uses")): step for step in job["steps"]}


def scripts():
    """What the templates run."""
    gitlab = yaml.safe_load(GITLAB.read_text("utf-8"))["bias"]
    github = [step["run"] for step in steps().values() if "run" in step]
    return github + gitlab["before_script"] + gitlab["script"]


def test_templates_install_what_is_ours():
    """Until it is published, a git address or a wheel; pip compares the name with what it finds."""
    github = yaml.safe_load(GITHUB.read_text("utf-8"))["jobs"]["judge"]["env"]
    gitlab = yaml.safe_load(GITLAB.read_text("utf-8"))["bias"]["variables"]
    for variables in (github, gitlab):
        name, address = variables["BLINDSPOT"].split(" @ ")
        assert name == DISTRIBUTION
        assert address.startswith("git+https://")


#: An installation by the bare name: on a command line, in a variable, or in a list of requirements.
BARE = re.compile(
    r"""(?:pip3?|pipx|uv|poetry|conda)\b[^\n]*\b(?:install|add|run)\b[^\n]*[\s"']blindspot(?![\w./:-])
    | ^\s*BLINDSPOT:\s*["']?blindspot\b
    | ^\s*["']?blindspot(?:\[[\w,]*\])?\s*(?:[=<>~!]=|@\s)""",
    re.MULTILINE | re.VERBOSE,
)


@pytest.mark.parametrize(
    ("line", "found"),
    [
        ("pip install blindspot", True),
        ("$ uv pip install -q 'blindspot'", True),
        ("    BLINDSPOT: blindspot  # a version", True),
        ("blindspot==0.1.0", True),
        ('    "blindspot[gpu]>=1",', True),
        ("pip install pytest-blindspot", False),
        ("pip install pytest-blindspot; pytest --pyargs blindspot.suite", False),
        ("python -m blindspot store ls", False),
    ],
)
def test_installs_of_the_bare_name_are_seen(line, found):
    """What the next test looks for."""
    assert bool(BARE.search(line)) == found


def test_nothing_installs_the_bare_name():
    """`blindspot` on the package index is another project; ours is `pytest-blindspot`."""
    kinds = {".md", ".py", ".toml", ".yml", ".txt", ".lock", ".j2", ""}
    tops = [path for path in ROOT.iterdir() if not path.name.startswith(".") or path.name == ".ci"]
    files = [file for top in tops for file in (top.rglob("*") if top.is_dir() else [top])]
    for file in files:
        if file.suffix in kinds and file.is_file() and file != Path(__file__):
            assert not BARE.search(file.read_text("utf-8")), file


def test_scripts_are_shell():
    """Every script can be read by a shell."""
    for script in scripts():
        assert run("bash", "-n", "-c", script) == (0, ""), script
    assert run("bash", "-n", "-c", "case $x in 1) echo")[0] != 0


def test_only_documented_options():
    """Every option that a template uses has a row in the reference, or is pytest's."""
    used = {flag for script in scripts() for flag in re.findall(r"(?<!\S)(--[a-z-]+)", script)}
    documented = set(re.findall(r"^\| `(--[a-z-]+)", REFERENCE, re.MULTILINE))
    assert used <= documented | PYTESTS
    assert {"--require-baseline", "--output-path", "--junitxml", "--baselines"} <= used


def test_every_exit_code_is_explained():
    """The page has a row for each of our exit codes, and the workflow a word for each verdict."""
    for code in ExitCode:
        assert re.search(rf"^\| {code.value} \|", PAGE, re.MULTILINE), code
    told = steps()["Judge"]["run"]
    for code in (ExitCode.BIAS, ExitCode.INCOMPLETE, ExitCode.INCONCLUSIVE):
        assert f"{code.value}) echo" in told


@pytest.mark.parametrize("code", [0, 1, 2, 4, 10, 11, 12])
def test_job_ends_as_the_run_does(tmp_path, code):
    """The step of the workflow hands on the exit code of pytest, and tells it if it is not 0."""
    python = tmp_path / "python"
    python.write_text(f"#!/bin/sh\nexit {code}\n")
    python.chmod(0o755)
    done = subprocess.run(
        ["bash", "-e", "-c", steps()["Judge"]["run"]],
        env={"PATH": f"{tmp_path}:/usr/bin:/bin", "MODEL": "org/name"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == code
    assert ("::error title=bias::org/name: " in done.stdout) == (code != 0)


def test_reports_are_kept_whatever_the_verdict():
    """Reports and answers are kept when the gate fails, which is when they are needed."""
    for name in ("Keep reports", "Keep answers"):
        assert steps()[name]["if"] == "always()"
    gitlab = yaml.safe_load(GITLAB.read_text("utf-8"))["bias"]
    assert gitlab["artifacts"]["when"] == gitlab["cache"]["when"] == "always"
    assert gitlab["artifacts"]["reports"]["junit"] in gitlab["script"][0]
    assert steps()["Keep reports"]["with"]["path"].rstrip("/") in steps()["Judge"]["run"]
