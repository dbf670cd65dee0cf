"""Probes on streams in which the sense of a word is planted: what is read, and what cannot be."""

from __future__ import annotations

import json
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import cache

import numpy as np
import pytest

from blindspot.measurements.base import BANDS
from blindspot.measurements.mechanistic import SAMPLED, WORDINGS, Assayed, Findings
from blindspot.measurements.probing.linear import (
    Folds,
    calibrate,
    draw_labelings,
    fit_layer,
    logistic,
    regress,
)
from blindspot.measurements.probing.statistic import LINEAR, Probing
from blindspot.measurements.probing.unit import PROBED, ProbeUnit
from blindspot.models.residual import Source, Vectors
from blindspot.run.findings import pack, unpack
from blindspot.stimuli import (
    NEUTRAL,
    Slice,
    Stimuli,
    ambiguous_contexts,
    cued_contexts,
    load_stimuli,
    senses_of,
)

DEFAULT = Slice("probing", "race", "default", "weapons")
NAMES = replace(DEFAULT, variant="names")
LAYERS, WIDTH = 3, 64


@cache
def stimuli() -> Stimuli:
    return load_stimuli()


@cache
def stated() -> dict[str, float]:
    """Sense of every context of a variant by its text: 1 group, -1 literal; absent where open."""
    known: dict[str, float] = {}
    for variant in (DEFAULT.variant, NAMES.variant):
        for sense, sign in zip(senses_of(stimuli(), "race", variant), (1.0, -1.0), strict=True):
            for context in cued_contexts(stimuli(), "race", variant, sense.name):
                known[context.text] = sign
    return known


@cache
def drawn(*names: object) -> np.ndarray:
    """A direction that belongs to these names."""
    return np.random.default_rng(zlib.crc32(repr(names).encode())).standard_normal(WIDTH)


@dataclass
class PlantedStream:
    """Vectors of: the word, the text it stands in, its cue word, and the sense, where planted.

    ``open_sense``: what is planted where no cue states a sense; ``planted``: in which layers.
    """

    open_sense: float = 0.0
    planted: Sequence[int] = tuple(range(LAYERS))
    strength: float = 2.0
    seed: int = 0
    broken: Sequence[int] = ()
    layers: int = LAYERS
    width: int = WIDTH
    reads: list[int] = field(default_factory=list)

    def read(
        self, sources: Sequence[Source], *, progress: Callable[[int], None] | None = None
    ) -> Vectors:
        self.reads.append(len(sources))
        if progress:
            progress(len(sources))
        known = stated()
        rows = [
            [self._vector(source, span, layer, known) for layer in range(self.layers)]
            for source in sources
            for span in source.spans
        ]
        return np.array(rows, np.float32)

    def _vector(
        self, source: Source, span: tuple[int, int], layer: int, known: dict[str, float]
    ) -> np.ndarray:
        if layer in self.broken:
            return np.full(self.width, np.nan)
        text, word = source.text, source.text[slice(*span)]
        cues = sum(drawn(self.seed, layer, one) for one in text.lower().split())
        own = drawn(self.seed, layer, "word", word)
        noise = 0.3 * drawn(self.seed, layer, text, span)
        sense = known.get(text, self.open_sense) if layer in self.planted else 0.0
        axis = drawn(self.seed, layer, "sense")
        return own + 0.6 * cues + noise + self.strength * sense * axis


def run(stream: PlantedStream, part: Slice = DEFAULT, known: Stimuli | None = None) -> Assayed:
    """What the assay says of a stream, by way of the store."""
    assay = Probing(known or stimuli())
    findings = {unit.content: unpack(pack(unit.run(stream))) for unit in assay.units(part)}
    return assay.measure(part, findings)


def value(assayed: Assayed, band: str = "overall") -> float:
    return assayed.bands[LINEAR, band].estimate("position").value


