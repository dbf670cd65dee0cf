"""``python -m blindspot promote``: found cases become fixtures, whole or not at all."""

import json

import pytest

from blindspot.__main__ import main
from blindspot.errors import SearchError
from blindspot.paths import PROMOTED, SUITE
from blindspot.search.promote import as_toml, keep, promote
from blindspot.stimuli import IMPLICIT, Contrast, Found, PromotedCase, Slice, load_stimuli
from blindspot.stimuli import read_promoted as read

TEXT = "Take {first} or {second} for {first_word} and {second_word}.\nAnswer:"
ANSWER = "{first_word} - {first_choice}, {second_word} - {second_choice}"


def case(changed: str = TEXT.upper(), words: tuple[str, str] = ("wallet", "axe")) -> PromotedCase:
    """A found case."""
    changed = changed.replace("{FIRST", "{first").replace("{SECOND", "{second")
    contrast = Contrast(
        Slice(IMPLICIT, "race", "default", "weapons", words),
        "mine",
        ("upper-case",),
        ("white", "black"),
        TEXT,
        changed.replace("_WORD", "_word"),
        ANSWER,
    )
    found = Found(model="org/name", weights="a" * 64, effect=0.1, changed_effect=0.9)
    return PromotedCase.of(contrast, 0.5, found)


def run(*arguments) -> int:
    """The command; its exit code."""
    return main(["promote", *map(str, arguments)])


def told(capsys) -> tuple[str, str]:
    """What it printed."""
    seen = capsys.readouterr()
    return seen.out, seen.err


def test_case_survives_its_file(tmp_path):
    """What is written is what was found, whatever is in the texts."""
    nasty = 'Say "{first}" \\ {second}\ttab\r\n\'\'\' """ é \u2028 {{b}} {first_word} {second_word}'
    for one in (case(), case(nasty, words=('a "b" c', "naïve"))):
        path = tmp_path / "case.toml"
        path.write_text(as_toml(one), "utf-8", newline="")
        assert read(path) == one
        assert read(path).contrast.id == one.id
        header = path.read_text("utf-8").split("\n\n")[0]
        assert all(word in header for word in ("Source:", "Licence:", "Language:"))


def test_id_says_what_is_asked():
    """Other words, texts or identifiers are another case; the model that it was found in is not."""
    assert case().id == case().id
    assert case(words=("phone", "axe")).id != case().id
    assert case(TEXT + " ").id != case().id


def test_promoting_by_id(tmp_path, capsys):
    """The case of the id is written, the command says where, and the suite reads it."""
    one = case()
    keep(one, tmp_path / "store" / "found")
    assert run(one.id, "--store", tmp_path / "store", "--to", tmp_path / "mine") == 0
    out, _ = told(capsys)
    assert f"wrote {tmp_path / 'mine' / one.id}.toml" in out
    assert f"--include-path {tmp_path / 'mine'} -m promoted" in out
    assert load_stimuli([tmp_path / "mine"]).promoted == {one.id: one}
    assert [path.name for path in (tmp_path / "mine").iterdir()] == [f"{one.id}.toml"]


def test_promoting_a_report(tmp_path, capsys):
    """A search.json stands for all that it found, once each; a TOML file for its case."""
    first, second = case(), case(words=("phone", "axe"))
    found = [{"case": one.model_dump(mode="json")} for one in (first, first)]
    document = {"searches": [{"found": found[0]}, {"found": None}, {"found": found[1]}]}
    (tmp_path / "search.json").write_text(json.dumps(document))
    path = keep(second, tmp_path / "elsewhere")
    assert run(tmp_path / "search.json", path, "--to", tmp_path / "mine", "--store", "none") == 0
    assert set(load_stimuli([tmp_path / "mine"]).promoted) == {first.id, second.id}


def test_checkout_needs_no_include_path(tmp_path, capsys, monkeypatch):
    """Where the fixtures are, the case is judged from then on without another word."""
    assert PROMOTED == SUITE / "fixtures" / "promoted"
    monkeypatch.setattr("blindspot.search.promote.FIXTURES", tmp_path)
    keep(case(), tmp_path / "store" / "found")
    assert run(case().id, "--store", tmp_path / "store", "--to", tmp_path / "promoted") == 0
    assert "pytest --model NAME -m promoted" in told(capsys)[0]


