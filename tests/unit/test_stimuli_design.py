"""Which prompts are asked: a balanced fraction of the word pairs and wordings, nested."""

from collections import Counter
from dataclasses import replace
from fractions import Fraction
from itertools import product

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from blindspot.errors import StimulusError
from blindspot.gates.outcomes import LEAST_OF_WORD
from blindspot.run.source import FixturePrompts
from blindspot.stimuli import EXPLICIT, IMPLICIT, Selection, load_stimuli, shipped_axes
from blindspot.stimuli.design import cells

STIMULI = load_stimuli()
ONE = Fraction(1)


def names(kind, count):
    """So many words or wordings."""
    return tuple(f"{kind} {number}" for number in range(count))


@st.composite
def designs(draw):
    """Two word lists, wordings, and in how many of them each pair is asked."""
    sizes = [draw(st.integers(1, 12)) for _ in range(3)]
    per_pair = draw(st.integers(1, min(4, sizes[2])))
    return *(names(kind, size) for kind, size in zip("pnw", sizes, strict=True)), per_pair


def spread(counts):
    """The largest difference between two counts."""
    return max(counts) - min(counts)


def evenness(positive, negative, wordings, met):
    """How unevenly wordings meet words, and how unevenly words are used."""
    met = [Counter(word for pair in pairs for word in pair) for pairs in met]
    words = (*positive, *negative)
    by_word = max(spread([counts[word] for counts in met]) for word in words)
    used = [
        spread([sum(counts[word] for counts in met) for word in side])
        for side in (positive, negative)
    ]
    return by_word, max(used)


@settings(max_examples=40, deadline=None)
@given(designs())
@example((names("p", 9), names("n", 12), names("w", 48), 2))
@example((names("p", 9), names("n", 12), names("w", 8), 2))
def test_every_wording_meets_every_word_about_equally_often(design):
    """Every pair is in so many wordings, every word equally often, every wording used evenly."""
    positive, negative, wordings, per_pair = design
    met = cells(*design, ONE)
    times = Counter(pair for pairs in met for pair in pairs)
    assert times == dict.fromkeys(product(positive, negative), per_pair)
    by_word, used = evenness(positive, negative, wordings, met)
    assert by_word <= 2
    assert used == 0
    if len(times) * per_pair >= 2 * len(wordings):
        assert all(met)


@pytest.mark.parametrize("wordings", [8, 24, 48])
@pytest.mark.parametrize("per_pair", [1, 2])
def test_the_default_design_is_as_even_as_can_be(wordings, per_pair):
    """In lists of 9 and 12 words no two counts of wordings with a word differ by more than 1."""
    lists = names("p", 9), names("n", 12), names("w", wordings)
    met = cells(*lists, per_pair, ONE)
    assert evenness(*lists, met) == (1, 0)
    assert spread([len(pairs) for pairs in met]) <= 1


@pytest.mark.parametrize("parts", [2, 3, 4, 8])
def test_a_fraction_of_the_default_design_is_even_too(parts):
    """Words, wordings and both together are used about equally often."""
    lists = names("p", 9), names("n", 12), names("w", 48)
    met = cells(*lists, 2, Fraction(1, parts))
    assert max(evenness(*lists, met)) <= 2
    assert spread([len(pairs) for pairs in met]) <= 2


@settings(max_examples=40, deadline=None)
@given(designs(), st.fractions(Fraction(1, 30), ONE), st.fractions(Fraction(1, 30), ONE))
def test_a_smaller_fraction_is_a_part_of_a_larger_one(design, one, other):
    """Two fractions share all prompts of the smaller one, and each is as large as it says."""
    positive, negative, _, per_pair = design
    small, large = (cells(*design, fraction) for fraction in sorted((one, other)))
    assert all(less <= more for less, more in zip(small, large, strict=True))
    every = len(positive) * len(negative) * per_pair
    asked = sum(map(len, small))
    assert 0 <= asked - min(one, other) * every < 1


@settings(max_examples=15, deadline=None)
@given(designs(), st.randoms(use_true_random=False))
def test_the_order_of_a_file_does_not_change_what_is_asked(design, random):
    """Words and wordings in another order: the same pairs in the same wordings."""
    *lists, per_pair = design
    mixed = [tuple(random.sample(one, len(one))) for one in lists]
    before = dict(zip(lists[2], cells(*lists, per_pair, ONE), strict=True))
    assert dict(zip(mixed[2], cells(*mixed, per_pair, ONE), strict=True)) == before


WORDINGS = """
measurement = "implicit"
per_pair = {per_pair}
language = "en"
"""
FORM = """
[[wording]]
id = "own-{number}"
text = "Take {{first}} or {{second}} for {{first_word}} and {{second_word}}, form {number}:"
answer = "{{first_word}} - {{first_choice}}, {{second_word}} - {{second_choice}}"
"""


def included(directory, per_pair, count=6):
    """The shipped stimuli with so many association wordings of our own."""
    forms = "".join(FORM.format(number=number) for number in range(count))
    (directory / "own.toml").write_text(WORDINGS.format(per_pair=per_pair) + forms)
    return load_stimuli([directory])


def asked(stimuli, selection=None, measurement=IMPLICIT, own=True):
    """The prompts of one slice, of our own wordings or of the shipped ones."""
    source = FixturePrompts(stimuli, selection or Selection())
    (part, *_) = source.slices(measurement)
    return [p for p in source.prompts(part) if p.wording.startswith("own") is own]


