"""Controls: random networks are never read but by the error that is allowed, sound ones are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest

from blindspot.measurements.controls import ERROR, Control, Controls, blindness, labels_of
from blindspot.measurements.mechanistic import scaled
from blindspot.measurements.sample import evenly
from blindspot.measurements.scale import Scale
from blindspot.stimuli import Context, Slice, ambiguous_contexts, cued_contexts, senses_of
from tests.unit.planted_senses import stimuli

QUESTIONS = ("refer", "about", "stand", "choose", "word")
CELLS = tuple((question, order) for question in QUESTIONS for order in ("one", "other"))
MODELS = 200
WIDTH = 8

#: What 99 of 100 simulations of so many models stay below, if each is read with chance `ERROR`.
MOST_READ = ERROR + 2.33 * np.sqrt(ERROR * (1 - ERROR) / MODELS)


def contexts_of(variant: str, count: int = 14) -> list[list[Context]]:
    """Contexts that state the group and the literal sense of a variant."""
    senses = senses_of(stimuli(), "race", variant)
    every = (cued_contexts(stimuli(), "race", variant, sense.name) for sense in senses)
    return [evenly(contexts, count) for contexts in every]


def along(rng: np.random.Generator, count: int, layers: int) -> np.ndarray:
    """Features (count, layer, width) that a residual stream carries on from layer to layer."""
    found = rng.standard_normal((count, layers, WIDTH))
    for layer in range(1, layers):
        found[:, layer] = 0.9 * found[:, layer - 1] + np.sqrt(1 - 0.81) * found[:, layer]
    return found


def random_network(
    seed: int, sides: Sequence[Sequence[Context]], layers: int, *, cues: float, planted: float = 0.0
) -> Controls:
    """Random readouts of vectors that depend on cue, template, words and text at random.

    ``cues``: standard deviation (nats) of what a cue does; ``planted``: nats that the literal sense
    is above the group's by.
    """
    rng = np.random.default_rng(seed)
    shared, own = along(rng, 1, layers), along(rng, len(QUESTIONS), layers)
    readouts = np.repeat((shared + own) / np.sqrt(2 * WIDTH), 2, axis=0)
    rows = [(one, word) for side in sides for one in side for word in one.words]
    vectors = np.zeros((len(rows), layers, WIDTH))
    for scale, traits in (
        (cues, [one.cue for one, _ in rows]),
        (1.0, [one.frame for one, _ in rows]),
        (1.0, [word for _, word in rows]),
        (0.5, [f"{one.text} {word}" for one, word in rows]),
    ):
        known, codes = np.unique(traits, return_inverse=True)
        vectors += scale * along(rng, len(known), layers)[codes]
    odds = np.einsum("vlw,clw->vcl", vectors, readouts)
    group = 2 * len(sides[0])
    odds[:group] -= planted / 2
    odds[group:] += planted / 2
    controls = [Control.of(odds[:group], sides[0]), Control.of(odds[group:], sides[1])]
    return Controls(controls[0], controls[1], CELLS, 1.0, 0.125)


@pytest.mark.parametrize(
    "variant",
    ["default", pytest.param("names", marks=pytest.mark.slow)],
    ids=["seven-cues-each", "seven-and-three-cues"],
)
def test_random_networks_are_read_no_more_often_than_allowed(variant: str) -> None:
    """Random readouts of cue words part the senses in any of 32 layers in 5 % of networks at most.

    With vectors in the place of cues as what is independent, most of them would be; by a bound on
    each layer alone, a fifth.
    """
    sides, read, fooled = contexts_of(variant), 0, 0
    for seed in range(MODELS):
        found = random_network(seed, sides, 32, cues=30.0)
        read += bool(found.readable)
        ours, theirs = (side.values.mean(axis=1) for side in (found.group, found.literal))
        error = np.sqrt(ours.var(axis=0) / len(ours) + theirs.var(axis=0) / len(theirs))
        fooled += bool((np.abs(theirs.mean(0) - ours.mean(0)) - 2.0 * error > 1.0).any())
    assert read / MODELS <= MOST_READ
    assert fooled / MODELS > 0.5


def test_random_texts_are_read_no_more_often_than_allowed() -> None:
    """A network that writes a sense at random for each cue and layer is hardly ever readable."""
    sides, read = contexts_of("default"), 0
    for seed in range(MODELS):
        rng = np.random.default_rng(seed)
        controls = []
        for contexts in sides:
            said = {one.cue: rng.integers(-1, 2, (4, 6)) for one in contexts}
            values = np.array([said[one.cue] for one in contexts for _ in one.words], np.float64)
            controls.append(Control.of(values, contexts))
        cells = tuple((question, "") for question in QUESTIONS[:4])
        read += bool(Controls(controls[0], controls[1], cells, 0.5, 2.0).readable)
    assert read / MODELS <= MOST_READ


@pytest.mark.parametrize("layers", [6, 32, 80])
@pytest.mark.parametrize(
    ("variant", "nats"),
    [("default", 5.0), ("names", 6.0), ("dialect", 6.0)],
    ids=["seven-cues-each", "names", "slang"],
)
def test_senses_that_are_told_apart_are_read(variant: str, nats: float, layers: int) -> None:
    """Senses that lie five or six times as far apart as cues of one do are read in most layers.

    Also with three cues of one sense, and in models of many layers.
    """
    sides = contexts_of(variant)
    shares = [
        len(random_network(seed, sides, layers, cues=1.0, planted=nats).readable) / layers
        for seed in range(4)
    ]
    assert np.mean(shares) > 0.9


def test_a_separation_that_is_too_small_is_none() -> None:
    """Senses surely half a nat apart are not read: the minimum is what has to be surely passed."""
    found = random_network(1, contexts_of("default"), 6, cues=0.01, planted=0.5)
    assert all(estimate.value > 0.2 for estimate in found.separations)
    assert not found.readable
    assert found.best(range(6)) is not None
    assert "needs 1.00" in found.doubt(0)


def test_one_question_that_answers_is_not_enough() -> None:
    """Five nats on average that come of one question of five are not sure of other questions."""
    found = random_network(1, contexts_of("default"), 6, cues=0.01)
    before = found.literal.values
    asked = np.isin(found.questions, QUESTIONS[:1])[:, None]
    one, every = (
        replace(found, literal=replace(found.literal, values=before + nats))
        for nats in (25.0 * asked, 5.0)
    )
    assert (one.chances < 0.001).all()
    assert all(estimate.value > 4.0 for estimate in one.separations)
    assert not one.readable
    assert every.readable == tuple(range(6))


def test_clusters_are_those_of_each_reading() -> None:
    """Vectors come one after the other, each with all questions: two to a context."""
    part = Slice("patching", "race", "default", "weapons")
    ambiguous = ambiguous_contexts(stimuli(), part, orders=False)
    stated = contexts_of("default")[0]
    for contexts in (ambiguous, stated):
        clusters = labels_of(contexts, ["first", "second", "third"])
        assert len(clusters) == len(contexts) * 2 * 3
        shown = {
            name: [clusters.levels[name][code] for code in codes]
            for name, codes in clusters.codes.items()
        }
        assert shown["question"] == ["first", "second", "third"] * (2 * len(contexts))
        own = "positive word" if contexts is ambiguous else "cue"
        for place, context in enumerate(contexts):
            expected = context.pair[0] if context.pair else context.cue
            assert shown[own][place * 6 : place * 6 + 6] == [expected] * 6


def test_the_wrong_way_round_is_not_read() -> None:
    """Literal contexts that answer for the group make no scale, however surely they do."""
    found = random_network(1, contexts_of("default"), 6, cues=0.1, planted=-8.0)
    assert not found.readable


@pytest.mark.parametrize("cues", [(1, 7), (7, 1), (2, 2), (2, 4)])
def test_too_few_cues_are_a_fault(cues: tuple[int, int]) -> None:
    """Where no reading could rule out chance, nothing is read and the reason is told."""
    sides = contexts_of("default", 56)
    few = []
    for side, count in zip(sides, cues, strict=True):
        kept = list(dict.fromkeys(one.cue for one in side))[:count]
        few.append([one for one in side if one.cue in kept])
    found = random_network(1, few, 6, cues=0.01, planted=20.0)
    assert not found.readable
    assert (
        found.fault
        == f"{cues[0]} and {cues[1]} cue words are too few to separate senses from words"
    )
    assert not random_network(1, sides, 6, cues=0.01, planted=20.0).fault


def planted(rng: np.random.Generator, contexts: Sequence[Context], sense: float) -> np.ndarray:
    """Readings (vector, cell, layer) of ambiguous contexts: wordings, words and questions vary."""
    names = {name for one in contexts for name in (one.frame, *(one.pair or ()))}
    drawn = {name: rng.normal(0.0, 0.5) for name in sorted(names)}
    asked = np.repeat(rng.normal(0.0, 0.4, len(QUESTIONS)), 2)[:, None]
    rows = [
        4.0 * sense + drawn[one.frame] + sum(drawn[word] for word in one.pair or ())
        for one in contexts
        for _ in one.words
    ]
    noise = rng.normal(0.0, 0.5, (len(rows), len(CELLS), 2))
    return np.array(rows)[:, None, None] + asked + noise


def test_intervals_hold_the_truth() -> None:
    """Over cues, wordings, words and questions drawn anew, 95 % intervals hold what was planted."""
    part = Slice("patching", "race", "default", "weapons")
    contexts = ambiguous_contexts(stimuli(), part, orders=False)
    sides, held = contexts_of("default"), 0
    for seed in range(MODELS):
        rng = np.random.default_rng(seed)
        ends = []
        for sign, side in zip((-1.0, 1.0), sides, strict=True):
            cues = {cue: rng.normal(0.0, 1.0) for cue in dict.fromkeys(one.cue for one in side)}
            rows = np.array([4.0 * sign + cues[one.cue] for one in side for _ in one.words])
            noise = rng.normal(0.0, 0.5, (len(rows), len(CELLS), 2))
            ends.append(Control.of(rows[:, None, None] + noise, side))
        controls = Controls(ends[0], ends[1], CELLS, 1.0, 0.125)
        means = (end.values.mean(axis=0) for end in ends)
        scale = Scale.between(*means, least=0.5, curved=False)
        readings = planted(rng, contexts, 0.5)
        found = blindness(contexts, readings, scale, controls, (0, 1), step=0.0625)
        low, high = found.estimate().interval()
        held += low < 0.5 < high
    assert 0.9 <= held / MODELS <= 0.995


def test_progress_of_layers_adds_up_to_that_of_vectors() -> None:
    """However finely a stream tells of layers, vectors and questions are told once, when done."""
    for steps in ([1] * 12, [5, 7], [12]):
        told: list[int] = []
        tell = scaled(told.append, 3, 12)
        assert tell is not None
        for step in steps:
            tell(step)
        assert sum(told) == 3
    assert scaled(None, 3, 12) is None
