"""Contexts and questions of the assays: what is read, where it stands, and in which balance."""

import re
import time
from collections import Counter
from dataclasses import replace
from itertools import chain, product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from blindspot.errors import StimulusError
from blindspot.measurements.registry import render, slices
from blindspot.stimuli import (
    AMBIGUOUS,
    IMPLICIT,
    NEUTRAL,
    UNRELATED,
    Selection,
    Slice,
    Stimuli,
    ambiguous_contexts,
    closed_questions,
    cued_contexts,
    load_stimuli,
    mechanistic_slices,
    open_questions,
    pairs,
    senses_of,
    undescribed,
    unrelated_contexts,
)
from blindspot.stimuli.prompts import diagonals
from blindspot.stimuli.schema import Axis
from blindspot.stimuli.template import fill

STIMULI = load_stimuli()
RACE = STIMULI.axes["race"]
PARTS = mechanistic_slices(STIMULI, "patching")
VARIANTS = sorted(RACE.variants)


def contexts_of(variant):
    """Every context of a variant beside the association prompts."""
    senses = [sense.name for sense in senses_of(STIMULI, "race", variant)]
    cued = (cued_contexts(STIMULI, "race", variant, sense) for sense in (*senses, NEUTRAL))
    return [*chain.from_iterable(cued), *unrelated_contexts(STIMULI, "race", variant)]


def check_places(context):
    """The spans are all mentions that a reader finds, and the last of each."""
    for word, mentions, last in zip(context.words, context.mentions, context.spans, strict=True):
        found = [match.span() for match in re.finditer(rf"\b{word}\b", context.text)]
        assert list(mentions) == found, context.text
        assert last == found[-1]


@pytest.mark.parametrize("part", PARTS, ids=lambda part: part.id)
def test_places_in_prompts_are_those_that_a_reader_finds(part):
    """Every mention of an identifier in an association prompt is known, prefix included."""
    for context in ambiguous_contexts(STIMULI, part):
        check_places(context)


@pytest.mark.parametrize("variant", VARIANTS)
def test_places_in_cued_contexts_are_those_that_a_reader_finds(variant):
    """Every mention in cued, neutral and unrelated contexts is known."""
    for context in contexts_of(variant):
        check_places(context)


def test_a_prefix_mentions_the_identifiers_too():
    """The prefix of a variant adds a mention of each, before the one that is read."""
    part = next(part for part in PARTS if part.variant == "direct-color")
    plain = ambiguous_contexts(STIMULI, replace(part, variant="default"))
    for context, bare in zip(ambiguous_contexts(STIMULI, part), plain, strict=True):
        assert context.text.endswith(bare.text)
        shift = len(context.text) - len(bare.text)
        for ours, theirs in zip(context.mentions, bare.mentions, strict=True):
            assert ours[1:] == tuple((start + shift, end + shift) for start, end in theirs)
            assert ours[0][1] < shift


@pytest.mark.parametrize("part", PARTS, ids=lambda part: part.id)
def test_ambiguous_contexts_are_prompts_in_all_orders(part):
    """Each wording asks one word pair in all four orders, as the behavioural half asks it."""
    contexts = ambiguous_contexts(STIMULI, part)
    wordings = [wording.id for wording in STIMULI.implicit["en"]]
    assert len(contexts) == 4 * len(wordings)
    asked = set(render(STIMULI, replace(part, measurement=IMPLICIT), Selection(fraction=None)))
    cells: dict[str, set[str]] = {}
    for context in contexts:
        assert context.prompt in asked
        assert (context.text, context.words) == (context.prompt.text, context.prompt.identifiers)
        assert (context.frame, context.pair) == (context.prompt.wording, context.prompt.words)
        assert context.sense == AMBIGUOUS
        cells.setdefault(context.frame, set()).add(context.prompt.order)
    assert list(cells) == wordings
    assert all(len(orders) == 4 for orders in cells.values())
    assert len({context.pair for context in contexts}) == len(wordings)


