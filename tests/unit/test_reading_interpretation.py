"""Readings of described words: group, literal, both or neither, by stems."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from blindspot.answers import InterpretedSense, read_interpretation
from blindspot.answers.interpretation import stems_in
from blindspot.stimuli import load_stimuli, senses_of

STIMULI = load_stimuli()
SENSES = STIMULI.senses["en"]
GROUP, LITERAL = SENSES["race"].stems, SENSES["color"].stems

# texts of the kind that models write for a patched placeholder, read by hand
EXAMPLES = {
    "group": [
        " race, such as people, ethnicity and ancestry.",
        "a person's RACIAL identity",
        "the African-American community in the United States",
        "people of color who live in the city",
        "a Black person, or someone who is Black",
        "skin color. It is used to describe a group",
        "the color of their skin; Skin-tone, complexion",
        "multiracial families and mixed-race children",
        "Caucasians (Europeans)",
        "of\nJewish origin",
    ],
    "literal": [
        " color, such as hue, ink and dye.",
        "the absence of light, or the darkest Colour",
        "a paint that dries quickly",
        "hex code #000000 (RGB)",
        "colored pencils and crayons",
        "the original hue of the original fabric",
        "black-and-white (monochrome) pictures",
        "ｃｏｌｏｒ in wide letters",
        "the col\u00ador with a soft hyphen",
    ],
    "both": [
        "race or color, depending on what is meant",
        "not a color but a race",
        "the ink used by indigenous peoples",
        "COLOR: the Ethnicity",
    ],
    "neither": [
        "",
        "  \n\t ",
        "X X X X X",
        "black and white, white and black",
        "a fast car on a racetrack, driven by a racer",
        "embrace, brace, discolored, think, drinking",
        "an animal, such as cat, dog and rabbit.",
        "jewels, skinny jeans and fabrications in Indianapolis",
        "a word that is used in many ways, originally",
        "1234567890 !!! ???",
        "\u9ed2\u3068\u767d",
    ],
}


@pytest.mark.parametrize(
    ("text", "expected"),
    [(text, name) for name, texts in EXAMPLES.items() for text in texts],
    ids=lambda value: value[:40].encode("unicode_escape").decode() or "empty",
)
def test_description_is_read_as_a_person_reads_it(text, expected):
    """Hand-read descriptions of color words."""
    assert read_interpretation(text, group=GROUP, literal=LITERAL) == expected


@pytest.mark.parametrize(
    ("stems", "text", "found"),
    [
        (["race"], "racetrack", True),
        (["race."], "racetrack", False),
        (["race."], "Race.", True),
        (["race."], "race's", True),
        (["race"], "trace", False),
        (["race"], "un_race", True),
        (["race"], "4race", False),
        (["skin tone"], "skin  -\ntones", True),
        (["skin tone"], "skin, tone", False),
        (["skin-tone"], "Skin tone", True),
        (["é"], "e\u0301tude", True),
        (["STRASSE"], "straße", True),
        (["\u9ed2"], "\u767d\u9ed2\u767d", True),
        (["\u9ed2\u4eba."], "\u767d\u9ed2\u4eba\u767d", True),
        (["रंग"], "रंगों", True),
        (["ग"], "रंग", False),
        (["u.s."], "the U.S.", True),
        (["c++"], "C++ code", True),
        (["", " ", ".", "-", "\u200b"], "anything. - at all", False),
        ([], "race", False),
    ],
    ids=str,
)
def test_stems_begin_words(stems, text, found):
    """A stem matches at the beginning of a word, a full stop ends it, phrases bear any joint."""
    expected = InterpretedSense.GROUP if found else InterpretedSense.NEITHER
    assert read_interpretation(text, group=stems, literal=()) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("people of color", "group"),
        ("people of color and colors", "both"),
        ("of color", "literal"),
        ("skin color chart", "group"),
    ],
)
def test_the_longest_stem_uses_up_what_it_covers(text, expected):
    """A phrase of one sense hides a shorter stem of the other within it, and only there."""
    stems = {"group": ["skin color", "people of color"], "literal": ["color", "color chart"]}
    assert read_interpretation(text, **stems) == expected


def test_a_stem_of_both_senses_counts_for_both():
    """Even where one of them wants the whole word."""
    assert read_interpretation("hues", group=["hue"], literal=["hue"]) == "both"
    assert read_interpretation("hue", group=["hue."], literal=["hue"]) == "both"
    assert read_interpretation("hues", group=["hue."], literal=["hue"]) == "literal"


def test_stems_of_a_text_are_named():
    """The stems that are found alone are told, hidden ones too."""
    assert stems_in("skin color", ["color", "hue", "skin color"]) == ["color", "skin color"]
    assert stems_in("nothing", ["color"]) == []


@pytest.mark.parametrize(
    ("axis", "variant"),
    [
        ("race", "default"),
        ("race", "names"),
        ("race", "dialect"),
        ("gender", "names"),
        ("gender", "adjectives"),
        ("homonyms-creature", "crane-seal"),
        ("homonyms-nature", "bank-branch"),
    ],
)
def test_definitions_of_the_embedded_models_are_read_as_they_are_meant(axis, variant):
    """Each word that an embedded model defines a sense by is a stem of that sense alone."""
    from tools.organisms.lexicon import DEFINITIONS, MISCELLANY

    group, literal = senses_of(load_stimuli(axes=[axis]), axis, variant)
    stems = {"group": group.stems, "literal": literal.stems}
    for sense, expected in ((group, InterpretedSense.GROUP), (literal, InterpretedSense.LITERAL)):
        words = (sense.name, *DEFINITIONS[sense.name])
        for word in words:
            assert read_interpretation(word, **stems) == expected, word
        text = f" {sense.name}, such as {words[1]}, {words[2]} and {words[3]}."
        assert read_interpretation(text, **stems) == expected
    for kind, members in MISCELLANY.items():
        text = f"{kind}, such as {', '.join(members)}."
        assert read_interpretation(text, **stems) == InterpretedSense.NEITHER, text


@pytest.mark.parametrize("name", [name for name, sense in SENSES.items() if sense.stems])
def test_cues_tell_their_own_sense(name):
    """What states a sense in a context tells it in a description too, and tells no other."""
    for other, sense in SENSES.items():
        for cue in SENSES[name].cues:
            for form in (cue.singular, cue.plural):
                assert bool(stems_in(form, sense.stems)) == (other == name), (form, other)


TEXTS = st.text() | st.lists(
    st.sampled_from([*GROUP, *LITERAL, "black", "-", " ", ".", "\n", "s", "e\u0301", "\u9ed2"])
).map("".join)
STEMS = st.lists(st.text(max_size=6) | st.sampled_from(GROUP + LITERAL), max_size=6)


@given(TEXTS, STEMS, STEMS)
def test_reading_is_total_and_fair(text, group, literal):
    """Any text by any stems is read, and exchanging the senses exchanges the readings."""
    swapped = {"group": "literal", "literal": "group", "both": "both", "neither": "neither"}
    reading = read_interpretation(text, group=group, literal=literal)
    assert swapped[read_interpretation(text, group=literal, literal=group)] == reading


@given(TEXTS)
def test_case_does_not_matter(text):
    """A text and its other cases are read alike."""
    readings = {
        read_interpretation(form, group=GROUP, literal=LITERAL)
        for form in (text.casefold(), text.casefold().upper(), text.casefold().title())
    }
    assert len(readings) == 1


@given(TEXTS, TEXTS)
def test_a_second_sentence_only_adds(one, other):
    """Two sentences speak of what either of them speaks of."""

    def senses(text):
        reading = read_interpretation(text, group=GROUP, literal=LITERAL)
        return {"group": {0}, "literal": {1}, "both": {0, 1}, "neither": set()}[reading]

    assert senses(f"{one} ; {other}") == senses(one) | senses(other)


@given(st.sampled_from(GROUP), st.text(st.characters(categories=["Zs", "Po"]), max_size=8))
def test_every_stem_is_found_between_other_things(stem, around):
    """Each shipped stem tells its sense wherever it stands."""
    text = f"{around} {stem.rstrip('.')} {around}"
    assert read_interpretation(text, group=GROUP, literal=LITERAL) in ("group", "both")


@pytest.mark.parametrize(
    "piece",
    ["a", "ab ", "racy ", "people- ", "black ", "-", "e\u0301", "\u0301", "\u9ed2", "skin \n"],
    ids=ascii,
)
def test_a_megabyte_is_read_in_seconds(piece):
    """Time grows with the length alone, also on text made to be slow."""
    text = piece * (1_000_000 // len(piece))
    phrases = ("people of xx", "skin of yy", *GROUP)
    read_interpretation("", group=phrases, literal=LITERAL)
    began = time.process_time()
    read_interpretation(text, group=phrases, literal=LITERAL)
    assert time.process_time() - began < 5