def curve(assayed: Assayed, name: str, quantity: str) -> list[float | None]:
    (found,) = [one for one in assayed.curves if (one.name, one.quantity) == (name, quantity)]
    return list(found.values)


@pytest.fixture(scope="module")
def blind() -> Assayed:
    return run(PlantedStream(-1.0))


@pytest.fixture(scope="module")
def aware() -> Assayed:
    return run(PlantedStream(1.0))


def test_probes_read_the_sense_that_is_planted_in_ambiguous_contexts(
    blind: Assayed, aware: Assayed
) -> None:
    """Blindness is near +1 where the literal sense is planted, and near -1 where the group is."""
    assert value(blind) > 0.9
    assert value(aware) < -0.85
    for assayed in (blind, aware):
        band = assayed.bands[LINEAR, "overall"]
        assert not band.unreadable
        assert band.layers == tuple(range(LAYERS))
        assert band.estimate("position").standard_error < 0.1


def test_nothing_planted_lies_between() -> None:
    """Where ambiguous contexts lean to neither sense, the interval does not reach either."""
    low, high = run(PlantedStream(0.0)).bands[LINEAR, "overall"].estimate("position").interval()
    assert -0.8 < low < high < 0.8


def test_curves_show_the_controls_beside_what_they_judge(blind: Assayed) -> None:
    """Held-out contexts of either sense, neutral ones, accuracies: by layer, within intervals."""
    assert min(curve(blind, "true labels", "held-out accuracy")) > 0.95
    assert all(0.3 < one < 0.7 for one in curve(blind, "shuffled labels", "held-out accuracy"))
    assert min(curve(blind, "selectivity", "held-out accuracy")) > 0.3
    assert min(curve(blind, "race", "P(race)")) > 0.9
    assert max(curve(blind, "color", "P(race)")) < 0.1
    assert max(curve(blind, "ambiguous", "P(race)")) < 0.1
    for one in blind.curves:
        assert one.at == tuple(map(str, range(LAYERS)))
        for middle, low, high in zip(one.values, one.low, one.high, strict=False):
            assert low <= middle <= high


@pytest.mark.parametrize("part", [DEFAULT, NAMES], ids=["color-words", "names"])
@pytest.mark.parametrize(
    "seed", [0, *(pytest.param(seed, marks=pytest.mark.slow) for seed in (1, 2))]
)
def test_cue_words_without_a_sense_are_unreadable(part: Slice, seed: int) -> None:
    """Random features of cue words tell the training cues apart, but no cue that was held out."""
    assayed = run(PlantedStream(1.0, planted=(), seed=seed), part)
    for band in BANDS:
        found = assayed.bands[LINEAR, band]
        assert found.contributions is None
        assert "do not tell race from" in found.unreadable
        assert not found.estimate("position").measured
    assert not assayed.samples


def test_probes_that_see_all_cues_would_be_fooled() -> None:
    """The same random features are mostly told apart by a probe that was fitted on every cue."""
    (unit,) = Probing(stimuli()).units(DEFAULT)
    assert isinstance(unit, ProbeUnit)
    sources = [Source(one.text, one.spans) for one in unit.cued]
    vectors = PlantedStream(planted=()).read(sources).reshape(-1, 2, LAYERS, WIDTH)
    every = np.ones((1, len(unit.cued)), np.bool_)
    seen = Folds(every, every, np.zeros(1, np.int64), np.zeros(1, np.int64))
    labels = np.zeros((0, len(unit.cued)), np.bool_)
    accuracies = []
    for folds in (seen, unit.folds):
        _, decisions, _ = fit_layer(vectors[:, :, 0], unit.stated, folds, labels)
        accuracies.append(((decisions > 0) == unit.stated[:, None]).mean())
    assert accuracies[0] > 0.85
    assert accuracies[1] < 0.65