def test_nothing_is_overwritten(tmp_path, capsys):
    """A case that is there, under its name or another, refuses the whole command."""
    one, new = case(), case(words=("phone", "axe"))
    store, mine = tmp_path / "store", tmp_path / "mine"
    keep(one, store / "found")
    keep(new, store / "found")
    assert run(one.id, "--store", store, "--to", mine) == 0
    (mine / f"{one.id}.toml").write_text(as_toml(one).replace("at_most = 0.5", "at_most = 0.25"))
    assert run(new.id, one.id, "--store", store, "--to", mine) == 4
    assert "already exists" in told(capsys)[1]
    assert read(mine / f"{one.id}.toml").at_most == 0.25
    (mine / f"{one.id}.toml").rename(mine / "renamed.toml")
    assert run(new.id, one.id, "--store", store, "--to", mine) == 4
    assert "renamed.toml" in told(capsys)[1]
    assert [path.name for path in mine.iterdir()] == ["renamed.toml"]


def test_nothing_is_half_written(tmp_path, monkeypatch):
    """When the second file cannot be put in place, the first is gone too."""
    from pathlib import Path

    first, second = case(), case(words=("phone", "axe"))
    rename = Path.replace

    def full(path, target):
        if target.name == f"{second.id}.toml":
            raise OSError(28, "No space left on device")
        return rename(path, target)

    monkeypatch.setattr(Path, "replace", full)
    with pytest.raises(SearchError, match=r"No space left.*nothing was promoted.*--to DIR"):
        promote([first, second], tmp_path / "mine")
    assert list((tmp_path / "mine").iterdir()) == []
    assert promote([first], tmp_path / "mine") == [tmp_path / "mine" / f"{first.id}.toml"]


def test_directory_that_cannot_be_written(tmp_path, capsys):
    """One line and exit 4."""
    (tmp_path / "blocker").write_text("")
    keep(case(), tmp_path / "store" / "found")
    assert run(case().id, "--store", tmp_path / "store", "--to", tmp_path / "blocker" / "x") == 4
    assert "cannot be written" in told(capsys)[1]


MISTAKES = {
    "unknown id": ("nope", "no such case was found"),
    "missing report": ("nowhere/search.json", "cannot be read"),
    "missing file": ("nowhere/case.toml", "cannot be read"),
    "no JSON": ("broken.json", "not valid JSON"),
    "nothing found": ("empty.json", "no found case"),
    "another report": ("report.json", "no found case"),
    "faulty case": ("faulty.json", "faulty.json: at_most: this key is missing; add it"),
    "an axis": ("axis.toml", "axis.toml"),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_mistake_is_one_line(tmp_path, capsys, monkeypatch, name):
    """The line names what is wrong, exit 4, and nothing is written."""
    faulty = case().model_dump(mode="json")
    del faulty["at_most"]
    (tmp_path / "broken.json").write_text("{")
    (tmp_path / "empty.json").write_text(json.dumps({"searches": [{"found": None}]}))
    (tmp_path / "report.json").write_text(json.dumps({"gates": [], "searches": "none"}))
    (tmp_path / "faulty.json").write_text(json.dumps({"searches": [{"found": {"case": faulty}}]}))
    (tmp_path / "axis.toml").write_text('name = "x"\n')
    monkeypatch.chdir(tmp_path)
    argument, part = MISTAKES[name]
    assert run(argument, "--to", "mine", "--store", "store") == 4
    out, err = told(capsys)
    assert part in err
    assert (out, err.count("\n")) == ("", 1)
    assert not (tmp_path / "mine").exists()


def test_found_cases_are_listed(tmp_path, capsys):
    """Without a name the found cases are told, each id on a line of its own; faults beside them."""
    assert run("--store", tmp_path) == 0
    assert told(capsys)[0] == f"no found cases are stored in {tmp_path / 'found'}\n"
    one = case()
    keep(one, tmp_path / "found")
    keep(one, tmp_path / "found")
    (tmp_path / "found" / "torn.toml").write_text("id = ")
    assert run("--store", tmp_path) == 0
    out, err = told(capsys)
    assert out.splitlines() == [one.id, "    +0.10 becomes +0.90 in org/name"]
    assert "torn.toml" in err
    assert run("--store", "none") == 0
    assert told(capsys)[0] == "no found cases are stored\n"
