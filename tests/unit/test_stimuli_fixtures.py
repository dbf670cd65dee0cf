"""The shipped axes and wordings, and the prompts made of them."""

import json
import re
from collections import Counter
from fractions import Fraction
from itertools import islice, product

import pytest

from blindspot.answers import Association, read_association
from blindspot.answers.interpretation import stems_in
from blindspot.gates.limits import load_gates
from blindspot.measurements.registry import render, slices, word_slices
from blindspot.paths import FIXTURES, ORGANISMS, organism_names
from blindspot.stimuli import (
    EXPLICIT,
    IMPLICIT,
    Selection,
    load_stimuli,
    pairs,
    read_axis,
    read_contexts,
    read_questions,
    read_sense,
    read_texts,
    read_wordings,
    undescribed,
)
from blindspot.stimuli.schema import Category

STIMULI = load_stimuli()
RACE = STIMULI.axes["race"]
SENSES = STIMULI.senses["en"]
ROOMS = {
    "wordings": read_wordings,
    "senses": read_sense,
    "contexts": read_contexts,
    "questions": read_questions,
    "texts": read_texts,
}


@pytest.mark.parametrize("path", sorted(FIXTURES.glob("axes/*.toml")), ids=lambda path: path.stem)
def test_axis_file_says_where_it_comes_from(path):
    """Every axis file names its source, what is published, licence and language in its header."""
    header, _, _ = path.read_text("utf-8").partition("\nname = ")
    assert all(word in header for word in ("Source:", "Published:", "Licence:", "Language:"))
    axis = read_axis(path)
    assert axis.name == path.stem
    controls = [variant.control for variant in axis.variants.values()]
    assert controls.count(False) >= 2
    assert any(controls) or axis.homonyms


@pytest.mark.parametrize(
    "path",
    sorted(path for room in ROOMS for path in FIXTURES.glob(f"{room}/**/*.toml")),
    ids=lambda path: "-".join(path.relative_to(FIXTURES).with_suffix("").parts),
)
def test_stimulus_file_says_where_it_comes_from(path):
    """Every file of a room names its source, licence and language, and is read by itself."""
    header = path.read_text("utf-8").split("\n\n")[0]
    assert all(word in header for word in ("Source:", "Licence:", "Language:"))
    room, *language = path.relative_to(FIXTURES).parent.parts
    content = ROOMS[room](path)
    assert [content.language] == (language or ["en"])
    assert room != "senses" or content.name.lower() == path.stem


def test_only_senses_that_are_used_are_read():
    """Those of the axes that are asked, and the neutral one."""
    used = {sense for variant in RACE.variants for sense in RACE.sense_names(variant)}
    assert set(SENSES) == used | {"neutral"}


def test_every_axis_fits_what_belongs_to_it():
    """All shipped axes load together; each ambiguous variant is described; all ids differ."""
    every = load_stimuli(axes=["all"])
    assert undescribed(every) == []
    used = {
        (axis.language, sense)
        for axis in every.axes.values()
        for variant in axis.variants
        for sense in axis.sense_names(variant)
    }
    shipped = {
        (content.language, content.name)
        for content in map(read_sense, FIXTURES.glob("senses/**/*.toml"))
        if content.name != "neutral"
    }
    assert used == shipped
    load_gates(FIXTURES / "gates.toml").check_names(every.axes)
    ids = [part.id for part in slices(every, IMPLICIT)]
    assert len(ids) == len(set(ids))
    for part in slices(every, IMPLICIT):
        axis = every.axes[part.axis]
        for prompt in islice(render(every, part, Selection(limit=2)), 16):
            read = [
                read_association(
                    candidate,
                    identifiers=prompt.identifiers,
                    words=prompt.words,
                    language=prompt.language,
                )
                for candidate in prompt.candidates
            ]
            assert read == [Association.STEREOTYPED, Association.COUNTER], axis.name


def test_enough_questions_for_the_statistics():
    """At least 5 closed and 4 open wordings, and 4 templates, are the clusters of the assays."""
    kinds = Counter(question.kind for question in STIMULI.questions["en"])
    assert kinds["closed"] >= 5
    assert kinds["open"] >= 4
    assert len(STIMULI.templates["en"]) >= 4
    assert len(STIMULI.unrelated["en"]) >= 3


def test_no_stem_is_an_identifier():
    """No identifier of the axis, whatever its variant, is read as any sense."""
    for variant in RACE.variants.values():
        for identifier in variant.positive + variant.negative:
            for sense in SENSES.values():
                assert stems_in(identifier, sense.stems) == []