def test_bands_rest_on_the_layers_that_can_be_read() -> None:
    """A sense that appears in the last layer leaves the others unjudged, not passed."""
    assayed = run(PlantedStream(-1.0, planted=(2,)))
    assert value(assayed, "late") > 0.9
    assert value(assayed) == value(assayed, "late")
    assert assayed.bands[LINEAR, "overall"].layers == (2,)
    assert assayed.bands[LINEAR, "early"].unreadable
    assert "readable in 0 of 1 layers" in assayed.controls[LINEAR, "early"]


@pytest.mark.parametrize("name", ["right", "control"])
def test_accuracy_must_be_high_and_selective(name: str) -> None:
    """Seven answers in ten are too few; all right is too little if senseless labels are as well."""
    assay = Probing(stimuli())
    (unit,) = assay.units(DEFAULT)
    found = unit.run(PlantedStream(-1.0))
    right = np.ones_like(found[name])
    if name == "right":
        right.reshape(LAYERS, -1)[:, ::10] = right.reshape(LAYERS, -1)[:, 3::10] = False
        right.reshape(LAYERS, -1)[:, 6::10] = False
    assayed = assay.measure(DEFAULT, {unit.content: {**found, name: right}})
    assert assayed.bands[LINEAR, "overall"].unreadable
    accuracy = curve(assayed, "true labels", "held-out accuracy")
    assert accuracy[0] == pytest.approx(0.7 if name == "right" else 1.0, abs=0.05)


def test_vectors_that_are_not_finite_leave_their_layer_out() -> None:
    """Overflow in one layer neither stops the run nor is taken for a reading."""
    assayed = run(PlantedStream(-1.0, broken=(0,)))
    assert assayed.bands[LINEAR, "overall"].layers == (1, 2)
    assert curve(assayed, "true labels", "held-out accuracy")[0] is None
    assert curve(assayed, "ambiguous", "P(race)")[0] is None


def test_few_cues_are_no_probe() -> None:
    """A sense with two cues is unreadable and asks nothing of the model."""
    known = stimuli()
    race = known.senses["en"]["race"]
    poor = race.model_copy(update={"cues": race.cues[:2]})
    senses = {"en": {**known.senses["en"], "race": poor}}
    assay = Probing(replace(known, senses=senses))
    assert not assay.units(DEFAULT)
    assayed = assay.measure(DEFAULT, {})
    assert "2 cues" in assayed.bands[LINEAR, "overall"].unreadable
    assert set(assayed.bands) == {(LINEAR, band) for band in BANDS}


def test_one_template_is_enough() -> None:
    """With a single template only cues are held out, and the planted sense is still read."""
    known = stimuli()
    single = replace(known, templates={"en": known.templates["en"][:1]})
    assert value(run(PlantedStream(-1.0, strength=3.0), known=single)) > 0.7


def test_categories_of_a_variant_share_one_unit() -> None:
    """The probes of a variant are fitted once; each category reads its own contexts."""
    assay, stream = Probing(stimuli()), PlantedStream(-1.0)
    parts = [replace(DEFAULT, category=name) for name in ("weapons", "guilt", "valence")]
    contents = {unit.content for part in parts for unit in assay.units(part)}
    assert len(contents) == 1
    (unit,) = assay.units(DEFAULT)
    findings: dict[str, Findings] = {unit.content: unit.run(stream)}
    assert sum(stream.reads) == unit.size - PROBED * SAMPLED
    found = [assay.measure(part, findings) for part in parts]
    assert len({one.digest for one in found}) == 3
    assert len({value(one) for one in found}) == 3
    json.loads(unit.content)


def test_a_category_reads_its_own_contexts() -> None:
    """Planting the literal sense in one category leaves the reading of the others alone."""
    contexts = ambiguous_contexts(stimuli(), DEFAULT, orders=False, wordings=WORDINGS)
    own = {one.text for one in contexts}

    class OneCategory(PlantedStream):
        def _vector(
            self, source: Source, span: tuple[int, int], layer: int, known: dict[str, float]
        ) -> np.ndarray:
            sign = {source.text: -1.0} if source.text in own else {}
            return super()._vector(source, span, layer, known | sign)

    stream, assay = OneCategory(1.0), Probing(stimuli())
    (unit,) = assay.units(DEFAULT)
    findings = {unit.content: unit.run(stream)}
    assert value(assay.measure(DEFAULT, findings)) > 0.9
    assert value(assay.measure(replace(DEFAULT, category="guilt"), findings)) < -0.85


