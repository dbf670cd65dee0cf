"""Patching of streams in which the sense is planted: what is read, and what cannot be."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import replace
from itertools import combinations_with_replacement, product

import numpy as np
import pytest

from blindspot.estimates import difference
from blindspot.measurements.base import BANDS, EARLY, LATE, OVERALL
from blindspot.measurements.mechanistic import Assayed, Curve
from blindspot.measurements.patching.statistic import (
    CONTROLS,
    FIXED_LAYER,
    OTHERS,
    SAME_LAYER,
    UNPATCHED,
    Patching,
)
from blindspot.measurements.patching.unit import PatchingUnit
from blindspot.measurements.sample import WORDINGS
from blindspot.models.residual import Source
from blindspot.run.findings import pack, units_of, unpack
from blindspot.stimuli import (
    AMBIGUOUS,
    NEUTRAL,
    UNRELATED,
    Selection,
    Slice,
    Stimuli,
    mechanistic_slices,
)
from tests.unit.planted_senses import LAYERS, SENSE, PlantedSenses, literal_first, stimuli

DEFAULT = Slice("patching", "race", "default", "weapons")
NAMES = replace(DEFAULT, variant="names")


def run(stream: PlantedSenses, known: Stimuli | None = None) -> Assayed:
    """What the assay says of a stream, by way of the store."""
    assay = Patching(known or stimuli())
    units = assay.units(stream.part)
    return assay.measure(stream.part, {u.content: unpack(pack(u.run(stream))) for u in units})


def value(assayed: Assayed, band: str = OVERALL, reading: str = SAME_LAYER) -> float:
    return assayed.bands[reading, band].estimate("position").value


def unit_of(part: Slice, limit: int | None = None) -> PatchingUnit:
    (unit,) = Patching(stimuli(), Selection(limit=limit)).units(part)
    assert isinstance(unit, PatchingUnit)
    return unit


def curve(assayed: Assayed, quantity: str, name: str = AMBIGUOUS, of: str = SAME_LAYER) -> Curve:
    (found,) = [
        c for c in assayed.curves if (c.name, c.reading, c.quantity) == (name, of, quantity)
    ]
    return found


@pytest.fixture(scope="module")
def blind() -> Assayed:
    return run(PlantedSenses(DEFAULT, 1.0))


@pytest.fixture(scope="module")
def aware() -> Assayed:
    return run(PlantedSenses(DEFAULT, -1.0))


@pytest.mark.parametrize("reading", [SAME_LAYER, FIXED_LAYER])
@pytest.mark.parametrize("band", BANDS)
def test_planted_senses_are_read(blind: Assayed, aware: Assayed, reading: str, band: str) -> None:
    """Blind lies at +1 where the literal contexts do, aware at -1 where those of the group do."""
    assert value(blind, band, reading) == pytest.approx(1.0, abs=0.03)
    assert value(aware, band, reading) == pytest.approx(-1.0, abs=0.03)
    for assayed in (blind, aware):
        low, high = assayed.bands[reading, band].estimate("position").interval()
        assert high - low < 0.2


@pytest.mark.parametrize("part", [DEFAULT, NAMES], ids=["color-words", "names"])
def test_undecided_vectors_lie_half_way(part: Slice) -> None:
    """Where ambiguous contexts lean to neither sense the interval holds 0 and neither end."""
    low, high = run(PlantedSenses(part, 0.0)).bands[SAME_LAYER, OVERALL].estimate("x").interval()
    assert -0.5 < low < 0.0 < high < 0.5


def test_without_separation_nothing_is_judged() -> None:
    """Controls that answer alike make every band unreadable, with the numbers that say so."""
    assayed = run(PlantedSenses(DEFAULT, 1.0, strength=(0.1,) * LAYERS, fixed=0.1))
    for key, band in assayed.bands.items():
        assert band.contributions is None
        assert band.layers == ()
        assert not band.estimate("position").measured
        assert "the controls do not separate: color minus race contexts +0." in band.unreadable
        assert "needs 1.00" in band.unreadable
        assert assayed.controls[key] in band.unreadable
    assert all(v is None for v in curve(assayed, "position").values)


def test_late_layers_are_unreadable_and_early_ones_judged() -> None:
    """Vectors that nothing reads any more leave their band unjudged, and the others alone."""
    strength = (4.0, 4.0, 3.0, 2.0, 0.0, 0.0)
    assayed = run(PlantedSenses(DEFAULT, 1.0, strength=strength))
    assert assayed.bands[SAME_LAYER, OVERALL].layers == (0, 1, 2, 3)
    assert value(assayed) == pytest.approx(1.0, abs=0.05)
    assert value(assayed, EARLY) == pytest.approx(1.0, abs=0.05)
    assert assayed.bands[SAME_LAYER, LATE].contributions is None
    assert "nats at best (layer 4" in assayed.bands[SAME_LAYER, LATE].unreadable
    assert assayed.bands[FIXED_LAYER, LATE].layers == (4, 5)
    assert curve(assayed, "position").values[4:] == (None, None)


def test_the_sense_named_first_does_not_matter() -> None:
    """A model that prefers the first named sense by far has the same position as one that doesn't.

    Nor does it matter which sense a question prefers by itself.
    """
    plain = PlantedSenses(DEFAULT, 0.4)
    expected = run(plain)
    for leaning in (replace(plain, order=6.0), replace(plain, priors=3.0)):
        found = run(leaning)
        assert value(found) == pytest.approx(value(expected), abs=1e-4)
        one, other = (a.bands[SAME_LAYER, OVERALL].estimate("x") for a in (found, expected))
        assert one.standard_error == pytest.approx(other.standard_error, rel=1e-3)
        shown = "P(literal) - P(group), of the two"
        assert curve(found, shown).values != pytest.approx(curve(expected, shown).values, abs=0.01)


def test_both_orders_of_the_answers_count_alike() -> None:
    """Literal in one order of the answers and the group in the other is half way."""

    class Turning(PlantedSenses):
        def patch(self, vectors, questions, *, into=None, layers=None, progress=None):  # type: ignore[no-untyped-def]
            found = super().patch(vectors, questions, into=into, progress=progress)
            turned = super().patch(-vectors, questions, into=into)
            ambiguous = vectors[:, 0, SENSE] == np.float32(0.9)
            if not literal_first(questions[0]):
                found.patched[ambiguous] = turned.patched[ambiguous]
            return found

    assert value(run(PlantedSenses(DEFAULT, 0.9))) > 0.8
    assert value(run(Turning(DEFAULT, 0.9))) == pytest.approx(0.0, abs=0.05)


def test_what_is_sure_counts_as_sure() -> None:
    """Of log-odds the last nats are all certainty: 60 % of the way to a sure control is sure."""
    found = run(PlantedSenses(DEFAULT, 0.6, strength=(8.0,) * LAYERS))
    assert value(found) > 0.95
    faint = run(PlantedSenses(DEFAULT, 0.6, strength=(1.0,) * LAYERS, cues=0.05, words=0.05))
    assert value(faint) == pytest.approx(0.65, abs=0.05)


def test_both_identifiers_count_alike() -> None:
    """One identifier read literally and one as the group are half way, whichever is which."""
    one = PlantedSenses(DEFAULT, 1.0, second=-1.0)
    for stream in (one, replace(one, ambiguous=-1.0, second=1.0)):
        assert value(run(stream)) == pytest.approx(0.0, abs=0.05)
    leaning = run(PlantedSenses(DEFAULT, 1.0, identifiers=1.0))
    assert value(leaning) == pytest.approx(1.0, abs=0.05)


def test_comparisons_are_paired() -> None:
    """What words and cues do to both models cancels; a model differs from itself by nothing."""
    one, other = (
        run(PlantedSenses(DEFAULT, sense, cues=1.0, words=1.5)).bands[SAME_LAYER, OVERALL]
        for sense in (0.1, -0.1)
    )
    assert one.contributions is not None
    assert other.contributions is not None
    gap = difference(one.contributions, other.contributions)
    apart = np.hypot(*(band.contributions.estimate().standard_error for band in (one, other)))  # type: ignore[union-attr]
    assert gap.value > 0.15
    assert gap.standard_error < apart / 3
    assert gap.unit == "position"
    same = one.contributions.minus(one.contributions)
    assert same.value == 0.0
    assert all(not part.sums.any() for part in same.factors.values())


def test_doubt_about_the_scale_is_part_of_the_interval() -> None:
    """Where cues of one sense differ, so do the ends of the scale: both cues are clusters."""
    found = run(PlantedSenses(DEFAULT, 0.0, cues=1.5, words=0.0)).bands[SAME_LAYER, OVERALL]
    assert found.contributions is not None
    factors = found.contributions.factors
    assert {f"cue of the {sense} controls" for sense in ("group", "literal")} < set(factors)
    assert {"positive word", "question"} < set(factors)
    fixed = {name: part for name, part in factors.items() if not name.startswith("cue")}
    known = replace(found.contributions, factors=fixed).estimate()
    assert found.contributions.estimate().standard_error > 3 * known.standard_error


def test_the_line_on_the_controls_tells_what_lies_where(blind: Assayed) -> None:
    """How far the controls part, and where neutral and unrelated words lie, in one line."""
    line = blind.controls[SAME_LAYER, OVERALL]
    assert "color minus race contexts +8." in line
    assert f"{NEUTRAL} " in line
    assert f"{UNRELATED} " in line
    assert "further out" not in line


@pytest.mark.parametrize(("nats", "sense"), [(9.0, "color"), (-9.0, "race")])
def test_unrelated_words_beyond_the_controls_are_noted(nats: float, sense: str) -> None:
    """Words that read further out than what states a sense do not fail a gate, but are told."""
    assayed = run(PlantedSenses(DEFAULT, 1.0, other=nats))
    assert not assayed.bands[SAME_LAYER, OVERALL].unreadable
    note = f"unrelated words read further out than {sense} contexts (layer 0, 1, 2, 3, 4, 5)"
    assert note in assayed.controls[SAME_LAYER, OVERALL]


def test_curves_show_every_kind_of_contexts(blind: Assayed) -> None:
    """The quantities of both readings are there, by layer, each value within its interval."""
    shown = "P(literal) - P(group), of the two"
    kinds = {AMBIGUOUS, NEUTRAL, UNRELATED, "race", "color"}
    for reading in (SAME_LAYER, FIXED_LAYER):
        mine = [one for one in blind.curves if one.reading == reading]
        assert {one.name for one in mine if one.quantity == shown} == kinds
        assert {one.quantity for one in mine if one.name == AMBIGUOUS} == {
            shown,
            "log-odds of literal against group, nats",
            "position",
            "P(race)",
            "P(color)",
            "change of P(race)",
            "change of P(color)",
            "r_blind",
            "r_blind, mean over layers",
            "mass",
        }
        assert {one.quantity for one in mine if one.name == UNPATCHED} == {"P(race)", "P(color)"}
        assert len(mine) == len({(one.name, one.quantity) for one in mine}) == 17
    for one in blind.curves:
        layers = ("all layers",) if "mean over layers" in one.quantity else tuple("012345")
        assert one.at == layers
        assert all(
            low <= v <= high for v, low, high in zip(one.values, one.low, one.high, strict=True)
        )
    assert curve(blind, shown, "race").values[0] < -0.9
    assert curve(blind, shown, "color").values[0] > 0.9
    assert abs(curve(blind, shown, NEUTRAL).values[0]) < 0.1


def test_the_published_form_is_the_change_of_probabilities() -> None:
    """Of a sure literal answer P(color) rises by half of the mass and P(race) falls by as much."""
    stream = PlantedSenses(DEFAULT, 1.0, strength=(20.0,) * 4 + (0.0,) * 2, fixed=20.0, mass=0.3)
    found = run(stream)
    assert curve(found, "P(color)").values == pytest.approx([0.3] * 4 + [0.15] * 2)
    assert curve(found, "P(race)").values == pytest.approx([0.0] * 4 + [0.15] * 2, abs=1e-6)
    assert curve(found, "P(color)", UNPATCHED).values == pytest.approx([0.15] * 6)
    assert curve(found, "change of P(color)").values == pytest.approx([0.15] * 4 + [0.0] * 2)
    assert curve(found, "change of P(race)").values == pytest.approx([-0.15] * 4 + [0.0] * 2)
    assert curve(found, "r_blind").values == pytest.approx([0.3] * 4 + [0.0] * 2)
    assert curve(found, "r_blind, mean over layers").values == pytest.approx([0.2])
    assert curve(found, "r_blind, mean over layers", of=FIXED_LAYER).values == pytest.approx([0.3])
    assert curve(found, "mass").values == pytest.approx([0.3] * 6)


def test_small_masses_change_no_position() -> None:
    """Where a model hardly says either word the published curve is flat, the position is not."""
    found = run(PlantedSenses(DEFAULT, 1.0, mass=1e-6))
    assert value(found) == pytest.approx(1.0, abs=0.03)
    assert max(abs(v) for v in curve(found, "r_blind").values) < 1e-5
    odds = curve(found, "log-odds of literal against group, nats")
    assert odds.values == pytest.approx([4.0] * LAYERS, abs=0.2)


def test_numbers_that_are_not_finite_leave_their_layer_out() -> None:
    """A layer that can say neither sense neither stops the run nor is taken for a reading."""
    found = run(PlantedSenses(DEFAULT, 1.0, broken=(0,)))
    assert found.bands[SAME_LAYER, OVERALL].layers == (1, 2, 3, 4, 5)
    assert curve(found, "mass").values[0] is None
    assert curve(found, "r_blind, mean over layers").values == (None,)


def test_one_order_of_the_answers_is_not_enough() -> None:
    """Controls that part in one order of the answers only differ by question: unreadable."""

    class Deaf(PlantedSenses):
        deaf = False

        def _logs(self, odds: np.ndarray) -> np.ndarray:
            return super()._logs(0.0 * odds if self.deaf else odds)

        def patch(self, vectors, questions, **options):  # type: ignore[no-untyped-def]
            self.deaf = not literal_first(questions[0])
            return super().patch(vectors, questions, **options)

    found = run(Deaf(DEFAULT, 1.0, strength=(8.0,) * LAYERS, fixed=8.0))
    band = found.bands[SAME_LAYER, OVERALL]
    assert band.contributions is None
    assert "the controls do not separate" in band.unreadable


def test_a_single_cue_is_no_control() -> None:
    """With one cue of a sense nobody can tell the sense from the word: unreadable, and says so."""
    known = stimuli()
    race = known.senses["en"]["race"]
    senses = {"en": {**known.senses["en"], "race": race.model_copy(update={"cues": race.cues[:1]})}}
    found = run(PlantedSenses(DEFAULT, 1.0), replace(known, senses=senses))
    for band in found.bands.values():
        assert band.unreadable == "1 and 7 cue words are too few to separate senses from words"


def test_a_category_is_patched_together_with_its_controls() -> None:
    """A unit holds the contexts of one category, and all of its controls."""
    parts = mechanistic_slices(stimuli(), "patching")
    assert len(units_of({"patching": Patching(stimuli())}, parts)) == len(parts)
    unit = unit_of(DEFAULT)
    kinds = {kind: unit.places(kind) for kind in (AMBIGUOUS, "race", "color", NEUTRAL, UNRELATED)}
    assert sorted(at for some in kinds.values() for at in some) == list(range(len(unit.contexts)))
    assert len(kinds[AMBIGUOUS]) == WORDINGS
    assert {unit.contexts[at].prompt.slice.category for at in kinds[AMBIGUOUS]} == {"weapons"}  # type: ignore[union-attr]


def test_controls_are_in_every_batch() -> None:
    """Any tenth of the rows holds every kind of contexts about as often as the whole does."""
    unit = unit_of(DEFAULT)
    kinds = np.repeat([one.sense for one in unit.contexts], 2)[unit.order]
    assert sorted(unit.order) == list(range(2 * len(unit.contexts)))
    for part in np.array_split(kinds, 10):
        for kind in set(kinds):
            share = (kinds == kind).mean() * len(part)
            assert abs((part == kind).sum() - share) <= 1.5


def test_findings_are_in_the_order_of_the_contexts() -> None:
    """However rows were mixed for the batches, each vector's answers stand in its own place."""
    unit, stream = unit_of(DEFAULT), PlantedSenses(DEFAULT, 1.0)
    vectors = stream.read([Source(one.text, one.spans) for one in unit.contexts])
    findings = unit.run(stream)
    asked = stream.patch(vectors, unit.questions).patched
    asked[~unit.asked] = np.nan
    np.testing.assert_array_equal(findings["same"], asked)


