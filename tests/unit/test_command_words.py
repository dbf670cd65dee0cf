"""Whatever a command is called with: a known exit code, one line, nothing that moves a terminal."""

import re

import pytest

from blindspot.__main__ import main

COMMANDS = {
    "answers": ("answers", "import"),
    "prompts": ("prompts", "export", "x.jsonl", "--format"),
    "report": ("report",),
    "compare": ("compare",),
    "mitigate": ("mitigate", "--model", "organism:nobody", "--output", "x", "--axis"),
    "promote": ("promote",),
    "rescore": ("rescore",),
    "check": ("stimuli", "check"),
    "list": ("store", "ls", "--store"),
    "clear": ("store", "clear", "--store"),
}
WORDS = {
    "empty": "",
    "long": "n" * 300,
    "longer": "n" * 5000,
    "nul": "\0",
    "no text": "\ud800",
    "command": "a\n::error::b",
    "colors": "\x1b[31m",
    "right to left": "\u202e",
    "device": "/dev/null",
    "endless": "/dev/zero",
    "below a file": f"{__file__}/x",
    "nobody": "~nosuchuser/x",
}


@pytest.mark.parametrize("word", WORDS.values(), ids=WORDS)
@pytest.mark.parametrize("command", COMMANDS.values(), ids=COMMANDS)
def test_any_word_is_answered(tmp_path, monkeypatch, capsys, command, word):
    """A name that no file can have, or that would be obeyed where it is printed."""
    monkeypatch.chdir(tmp_path)
    try:
        code = main([*command, word])
    except SystemExit as ended:
        code = ended.code
    out, err = capsys.readouterr()
    assert code in (0, 4)
    assert not re.search(r"(?m)^::|[\x1b\u202e\0]|Traceback", out + err)


@pytest.mark.parametrize("command", COMMANDS.values(), ids=COMMANDS)
def test_no_command_shows_a_password(capsys, command):
    """An address with a password is refused, and the line does not hold the password."""
    with pytest.raises(SystemExit) as ended:
        main([*command, "https://me:sEcReT-1@host/x"])
    assert ended.value.code == 4
    out, err = capsys.readouterr()
    assert "https://***@host/x: looks like a secret" in err
    assert "sEcReT-1" not in out + err


@pytest.mark.parametrize("words", [["\n::error::x"], ["report", "--\x1b[31m"], []], ids=repr)
def test_words_that_are_no_command_are_shown_on_one_line(capsys, words):
    """Argparse repeats them as they are."""
    with pytest.raises(SystemExit) as ended:
        main(words)
    assert ended.value.code == 4
    assert not re.search(r"(?m)^::|\x1b", capsys.readouterr().err)
