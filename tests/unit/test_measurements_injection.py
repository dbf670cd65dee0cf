"""Injection into scripted streams: what counts as cured by seeing the group, and what does not."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from itertools import pairwise

import numpy as np
import pytest

from blindspot.measurements.base import BANDS, EARLY, LATE, MIDDLE, OVERALL
from blindspot.measurements.injection.statistic import Injection
from blindspot.measurements.injection.unit import InjectionUnit
from blindspot.measurements.injection.vectors import givers, noise
from blindspot.measurements.injection.windows import (
    LARGE,
    MOST,
    band_windows,
    sliding,
    window_name,
    window_width,
)
from blindspot.measurements.mechanistic import Assayed
from blindspot.measurements.sample import WORDINGS
from blindspot.models.base import Generation
from blindspot.models.residual import Injected, InjectionRequest, Source, Vectors
from blindspot.run.findings import pack, unpack
from blindspot.stimuli import (
    NEUTRAL,
    AssociationPrompt,
    Context,
    Slice,
    Stimuli,
    ambiguous_contexts,
    cued_contexts,
    load_stimuli,
    senses_of,
)

DEFAULT = Slice("injection", "race", "default", "weapons")
NAMES = replace(DEFAULT, variant="names")
PREFIXED = replace(DEFAULT, variant="direct-color")
LAYERS, WIDTH = 6, 24
READINGS = ("generated", "forced-choice")

#: Entries of a vector: one for each sense of its context, one for each place of its identifier.
GROUP, LITERAL, PLAIN, POSITIVE, NEGATIVE = range(5)
KINDS = {GROUP: "group", LITERAL: "literal", PLAIN: "neutral"}

#: What a script says: log-odds (nats) of the stereotyped answer, None for no answer.
Script = Callable[[AssociationPrompt, str, "tuple[int, int] | None"], "float | None"]


@cache
def stimuli() -> Stimuli:
    return load_stimuli()


@cache
def cued(variant: str) -> dict[str, tuple[int, Context]]:
    """Contexts of a variant by their text, with the entry of their sense."""
    senses = [one.name for one in senses_of(stimuli(), "race", variant)]
    return {
        context.text: (entry, context)
        for entry, sense in zip((GROUP, LITERAL, PLAIN), (*senses, NEUTRAL), strict=True)
        for context in cued_contexts(stimuli(), "race", variant, sense)
    }


@dataclass
class ScriptedStream:
    """Vectors that say where they come from, and answers by a script that looks at them."""

    script: Script
    part: Slice = DEFAULT
    layers: int = LAYERS
    width: int = WIDTH
    overflow: bool = False
    asked: list[tuple[InjectionRequest, str]] = field(default_factory=list)
    given: list[Vectors] = field(default_factory=list)

    def in_batches(self, rows: int) -> ScriptedStream:
        return self

    def read(
        self, sources: Sequence[Source], *, progress: Callable[[int], None] | None = None
    ) -> Vectors:
        rows = []
        for source in sources:
            sense, context = cued(self.part.variant)[source.text]
            assert source.spans == context.spans
            for entry in (POSITIVE, NEGATIVE):
                vector = np.zeros((self.layers, self.width), np.float32)
                vector[:, [sense, entry]] = 1.0 + np.arange(self.layers)[:, None]
                rows.append(vector)
        if self.overflow:
            rows[0][0, 0] = np.inf
        if progress:
            progress(len(sources))
        return np.array(rows)

    def inject(
        self,
        requests: Sequence[InjectionRequest],
        vectors: Vectors,
        *,
        done: Callable[[int, Injected], None] | None = None,
    ) -> list[Injected]:
        prompts = {
            one.text: one.prompt for one in ambiguous_contexts(stimuli(), self.part) if one.prompt
        }
        self.given.append(vectors)
        return [self._answer(prompts[one.prompt], one, vectors) for one in requests]

    def _answer(
        self, prompt: AssociationPrompt, request: InjectionRequest, vectors: Vectors
    ) -> Injected:
        source = "untouched"
        if request.window is not None:
            first = vectors[request.vectors[0], request.window[0]]
            source = KINDS[int(first[:3].argmax())] if (first[5:] == 0).all() else "random"
        self.asked.append((request, source))
        odds = self.script(prompt, source, request.window)
        text = "" if odds is None else " " + prompt.candidates[0 if odds > 0 else 1]
        assert odds is None or request.is_complete(text + "." + " So it is." * len(text))
        mass = np.log(1e-6 if odds is None else 0.1)
        scores = tuple(mass - float(np.logaddexp(0.0, one)) for one in (-(odds or 0), odds or 0))
        return Injected(Generation(text, 9, odds is not None, 1.0), scores)


def order(prompt: AssociationPrompt) -> float:
    """Copies the listed order: no stereotype."""
    return 8.0 if prompt.positive_identifier_first == prompt.positive_word_first else -8.0


def early(window: tuple[int, int] | None) -> bool:
    return window is not None and window[0] < 2


def blind(prompt: AssociationPrompt, source: str, window: tuple[int, int] | None) -> float | None:
    """Stereotyped, unless group vectors stand in early layers."""
    return order(prompt) if source == "group" and early(window) else 8.0


def half_blind(
    prompt: AssociationPrompt, source: str, window: tuple[int, int] | None
) -> float | None:
    """As blind, but seeing the group helps with half of the words only."""
    return blind(prompt, source, window) if len(prompt.words[0]) > 5 else 8.0


def easily_moved(
    prompt: AssociationPrompt, source: str, window: tuple[int, int] | None
) -> float | None:
    """Any vector in early layers makes it forget the stereotype."""
    return order(prompt) if early(window) else 8.0


def moved_by_neutral(
    prompt: AssociationPrompt, source: str, window: tuple[int, int] | None
) -> float | None:
    """Group vectors make it fair, and neutral ones as well."""
    return order(prompt) if source in ("group", "neutral") and early(window) else 8.0


def moved_by_noise(
    prompt: AssociationPrompt, source: str, window: tuple[int, int] | None
) -> float | None:
    """Group vectors make it fair, and random ones as well."""
    return order(prompt) if source in ("group", "random") and early(window) else 8.0


def fair(prompt: AssociationPrompt, source: str, window: tuple[int, int] | None) -> float | None:
    """Never stereotyped."""
    return order(prompt)


def fair_when_seeing(
    prompt: AssociationPrompt, source: str, window: tuple[int, int] | None
) -> float | None:
    """Fair by itself; every vector but those of the group makes it stereotyped."""
    return order(prompt) if source in ("untouched", "group") else 8.0


def muted_by(
    *sources: str, prompt: AssociationPrompt, source: str, window: tuple[int, int] | None
) -> float | None:
    """As blind, but does not answer where vectors of some sources stand in early layers."""
    muted = source in sources and (early(window) or window is None)
    return None if muted else blind(prompt, source, window)


@cache
def silenced(*sources: str) -> Script:
    return lambda prompt, source, window: muted_by(
        *sources, prompt=prompt, source=source, window=window
    )


@cache
def run(script: Script, part: Slice = DEFAULT, window: int | None = None) -> Assayed:
    """What the assay says of a stream, by way of the store."""
    assay = Injection(stimuli(), window=window)
    stream = ScriptedStream(script, part)
    findings = {unit.content: unpack(pack(unit.run(stream))) for unit in assay.units(part)}
    return assay.measure(part, findings)


def unit_of(part: Slice, seed: int = 0) -> InjectionUnit:
    (unit,) = Injection(stimuli(), seed=seed).units(part)
    assert isinstance(unit, InjectionUnit)
    return unit


def value(assayed: Assayed, band: str, reading: str = "generated") -> float:
    found = assayed.bands[reading, band]
    assert not found.unreadable, found.unreadable
    return found.estimate("difference").value


@pytest.mark.parametrize("reading", READINGS)
def test_bias_that_group_vectors_cure_early_is_blindness(reading: str) -> None:
    """All of the effect falls in early windows, none in late ones, and the interval says so."""
    assayed = run(blind)
    assert value(assayed, EARLY, reading) == pytest.approx(1.0, abs=1e-3)
    assert value(assayed, LATE, reading) == pytest.approx(0.0, abs=1e-3)
    assert 0.2 < value(assayed, OVERALL, reading) < 0.8
    assert assayed.bands[reading, EARLY].estimate("difference").interval()[0] > 0.7
    assert assayed.bands[reading, EARLY].layers == (0, 1)


@pytest.mark.parametrize("reading", READINGS)
def test_half_a_cure_is_half_a_reduction(reading: str) -> None:
    """The reduction is the share of prompts in which seeing the group helps."""
    prompts = [one.prompt for one in unit_of(DEFAULT).prompts]
    share = np.mean([len(one.words[0]) > 5 for one in prompts if one])
    assert 0.2 < share < 0.8
    assert value(run(half_blind), EARLY, reading) == pytest.approx(share, abs=1e-3)


@pytest.mark.parametrize("reading", READINGS)
@pytest.mark.parametrize("script", [easily_moved, moved_by_neutral])
def test_what_a_control_cures_as_well_is_no_blindness(script: Script, reading: str) -> None:
    """Bias that falls as much with some control as with group vectors is no reduction."""
    assert value(run(script), EARLY, reading) == pytest.approx(0.0, abs=1e-3)


@pytest.mark.parametrize("reading", READINGS)
@pytest.mark.parametrize("script", [fair, fair_when_seeing])
def test_a_model_without_bias_has_none_to_lose(script: Script, reading: str) -> None:
    """A fair model is readable and measures 0, also when the controls make it biased."""
    for band in BANDS:
        assert value(run(script), band, reading) == pytest.approx(0.0, abs=1e-3)


@pytest.mark.parametrize("reading", READINGS)
@pytest.mark.parametrize("source", ["group", "literal", "neutral"])
def test_no_answer_is_no_cure(source: str, reading: str) -> None:
    """A band in which vectors keep the model from answering is unreadable, the others are not."""
    assayed = run(silenced(source))
    found = assayed.bands[reading, EARLY]
    assert found.contributions is None
    assert {"generated": "0% answered with", "forced-choice": "mass 1e-06 with"}[reading] in (
        found.unreadable
    )
    assert not found.estimate("difference").measured
    assert value(assayed, LATE, reading) == pytest.approx(0.0, abs=1e-3)


@pytest.mark.parametrize("reading", READINGS)
@pytest.mark.parametrize("script", [silenced("random"), moved_by_noise])
def test_random_vectors_are_shown_and_not_judged(script: Script, reading: str) -> None:
    """They take away which word it is, which neither cures anything nor excuses it."""
    assayed = run(script)
    assert value(assayed, EARLY, reading) == pytest.approx(1.0, abs=1e-3)
    assert ", random " in assayed.controls[reading, EARLY]


@pytest.mark.parametrize("reading", READINGS)
def test_a_model_that_does_not_answer_is_unreadable(reading: str) -> None:
    """Without answers to the untouched prompts, or mass of either, nothing is judged."""
    assayed = run(silenced("untouched"))
    said = {"generated": "answers 0% of the untouched prompts", "forced-choice": "have a mass of"}
    for band in BANDS:
        assert said[reading] in assayed.bands[reading, band].unreadable
        assert "in 0 of 12 wordings, needs 4" in assayed.bands[reading, band].unreadable


def test_only_wordings_that_are_answered_are_read() -> None:
    """Some wordings without an answer, and others without mass, leave the rest of each reading."""
    names = [one.frame for one in unit_of(DEFAULT).prompts[::4]]

    def some(
        prompt: AssociationPrompt, source: str, window: tuple[int, int] | None
    ) -> float | None:
        return None if prompt.wording in names[:5] else blind(prompt, source, window)

    assayed = run(some)
    for reading in READINGS:
        assert value(assayed, EARLY, reading) == pytest.approx(1.0, abs=1e-3)
        assert "7 of 12 wordings are read" in assayed.controls[reading, EARLY]


def test_a_few_lost_answers_are_no_hindrance() -> None:
    """Validity may fall by a tenth; what is answered is then what counts."""
    wordings = {one.frame for one in unit_of(DEFAULT).prompts}
    first = unit_of(DEFAULT).prompts[0].frame

    def loses_some(
        prompt: AssociationPrompt, source: str, window: tuple[int, int] | None
    ) -> float | None:
        lost = prompt.wording == first and source == "group"
        return None if lost else blind(prompt, source, window)

    assayed = run(loses_some)
    assert value(assayed, EARLY) == pytest.approx(1.0)
    shares = [one for one in assayed.curves if one.quantity == "share answered"]
    found = {one.name: one.values[0] for one in shares}
    assert found["race"] == pytest.approx(1 - 1 / len(wordings))
    assert found["untouched"] == 1.0


def test_differences_are_paired_by_prompt() -> None:
    """Words that differ much in their effect, but fall alike, leave the reduction well known."""

    def uneven(
        prompt: AssociationPrompt, source: str, window: tuple[int, int] | None
    ) -> float | None:
        level = 0.1 * len(prompt.words[1]) - 0.3
        return 2.0 * np.arctanh(level - (0.3 if source == "group" and early(window) else 0.0))

    assayed = run(uneven)
    estimate = assayed.bands["forced-choice", EARLY].estimate("difference")
    assert estimate.value == pytest.approx(0.3, abs=1e-6)
    (untouched,) = [
        one for one in assayed.curves if one.name == "untouched" and one.reading == "forced-choice"
    ]
    width = untouched.high[0] - untouched.low[0]
    low, high = estimate.interval()
    assert high - low < width / 3


def test_curves_show_every_source_by_window() -> None:
    """Effect by window for untouched prompts, both senses, neutral and random; validity beside."""
    assayed = run(blind)
    names = {"untouched", "race", "color", "neutral", "random"}
    at = ("0-1", "1-2", "2-3", "3-4", "4-5")
    for reading in READINGS:
        found = {
            one.name: one.values
            for one in assayed.curves
            if one.reading == reading and one.quantity == "stereotype effect"
        }
        assert set(found) == names
        assert found["race"] == pytest.approx([0.0, 0.0, 1.0, 1.0, 1.0], abs=1e-3)
        for name in names - {"race"}:
            assert found[name] == pytest.approx([1.0] * 5, abs=1e-3)
    assert all(one.at == at for one in assayed.curves)
    assert assayed.bands["generated", EARLY].decisive


def test_samples_hold_every_answer_to_one_prompt() -> None:
    """One untouched answer and one for each source and window, in builtins."""
    samples = run(blind).samples
    assert len(samples) == 1 + 4 * 5
    assert json.loads(json.dumps(samples)) == list(samples)
    assert samples[0]["vectors"] == "untouched"
    assert {row["reads"] for row in samples} <= {"stereotyped", "counter"}


def test_vectors_that_are_not_finite_are_unreadable() -> None:
    """Overflow in the vectors is no result, and nothing is injected."""
    assay, stream = Injection(stimuli()), ScriptedStream(blind, overflow=True)
    (unit,) = assay.units(DEFAULT)
    assayed = assay.measure(DEFAULT, {unit.content: unpack(pack(unit.run(stream)))})
    assert not stream.asked
    for reading in READINGS:
        for band in BANDS:
            assert "not finite" in assayed.bands[reading, band].unreadable


def test_identifiers_that_no_context_names_are_unreadable() -> None:
    """Without cued contexts that name the identifiers there is nothing to inject."""
    known = stimuli()
    bare = replace(known, templates={"en": ()})
    assay = Injection(bare)
    assert not assay.units(DEFAULT)
    assert (
        "names the identifiers" in assay.measure(DEFAULT, {}).bands["generated", EARLY].unreadable
    )


@pytest.mark.parametrize("part", [DEFAULT, NAMES, PREFIXED], ids=["default", "names", "prefixed"])
def test_every_mention_is_overwritten_by_its_own_identifier(part: Slice) -> None:
    """Each mention gets the vector of the same identifier, and of the sense that is injected."""
    stream = ScriptedStream(blind, part)
    unit = unit_of(part)
    unit.run(stream)
    (vectors,) = stream.given
    contexts = {one.text: one for one in unit.prompts}
    windows = len(sliding(LAYERS, window_width(LAYERS), MOST))
    assert Counter(source for _, source in stream.asked) == {
        "untouched": len(unit.prompts),
        **dict.fromkeys(("group", "literal", "neutral", "random"), len(unit.prompts) * windows),
    }
    for request, source in stream.asked:
        context = contexts[request.prompt]
        if request.window is None:
            assert not request.spans
            assert not request.vectors
            continue
        assert sorted(request.spans) == sorted(context.mentions[0] + context.mentions[1])
        for span, row in zip(request.spans, request.vectors, strict=True):
            place = 0 if span in context.mentions[0] else 1
            if source != "random":
                assert vectors[row, 0, (POSITIVE, NEGATIVE)[place]] > 0
                assert vectors[row, 0, (NEGATIVE, POSITIVE)[place]] == 0
    written = {len(request.spans) for request, _ in stream.asked} - {0}
    assert min(written) == (4 if part is PREFIXED else 2)


def test_an_axis_of_half_the_prompts_is_looked_into_as_a_large_model_is() -> None:
    """Half of the wordings in all orders; a window a band, and no random vectors."""
    whole, race = unit_of(DEFAULT), stimuli().axes["race"]
    half = race.model_copy(update={"fraction": "1/2"})
    (unit,) = Injection(replace(stimuli(), axes={"race": half})).units(DEFAULT)
    assert isinstance(unit, InjectionUnit)
    wordings = {one.frame for one in unit.prompts}
    assert len(wordings) == WORDINGS // 2
    assert len(unit.prompts) == 4 * len(wordings)
    assert unit.content != whole.content
    stream = ScriptedStream(blind, DEFAULT)
    unit.run(stream)
    assert Counter(source for _, source in stream.asked) == {
        "untouched": len(unit.prompts),
        **dict.fromkeys(("group", "literal", "neutral"), LARGE * len(unit.prompts)),
    }


def test_names_come_from_contexts_that_name_them() -> None:
    """A prompt about two names takes the vector of each from a context with that very name."""
    for prompt, sources in zip(unit_of(NAMES).prompts, unit_of(NAMES).given, strict=True):
        for positive, negative in sources:
            assert positive.words[0] == prompt.words[0]
            assert negative.words[1] == prompt.words[1]
            assert positive.positive_first == negative.positive_first


@pytest.mark.parametrize("kind", range(3), ids=["group", "literal", "neutral"])
def test_no_single_cue_decides(kind: int) -> None:
    """Cues and templates are used evenly, and each order of a prompt meets both mention orders."""
    unit = unit_of(DEFAULT)
    taken = [sources[kind][0] for sources in unit.given]
    for key in ("cue", "frame"):
        every = {
            getattr(one, key) for _, one in cued("default").values() if one.sense == taken[0].sense
        }
        used = Counter(getattr(one, key) for one in taken)
        assert set(used) == every
        assert max(used.values()) <= 1.5 * len(taken) / len(every)
    orders = Counter(
        (prompt.prompt.order, context.positive_first)
        for prompt, context in zip(unit.prompts, taken, strict=True)
        if prompt.prompt
    )
    assert set(orders.values()) == {len(unit.prompts) // 8}
    assert len(orders) == 8


def test_contexts_without_the_identifiers_give_nothing() -> None:
    """Names that no context of a sense mentions have no giver."""
    prompts = ambiguous_contexts(stimuli(), NAMES)
    colors = cued_contexts(stimuli(), "race", "default", "race")
    assert set(givers(prompts, colors)) == {None}


def test_random_vectors_match_the_group_vectors_in_length() -> None:
    """Length is kept layer by layer; directions are new, fixed by the seed and differ by prompt."""
    like = np.random.default_rng(0).standard_normal((2, LAYERS, 300)).astype(np.float32)
    like *= np.arange(1, LAYERS + 1, dtype=np.float32)[:, None]
    made = noise(like, (0, 1))
    assert np.linalg.norm(made, axis=-1) == pytest.approx(np.linalg.norm(like, axis=-1), rel=1e-5)
    cosine = (made * like).sum(-1) / np.square(like).sum(-1)
    assert np.abs(cosine).max() < 0.3
    assert (made == noise(like, (0, 1))).all()
    assert not (made == noise(like, (0, 2))).any()
    assert not (made == noise(like, (1, 1))).any()


def test_seed_and_window_are_part_of_a_unit() -> None:
    """Answers under another seed or another window are other answers."""
    assays = [
        Injection(stimuli()),
        Injection(stimuli(), seed=1),
        Injection(stimuli(), window=1),
    ]
    contents = {unit.content for assay in assays for unit in assay.units(DEFAULT)}
    assert len(contents) == 3
    assert contents == {unit.content for assay in assays for unit in assay.units(DEFAULT)}
    for content in contents:
        json.loads(content)


def test_a_window_of_all_layers_belongs_to_no_third() -> None:
    """A window over the whole model is judged overall; early and late have none, and say so."""
    assayed = run(blind, window=LAYERS)
    assert value(assayed, OVERALL) == pytest.approx(1.0)
    assert "no window" in assayed.bands["generated", EARLY].unreadable
    assert "no window" in assayed.bands["forced-choice", LATE].unreadable


def test_a_window_has_layers() -> None:
    """A window of no layers is refused when it is asked for."""
    with pytest.raises(ValueError, match="1 layer or more, not 0"):
        Injection(stimuli(), window=0)
    with pytest.raises(ValueError, match="use 1 to 6"):
        sliding(6, 7, MOST)


@pytest.mark.parametrize("layers", [1, 2, 3, 6, 12, 22, 32, 48, 80])
@pytest.mark.parametrize("asked", [None, 1, 3, 200], ids=["published", "1", "3", "200"])
@pytest.mark.parametrize("most", [MOST, LARGE])
def test_windows_cover_a_model_evenly(layers: int, asked: int | None, most: int) -> None:
    """A few windows of one width, the first and the last among them, in even steps."""
    width = window_width(layers, asked)
    windows = sliding(layers, width, most)
    assert 1 <= len(windows) <= most
    assert windows[0][0] == 0
    assert windows[-1][1] == layers
    assert {end - first for first, end in windows} == {width}
    steps = [after[0] - before[0] for before, after in pairwise(windows)]
    assert all(step > 0 for step in steps)
    assert max(steps, default=1) - min(steps, default=1) <= 1
    places = band_windows(layers, windows)
    assert places[OVERALL] == tuple(range(len(windows)))
    apart = [*places[EARLY], *places[MIDDLE], *places[LATE]]
    assert sorted(set(apart)) == list(places[OVERALL])
    if layers > 1:
        assert len(apart) == len(set(apart))


def test_published_windows() -> None:
    """A model of 32 layers has windows of the published width, one in each third."""
    windows = sliding(32, window_width(32), LARGE)
    assert [window_name(one) for one in windows[:3]] == ["0-9", "11-20", "22-31"]
    places = band_windows(32, windows)
    assert [len(places[band]) for band in (EARLY, MIDDLE, LATE)] == [1, 1, 1]
    assert window_name((4, 5)) == "4"