@pytest.mark.parametrize("part", PARTS, ids=lambda part: part.id)
def test_words_and_identifiers_are_used_evenly(part):
    """No word of a category, and no identifier, is used much more often than another."""
    contexts = ambiguous_contexts(STIMULI, part, orders=False)
    category, variant = RACE.categories[part.category], RACE.variants[part.variant]
    for terms, used in (
        (category.positive, (context.pair[0] for context in contexts)),
        (category.negative, (context.pair[1] for context in contexts)),
    ):
        counts = Counter(used)
        assert set(counts) == set(terms)
        assert max(counts.values()) - min(counts.values()) <= 1
    named = Counter(word for context in contexts for word in context.words)
    assert len(named) >= 0.9 * len(variant.positive + variant.negative)
    assert max(named.values()) - min(named.values()) <= 3


def sized(positive, negative, wordings=12):
    """Stimuli with one category of these sizes and so many wordings."""
    axis = Axis(
        name="sizes",
        groups={"positive": "Ups", "negative": "Downs"},
        senses={"group": "one", "literal": "other"},
        variants={"default": {"positive": ["upper"], "negative": ["downer"]}},
        categories={
            "words": {
                "positive": [f"good{i}" for i in range(positive)],
                "negative": [f"poor{i}" for i in range(negative)],
            }
        },
    )
    shipped = STIMULI.implicit["en"]
    many = tuple(shipped[i % len(shipped)] for i in range(wordings))
    return Stimuli({"sizes": axis}, {"en": many}, {})


SIZES = Slice("patching", "sizes", "default", "words")


@given(st.integers(1, 9), st.integers(1, 9), st.integers(1, 24))
def test_words_are_used_evenly_whatever_the_sizes(positive, negative, wordings):
    """In lists of any size the counts of two words of a list differ by one at most."""
    stimuli = sized(positive, negative, wordings)
    contexts = ambiguous_contexts(stimuli, SIZES, orders=False)
    assert len(contexts) == wordings
    category = stimuli.axes["sizes"].categories["words"]
    for side, terms in enumerate((category.positive, category.negative)):
        counts = Counter(dict.fromkeys(terms, 0))
        counts.update(context.pair[side] for context in contexts)
        assert max(counts.values()) - min(counts.values()) <= 1


@pytest.mark.parametrize("limit", [1, 2, 3, 4, 7, 100])
def test_a_limit_uses_only_the_pairs_of_a_limited_run(limit):
    """With a limit the pairs are those of the behavioural half, each used about equally."""
    for part in PARTS[:3]:
        contexts = ambiguous_contexts(STIMULI, part, Selection(limit=limit), orders=False)
        category = RACE.categories[part.category]
        allowed = pairs(category, Selection(limit=limit))
        counts = Counter(context.pair for context in contexts)
        assert len(contexts) == len(STIMULI.implicit["en"])
        assert set(counts) <= set(allowed)
        assert len(counts) == min(len(allowed), len(contexts))
        assert max(counts.values()) - min(counts.values()) <= 1
    assert ambiguous_contexts(STIMULI, PARTS[0], Selection(limit=0)) == []


def test_a_word_pair_is_a_slice_too():
    """A slice of one word pair asks that pair in every wording."""
    pair = ("coke", "mace")
    contexts = ambiguous_contexts(STIMULI, replace(PARTS[0], pair=pair))
    assert {context.pair for context in contexts} == {pair}
    assert len(contexts) == 4 * len(STIMULI.implicit["en"])