def test_ambiguous_contexts_are_read_at_both_identifiers() -> None:
    """Wordings once each, and every order equally often; fewer pairs are no fewer wordings."""
    wordings = WORDINGS
    for limit in (None, 1):
        unit = unit_of(DEFAULT, limit)
        contexts = [unit.contexts[at] for at in unit.places(AMBIGUOUS)]
        frames = Counter(one.frame for one in contexts)
        orders = Counter(one.prompt.order for one in contexts if one.prompt)
        assert len(frames) == wordings
        assert len(set(frames.values())) == len(set(orders.values())) == 1
        assert len(orders) == 4
        assert all(len(one.spans) == 2 for one in contexts)
        assert len({one.pair for one in contexts}) == (1 if limit else wordings)


@pytest.mark.parametrize("part", [DEFAULT, NAMES], ids=["color-words", "names"])
def test_controls_use_everything_evenly(part: Slice) -> None:
    """Cues, templates, orders and any two of them occur equally often, but for one."""
    unit = unit_of(part)
    for kind in {one.sense for one in unit.contexts} - {AMBIGUOUS}:
        contexts = [unit.contexts[at] for at in unit.places(kind)]
        assert len(contexts) == (OTHERS if kind in (NEUTRAL, UNRELATED) else CONTROLS)
        traits = {
            "cue": [one.cue for one in contexts],
            "frame": [one.frame for one in contexts],
            "order": [one.spans[0] < one.spans[1] for one in contexts],
        }
        for one, other in combinations_with_replacement(traits, 2):
            both = Counter(zip(traits[one], traits[other], strict=True))
            every = set(product(traits[one], traits[other])) if one != other else set(both)
            counts = [both[pair] for pair in every]
            assert max(counts) - min(counts) <= 1, (one, other)


