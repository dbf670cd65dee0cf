"""``python -m blindspot report DIR``: the page again, or one line that says what is wrong."""

import json
import subprocess
import sys

import pytest

from blindspot.__main__ import main
from blindspot.report import document as reading
from blindspot.report.files import CARD, PAGE, REPORT
from tests.unit.report_documents import document


@pytest.fixture
def directory(tmp_path):
    """A directory with a report in it."""
    made = document(variants=["default"], categories=["weapons"])
    (tmp_path / REPORT).write_text(json.dumps(made), "utf-8")
    return tmp_path


def run(capsys, *arguments):
    """Exit code, standard output and standard error of the command."""
    code = main(["report", *map(str, arguments)])
    return code, *capsys.readouterr()


@pytest.mark.parametrize("named", ["directory", "file"])
def test_files_are_built_again(capsys, directory, named):
    """The page and the model card appear beside report.json, which stays as it is."""
    before = (directory / REPORT).read_bytes()
    code, out, err = run(capsys, directory if named == "directory" else directory / REPORT)
    assert (code, err) == (0, "")
    assert out.splitlines() == [str(directory / PAGE), str(directory / CARD)]
    assert "Failed" in (directory / PAGE).read_text("utf-8")
    assert (directory / CARD).read_text("utf-8").startswith("#")
    assert (directory / REPORT).read_bytes() == before
    assert {path.name for path in directory.iterdir()} == {REPORT, PAGE, CARD}


def changed(**values):
    """A report in which keys have other values."""
    return json.dumps(document(variants=["default"], categories=["weapons"]) | values)


def without(key):
    made = document(variants=["default"], categories=["weapons"])
    del made[key]
    return json.dumps(made)


WHOLE = json.dumps(document(variants=["default"], categories=["weapons"]))
HOSTILE_FILES = {
    "empty": ("", "cannot be read (not valid JSON, perhaps truncated: Expecting value"),
    "truncated": (WHOLE[:5000], "cannot be read ("),
    "bytes": (b"\xff\xfe\x00", "cannot be read (not UTF-8"),
    "deep": ("[" * 100_000, "cannot be read ("),
    "list": ("[]", "not a report of blindspot (no schema_version)"),
    "word": ('"report"', "not a report of blindspot (no schema_version)"),
    "other": ('{"results": {}}', "not a report of blindspot (no schema_version)"),
    "newer": (changed(schema_version=3), ", this blindspot reads 2; run again with this"),
    "odd-version": (changed(schema_version=["2\n" * 99]), "schema_version ['2\\n"),
    "older": ('{"schema_version": 1}', "schema_version 1, this blindspot reads 2; run again"),
    "version-2-of-something": ('{"schema_version": 2}', "not a report of blindspot ("),
    "no-gates": (without("gates"), "not as this one writes it (gates: Field required"),
    "nan": (WHOLE.replace("0.8,", "NaN,", 1), "NaN is not a JSON number"),
    "large": (changed(alpha=10**400), "cannot be read (a number has 401 digits"),
    "larger": (WHOLE.replace("0.05", "1" * 5000), "cannot be read (a number has 5000 digits"),
    "infinity": (
        WHOLE.replace('"alpha": 0.05', '"alpha": 1e999'),
        "cannot be read (1e999 is too",
    ),
    "text-number": (changed(alpha="0.05"), "alpha: Input should be a valid number"),
    "unknown-key": (changed(**{"x\x1b[31m\n" * 50: 1}), "Extra inputs are not permitted"),
    "unknown-verdict": (changed(verdict="great"), "verdict: Input should be 'passed', 'failed'"),
    "model-list": (changed(model=["x"]), "model: Input should be a valid dictionary"),
}


@pytest.mark.parametrize("name", HOSTILE_FILES)
def test_what_is_no_report_is_told_in_a_line(capsys, directory, name):
    """One line on stderr with file and remedy, exit 4, nothing written, the old page untouched."""
    content, told = HOSTILE_FILES[name]
    (directory / PAGE).write_text("old")
    path = directory / REPORT
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    code, out, err = run(capsys, directory)
    assert (code, out) == (4, "")
    assert err.count("\n") == 1
    assert err.startswith(f"blindspot: error: {path}: ")
    assert told in err
    assert err.endswith(("or run again\n", "run again with this version\n"))
    assert len(err) < 500 + len(str(path))
    assert err.isprintable() or err[:-1].isprintable()
    assert (directory / PAGE).read_text() == "old"
    assert {path.name for path in directory.iterdir()} == {REPORT, PAGE}


def test_missing_reports_are_told(capsys, tmp_path):
    """No such directory, or none with a report in it: the line names the file."""
    for named in (tmp_path / "none", tmp_path):
        code, _, err = run(capsys, named)
        assert code == 4
        assert "cannot be read (No such file or directory)" in err
        assert "--output-path" in err


def test_huge_files_are_not_read(capsys, directory, monkeypatch):
    """A file far larger than any report is refused by its size."""
    monkeypatch.setattr(reading, "LARGEST", 1000)
    code, _, err = run(capsys, directory)
    assert code == 4
    assert "too large for a report" in err
    assert not (directory / PAGE).exists()


def test_files_that_cannot_be_written_are_told(capsys, directory):
    """Something else under the page's name: one line, exit 4."""
    (directory / PAGE).mkdir()
    code, _, err = run(capsys, directory)
    assert code == 4
    assert err.count("\n") == 1
    assert "cannot be written (Is a directory)" in err


def test_full_disks_are_told(capsys, directory, monkeypatch):
    """When writing fails: one line, exit 4, no page, nothing half-written under its name."""

    def fail(*_, **__):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("pathlib.Path.replace", fail)
    code, _, err = run(capsys, directory)
    assert code == 4
    assert "cannot be written (No space left on device)" in err
    assert not (directory / PAGE).exists()


def test_command_runs_on_its_own(directory):
    """As a process it prints the paths, and loads no torch on the way."""
    code = (
        "import sys; from blindspot.__main__ import main; code = main(sys.argv[1:]);"
        "print('torch' in sys.modules or 'transformers' in sys.modules); sys.exit(code)"
    )
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code, "report", str(directory)],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines() == [str(directory / PAGE), str(directory / CARD), "False"]


def test_usage_is_told(capsys):
    """Without a directory: usage, exit 4."""
    with pytest.raises(SystemExit) as ended:
        main(["report"])
    assert ended.value.code == 4
    assert "DIR" in capsys.readouterr().err
