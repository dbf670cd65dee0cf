"""Which axes a run asks: by default, by name, all of them; what is not asked is not read."""

import shutil

import pytest

from blindspot.errors import StimulusError
from blindspot.measurements.registry import render, slices
from blindspot.paths import FIXTURES
from blindspot.stimuli import (
    ambiguous_contexts,
    load_stimuli,
    mechanistic_slices,
    shipped_axes,
    undescribed,
)
from tests.unit.small_stimuli import SMALL
from tests.unit.suite_runs import run_suite
from tests.unit.test_stimuli_hostile import AXIS


@pytest.fixture
def fixtures(tmp_path):
    """Shipped files with one axis more, which is broken, and a default."""
    root = tmp_path / "fixtures"
    shutil.copytree(SMALL, root)
    (root / "axes" / "broken.toml").write_text("name = ")
    (root / "suite.toml").write_text('axes = ["race"]')
    return root


@pytest.fixture
def own(tmp_path):
    """A directory of the user's, with one axis."""
    root = tmp_path / "own"
    root.mkdir()
    (root / "trade.toml").write_text(AXIS)
    return root


def test_a_run_asks_the_default_and_the_users_axes(fixtures, own):
    """Without a choice: what the fixtures say, and what the user adds."""
    assert list(load_stimuli(fixtures=fixtures).axes) == ["race"]
    assert list(load_stimuli([own], fixtures=fixtures).axes) == ["race", "trade"]


def test_named_axes_are_asked_alone(fixtures, own):
    """Names choose among ours and the user's; a file that is not asked is not read."""
    assert list(load_stimuli([own], axes=["trade"], fixtures=fixtures).axes) == ["trade"]
    with pytest.raises(StimulusError, match=r"broken\.toml"):
        load_stimuli(axes=["broken"], fixtures=fixtures)
    with pytest.raises(StimulusError, match=r"broken\.toml"):
        load_stimuli(axes=["all"], fixtures=fixtures)


def test_an_unknown_axis_is_refused_with_the_closest_name(fixtures, own):
    """One line names what there is."""
    with pytest.raises(StimulusError, match=r"--axis rase: .*did you mean 'race'\? known: .*all"):
        load_stimuli([own], axes=["rase"], fixtures=fixtures)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("axes = []", "axes: the list is empty"),
        ('axes = "race"', "axes: must be a list"),
        ('axes = ["Race"]', "is not a name"),
        ("axis = 1", "unknown key"),
    ],
)
def test_a_faulty_default_is_one_line(fixtures, text, said):
    """The file of the default names its key and the remedy."""
    (fixtures / "suite.toml").write_text(text)
    with pytest.raises(StimulusError, match=said) as caught:
        load_stimuli(fixtures=fixtures)
    assert "\n" not in str(caught.value)


def test_every_shipped_axis_has_a_file_of_its_name():
    """The names are known without reading a file."""
    assert "race" in shipped_axes()
    assert set(shipped_axes()) == {path.stem for path in FIXTURES.glob("axes/*.toml")}


def test_flag_and_configuration_choose(tmp_path, own):
    """The flag goes before the key; a misspelled one ends the run with exit code 4."""
    few = ("--collect-only", "-q", "-k", "category_association", "--include-path", str(own))
    key = ("-o", "blindspot_axis=trade")
    for choice, asked in (
        (key, {"trade"}),
        ((*key, "--axis", "race"), {"race"}),
        ((*key, "--axis", "race, trade"), {"race", "trade"}),
    ):
        run = run_suite(tmp_path, *few, *choice, paths=("tests/implicit",))
        assert {axis for axis in ("race", "trade") if f"[{axis}-" in run.out} == asked, run.out
    run = run_suite(tmp_path, *few, "--axis", "trad", paths=("tests/implicit",))
    assert run.code == 4
    assert "did you mean 'trade'?" in run.out + run.err