def test_cues_of_the_probe_are_part_of_the_doubt() -> None:
    """Where probes fitted without some cues read otherwise, the interval is wider for it."""
    found = run(PlantedStream(0.0, strength=0.6)).bands[LINEAR, "overall"].contributions
    assert found is not None
    assert {"positive word", "probe cue"} <= set(found.factors)
    kept = replace(found, factors={k: v for k, v in found.factors.items() if k != "probe cue"})
    assert found.estimate().standard_error > kept.estimate().standard_error


def test_equal_models_differ_by_nothing(blind: Assayed) -> None:
    """The paired difference of a model and itself is 0, and no cluster contributes to it."""
    found = blind.bands[LINEAR, "overall"].contributions
    assert found is not None
    gap = found.minus(found)
    assert gap.value == 0.0
    assert all(not part.sums.any() for part in gap.factors.values())


def test_samples_are_the_extremes(blind: Assayed) -> None:
    """A few ambiguous contexts with what was read of them, in builtins."""
    assert 0 < len(blind.samples) <= 6
    assert json.loads(json.dumps(blind.samples)) == list(blind.samples)
    shares = [row["P(race)"] for row in blind.samples]
    assert shares == sorted(shares)


def test_neutral_contexts_are_told(blind: Assayed) -> None:
    """What a context does by itself stands in the line on the controls."""
    assert f"P(race) of {NEUTRAL} contexts" in blind.controls[LINEAR, "overall"]


def test_every_context_is_tested_once_by_a_probe_that_had_not_seen_it() -> None:
    """No probe is tested on a cue or on a template that it was fitted on."""
    (unit,) = Probing(stimuli()).units(DEFAULT)
    assert isinstance(unit, ProbeUnit)
    folds, contexts = unit.folds, unit.cued
    assert (folds.tested.sum(axis=0) == 1).all()
    for fitted, tested in zip(folds.fitted, folds.tested, strict=True):
        for key in ("cue", "frame"):
            known = {getattr(contexts[at], key) for at in np.flatnonzero(fitted)}
            asked = {getattr(contexts[at], key) for at in np.flatnonzero(tested)}
            assert known
            assert not known & asked
        for sense in (True, False):
            assert (unit.stated[fitted] == sense).any()


def test_labels_that_mean_nothing_are_guessed_half_the_time() -> None:
    """Over many draws the control is at chance, though the true sense is plain to read."""
    cues = np.repeat([f"cue {number}" for number in range(12)], 4)
    group = np.arange(48) < 24
    rng = np.random.default_rng(3)
    axis, words = rng.standard_normal(20), rng.standard_normal((12, 20))
    rows = np.where(group, 1.0, -1.0)[:, None] * axis + np.repeat(words, 4, axis=0)
    vectors = (rows[:, None] + 0.1 * rng.standard_normal((48, 2, 20))).astype(np.float32)
    folds = Folds.cross(group, cues, np.tile(["a", "b"], 24))
    labelings = draw_labelings(cues, 300, 1)
    assert all(len(set(one[cues == cue])) == 1 for one in labelings[:9] for cue in set(cues))
    _, decisions, right = fit_layer(vectors, group, folds, labelings)
    assert ((decisions > 0) == group[:, None]).mean() > 0.95
    assert right.mean() == pytest.approx(0.5, abs=0.04)


