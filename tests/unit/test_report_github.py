"""What GitHub is told: a step summary and annotations, there and nowhere else."""

import io
import re

import pytest

from blindspot.report.github import MOST, announce, summary, workflow_commands
from tests.unit.report_documents import HOSTILE, document

COMMAND = re.compile(r"::(error|warning|notice) title=([^:,\n]*)::([^\n]*)")


def told(made, path=None, running="true"):
    """What is printed."""
    out = io.StringIO()
    environ = {"GITHUB_ACTIONS": running}
    if path is not None:
        environ["GITHUB_STEP_SUMMARY"] = str(path)
    announce((made), environ, out)
    return out.getvalue()


@pytest.mark.parametrize("environ", [{}, {"GITHUB_ACTIONS": "false"}, {"CI": "true"}])
def test_elsewhere_nothing_is_told(environ):
    """Without GitHub's own variable nothing is printed."""
    out = io.StringIO()
    announce((document()), environ, out)
    assert out.getvalue() == ""


def test_annotations_are_few():
    """Ten at most, the categories that failed first, and one line that counts the rest."""
    made = document()
    lines = workflow_commands(made)
    assert len(lines) == MOST + 1
    assert all(COMMAND.fullmatch(line) for line in lines)
    beyond = [one for one in made["gates"] if one["verdict"] in ("fail", "waived")]
    assert f"{len(beyond) - MOST} more" in lines[-1]
    assert lines[-1].startswith("::notice ")
    assert "wallet0" not in "".join(lines)
    measured = [re.search("::([a-z]+)/", line)[1] for line in lines[:-1]]
    assert measured[:3] == ["implicit", "gap", "patching"]
    assert lines[0].startswith("::error title=blindspot%2C fail::")


def test_each_verdict_has_its_level():
    """Failures and what keeps a run from being complete are errors, doubt is a warning."""
    made = document(variants=["default"], words=0, compared=False)
    for gate, verdict in zip(
        made["gates"], ("fail", "error", "inconclusive", "waived"), strict=False
    ):
        gate["verdict"] = verdict
    for gate in made["gates"][4:]:
        gate["verdict"] = "pass"
    made["incomplete"] = ["worker gw0 was lost"]
    found = [COMMAND.fullmatch(line).groups()[:2] for line in workflow_commands(made)]
    assert found == [
        ("error", "blindspot%2C incomplete"),
        ("error", "blindspot%2C fail"),
        ("error", "blindspot%2C error"),
        ("warning", "blindspot%2C inconclusive"),
        ("notice", "blindspot%2C waived"),
    ]


def test_passing_run_has_no_annotation():
    """A run that passes says nothing but its summary."""
    made = document(value=0.1, compared=False)
    assert workflow_commands(made) == []


def test_hostile_text_gives_no_command():
    """No name or answer starts a line, ends a property or adds a command of its own."""
    made = document(text=f"%\r\n::error::forged {HOSTILE}")
    printed = told(made)
    lines = [line for line in printed.split("\n") if line]
    assert len(lines) == MOST + 1
    for line in lines:
        assert COMMAND.fullmatch(line), line
        assert "\r" not in line
    assert "%25" in printed
    assert "\x1b" not in printed
    printed.encode("utf-8")


def test_summary_is_appended(tmp_path):
    """The step summary keeps what other steps wrote, and has verdict, signature and commands."""
    path = tmp_path / "summary.md"
    path.write_text("before\n")
    told(document(), path)
    text = path.read_text("utf-8")
    assert text.startswith("before\n### blindspot: failed: org/candidate\n")
    assert "| fail | Word association |" in text
    assert "**Against the baseline org/previous**" in text
    assert "**Against the reference org/base**" in text
    assert text.count("| word association | +0.02 | +0.81 |") == 2
    assert "pytest --model org/candidate --baseline org/previous 'tests/" in text
    before_tables = re.findall(r"([^\n]*)\n\| (?:verdict|signature) ", text)
    assert before_tables == ["", "", ""]


def test_summary_of_hostile_text_is_text():
    """Markup, tables, code and links of names are shown as they are written."""
    text = summary(document(text=f"{HOSTILE}[x](http://x.y)```\n| a | b |\n# h"))
    outside = re.sub(r"^(`{3,})console\n.*?^\1$", "", text, flags=re.DOTALL | re.MULTILINE)
    assert "<script>" not in outside
    assert "[x](" not in outside.replace("\\[x\\](", "")
    assert not re.search(r"(?<!\\)`", outside)
    assert len(re.findall(r"^#", outside, re.MULTILINE)) == 1
    rows = [line for line in outside.splitlines() if line.startswith("| fail")]
    assert rows
    assert all(len(re.findall(r"(?<!\\)\|", row)) == 5 for row in rows)
    fences = re.findall(r"^`{3,}", text, re.MULTILINE)
    assert len(fences) == 2
    assert len(fences[0]) > 3


def test_long_lists_are_cut():
    """Of many reasons and failures the summary lists twenty, and counts the rest."""
    made = document(variants=[f"v{n}" for n in range(12)])
    made["incomplete"] = [f"reason {n}" for n in range(50)]
    text = summary(made)
    assert text.count("- incomplete: ") == 20
    assert "- and 30 more" in text
    assert text.count("\npytest --model") == 20
    assert re.search(r"Run again: 20 of \d+ gates that did not pass", text)


def test_unwritable_summary_is_an_error(tmp_path):
    """A summary that cannot be written is told to the caller, who notes it."""
    with pytest.raises(OSError, match="No such file"):
        told(document(), tmp_path / "none" / "summary.md")
