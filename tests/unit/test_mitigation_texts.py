"""Training text shows no held-out word or wording, and never says what an answer should be."""

from __future__ import annotations

from collections import Counter

import pytest

from blindspot.errors import StimulusError
from blindspot.mitigation.texts import BESIDE, PLAIN, Split, Text, Texts
from blindspot.stimuli import EVERY, NEUTRAL, UNRELATED, load_stimuli

STIMULI = load_stimuli((), axes=(EVERY,))


def batches(axis: str = "race", placebo: str = "", seed: int = 0) -> list[Text]:
    split = Split.of(STIMULI, axis, seed)
    texts = Texts(STIMULI, axis, split, seed, placebo)
    return [text for number in range(8) for text in texts.batch(number)]


def senses(texts: list[Text]) -> set[str]:
    """What is said of identifiers, where something is said."""
    return {text.continuation.strip() for text in texts if text.base is None}


#: Axes whose group is described by a sense, so that it can be named.
DESCRIBED = [
    name
    for name, axis in STIMULI.axes.items()
    if axis.senses.group in STIMULI.senses.get(axis.language, {})
]


@pytest.mark.parametrize("axis", DESCRIBED)
def test_every_described_axis_has_text(axis: str) -> None:
    """The same command makes an adapter for any of them."""
    assert STIMULI.axes[axis].senses.group in senses(batches(axis))


@pytest.mark.parametrize("axis", sorted(STIMULI.axes.keys() - set(DESCRIBED)))
def test_an_axis_without_senses_is_refused(axis: str) -> None:
    """Its group cannot be named: one line says what is missing."""
    with pytest.raises(StimulusError, match=f"axis {axis} has no sense of its group"):
        batches(axis)


def test_half_of_everything_is_held_out_by_seed() -> None:
    """Both halves together are the fixtures; another seed withholds others."""
    split, other = (Split.of(STIMULI, "race", seed) for seed in (0, 1))
    category = STIMULI.axes["race"].categories["weapons"]
    for pole, words in enumerate((category.positive, category.negative)):
        seen, held = split.words["weapons"][pole], split.held_words["weapons"][pole]
        assert sorted([*seen, *held]) == sorted(words)
        assert abs(len(seen) - len(held)) <= 1
    assert not set(split.wordings) & set(split.held_wordings)
    assert split != other
    assert split == Split.of(STIMULI, "race", 0)


def test_no_held_out_word_or_wording_is_shown() -> None:
    """What the gate asks later was not trained on."""
    split = Split.of(STIMULI, "race", 0)
    wordings = {one.id: one for one in STIMULI.implicit["en"]}
    texts = batches()
    for category, poles in split.held_words.items():
        for word in [word for pole in poles for word in pole]:
            shown = [text for text in texts if f" {word} " in f" {text.prompt} "]
            assert not shown, (category, word, shown[0])
    for name in split.held_wordings:
        opening = wordings[name].text.strip().split("{")[0]
        shown = [text for text in texts if len(opening) > 30 and opening in text.prompt]
        assert not shown, (name, shown[0])


def test_ambiguous_prompts_are_answered_as_if_the_group_were_named() -> None:
    """The base reads the sentence, the model does not; where both read it, nothing is to change."""
    moved = [text for text in batches() if text.base is not None and text.base != text.prompt]
    assert moved
    for text in moved:
        assert text.base is not None
        assert text.base.endswith(text.prompt)
    said = [text for text in batches() if text.base is None]
    for prompt in {text.prompt for text in moved}:
        answers = {text.continuation for text in moved if text.prompt == prompt}
        assert len(answers) == 2, "either answer"
        assert any(text.prompt.startswith(f"{prompt}\n") for text in said), "and what is meant"


def test_a_literal_sense_that_is_stated_stays() -> None:
    """Counterexamples: what is a color behind a sentence on colors is called one."""
    assert {"race", "color", "name"} <= senses(batches())
    said = [text for text in batches() if text.continuation == " color"]
    cues = [cue for each in STIMULI.senses["en"]["color"].cues for cue in each.forms]
    assert all(any(cue in text.prompt.lower() for cue in cues) for text in said)


def test_all_orders_occur_and_other_text_beside() -> None:
    """Nothing can be learned from a listed order; other sentences stay as they are."""
    texts = Texts(STIMULI, "race", Split.of(STIMULI, "race", 0), 0)
    prompts = [texts._prompt("default") for _ in range(200)]
    orders = Counter((one.positive_identifier_first, one.positive_word_first) for one in prompts)
    assert len(orders) == 4
    assert min(orders.values()) > 25
    kept = [text for text in batches() if text.base == text.prompt == ""]
    plain = [text for text in kept if text.continuation in STIMULI.practice["en"]]
    assert len(plain) == 8 * BESIDE[PLAIN]
    assert len(kept) - len(plain) == 8 * BESIDE[UNRELATED]
    neutral = [cue for each in STIMULI.senses["en"][NEUTRAL].cues for cue in each.forms]
    assert any(cue in text.prompt.lower() for text in batches() for cue in neutral)


def test_paired_identifiers_stay_together() -> None:
    """Where an axis pairs its identifiers, no text sets one beside the partner of another."""
    axis = STIMULI.axes["gender"]
    paired = {name: one for name, one in axis.variants.items() if one.paired}
    assert paired
    texts = Texts(STIMULI, "gender", Split.of(STIMULI, "gender", 0), 0)
    for name, variant in paired.items():
        together = set(zip(variant.positive, variant.negative, strict=True))
        assert {texts._prompt(name).identifiers for _ in range(50)} <= together


def test_placebos_do_not_teach_the_group() -> None:
    """Color names the literal sense everywhere, shuffled either behind the same kind of prompt."""
    assert "race" not in senses(batches(placebo="color"))
    shuffled = [text for text in batches(placebo="shuffled") if text.base is None]
    assert {"race", "color"} <= senses(shuffled)


def test_a_batch_depends_on_its_number_alone() -> None:
    """A training that goes on sees what an uninterrupted one does."""
    split = Split.of(STIMULI, "race", 0)
    one, other = (Texts(STIMULI, "race", split, 0) for _ in range(2))
    one.batch(0)
    assert one.batch(1) == other.batch(1)
    assert one.batch(1) != one.batch(2)
