"""What the parts of a mitigation are measured by: failures, stated answers, senses, sentences."""

from __future__ import annotations

import math

import numpy as np
import pytest

from blindspot.estimates.mcnemar import mcnemar
from blindspot.measurements.evidence import EVIDENCE
from blindspot.measurements.fluency import FLUENCY
from blindspot.measurements.knowledge import KNOWLEDGE, Knowledge
from blindspot.measurements.mitigation import PARTS
from blindspot.measurements.registry import ALL
from blindspot.stimuli import Selection, load_stimuli
from tests.unit.planted_senses import PlantedSenses
from tests.unit.planted_senses import stimuli as planted

STIMULI = load_stimuli((), axes=("race", "race-de", "gender-es"))


@pytest.mark.parametrize(("worse", "better"), [(0, 0), (5, 0), (3, 3), (2, 9), (12, 4)])
def test_failures_are_compared_exactly(worse: int, better: int) -> None:
    """By the binomial of the prompts that only one of two models fails; the others say nothing."""
    from scipy.stats import binomtest

    ours = np.array([1.0] * worse + [0.0] * better + [1.0] * 7 + [0.0] * 40)
    theirs = np.array([0.0] * worse + [1.0] * better + [1.0] * 7 + [0.0] * 40)
    found = mcnemar(ours, theirs)
    n = len(ours)
    assert found.value == pytest.approx((worse - better) / n)
    for alternative, p in (("greater", found.p_above(0.0)), ("less", found.p_below(0.0))):
        several = worse + better  # without any there is nothing to test
        exact = binomtest(worse, several, alternative=alternative).pvalue if several else 1.0
        assert p == pytest.approx(exact)


def test_a_margin_forgives_failures() -> None:
    """Of 60 prompts 5 % are 3: eight new failures count as five of five."""
    found = mcnemar([1.0] * 8 + [0.0] * 52, [0.0] * 60)
    assert found.p_above(0.05) == pytest.approx(0.5**5)
    assert found.p_above(0.2) == 1.0
    assert mcnemar([math.nan] * 3, [0.0] * 3).reason


@pytest.mark.parametrize("part", EVIDENCE.slices(STIMULI), ids=lambda part: part.id)
def test_stated_answers_are_in_their_prompts(part) -> None:
    """As often of the group as of the contrast, each prompt once; read right, wrong or not."""
    prompts = list(EVIDENCE.prompts(STIMULI, part))
    assert len({(one.words, one.wording, one.order) for one in prompts}) == len(prompts)
    assert sum(one.second_order for one in prompts) * 2 == len(prompts)
    for prompt in prompts[:: len(prompts) // 20]:
        right, wrong = prompt.candidates
        assert right.casefold() in prompt.text.casefold()
        for text, value in ((f" {right}.", 0.0), (f" {wrong}.", 1.0), (" Well.", 1.0)):
            assert EVIDENCE.read(prompt, text, (0.0, 0.0)).value == value
        assert EVIDENCE.read(prompt, f" {right} or {wrong}.", (1.0, 0.0)).value == 1.0
        assert EVIDENCE.read(prompt, "", (1.0, 0.0)).forced == 0.0
        assert EVIDENCE.is_complete(prompt)(f" {right}\n")
        assert not EVIDENCE.is_complete(prompt)(f" {right}")


def test_fewer_stated_answers_are_a_part_of_more() -> None:
    """A third of them for one word pair, or a small fraction; never a hundred for a quick look."""
    (part,) = [one for one in EVIDENCE.slices(STIMULI) if one.id == "race-default-stated"]

    def asked(limit: int | None = None, fraction: str = "1") -> set[str]:
        selection = Selection.of(limit, "all", fraction)
        return {one.text for one in EVIDENCE.prompts(STIMULI, part, selection)}

    whole = asked()
    assert asked(fraction="all") == whole
    assert asked(fraction="1/2") < whole
    assert asked(fraction="1/4") == asked(limit=1) < asked(fraction="1/2") == asked(limit=2)
    assert 3 * len(asked(limit=1)) == len(whole)


def test_plain_sentences_are_counted_in_bits() -> None:
    """A sentence of 4 n bytes whose probability is 2 to the -3 n has 3 bits a token."""
    found = {one.axis: list(FLUENCY.prompts(STIMULI, one)) for one in FLUENCY.slices(STIMULI)}
    prompts = found["race"]
    assert len(prompts) == 200
    assert min(map(len, found.values())) >= 60
    for prompt in prompts[:3]:
        tokens = len(prompt.candidates[0]) / 4
        found = FLUENCY.read(prompt, "", (-3.0 * tokens * math.log(2.0),))
        assert found.forced * 64 == pytest.approx(3.0)


@pytest.mark.parametrize("sense", [1.0, -1.0])
def test_stated_senses_are_read_whatever_is_open(sense: float) -> None:
    """Where only open contexts have another sense, nothing is forgotten."""
    (part,) = [one for one in KNOWLEDGE.slices(planted()) if one.variant == "default"]
    assay = Knowledge(planted())
    stream = PlantedSenses(part, sense)
    found = assay.measure(part, {one.content: one.run(stream) for one in assay.units(part)})
    for band in found.bands.values():
        assert band.estimate("share").value > 0.9


def test_every_language_has_its_texts() -> None:
    """An axis in any shipped language can be judged in all parts, and trained on."""
    languages = {axis.language for axis in load_stimuli((), axes=("all",)).axes.values()}
    assert len(languages) > 1
    for texts in (STIMULI.stated, STIMULI.neutral, STIMULI.practice):
        assert texts.keys() >= languages


def test_every_part_is_measured() -> None:
    """Each of the parts by at least one measurement, and none by a name of its own."""
    assert {one.part for one in ALL if one.part} == {*PARTS}