def test_a_unit_is_told_by_all_that_decides_its_findings() -> None:
    """Another text, place, question or answer is another unit; the contents are JSON."""
    unit = unit_of(DEFAULT)
    context, question = unit.contexts[0], unit.questions[0]
    others = [
        replace(unit, contexts=(replace(context, text=context.text + " "), *unit.contexts[1:])),
        replace(unit, contexts=(replace(context, spans=((0, 1), (1, 2))), *unit.contexts[1:])),
        replace(unit, questions=unit.questions[1:]),
        replace(unit, questions=(replace(question, span=(0, 1)), *unit.questions[1:])),
        replace(unit, questions=(replace(question, candidates=("a", "b")), *unit.questions[1:])),
    ]
    contents = [one.content for one in (unit, *others)]
    assert len(set(contents)) == len(contents)
    for content in contents:
        assert json.dumps(json.loads(content)) == content


def test_findings_are_small_and_progress_adds_up() -> None:
    """Log-probabilities of two words a vector, question and layer in float32; the bar ends full."""
    unit, stream = unit_of(DEFAULT), PlantedSenses(DEFAULT, 1.0)
    steps: list[int] = []
    findings = unit.run(stream, progress=steps.append)
    assert sum(steps) == unit.size
    assert stream.into == [None] * 5 + [2] * 5
    shapes = {name: np.asarray(found).shape for name, found in findings.items()}
    patched, unpatched = (2 * len(unit.contexts), 5, LAYERS, 2), (5, LAYERS, 2)
    assert shapes == {
        "same": patched,
        "fixed": patched,
        "same_unpatched": unpatched,
        "fixed_unpatched": unpatched,
    }
    assert all(np.asarray(found).dtype == np.float32 for found in findings.values())