def test_embedded_models_know_the_cues_and_questions():
    """Cues and questions are those that the embedded models were trained on."""
    from tools.organisms.corpus import CLOSED_QUESTIONS, OPEN_QUESTIONS
    from tools.organisms.lexicon import CUES, MISCELLANY

    senses = load_stimuli(axes=["all"]).senses["en"]
    for name, cues in CUES.items():
        ours = [cue.values for cue in senses[name].cues]
        assert [(cue["heading"], cue["cue"], cue["cues"]) for cue in ours] == list(cues)
    slots = {"{first_sense}": "{p}", "{second_sense}": "{q}"}
    asked = {"closed": [], "open": []}
    for question in STIMULI.questions["en"]:
        text = question.text
        for slot, short in slots.items():
            text = text.replace(slot, short)
        asked[question.kind].append(text)
    assert asked == {"closed": list(CLOSED_QUESTIONS), "open": list(OPEN_QUESTIONS)}
    for unrelated in STIMULI.unrelated["en"]:
        assert set(unrelated.words) == set(MISCELLANY[unrelated.singular])


@pytest.mark.parametrize("organism", organism_names())
def test_embedded_vocabulary_holds_cues_and_unrelated_words(organism):
    """Each cue in the plural, and each unrelated word, is one token of the embedded models."""
    vocabulary = json.loads((ORGANISMS / organism / "tokenizer.json").read_text("utf-8"))
    tokens = vocabulary["model"]["vocab"]
    words = [word for unrelated in STIMULI.unrelated["en"] for word in unrelated.words]
    words += [cue.plural for sense in SENSES.values() for cue in sense.cues]
    assert [word for word in words if f"\u0120{word}" not in tokens] == []


def test_race_has_the_words_of_the_protocol():
    """The published words of each category have the sizes of the published lists."""
    sizes = {
        name: (len(category.published.positive), len(category.published.negative))
        for name, category in RACE.categories.items()
    }
    assert sizes == {"weapons": (5, 7), "guilt": (7, 9), "valence": (6, 7)}
    assert list(RACE.variants) == ["default", "uppercase", "names", "dialect", "direct-color"]


def test_published_words_are_optional():
    """A category without a published list has none; every shipped one has it."""
    category = next(iter(RACE.categories.values()))
    assert Category(positive=category.positive, negative=category.negative).published is None
    assert all(category.published for category in RACE.categories.values())


def test_enough_wordings_for_the_statistics():
    """At least 12 association and 8 statement wordings, half of them on each scale."""
    assert len(STIMULI.implicit["en"]) >= 12
    scales = Counter(wording.scale for wording in STIMULI.explicit["en"])
    assert min(scales["likert"], scales["agreement"]) >= 4


def test_wordings_differ_in_more_than_a_word():
    """No two wordings of a measurement share half of their words."""
    for texts in (
        [wording.text for wording in STIMULI.implicit["en"]],
        [wording.statement for wording in STIMULI.explicit["en"]],
    ):
        vocabularies = [
            set(re.findall(r"[a-z]+", re.sub(r"{.*?}", "", text.lower()))) for text in texts
        ]
        for one, other in product(vocabularies, vocabularies):
            if one is not other:
                assert len(one & other) / len(one | other) < 0.5


def test_no_wording_asks_what_is_perceived():
    """What people are perceived as is a question of fact, not a belief (protocol, fault 4)."""
    for wording in STIMULI.explicit["en"]:
        text = f"{wording.text} {wording.statement}"
        assert "perceive" not in text
        assert "seen as" not in text


@pytest.mark.parametrize("part", slices(STIMULI, IMPLICIT), ids=lambda part: part.id)
def test_every_association_is_asked_in_all_four_orders(part):
    """Each wording x pair has the same identifiers in every order of identifiers and words."""
    cells: dict[tuple[object, ...], set[tuple[bool, bool]]] = {}
    for prompt in render(STIMULI, part):
        key = (prompt.wording, prompt.words, prompt.identifiers)
        cells.setdefault(key, set()).add(
            (prompt.positive_identifier_first, prompt.positive_word_first)
        )
    category = RACE.categories[part.category]
    (block,) = STIMULI.blocks[IMPLICIT, "en"]
    assert len(cells) == block.per_pair * len(pairs(category))
    assert all(len(orders) == 4 for orders in cells.values())