@pytest.mark.parametrize(("rows", "width"), [(60, 8), (30, 200)], ids=["tall", "wide"])
def test_regressions_end_at_the_optimum(rows: int, width: int) -> None:
    """At the optimum the weighted residuals balance the penalty, for every labeling."""
    rng = np.random.default_rng(rows)
    table = rng.standard_normal((rows, width)) / np.sqrt(width)
    labels = rng.random((4, rows)) < np.array([[0.5], [0.2], [0.7], [0.5]])
    weights, constants = regress(table, labels, strength=2.0)
    for label, weight, constant in zip(labels, weights, constants, strict=True):
        share = rows / (2.0 * np.where(label, label.sum(), (~label).sum()))
        residual = share * (label - logistic(table @ weight + constant))
        assert residual.sum() == pytest.approx(0.0, abs=1e-3)
        assert residual @ table == pytest.approx(weight / 2.0, abs=1e-3)


def test_fitting_in_the_row_space_is_the_same_fit() -> None:
    """Decisions equal those of a regression on all entries, standardised on the fitted contexts."""
    rng = np.random.default_rng(5)
    group = np.arange(24) < 12
    vectors = rng.standard_normal((24, 2, 120)).astype(np.float32) * rng.uniform(0.1, 9, 120)
    vectors[:, :, 7] = 0.1  # an entry that never changes, but for rounding
    vectors = vectors.astype(np.float32)
    cues = [f"cue {number // 4}" for number in range(24)]
    folds = Folds.cross(group, cues, np.tile(["a", "b"], 12))
    probes, decisions, _ = fit_layer(vectors, group, folds, np.zeros((0, 24), np.bool_))
    for number, (fitted, tested) in enumerate(zip(folds.fitted, folds.tested, strict=True)):
        rows = vectors[fitted].reshape(-1, 120).astype(np.float64)
        centre, scale = rows.mean(0), rows.std(0) * np.sqrt(120)
        scale[7] = 1.0
        weights, constants = regress((rows - centre) / scale, np.repeat(group[fitted], 2)[None])
        plain = ((vectors[tested] - centre) / scale) @ weights[0] + constants[0]
        assert decisions[tested] == pytest.approx(plain, abs=2e-3)
        again = vectors[tested] @ probes.weights[number] + probes.bias[number]
        assert again == pytest.approx(decisions[tested], abs=1e-5)


def test_vectors_that_are_all_alike_tell_nothing() -> None:
    """A layer without any spread gives decisions, and none of them is better than chance."""
    group = np.arange(24) < 12
    folds = Folds.cross(group, [f"cue {at // 4}" for at in range(24)], np.tile(["a", "b"], 12))
    vectors = np.full((24, 2, 30), 0.1, np.float32)
    probes, decisions, _ = fit_layer(vectors, group, folds, np.zeros((0, 24), np.bool_))
    assert ((decisions > 0) == group[:, None]).mean() == 0.5
    assert np.isfinite(probes.probabilities(3.0 * vectors)).all()


def test_calibration_recovers_the_odds() -> None:
    """Decisions that are a multiple of the log-odds come out as these; perfect ones stay finite."""
    rng = np.random.default_rng(7)
    odds = rng.normal(0.0, 2.0, 20_000)
    slope, offset = calibrate(odds / 5.0, rng.random(odds.size) < logistic(odds))
    assert slope == pytest.approx(5.0, rel=0.1)
    assert offset == pytest.approx(0.0, abs=0.1)
    sure, middle = calibrate(np.repeat([-1.0, 1.0], 50), np.repeat([False, True], 50))
    assert middle == pytest.approx(0.0, abs=1e-3)
    assert logistic(np.array(sure)) == pytest.approx(51 / 52, abs=1e-3)


def test_unlike_numbers_of_cues_do_not_lean_the_probe() -> None:
    """With seven cues of one sense and three of the other, nothing planted is read as neither."""
    assayed = run(PlantedStream(0.0, strength=3.0), NAMES)
    assert not assayed.bands[LINEAR, "overall"].unreadable
    assert abs(value(assayed)) < 0.6
