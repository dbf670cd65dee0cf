"""Files that must be refused, with the file, the key and the remedy in one line."""

import pytest

from blindspot.errors import StimulusError
from blindspot.paths import FIXTURES
from blindspot.stimuli import IMPLICIT, load_stimuli, read_axis, read_wordings, render, slices

AXIS = """
name = "trade"
groups = { positive = "Bakers", negative = "Smiths" }
senses = { group = "trade", literal = "thing" }
[variants.default]
positive = ["baker"]
negative = ["smith"]
[categories.mood]
positive = ["sunny", "merry"]
negative = ["gloomy", "grim"]
"""

IMPLICIT_FILE = """
measurement = "implicit"
[[wording]]
id = "plain"
text = "Choose {first} or {second} for {first_word} and {second_word}. Answer:"
answer = "{first_word} - {first_choice}, {second_word} - {second_choice}"
"""

EXPLICIT_FILE = """
measurement = "explicit"
[[wording]]
id = "plain"
scale = "likert"
text = "From 1 to 5: {statement}"
statement = "{first} is {first_word}, {second} is {second_word}."
reverse = "{first} is {second_word}, {second} is {first_word}."
"""

BAD_AXES = {
    "duplicate word": ('"sunny", "merry"', '"sunny", "Sunny"', ["categories.mood", "twice", "remove"]),
    "word in both lists": ('"gloomy", "grim"', '"gloomy", "merry"', ["categories.mood", "twice"]),
    "composed and decomposed": ('"gloomy", "grim"', '"caf\u00e9", "cafe\u0301"', ["twice"]),
    "identifier in both lists": ('["smith"]', '["baker"]', ["variants.default", "twice"]),
    "identifier in identifier": ('["smith"]', '["bakers"]', ["variants.default", "part of", "replace"]),
    "identifier in a word": ('"grim"', '"blacksmith"', ["'smith'", "part of the word", "categories.mood"]),
    "empty list": ('["smith"]', "[]", ["variants.default.negative", "empty", "add"]),
    "blank word": ('"grim"', '"  "', ["categories.mood.negative[2]", "blank"]),
    "number for a word": ('"grim"', "7", ["categories.mood.negative[2]", "quotes"]),
    "unknown key": ('[variants.default]', '[variants.default]\ncolour = "x"', ["variants.default.colour", "unknown key"]),
    "no categories": ('[categories.mood]', '[variants.other]', ["categories", "missing"]),
    "one group": ('negative = "Smiths"', 'negative = "bakers"', ["groups", "twice"]),
    "bad name": ('name = "trade"', 'name = "Trade union"', ["name", "small letters"]),
    "identifier in a wording": ('["baker"]', '["partner"]', ["'partner'", "wording", "change one"]),
    "prefix with a word slot": ('positive = ["baker"]', 'positive = ["baker"]\nprefix = "{first} {word}"', ["variants.default", "prefix", "{word}"]),
    "language without wordings": ('name = "trade"', 'name = "trade"\nlanguage = "xx"', ["language", "'xx'", "add a wording"]),
}  # fmt: skip

BAD_IMPLICIT = {
    "unknown slot": ("{first_word} and", "{frist_word} and", ["wording[plain]", "text", "{frist_word}", "known here"]),
    "one identifier": ("{first} or {second} for", "{first} for", ["wording[plain]", "both identifiers", "both orders"]),
    "identifiers written out": ("{first} or {second} for", "baker or smith for", ["both identifiers"]),
    "one word": (" and {second_word}. A", ". A", ["{second_word}"]),
    "answer without a choice": (" - {second_choice}", "", ["answer", "{second_choice}"]),
    "unbalanced brace": ("Choose {first}", "Choose {first} {", ["text", "brace"]),
    "attribute of a slot": ("{first} or", "{first.__class__} or", ["text", "plain slot"]),
    "index slot": ("{first} or", "{0} or", ["text", "plain slot"]),
    "format in a slot": ("{first} or", "{first:>99999999} or", ["text", "plain slot"]),
    "unknown measurement": ('"implicit"', '"implizit"', ["measurement", "'implizit'", "implicit"]),
    "duplicate id": ("[[wording]]", '[[wording]]\nid="plain"\ntext="{first}{second}{first_word}{second_word}"\nanswer="{first_word}{first_choice}{second_word}{second_choice}"\n[[wording]]', ["wording ids", "twice"]),
    "choices exchanged": ("{first_word} - {first_choice}, {second_word} - {second_choice}", "{first_word} - {second_choice}, {second_word} - {first_choice}", ["answer", "its own choice", "write"]),
    "no answer": ("answer = ", "# answer = ", ["wording[plain].answer", "missing"]),
}  # fmt: skip