WHOLE = """
# Source: ours. Licence: Apache-2.0. Language: German.
name = "handwerk"
language = "de"
groups = { positive = "Bäcker", negative = "Schmiede" }
senses = { group = "Handwerk", literal = "Nachname" }
[variants.default]
positive = ["Becker"]
negative = ["Schmidt"]
[categories.stimmung]
positive = ["heiter"]
negative = ["finster"]
[[wording]]
id = "de-frage"
text = "{first} oder {second}: Was passt zu {first_word}, was zu {second_word}? Antwort:"
answer = "{first_word}: {first_choice}, {second_word}: {second_choice}"
[[sense]]
name = "Handwerk"
cues = [
    { singular = "Handwerk", plural = "Handwerke" },
    { singular = "Beruf", plural = "Berufe" },
    { singular = "Gewerbe", plural = "Gewerbe" },
]
stems = ["handwerk", "beruf", "gewerbe"]
[[sense]]
name = "Nachname"
cues = [
    { singular = "Nachname", plural = "Nachnamen" },
    { singular = "Familie", plural = "Familien" },
    { singular = "Unterschrift", plural = "Unterschriften" },
]
stems = ["nachname", "familie", "unterschrift"]
"""


def test_one_file_holds_an_axis_in_german_and_both_halves(tmp_path):
    """Two words, one category, one wording and two senses: asked, and looked into."""
    (tmp_path / "handwerk.toml").write_text(WHOLE, "utf-8")
    stimuli = load_stimuli([tmp_path], axes=["handwerk"])
    assert undescribed(stimuli) == []
    (part,) = slices(stimuli, "implicit")
    wordings = {prompt.wording for prompt in render(stimuli, part)}
    assert "de-frage" in wordings
    assert slices(stimuli, "explicit")
    (inside,) = mechanistic_slices(stimuli, "patching")
    assert ambiguous_contexts(stimuli, inside)


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("{second_word}?", "{word}?", r"wording\[de-frage\]: text: unknown slot \{word\}"),
        ("{first_word}: {first_choice}, ", "", r"wording\[de-frage\]"),
        ('stems = ["nachname", ', 'stems = ["", ', r"sense\[2\]\.stems"),
        ("[[wording]]", "[wording]", "wording: must be a list"),
    ],
)
def test_a_fault_in_a_file_of_several_parts_names_the_part(tmp_path, old, new, said):
    """The line names the file, the part and its key."""
    assert old in WHOLE
    (tmp_path / "handwerk.toml").write_text(WHOLE.replace(old, new), "utf-8")
    with pytest.raises(StimulusError, match=said) as caught:
        load_stimuli([tmp_path])
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("value", ["5", '"x"', "[5]", "{ a = 1 }", "[[]]"])
@pytest.mark.parametrize("key", ["sense", "wording"])
def test_a_part_of_another_type_is_one_line(tmp_path, key, value):
    """Whatever stands in the place of a list of tables."""
    (tmp_path / "trade.toml").write_text(f"{key} = {value}\n{AXIS}")
    with pytest.raises(StimulusError, match=key) as caught:
        load_stimuli([tmp_path])
    assert "\n" not in str(caught.value)


def test_paired_identifiers_stay_together():
    """Father and mother, church and mosque: never one beside the other of another pair."""
    axis = load_stimuli(axes=["gender"]).axes["gender"]
    variant = axis.variants["default"]
    pairs = set(zip(variant.positive, variant.negative, strict=True))
    assert {variant.identifiers(index) for index in range(50)} == pairs
    names = axis.variants["names"]
    assert len({names.identifiers(index) for index in range(200)}) == 81


def test_lists_that_are_paired_have_one_length(tmp_path):
    """A missing partner is named."""
    text = AXIS.replace('["baker"]', '["baker", "cook"]\npaired = true')
    (tmp_path / "trade.toml").write_text(text)
    with pytest.raises(StimulusError, match="paired: the two lists differ in length; pair them"):
        load_stimuli([tmp_path])