@pytest.mark.parametrize("layers", [1, 2])
def test_a_model_of_few_layers_is_written_at_its_last(layers: int) -> None:
    """The fixed layer is the last one where there is no third; bands without a layer say so."""
    stream = PlantedSenses(DEFAULT, 1.0, strength=(4.0,) * layers)
    found = run(stream)
    assert set(stream.into) == {None, layers - 1}
    assert value(found) == pytest.approx(1.0, abs=0.03)
    middle = found.bands[SAME_LAYER, "middle"]
    assert middle.unreadable == "the controls do not separate: the band has no layer"


def test_findings_of_other_contexts_are_refused() -> None:
    """Findings whose shape is not that of the contexts are a mistake, told by name."""
    assay, stream = Patching(stimuli()), PlantedSenses(DEFAULT, 1.0)
    (unit,) = assay.units(DEFAULT)
    fewer = Patching(stimuli()).units(NAMES)[0].run(stream)
    fewer = {name: np.asarray(found)[:-1] for name, found in fewer.items()}
    with pytest.raises(AssertionError, match="findings of other contexts"):
        assay.measure(DEFAULT, {unit.content: fewer})


def test_the_digest_is_of_what_was_asked() -> None:
    """Equal texts have one digest, other contexts or questions another."""
    assay, stream = Patching(stimuli()), PlantedSenses(DEFAULT, 1.0)
    parts = (DEFAULT, DEFAULT, replace(DEFAULT, category="guilt"), NAMES)
    digests = []
    for part in parts:
        units = assay.units(part)
        shown = replace(stream, part=part)
        digests.append(assay.measure(part, {u.content: u.run(shown) for u in units}).digest)
    assert digests[0] == digests[1]
    assert len(set(digests)) == 3