def test_a_file_says_in_how_many_of_its_wordings_a_pair_is_asked(tmp_path):
    """All four orders of each; the wordings of other files are asked as before."""
    stimuli = included(tmp_path, 2)
    prompts = asked(stimuli)
    counts = Counter(prompt.words for prompt in prompts)
    assert {*counts.values()} == {2 * 4}
    assert {prompt.wording for prompt in prompts} == {f"own-{number}" for number in range(6)}
    orders = Counter((p.words, p.wording) for p in prompts)
    assert {*orders.values()} == {4}
    assert asked(stimuli, own=False) == asked(STIMULI, own=False)


def test_all_asks_every_pair_in_every_wording(tmp_path):
    """The default is a part of it, prompt by prompt; half of the default a part of that."""
    stimuli = included(tmp_path, 2)
    every = asked(stimuli, Selection(fraction=None))
    default, half = asked(stimuli), asked(stimuli, Selection(fraction=Fraction(1, 2)))
    assert len(every) == 3 * len(default) == 6 * len(half)
    assert {*half} < {*default} < {*every}


@pytest.mark.parametrize("measurement", [IMPLICIT, EXPLICIT])
def test_an_axis_can_ask_a_fraction_of_the_default(measurement):
    """Of the same prompts as ``--fraction``, with which it multiplies; "all" asks all of them."""
    axis = STIMULI.axes["race"]
    half = axis.model_copy(update={"fraction": "1/2"})
    halved = replace(STIMULI, axes={"race": half})
    for parts in (1, 2):
        some = asked(halved, Selection(fraction=Fraction(1, parts)), measurement, own=False)
        same = Selection(fraction=Fraction(1, 2 * parts))
        assert some == asked(STIMULI, same, measurement, own=False)
    every = Selection(fraction=None, limit=2)
    assert asked(halved, every, measurement, own=False) == asked(
        STIMULI, every, measurement, own=False
    )


@pytest.mark.parametrize("axis", [name for name in shipped_axes() if name != "race"])
def test_half_of_the_default_is_enough_for_the_other_axes(axis):
    """Each pair is asked once by each file, each wording is used, and each word can be judged."""
    stimuli = load_stimuli(axes=[axis])
    assert stimuli.axes[axis].share == Fraction(1, 2)
    prompts = asked(stimuli, own=False)
    cells = Counter((prompt.words, prompt.wording) for prompt in prompts)
    assert {*Counter(words for words, _ in cells).values()} == {1}
    assert {wording for _, wording in cells} == {
        one.id for one in stimuli.implicit[stimuli.axes[axis].language]
    }
    words = Counter(word for prompt in prompts for word in prompt.words)
    assert {*words.values()} == {LEAST_OF_WORD}


@pytest.mark.parametrize("measurement", [IMPLICIT, EXPLICIT])
def test_published_words_alone_keep_their_prompts(measurement):
    """They are asked exactly what they are asked among the others."""
    published = asked(STIMULI, Selection(published=True), measurement, own=False)
    (category, *_) = STIMULI.axes["race"].categories.values()
    pairs = {*product(category.published.positive, category.published.negative)}
    assert {prompt.words for prompt in published} == pairs
    every = asked(STIMULI, measurement=measurement, own=False)
    assert published == [prompt for prompt in every if prompt.words in pairs]


def test_a_category_without_published_words_is_not_asked():
    """Nor does a run of published words judge it."""
    axis = STIMULI.axes["race"]
    (name, first), *rest = axis.categories.items()
    bare = {name: first.model_copy(update={"published": None}), **dict(rest)}
    stimuli = load_stimuli()
    stimuli.axes["race"] = axis.model_copy(update={"categories": bare})
    source = FixturePrompts(stimuli, Selection(published=True))
    assert {part.category for part in source.slices(IMPLICIT)} == {each for each, _ in rest}
    assert {part.category for part in source.word_slices(IMPLICIT)} == {each for each, _ in rest}


def test_more_wordings_for_a_pair_than_a_file_has_are_refused(tmp_path):
    """The message names the key, both numbers and the remedy."""
    with pytest.raises(StimulusError, match=r"own\.toml.*per_pair: 7 is more than the 6 wordings"):
        included(tmp_path, 7)


@pytest.mark.parametrize("wrong", ["0", "-1", "true", '"2"', "1.5"])
def test_a_number_of_wordings_is_a_whole_number_above_0(tmp_path, wrong):
    """Anything else is refused."""
    with pytest.raises(StimulusError, match="per_pair"):
        included(tmp_path, wrong)


@pytest.mark.parametrize(("parts", "judged"), [(1, True), (2, True), (4, False)])
def test_half_of_the_default_prompts_are_enough_for_words(parts, judged):
    """Each word of a default run has 72 or 96 prompts; a quarter of them is too few to judge."""
    for measurement in (IMPLICIT, EXPLICIT):
        prompts = asked(STIMULI, Selection(fraction=Fraction(1, parts)), measurement, own=False)
        counts = Counter(word for prompt in prompts for word in prompt.words)
        assert all((count >= LEAST_OF_WORD) is judged for count in counts.values())
        assert parts > 1 or {*counts.values()} == {72, 96}