@pytest.mark.parametrize("limit", [None, 2, 3, 4, 6])
def test_single_orders_rotate(limit):
    """With one order a wording each order is used equally often, by different pairs."""
    wordings = len(STIMULI.implicit["en"])
    for part in PARTS:
        contexts = ambiguous_contexts(STIMULI, part, Selection(limit=limit), orders=False)
        full = {
            context.text for context in ambiguous_contexts(STIMULI, part, Selection(limit=limit))
        }
        assert {context.text for context in contexts} <= full
        counts = Counter(context.prompt.order for context in contexts)
        assert set(counts.values()) == {wordings // 4}
        if limit:
            cells = Counter((context.pair, context.prompt.order) for context in contexts)
            assert max(cells.values()) <= -(-wordings // (4 * limit)) + 1


@pytest.mark.parametrize("variant", VARIANTS)
def test_senses_share_their_templates(variant):
    """Each cue stands in every template in both orders of mention, and only the cue differs."""
    frames = [template.id for template in STIMULI.templates["en"]]
    assert len(frames) >= 4
    shapes = {}
    for sense in (*(sense.name for sense in senses_of(STIMULI, "race", variant)), NEUTRAL):
        contexts = cued_contexts(STIMULI, "race", variant, sense)
        cues = {cue.singular: cue for cue in STIMULI.senses["en"][sense].cues}
        cells = Counter(
            (context.cue, context.frame, context.spans[0] < context.spans[1])
            for context in contexts
        )
        assert set(cells) == set(product(cues, frames, (True, False)))
        assert set(cells.values()) == {1}
        shapes[sense] = {shape(context, cues[context.cue]) for context in contexts}
        assert {context.sense for context in contexts} == {sense}
    assert len(set(map(frozenset, shapes.values()))) == 1


def shape(context, cue):
    """A context without its cue and its words: what is left of the template."""
    text = context.text
    for start, end in sorted(sum(context.mentions, ()), reverse=True):
        text = text[:start] + "_" + text[end:]
    forms = sorted(cue.values.values(), key=len, reverse=True)
    return re.sub("|".join(map(re.escape, forms)), "#", text)


@pytest.mark.parametrize("variant", ["names", "dialect"])
def test_identifiers_rotate_over_cued_contexts(variant):
    """A variant with several identifiers uses them about equally, the same two in both orders."""
    contexts = cued_contexts(STIMULI, "race", variant, "race")
    used = Counter(word for context in contexts for word in context.words)
    identifiers = RACE.variants[variant].positive + RACE.variants[variant].negative
    assert set(used) == set(identifiers)
    assert max(used.values()) - min(used.values()) <= 2
    for one, other in zip(contexts[::2], contexts[1::2], strict=True):
        assert (one.words, one.cue, one.frame) == (other.words, other.cue, other.frame)
        assert one.text != other.text


def test_unrelated_contexts_are_the_same_for_all():
    """Unrelated words stand in the same templates, and in no variant are they identifiers."""
    contexts = unrelated_contexts(STIMULI, "race", "default")
    assert contexts == unrelated_contexts(STIMULI, "race", "names")
    assert len(contexts) == 2 * len(STIMULI.templates["en"]) * len(STIMULI.unrelated["en"])
    used = Counter(word for context in contexts for word in context.words)
    assert set(used) == {word for one in STIMULI.unrelated["en"] for word in one.words}
    assert max(used.values()) == min(used.values())
    assert not {word.casefold() for word in used} & RACE.identifier_words
    assert {context.sense for context in contexts} == {UNRELATED}


@pytest.mark.parametrize("variant", VARIANTS)
def test_closed_questions_name_the_senses_in_both_orders(variant):
    """Each wording is asked in both orders of the senses; the candidates keep theirs."""
    group, literal = (sense.name for sense in senses_of(STIMULI, "race", variant))
    swapped = {group: literal, literal: group}
    asked = closed_questions(STIMULI, "race", variant)
    assert len(asked) >= 10
    texts = {(id_, order): question.text for id_, order, question in asked}
    assert len(texts) == len(set(texts.values())) == len(asked)
    for id_, order, question in asked:
        assert question.candidates == (group, literal)
        first, second = (group, literal) if order == "group-first" else (literal, group)
        assert question.text.index(f"{first} ") < question.text.index(f" {second}")
        check_placeholder(question)
        twin = texts[id_, "literal-first" if order == "group-first" else "group-first"]
        assert re.sub(rf"\b({group}|{literal})\b", lambda m: swapped[m[1]], twin) == question.text


def check_placeholder(question):
    """The place of the placeholder is where a reader finds it, with words behind it."""
    assert question.span == re.search(r"\bX\b", question.text).span()
    assert len(re.findall(r"\bX\b", question.text)) == 1
    assert question.text[question.span[1] :].strip()
    assert question.text == question.text.rstrip()


def test_open_questions_name_no_sense():
    """Open questions hold the placeholder and nothing that a reading would take for a sense."""
    asked = open_questions(STIMULI, "race", "names")
    assert len(asked) >= 4
    assert asked == open_questions(STIMULI, "race", "default")
    stems = {stem for sense in STIMULI.senses["en"].values() for stem in sense.stems}
    for id_, question in asked:
        assert id_
        assert question.candidates == ()
        check_placeholder(question)
        assert not any(word.startswith(tuple(stems)) for word in question.text.lower().split())


def test_every_category_of_a_described_axis_can_be_looked_into():
    """All fifteen slices of the shipped axis are described."""
    assert undescribed(STIMULI) == []
    expected = {(part.variant, part.category) for part in slices(STIMULI, IMPLICIT)}
    assert len(expected) == 15
    for measurement in ("patching", "injection"):
        parts = mechanistic_slices(STIMULI, measurement)
        assert {(part.variant, part.category) for part in parts} == expected
        assert {part.measurement for part in parts} == {measurement}


@pytest.mark.parametrize(
    ("without", "named"),
    [
        ("senses", ["'race'", "'name'", "neutral cues", "senses/"]),
        ("templates", ["context templates", "contexts/"]),
        ("unrelated", ["unrelated words", "contexts/"]),
        ("questions", ["closed questions", "open questions", "questions/"]),
        ("implicit", ["association wordings", "wordings/"]),
    ],
)
def test_what_is_not_described_is_said(without, named):
    """An axis that lacks something has no slices, and one line a variant says what is missing."""
    stimuli = replace(STIMULI, **{without: {}})
    assert mechanistic_slices(stimuli, "patching") == []
    lines = undescribed(stimuli)
    assert [line.split(":")[0] for line in lines] == [f"race/{name}" for name in RACE.variants]
    line = next(line for line in lines if line.startswith("race/names"))
    assert all(part in line for part in named), line
    assert "\n" not in line
    assert "'en'" in line


def test_one_undescribed_variant_leaves_the_others():
    """A variant whose literal sense nobody describes is left out alone."""
    senses = {name: sense for name, sense in STIMULI.senses["en"].items() if name != "slang"}
    stimuli = replace(STIMULI, senses={"en": senses})
    assert {part.variant for part in mechanistic_slices(stimuli, "probing")} == (
        set(RACE.variants) - {"dialect"}
    )
    (line,) = undescribed(stimuli)
    assert "race/dialect" in line
    assert "'slang'" in line
    with pytest.raises(StimulusError, match=r"race/dialect: not described.*'slang'"):
        senses_of(stimuli, "race", "dialect")
    with pytest.raises(StimulusError, match=r"'slang' is not described.*senses/"):
        cued_contexts(stimuli, "race", "dialect", "slang")


def test_the_neutral_sense_is_no_sense_of_an_identifier():
    """An axis cannot take "neutral" for one of its senses."""
    axis = RACE.model_copy(update={"senses": RACE.senses.model_copy(update={"literal": NEUTRAL})})
    stimuli = replace(STIMULI, axes={"race": axis})
    assert {part.variant for part in mechanistic_slices(stimuli, "patching")} == (
        {"names", "dialect"}
    )
    with pytest.raises(StimulusError, match="'neutral'"):
        senses_of(stimuli, "race", "default")


def test_contexts_are_the_same_every_time_and_soon_there():
    """Two loads give equal contexts; all contexts of all slices take well under a second."""
    again = load_stimuli()
    began = time.process_time()
    ours = [ambiguous_contexts(STIMULI, part) for part in PARTS]
    ours += [contexts_of(variant) for variant in VARIANTS]
    spent = time.process_time() - began
    assert ours[: len(PARTS)] == [ambiguous_contexts(again, part) for part in PARTS]
    assert spent < 1.0


def test_diagonals_are_the_pairs():
    """Diagonals hold every pair once, and few of them many words."""
    category = RACE.categories["weapons"]
    assert sorted(diagonals(category)) == sorted(pairs(category))
    assert len(set(sum(diagonals(category)[:5], ()))) == 10


SLOTS = st.sampled_from(["{a}", "{b}", "{{", "}}"]) | st.text(
    st.characters(exclude_characters="{}"), max_size=5
)


@given(st.lists(SLOTS, max_size=12), st.text(max_size=5), st.text(max_size=5))
def test_filling_knows_where_it_puts_what(pieces, a, b):
    """A filled template is what `str.format` gives, and each span holds its value."""
    template = "".join(pieces)
    filled = fill(template, {"a": a, "b": b})
    assert filled.text == template.format(a=a, b=b)
    for name, value in (("a", a), ("b", b)):
        spans = filled.spans.get(name, ())
        assert len(spans) == pieces.count(f"{{{name}}}")
        assert all(filled.text[start:end] == value for start, end in spans)
    twice = filled + filled
    assert twice.text == filled.text * 2
    for name, value in (("a", a), ("b", b)):
        assert [twice.text[s:e] for s, e in twice.spans.get(name, ())] == [value] * (
            2 * pieces.count(f"{{{name}}}")
        )
