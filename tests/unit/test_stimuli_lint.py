"""``python -m blindspot stimuli check``: every fault in one pass, the remedy in each line."""

import shutil

import pytest

from blindspot.__main__ import main
from blindspot.errors import StimulusError
from blindspot.paths import FIXTURES
from blindspot.stimuli import load_stimuli
from tests.unit.test_stimuli_hostile import AXIS, IMPLICIT_FILE, SENSE, THING

HEADER = "# Source: ours. Licence: Apache-2.0. Language: English.\n"
WELL = """
name = "trade"
groups = { positive = "Bakers", negative = "Smiths" }
senses = { group = "trade" }
[variants.default]
positive = ["baker"]
negative = ["smith"]
[variants.other]
control = true
positive = ["Tuesday"]
negative = ["Thursday"]
[categories.mood]
positive = ["sunny", "merry", "happy", "jolly", "cheery", "bright", "lively", "glad"]
negative = ["gloomy", "grim", "sad", "dull", "dreary", "sullen", "bleak", "sorry"]
"""


def check(capsys, directory, *more):
    """Exit code and lines."""
    code = main(["stimuli", "check", str(directory), *more])
    return code, capsys.readouterr().out.splitlines()


def test_a_good_directory_has_no_remark(tmp_path, capsys):
    """An axis as the shipped ones are."""
    (tmp_path / "trade.toml").write_text(HEADER + WELL)
    assert check(capsys, tmp_path) == (0, ["1 file, 0 remarks"])


def test_the_fixtures_of_a_suite_are_checked_as_a_whole(tmp_path, capsys):
    """A copy of ours is as good as ours; a fault in its limits or its default axes is refused."""
    copy = tmp_path / "fixtures"
    shutil.copytree(FIXTURES, copy, ignore=shutil.ignore_patterns("organisms", "baselines"))
    for path in (copy / "axes").iterdir():
        if path.stem not in ("race", "nation-words"):  # the others take longer, and say no more
            path.unlink()
    assert check(capsys, copy)[0] == 0
    gate = '[[gate]]\nstatistic = "stereotype"\naxis = "raze"\nlevel = "category"\n'
    (copy / "gates.toml").write_text(gate + 'at_most = 0.1\nreason = "ours"\n')
    code, lines = check(capsys, copy)
    assert code == 4
    assert f"refused: {copy}/gates.toml: gate[1].axis: there is no axis 'raze'" in lines[0]
    (copy / "suite.toml").write_text("axis = []")
    assert main(["stimuli", "check", str(copy)]) == 4
    assert "suite.toml: axis: unknown key; did you mean axes?" in capsys.readouterr().err


@pytest.mark.parametrize(("name", "remedy"), [("suite.toml", "--axis"), ("gates.toml", "--gates")])
def test_files_of_a_suite_are_no_stimuli_of_a_user(tmp_path, name, remedy):
    """In a directory of --include-path they would say nothing."""
    shutil.copy(FIXTURES / name, tmp_path)
    with pytest.raises(StimulusError, match=f"{name}: .*; .*{remedy}"):
        load_stimuli([tmp_path])


def test_folders_of_languages_are_read_in_a_users_directory_too(tmp_path, capsys):
    """It is laid out like the fixtures."""
    (tmp_path / "wordings" / "de").mkdir(parents=True)
    (tmp_path / "wordings" / "de" / "mine.toml").write_text("measurement = 3")
    code, lines = check(capsys, tmp_path)
    assert code == 4
    assert "wordings/de/mine.toml" in lines[0]


def test_every_refused_file_has_a_line(tmp_path, capsys):
    """A run stops at the first; the check names all of them."""
    (tmp_path / "axis.toml").write_text(AXIS.replace('"sunny"', '"merry"'))
    (tmp_path / "wording.toml").write_text(IMPLICIT_FILE.replace("{first}", "{one}"))
    (tmp_path / "sense.toml").write_text("cues = [")
    code, lines = check(capsys, tmp_path)
    assert code == 4
    assert lines[-1] == "3 files, 3 refused"
    for path, line in zip(("axis", "sense", "wording"), sorted(lines[:3]), strict=True):
        assert line.startswith("refused: ")
        assert f"{path}.toml" in line
        assert ";" in line


