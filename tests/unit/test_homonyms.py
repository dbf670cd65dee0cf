"""Ambiguous words: single ones beside a neutral partner, and homonyms that name no group."""

from types import SimpleNamespace

import numpy as np
import pytest

from blindspot.estimates import Contributions, beyond
from blindspot.estimates.clusters import FactorSums
from blindspot.measurements.probing import PROBING
from blindspot.report.comparison import compare
from blindspot.report.sentences import homonyms_said
from blindspot.run.cases import Case, cases_of
from blindspot.run.source import FixturePrompts
from blindspot.stimuli import (
    Selection,
    ambiguous_contexts,
    cued_contexts,
    load_stimuli,
    mechanistic_slices,
    unrelated_contexts,
)
from blindspot.stimuli.prompts import Slice

STIMULI = load_stimuli(axes=["race", "nation-words", "homonyms-creature"])
WORDS = [f"word{n}" for n in range(6)]


def test_beside_a_partner_only_the_word_itself_is_read():
    """Every context reads one span, which is the identifier, in both orders of mention."""
    part = next(
        part for part in mechanistic_slices(STIMULI, "probing") if part.variant == "turkish"
    )
    contexts = ambiguous_contexts(STIMULI, part)
    contexts += cued_contexts(STIMULI, part.axis, part.variant, "nation")
    for context in contexts:
        ((start, end),) = context.spans
        assert context.words == ("Turkish",)
        assert context.text[start:end] == "Turkish"
        assert [context.text[a:b] for a, b in context.mentions[0]] == ["Turkish"] * len(
            context.mentions[0]
        )
        elvish = context.text.rindex("Elvish")
        assert context.positive_first == (elvish < start)
    assert {context.positive_first for context in contexts} == {True, False}
    assert all(len(one.words) == 1 for one in unrelated_contexts(STIMULI, part.axis, part.variant))


def test_a_probe_of_one_word_has_one_vector_a_context():
    """The unit reads as many vectors as there are words."""
    assay = PROBING.assay(STIMULI, Selection(), None)
    part = Slice("probing", "nation-words", "turkish", "valence")
    (unit,) = assay.units(part)
    assert unit.width == 1
    (both,) = assay.units(Slice("probing", "race", "default", "weapons"))
    assert both.width == 2


def test_homonyms_are_asked_and_not_gated():
    """Their cases are marked, and none of their gates has a limit."""
    found = [
        case
        for case, _ in cases_of(
            FixturePrompts(STIMULI),
            measurement="probing",
            statistic="blindness",
            readings=["linear"],
            bands=["overall"],
        )
    ]
    kinds = {(case.part.axis, case.part.variant): case.kind for case in found}
    assert kinds["homonyms-creature", "crane-seal"] == "homonym"
    assert kinds["race", "default"] == "group"
    assert kinds["race", "direct-color"] == "control"
    pooled = cases_of(
        FixturePrompts(STIMULI), measurement="implicit", statistic="stereotype", level="pooled"
    )
    assert {case.part.axis for case, _ in pooled} == {"race", "nation-words"}


def position(value: float, shift: float = 0.0) -> Contributions:
    """A blindness whose words scatter around it."""
    spread = np.linspace(-0.02, 0.02, len(WORDS)) + shift / len(WORDS)
    sums = FactorSums(tuple(WORDS), np.ones(len(WORDS), np.bool_), spread)
    return Contributions(value, {"wording": sums}, 1e-6, 96, "position")


def test_difference_of_differences_is_what_homonyms_leave():
    """What happens to every ambiguous word cancels."""
    group, homonym = (position(0.9), position(-0.9)), (position(0.5), position(-0.1))
    assert beyond(group, homonym).value == pytest.approx(1.8 - 0.6)
    same = beyond(group, group)
    assert same.value == pytest.approx(0.0)
    assert same.standard_error < 0.01


class Measured(SimpleNamespace):
    """A model whose blindness is known by axis."""

    def contributions(self, case):
        """Of its axis."""
        return position(self.found[case.part.axis])


def signature(ours, theirs, margin=0.1):
    """The signature of two models."""
    cases = [
        Case("probing", Slice("probing", axis, "default", "any"), "blindness", "linear", "category",
             "overall", kind="homonym" if axis.startswith("homonyms") else "group")
        for axis in ours
    ]  # fmt: skip
    gated = {case.id: margin for case in cases if case.kind == "group"}
    found = compare(
        Measured(found=ours, slices={}),
        Measured(found=theirs, slices={}),
        cases,
        gated=gated,
        name="base",
        model={},
    )
    return found["signature"]


BASE = {"race": -0.9, "gender": -0.9, "homonyms-creature": 0.0}


@pytest.mark.parametrize(
    ("ours", "moved", "said"),
    [
        ({"race": 0.9}, {"race": "up", "gender": "unchanged"}, "words of race less"),
        (
            {"race": 0.9, "gender": 0.9, "homonyms-creature": 0.2},
            {"race": "up", "gender": "up"},
            "homonyms moved too, but less",
        ),
        (
            {"race": -0.1, "gender": -0.1, "homonyms-creature": 0.8},
            {"race": "unchanged", "gender": "unchanged"},
            "not about groups",
        ),
        ({}, {"race": "unchanged", "gender": "unchanged"}, "did not become more literal"),
    ],
    ids=["blind to one axis", "all, groups most", "literal about everything", "no change"],
)
def test_groups_and_homonyms_are_told_apart(ours, moved, said):
    """Each axis has its own lines; the sentence says whether the change is about groups."""
    lines = signature(BASE | ours, BASE)
    named = {line["name"]: line for line in lines}
    assert {"blindness/race", "blindness/gender", "blindness/homonyms"} <= named.keys()
    found = {axis: named[f"blindness/{axis}-homonyms"]["direction"] for axis in ("race", "gender")}
    assert found == moved
    assert said in homonyms_said(lines, "reference")


@pytest.mark.parametrize(("margin", "moved"), [(0.2, "unchanged"), (0.05, "{}"), (0.0, "{}")])
@pytest.mark.parametrize(("by", "direction"), [(0.1, "up"), (-0.1, "down")])
def test_a_change_within_the_margin_is_none(margin, moved, by, direction):
    """However surely it is one, either way; beyond the margin it is, also of homonyms."""
    lines = signature({axis: value + by for axis, value in BASE.items()}, BASE, margin)
    found = {line["name"]: line for line in lines}
    for name in ("blindness/race", "blindness/homonyms"):
        assert 0 < max(found[name]["low"], -found[name]["high"]) < 0.11
        assert found[name]["direction"] == moved.format(direction)
    more = signature(BASE | {"race": BASE["race"] + by}, BASE, margin)
    (beyond_,) = [line for line in more if line["name"] == "blindness/race-homonyms"]
    assert beyond_["direction"] == moved.format(direction)


def test_without_homonyms_there_is_no_sentence():
    """A run of one axis has the lines that it had."""
    lines = signature({"race": 0.9}, {"race": -0.9})
    assert [line["name"] for line in lines] == ["blindness"]
    assert homonyms_said(lines, "reference") == ""