BAD_EXPLICIT = {
    "no reverse": ("reverse = ", "# reverse = ", ["wording[plain].reverse", "missing", "add"]),
    "reverse says the same": ("{first} is {second_word}, {second} is {first_word}.", "{first} is {first_word}, {second} IS {second_word}.", ["reverse", "same as the statement"]),
    "one identifier in the statement": ("{first} is {first_word}, {second} is {second_word}", "{first} is {first_word}, not {second_word}", ["statement", "both identifiers"]),
    "no place for the statement": ("{statement}", "", ["text", "{statement}"]),
    "unknown scale": ('"likert"', '"stars"', ["scale", "'stars'", "likert"]),
    "options of a likert wording": ('scale = "likert"', 'scale = "likert"\noptions = ["yes", "no"]', ["options", "1 to 5"]),
}  # fmt: skip


def refused(tmp_path, content, parts):
    """Write ``content`` as an included file; expect one line that holds all ``parts``."""
    path = tmp_path / "user.toml"
    path.write_bytes(content if isinstance(content, bytes) else content.encode("utf-8"))
    with pytest.raises(StimulusError) as caught:
        load_stimuli([tmp_path])
    line = str(caught.value)
    assert "\n" not in line
    for part in ("user.toml", *parts):
        assert part in line, line


@pytest.mark.parametrize("fault", BAD_AXES)
def test_axis_is_refused(tmp_path, fault):
    """A faulty axis file is named with key and remedy."""
    old, new, parts = BAD_AXES[fault]
    assert old in AXIS
    refused(tmp_path, AXIS.replace(old, new), parts)


@pytest.mark.parametrize("fault", BAD_IMPLICIT)
def test_association_wording_is_refused(tmp_path, fault):
    """A faulty association wording is named with key and remedy."""
    old, new, parts = BAD_IMPLICIT[fault]
    assert old in IMPLICIT_FILE
    refused(tmp_path, IMPLICIT_FILE.replace(old, new), parts)


@pytest.mark.parametrize("fault", BAD_EXPLICIT)
def test_statement_wording_is_refused(tmp_path, fault):
    """A faulty statement wording is named with key and remedy."""
    old, new, parts = BAD_EXPLICIT[fault]
    assert old in EXPLICIT_FILE
    refused(tmp_path, EXPLICIT_FILE.replace(old, new), parts)


@pytest.mark.parametrize(
    ("content", "part"),
    [
        (b"name = 'trade\n", "not valid TOML"),
        (b"name = '\xff'\n", "UTF-8"),
        (b"", "missing"),
        (b"x = " + b"[" * 100_000, "TOML"),
        (b"measurement = 3\n", "measurement"),
        (b"measurement = 'implicit'\nwording = 'x'\n", "wording"),
        (b"measurement = 'implicit'\nwording = []\n", "empty"),
        (b"variants = [1]\ncategories = 2\n", "missing"),
    ],
    ids=[
        "cut off",
        "latin-1",
        "empty",
        "deep",
        "number",
        "text for a list",
        "empty list",
        "shapes",
    ],
)
def test_broken_file_is_refused(tmp_path, content, part):
    """What is no TOML, or of another shape, is refused in one line too."""
    refused(tmp_path, content, [part] if part != "TOML" else [])


def test_missing_include_path(tmp_path):
    """A directory that does not exist, or holds no TOML file, is named."""
    with pytest.raises(StimulusError, match="no such directory"):
        load_stimuli([tmp_path / "nowhere"])
    with pytest.raises(StimulusError, match="no TOML file"):
        load_stimuli([tmp_path])


def test_same_name_twice(tmp_path):
    """An axis or wording that exists already is not replaced in silence."""
    (tmp_path / "race.toml").write_text((FIXTURES / "axes" / "race.toml").read_text())
    with pytest.raises(StimulusError, match="'race' is already defined"):
        load_stimuli([tmp_path])


@pytest.mark.parametrize("flat", [True, False], ids=["flat", "in rooms"])
def test_user_adds_axis_and_wordings_by_file(tmp_path, flat):
    """An axis and wordings in a directory are asked beside ours, without code."""
    for room, name, content in (
        ("axes", "trade.toml", AXIS),
        ("wordings", "a.toml", IMPLICIT_FILE),
        ("wordings", "b.toml", EXPLICIT_FILE.replace('"plain"', '"plain-statement"')),
    ):
        folder = tmp_path if flat else tmp_path / room
        folder.mkdir(exist_ok=True)
        (folder / name).write_text(content, "utf-8")
    stimuli = load_stimuli([tmp_path])
    part = next(part for part in slices(stimuli, IMPLICIT) if part.axis == "trade")
    wordings = {prompt.wording for prompt in render(stimuli, part)}
    assert "plain" in wordings
    assert len(wordings) == len(stimuli.implicit["en"])


def test_files_are_read_alone(tmp_path):
    """A single axis or wording file can be checked without the rest."""
    (tmp_path / "axis.toml").write_text(AXIS)
    (tmp_path / "words.toml").write_text(IMPLICIT_FILE)
    assert read_axis(tmp_path / "axis.toml").name == "trade"
    assert read_wordings(tmp_path / "words.toml").wording[0].id == "plain"