def test_files_that_contradict_each_other_are_refused(tmp_path, capsys):
    """What only shows when the files are put together."""
    (tmp_path / "axis.toml").write_text(AXIS)
    (tmp_path / "trade.toml").write_text(SENSE)
    (tmp_path / "thing.toml").write_text(THING.replace('"something"', '"trade"'))
    code, lines = check(capsys, tmp_path)
    assert code == 4
    assert "change one of them" in lines[0]


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ('"glad"]', "]", "7 positive words; with fewer than 8"),
        ('["Tuesday"]', '["tuesday"]', "have capitals"),
        ("control = true", "", "none is a control"),
        ('"sorry"]', '"sorry", "unsurpassably-disheartening-and-dispiriting-news"]', "letters"),
        ('{ group = "trade" }', '{ group = "trade", literal = "thing" }', "add them to use"),
        ('name = "trade"', 'name = "trade"\nlanguage = "fr"', "no small words of 'fr'"),
    ],
    ids=["few words", "capitals", "no control", "length", "no senses", "unknown language"],
)
def test_what_could_be_better_is_a_remark(tmp_path, capsys, old, new, said):
    """The run works; the line says what its numbers lack, and the remedy."""
    axis = HEADER + WELL.replace(old, new)
    (tmp_path / "trade.toml").write_text(axis)
    if "fr" in new:
        french = IMPLICIT_FILE.replace('"implicit"', '"implicit"\nlanguage = "fr"')
        (tmp_path / "wording.toml").write_text(HEADER + french.replace('"plain"', '"clair"'))
    code, lines = check(capsys, tmp_path)
    assert code == 0
    assert any(said in line for line in lines), lines


def test_a_missing_header_is_a_remark(tmp_path, capsys):
    """Nobody can check words of unknown source."""
    (tmp_path / "trade.toml").write_text(WELL)
    code, (line, _) = check(capsys, tmp_path)
    assert code == 0
    assert "no Source:" in line


def test_few_cues_are_a_remark(tmp_path, capsys):
    """Two cues a side cannot tell senses from words."""
    (tmp_path / "axis.toml").write_text(AXIS)
    (tmp_path / "trade.toml").write_text(SENSE)
    (tmp_path / "thing.toml").write_text(THING)
    _, lines = check(capsys, tmp_path)
    assert any("2 cues of 'trade' and 1 of 'thing'" in line for line in lines)


@pytest.mark.slow
def test_tokens_of_a_model_are_compared(tmp_path, capsys):
    """A word of many tokens beside one of a single token."""
    axis = WELL.replace('["smith"]', '["ziggurat"]').replace('["baker"]', '["white"]')
    (tmp_path / "trade.toml").write_text(HEADER + axis)
    _, lines = check(capsys, tmp_path, "--tokenizer", "organism:aware")
    assert any("identifiers of" in line and "tokens" in line for line in lines), lines
    broken = tmp_path / "broken"
    broken.mkdir()
    (broken / "tokenizer.json").write_text("{")
    for named in (tmp_path, broken):
        assert main(["stimuli", "check", str(tmp_path), "--tokenizer", str(named)]) == 4
        error = capsys.readouterr().err
        assert error.startswith(f"blindspot: error: --tokenizer {named}")
        assert error.count("\n") == 1


def test_shipped_axes_pass_the_check(tmp_path, capsys):
    """The lists that ship are long and balanced enough, under a name of their own."""
    for path in sorted(FIXTURES.glob("axes/*.toml")):
        text = path.read_text("utf-8").replace(f'name = "{path.stem}"', f'name = "my-{path.stem}"')
        (tmp_path / path.name).write_text(text, "utf-8")
    code, lines = check(capsys, tmp_path)
    assert code == 0, lines
    assert [line for line in lines if "positive words" in line or "have capitals" in line] == []
