"""Interpretation by streams that write of a planted sense: what is read, and what cannot be."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest

from blindspot.estimates import difference
from blindspot.measurements import interpretation
from blindspot.measurements.base import BANDS, EARLY, GENERATED, LATE, OVERALL
from blindspot.measurements.interpretation import (
    CONTROLS,
    EVERY,
    SAMPLES,
    TOKENS,
    Interpretation,
    InterpretationUnit,
)
from blindspot.measurements.mechanistic import Assayed, Curve
from blindspot.measurements.sample import sampled
from blindspot.run.findings import pack, units_of, unpack
from blindspot.stimuli import AMBIGUOUS, Slice, mechanistic_slices
from tests.unit.planted_senses import LAYERS, PlantedSenses, lean, stimuli

DEFAULT = Slice("interpretation", "race", "default", "weapons")
NAMES = replace(DEFAULT, variant="names")
DIALECT = replace(DEFAULT, variant="dialect")


def run(stream: PlantedSenses) -> Assayed:
    """What the assay says of a stream, by way of the store."""
    assay = Interpretation(stimuli())
    units = assay.units(stream.part)
    return assay.measure(stream.part, {u.content: unpack(pack(u.run(stream))) for u in units})


def value(assayed: Assayed, band: str = OVERALL) -> float:
    return assayed.bands[GENERATED, band].estimate("position").value


def curve(assayed: Assayed, quantity: str, name: str = AMBIGUOUS) -> Curve:
    (found,) = [one for one in assayed.curves if (one.name, one.quantity) == (name, quantity)]
    return found


@pytest.fixture(scope="module")
def blind() -> Assayed:
    return run(PlantedSenses(DEFAULT, 1.0))


@pytest.mark.parametrize("part", [DEFAULT, NAMES, DIALECT], ids=["color-words", "names", "slang"])
def test_texts_about_a_planted_sense_are_read(part: Slice) -> None:
    """Blind writes of the literal sense (+1), aware of the group (-1), at every band of layers."""
    for sense in (1.0, -1.0):
        found = run(PlantedSenses(part, sense))
        for band in BANDS:
            assert value(found, band) == pytest.approx(sense, abs=0.05)
            low, high = found.bands[GENERATED, band].estimate("position").interval()
            assert high - low < 0.4


def test_texts_about_neither_lie_half_way() -> None:
    """A model that writes of neither sense is at 0, surely nearer to the middle than to an end."""
    low, high = run(PlantedSenses(DEFAULT, 0.0)).bands[GENERATED, OVERALL].estimate("x").interval()
    assert -0.2 < low < 0.0 < high < 0.2


def test_texts_about_both_lie_half_way() -> None:
    """A text that speaks of either sense counts for none."""
    said = {True: "a color", False: "a race"}
    stream = PlantedSenses(
        DEFAULT, 0.0, says=lambda nats, _: said[nats > 0] if abs(nats) > 2 else "color or race"
    )
    found = run(stream)
    assert value(found) == pytest.approx(0.0, abs=0.02)
    assert curve(found, "share read as both").values == pytest.approx([1.0] * LAYERS)


def test_gibberish_is_unreadable() -> None:
    """Texts without a word of either sense, or always of the same one, judge nothing."""
    for text in ("the the X", "a color", "people of color and paint"):
        found = run(PlantedSenses(DEFAULT, 1.0, says=lambda _, __, text=text: text))
        for band in BANDS:
            assert found.bands[GENERATED, band].contributions is None
            assert "the controls do not separate: texts of color" in (
                found.bands[GENERATED, band].unreadable
            )
            assert "needs 0.50" in found.bands[GENERATED, band].unreadable


def test_texts_that_hang_on_the_cue_word_are_unreadable() -> None:
    """A network that writes some sense or other for each cue word tells words apart, not senses."""
    stream = PlantedSenses(DEFAULT, 1.0, strength=(1e-9,) * LAYERS, cues=5.0, words=0.0)
    texts = {True: "a color", False: "a race"}
    found = run(replace(stream, says=lambda nats, _: texts[nats > 0]))
    assert found.bands[GENERATED, OVERALL].contributions is None


def test_late_layers_are_unreadable_and_early_ones_judged() -> None:
    """Layers at which nothing is written of the vector leave their band unjudged."""
    found = run(PlantedSenses(DEFAULT, 1.0, strength=(4.0,) * 4 + (0.0,) * 2))
    assert found.bands[GENERATED, OVERALL].layers == (0, 1, 2, 3)
    assert value(found, EARLY) == pytest.approx(1.0, abs=0.05)
    assert found.bands[GENERATED, LATE].contributions is None
    assert curve(found, "position").values[4:] == (None, None)


def test_controls_that_are_half_understood_stretch_the_scale() -> None:
    """Where only half of the literal contexts are called literal, half as many texts are +1."""

    def says(nats: float, question: str) -> str:
        if nats < -2:
            return "a race"
        asked = "refers" in question  # two of the four questions
        return "a color" if nats > 2 and asked else "a thing"

    found = run(PlantedSenses(DEFAULT, 1.0, says=says))
    assert curve(found, "share read as color", "color").values == pytest.approx(
        [0.5] * LAYERS, abs=0.05
    )
    assert value(found) == pytest.approx(1.0, abs=0.1)


def test_comparisons_are_paired() -> None:
    """Two models differ surely where they write of other senses; one from itself by nothing."""
    one, other = (run(PlantedSenses(DEFAULT, sense)).bands[GENERATED, OVERALL] for sense in (1, -1))
    assert one.contributions is not None
    assert other.contributions is not None
    gap = difference(one.contributions, other.contributions)
    assert gap.value == pytest.approx(2.0, abs=0.05)
    assert gap.lower(0.0005) > 1.5
    assert set(one.contributions.factors) == set(other.contributions.factors)
    assert one.contributions.minus(one.contributions).value == 0.0


def test_shares_add_up(blind: Assayed) -> None:
    """Every text is read as exactly one of four, for the ambiguous contexts and both controls."""
    names = ("race", "color", "both", "neither")
    for kind in (AMBIGUOUS, "race", "color"):
        shares = [curve(blind, f"share read as {name}", kind).values for name in names]
        assert np.sum(shares, axis=0) == pytest.approx([1.0] * LAYERS)
    assert curve(blind, "share read as race", "race").values == pytest.approx([1.0] * LAYERS)
    assert curve(blind, "share read as color").values == pytest.approx([1.0] * LAYERS)
    for one in blind.curves:
        assert one.at == tuple("012345")
        bounds = zip(one.values, one.low, one.high, strict=True)
        assert all(low <= middle <= high for middle, low, high in bounds)


def test_samples_tell_what_was_written_where() -> None:
    """A row is the text of its own vector, question and layer, with what it is read as."""

    class Telling(PlantedSenses):
        def _text(self, vector, layer, question):  # type: ignore[no-untyped-def]
            which = "color" if vector[2] > 0 else "race"
            return f" {which} at {layer} of {question.text}"

    stream = Telling(DEFAULT, 1.0)
    rows = run(stream).samples
    assert 0 < len(rows) <= SAMPLES
    asked = {question.text for question in stimuli().questions["en"] if question.kind == "open"}
    for row in rows:
        which = "color" if lean(0, row["context"], row["identifier"]) > 0 else "race"
        assert row["text"].startswith(f" {which} at {row['layer']} of ")
        assert row["reading"] == {"color": "literal", "race": "group"}[which]
    heads = {row["question"]: row["text"].split(" of ", 1)[1] for row in rows}
    assert len(heads) == len(asked) == 4
    for row in rows:
        assert row["text"].endswith(heads[row["question"]])
    assert Counter(row["identifier"] for row in rows).keys() == {"black", "white"}
    assert json.loads(json.dumps(rows)) == list(rows)


@pytest.mark.parametrize("layers", [12, 80])
def test_samples_of_many_texts_are_an_even_part(
    layers: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of many texts a part is kept; layers that are read, vectors and questions are all in it."""
    monkeypatch.setattr(interpretation, "SAMPLES", 50)
    rows = run(PlantedSenses(DEFAULT, 1.0, strength=(4.0,) * layers)).samples
    assert 50 / 2 < len(rows) <= 50
    contexts = len(Interpretation(stimuli()).units(DEFAULT)[0].contexts)
    counts = {"layer": len(sampled(layers)), "question": 4, "context": contexts, "identifier": 2}
    for trait, count in counts.items():
        found = Counter(row[trait] for row in rows)
        assert len(found) == count
        assert max(found.values()) - min(found.values()) <= max(3, len(rows) // count // 5)


def test_findings_are_texts_in_the_order_told() -> None:
    """Layers run fastest, then questions, then vectors; the bar ends full; 20 tokens are asked."""
    (unit, *_), stream = Interpretation(stimuli()).units(DEFAULT), PlantedSenses(DEFAULT, 1.0)
    assert isinstance(unit, InterpretationUnit)
    steps: list[int] = []
    findings = unit.run(stream, progress=steps.append)
    assert sum(steps) == unit.size == len(unit.contexts) * 2 * 4 // EVERY
    assert sorted(unit.asked) == unit.asked
    assert {question for _, question in unit.asked[:8]} == {0, 1, 2, 3}
    texts = findings["texts"]
    assert isinstance(texts, list)
    assert [text.rsplit(" ", 1)[1] for text in texts[:LAYERS]] == list("012345")
    assert len(texts) == unit.size * LAYERS
    assert TOKENS == 20


def test_units_are_shared_by_the_categories_of_a_variant() -> None:
    """Every slice has its own ambiguous contexts; both controls of a variant are done once."""
    assay = Interpretation(stimuli())
    parts = mechanistic_slices(stimuli(), "interpretation")
    contents = {part: [unit.content for unit in assay.units(part)] for part in parts}
    first, *rest = (contents[part] for part in parts if part.variant == "default")
    assert all(own[1:] == first[1:] and own[0] != first[0] for own in rest)
    # Color words and those that say colors are meant have the same controls.
    assert len(units_of({"interpretation": assay}, parts)) == 15 + 4 * 2
    for content in contents[parts[0]]:
        assert json.dumps(json.loads(content)) == content
    for unit in assay.units(DEFAULT)[1:]:
        assert isinstance(unit, InterpretationUnit)
        assert len(unit.contexts) == CONTROLS
        assert max(Counter(one.cue for one in unit.contexts).values()) == 2