@pytest.mark.parametrize("part", slices(STIMULI, IMPLICIT), ids=lambda part: part.id)
def test_the_listed_order_is_the_order_in_the_text(part):
    """What a prompt says of its orders is what a reader sees, in the prefix too."""
    for prompt in render(STIMULI, part):
        for both, positive_first in (
            (prompt.identifiers, prompt.positive_identifier_first),
            (prompt.words, prompt.positive_word_first),
        ):
            places = [re.search(rf"\b{term}\b", prompt.text).start() for term in both]
            assert (places[0] < places[1]) == positive_first, prompt.text


@pytest.mark.parametrize("part", slices(STIMULI, IMPLICIT), ids=lambda part: part.id)
def test_candidates_read_as_what_they_stand_for(part):
    """The two complete answers of forced choice are read as stereotyped and as counter."""
    for prompt in render(STIMULI, part, Selection(limit=3, fraction=None)):
        read = [
            read_association(candidate, identifiers=prompt.identifiers, words=prompt.words)
            for candidate in prompt.candidates
        ]
        assert read == [Association.STEREOTYPED, Association.COUNTER], prompt.candidates


@pytest.mark.parametrize("part", slices(STIMULI, EXPLICIT), ids=lambda part: part.id)
def test_every_statement_has_its_reverse_in_both_orders(part):
    """Each wording x pair asks statement and reverse with either identifier first; all differ."""
    cells: dict[tuple[object, ...], set[tuple[bool, bool]]] = {}
    texts = set()
    for prompt in render(STIMULI, part):
        key = (prompt.wording, prompt.words, prompt.identifiers)
        cells.setdefault(key, set()).add((prompt.positive_identifier_first, prompt.stereotype))
        texts.add(prompt.text)
    category = RACE.categories[part.category]
    (block,) = STIMULI.blocks[EXPLICIT, "en"]
    assert len(cells) == block.per_pair * len(pairs(category))
    assert all(len(orders) == 4 for orders in cells.values())
    assert len(texts) == 4 * len(cells)


@pytest.mark.parametrize("measurement", [IMPLICIT, EXPLICIT])
@pytest.mark.parametrize("variant", ["names", "dialect"])
def test_identifiers_rotate_evenly(measurement, variant):
    """In a word two identifiers differ by at most 1 pair, in a wording by 2, in all by 1.

    The two lists are not always combined in the same way, unless they have few identifiers.
    """
    own = RACE.variants[variant]
    for part in slices(STIMULI, measurement):
        if part.variant != variant:
            continue
        used = Counter()
        prompts = list(render(STIMULI, part))
        for prompt in prompts[::4]:  # in all four orders
            for one, what in product(prompt.identifiers, (*prompt.words, prompt.wording, "all")):
                used[what, one] += 1
        words = {word for prompt in prompts for word in prompt.words}
        for what, allowed in {
            **dict.fromkeys(words, 1),
            **dict.fromkeys({prompt.wording for prompt in prompts}, 2),
            "all": 1,
        }.items():
            for side in (own.positive, own.negative):
                counts = [used[what, one] for one in side]
                assert max(counts) - min(counts) <= allowed, (part.id, what, counts)
        together = {prompt.identifiers for prompt in prompts}
        assert len(together) >= (90 if len(own.positive) == 10 else len(own.positive))


def test_a_pair_keeps_its_identifiers():
    """Whatever the fraction; all wordings use every name about equally often."""
    part = next(p for p in slices(STIMULI, IMPLICIT) if p.variant == "names")

    def met(fraction):
        prompts = render(STIMULI, part, Selection(fraction=fraction))
        return {(p.wording, p.words): p.identifiers for p in prompts}

    every, default, few = met(None), met(Fraction(1)), met(Fraction(1, 4))
    assert few.items() < default.items() < every.items()
    used = Counter(name for both in every.values() for name in both)
    assert len(used) == 20
    assert max(used.values()) <= 1.2 * min(used.values())


def test_limited_pairs_use_many_words():
    """A limit keeps the order of the full table and spreads over the words."""
    category = RACE.categories["guilt"]
    few = pairs(category, Selection(limit=7))
    assert few == [pair for pair in pairs(category) if pair in few]
    assert len({positive for positive, _ in few}) == 7
    assert len({negative for _, negative in few}) == 7
    assert pairs(category, Selection(limit=1000)) == pairs(category)


def test_ids_are_unique_words():
    """Every slice has an id of its own, without spaces."""
    for measurement in (IMPLICIT, EXPLICIT):
        ids = [part.id for part in slices(STIMULI, measurement) + word_slices(STIMULI, measurement)]
        assert len(ids) == len(set(ids))
        assert not any(character.isspace() for name in ids for character in name)
