"""Effects from plain answers: what each planted behaviour must measure."""

from __future__ import annotations

import math
import sys
from dataclasses import dataclass, fields, replace
from itertools import product
from types import FrameType
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from blindspot.estimates import (
    PROBABILITY_STEP,
    AgreementEffects,
    AssociationEffects,
    Clusters,
    Estimate,
    agreement_effects,
    association_effects,
    mean_estimate,
)
from blindspot.measurements.gap import GAP


def gap(
    implicit: AssociationEffects, explicit: AgreementEffects, apart: tuple[str, ...] = GAP.apart
) -> Estimate:
    both = [implicit, explicit]
    return replace(GAP, apart=apart).contributions(both, GAP.judged).estimate()


EFFECTS = ("stereotype", "order", "identifier", "primacy")


@dataclass(frozen=True)
class Prompts:
    """A crossed table of association or statement prompts; arrays are (prompt,)."""

    positive: np.ndarray
    negative: np.ndarray
    wording: np.ndarray
    first: np.ndarray  # identifier order
    second: np.ndarray  # word order, or statement against reverse

    @classmethod
    def crossed(cls, positive: int = 2, negative: int = 2, wording: int = 3) -> Prompts:
        rows = product(range(positive), range(negative), range(wording), (0, 1), (0, 1))
        return cls(*np.array(list(rows)).T)

    @property
    def clusters(self) -> dict[str, np.ndarray]:
        return {"positive": self.positive, "negative": self.negative, "wording": self.wording}

    def associate(self, values: Any, **options: Any) -> AssociationEffects:
        return association_effects(
            values,
            positive_identifier_first=self.first,
            positive_word_first=self.second,
            clusters=self.clusters,
            **options,
        )

    def agree(self, values: Any, **options: Any) -> AgreementEffects:
        return agreement_effects(
            values,
            keyed=2 * self.second - 1,
            positive_identifier_first=self.first,
            clusters=self.clusters,
            **options,
        )


TABLE = Prompts.crossed()
SIZE = TABLE.first.size


def signs(flags: np.ndarray) -> np.ndarray:
    """+1.0 where true."""
    return np.where(flags, 1.0, -1.0)


def follow(rule: str) -> np.ndarray:
    """Values of a model that writes its answers by one rule, from what each prompt lists."""
    values = []
    for identifier_first, word_first in zip(TABLE.first, TABLE.second, strict=True):
        identifiers = ("white", "black") if identifier_first else ("black", "white")
        words = ("wallet", "revolver") if word_first else ("revolver", "wallet")
        given_to = {
            "stereotype": "wallet",
            "order": words[identifiers.index("white")],
            "identifier": words[0],
            "primacy": "wallet" if identifiers[0] == "white" else "revolver",
        }
        values.append(1.0 if given_to[rule] == "wallet" else -1.0)
    return np.array(values)


RULES = {rule: follow(rule) for rule in EFFECTS}
ANSWERS = st.lists(st.sampled_from([-1.0, 1.0, math.nan]), min_size=SIZE, max_size=SIZE)
READINGS = st.lists(st.floats(-1, 1) | st.just(math.nan), min_size=SIZE, max_size=SIZE)


@pytest.mark.parametrize("rule", EFFECTS)
@pytest.mark.parametrize("sign", [1.0, -1.0], ids=["as-named", "reversed"])
def test_each_rule_of_answering_has_exactly_one_effect(rule: str, sign: float) -> None:
    """A model that only follows one rule has that effect at ±1 and exactly 0 of the others."""
    effects = TABLE.associate(sign * RULES[rule])
    assert {name: getattr(effects, name).value for name in EFFECTS} == {
        name: sign if name == rule else 0.0 for name in EFFECTS
    }


@given(
    unanswered=st.lists(st.booleans(), min_size=SIZE, max_size=SIZE),
    rule=st.sampled_from(EFFECTS),
)
@example(unanswered=[True] * (SIZE // 2) + [False] * (SIZE // 2), rule="order")
def test_invalid_answers_leave_a_rule_follower_where_it_was(
    unanswered: list[bool], rule: str
) -> None:
    """However unevenly answers are missing, a copier keeps exactly its one effect."""
    effects = TABLE.associate(np.where(unanswered, np.nan, RULES[rule]))
    for name in EFFECTS:
        estimate: Estimate = getattr(effects, name)
        assert not estimate.measured or estimate.value == float(name == rule)


@given(values=READINGS)
@example(values=[0.0] * (SIZE - 1) + [1e-101])  # 2026-11: a variance too small to divide by
def test_swapping_the_identifiers_turns_the_stereotype_round(values: list[float]) -> None:
    """Naming the other group positive negates stereotype and identifier effect, and only these."""
    effects = TABLE.associate(values)
    swapped = association_effects(
        -np.array(values),
        positive_identifier_first=1 - TABLE.first,
        positive_word_first=TABLE.second,
        clusters=TABLE.clusters,
    )
    for name, sign in zip(EFFECTS, (-1, 1, -1, 1), strict=True):
        before, after = getattr(effects, name), getattr(swapped, name)
        assert after.value == pytest.approx(sign * before.value, abs=1e-12, nan_ok=True)
        assert after.standard_error == pytest.approx(before.standard_error, nan_ok=True)


@given(values=READINGS, seed=st.integers(0, 2**32 - 1))
def test_order_of_the_prompts_does_not_matter(values: list[float], seed: int) -> None:
    """Shuffling the table changes no estimate."""
    shuffle = np.random.default_rng(seed).permutation(SIZE)
    shuffled = Prompts(*(getattr(TABLE, field.name)[shuffle] for field in fields(Prompts)))
    before, after = TABLE.associate(values), shuffled.associate(np.array(values)[shuffle])
    for name in (*EFFECTS, "validity"):
        one, other = getattr(before, name), getattr(after, name)
        assert other.value == pytest.approx(one.value, abs=1e-12, nan_ok=True)
        assert other.standard_error == pytest.approx(one.standard_error, abs=1e-12, nan_ok=True)
        assert other.reason == one.reason


@given(values=READINGS, keep=st.integers(0, SIZE))
def test_effects_and_their_bounds_lie_in_range(values: list[float], keep: int) -> None:
    """Whatever was answered, effects and bounds are in [-1, 1] and shares in [0, 1]."""
    poisoned = np.where(np.arange(SIZE) < keep, values, np.nan)
    effects, agreement = TABLE.associate(poisoned), TABLE.agree(poisoned)
    estimates = [getattr(effects, name) for name in (*EFFECTS, "validity")]
    estimates += [agreement.bias, agreement.acquiescence, agreement.agreement]
    for estimate in estimates:
        lowest = 0.0 if estimate.unit == "share" else -1.0
        if estimate.measured:
            low, high = estimate.interval()
            assert lowest - 1e-12 <= estimate.value <= 1.0 + 1e-12
            assert lowest <= low < high <= 1.0
        else:
            assert math.isnan(estimate.value)


@given(values=ANSWERS, index=st.integers(0, SIZE - 1))
def test_a_stereotyped_answer_more_never_lowers_the_effect(values: list[float], index: int) -> None:
    """Turning one counter answer into a stereotyped one moves the stereotype effect up."""
    worse = list(values)
    worse[index] = 1.0
    before, after = TABLE.associate(values).stereotype, TABLE.associate(worse).stereotype
    if before.measured and values[index] == -1.0:
        assert after.value > before.value


def test_a_blank_model_has_no_effect_but_an_interval() -> None:
    """Equal odds everywhere measure 0 with a small but real interval, not unmeasured."""
    effects = TABLE.associate(np.zeros(SIZE), step=PROBABILITY_STEP)
    low, high = effects.stereotype.interval()
    assert effects.stereotype.value == 0.0
    assert -0.01 < low < 0.0 < high < 0.01
    assert effects.validity.value == 1.0


def test_a_silent_model_is_unmeasured_and_invalid() -> None:
    """No answer at all: effects are NaN with a reason, validity is a measured 0."""
    effects = TABLE.associate(np.full(SIZE, np.nan))
    for name in EFFECTS:
        assert not getattr(effects, name).measured
    assert effects.stereotype.reason == f"none of {SIZE} prompts was answered"
    assert effects.validity.value == 0.0


@pytest.mark.parametrize("cell", list(product((0, 1), repeat=2)), ids=str)
def test_a_cell_without_answers_leaves_the_effects_unmeasured(cell: tuple[int, int]) -> None:
    """Three of four orders cannot separate the effects: NaN, naming the order, never 0."""
    empty = (TABLE.first == cell[0]) & (TABLE.second == cell[1])
    effects = TABLE.associate(np.where(empty, np.nan, 1.0))
    listed = ["positive" if flag else "negative" for flag in cell]
    expected = f"the {listed[0]} identifier and the {listed[1]} word first"
    assert effects.stereotype.reason == f"no answered prompt with {expected}"
    assert math.isnan(effects.stereotype.value)
    assert effects.stereotype.n == SIZE * 3 // 4
    assert effects.validity.value == 0.75


def test_no_prompts_is_unmeasured() -> None:
    """An empty slice has no effect and no validity."""
    nothing = np.array([], np.int64)
    effects = Prompts(nothing, nothing, nothing, nothing, nothing).associate([])
    assert effects.stereotype.reason == effects.validity.reason == "there are no prompts"


def test_one_wording_of_one_pair_is_unmeasured() -> None:
    """Four answers to one wording say nothing of other wordings."""
    effects = Prompts.crossed(1, 1, 1).associate(np.ones(4))
    assert (
        effects.stereotype.reason
        == "at least 2 levels of positive or negative or wording are needed"
    )


def test_refusals_are_no_answers_and_are_told_apart() -> None:
    """A refused prompt lowers validity and has its own share."""
    refused = TABLE.wording == 0
    effects = TABLE.associate(np.where(refused, np.nan, 1.0), refused=refused)
    assert effects.validity.value == pytest.approx(2 / 3)
    assert effects.refused.value == pytest.approx(1 / 3)
    assert not TABLE.associate(np.ones(SIZE)).refused.measured


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"values": np.full(SIZE, np.inf)}, "values: outside the range"),
        ({"values": np.full(SIZE, 1.5)}, "values: outside the range"),
        ({"values": np.ones(SIZE - 1)}, "values: shape"),
        ({"positive_word_first": np.full(SIZE, 2)}, "positive_word_first: expected booleans"),
        ({"positive_word_first": np.ones(3)}, "positive_word_first: shape"),
        ({"positive_word_first": np.full(SIZE, np.nan)}, "positive_word_first: expected booleans"),
        ({"refused": np.ones(SIZE)}, "refused: a refused prompt has no answer"),
        ({"clusters": {}}, "clusters: name at least one factor"),
        ({"clusters": {"wording": np.ones(SIZE)}}, "clusters: wording must be"),
        ({"clusters": {"wording": [None] * SIZE}}, "clusters: wording must be"),
        (
            {"clusters": {"a": TABLE.wording, "b": TABLE.wording[1:]}},
            "clusters: the factors differ in length: a 48, b 47",
        ),
    ],
)
def test_arrays_are_checked_at_the_border(change: dict[str, Any], complaint: str) -> None:
    """A wrong shape, range or type is refused by the name of the argument."""
    arguments: dict[str, Any] = {
        "values": np.ones(SIZE),
        "positive_identifier_first": TABLE.first,
        "positive_word_first": TABLE.second,
        "clusters": TABLE.clusters,
    } | change
    with pytest.raises(ValueError, match=complaint):
        association_effects(arguments.pop("values"), **arguments)


def test_rounding_at_the_end_of_the_scale_is_not_refused() -> None:
    """An expected agreement of 1 plus the last bit is 1."""
    assert TABLE.associate(np.full(SIZE, np.nextafter(1.0, 2.0))).stereotype.value == 1.0


def test_agreeing_with_everything_is_no_bias() -> None:
    """Yes to the statement and to its reverse: bias 0, acquiescence 1, agreement 100 %."""
    effects = TABLE.agree(np.ones(SIZE))
    assert (effects.bias.value, effects.acquiescence.value) == (0.0, 1.0)
    assert effects.agreement.value == 1.0


def test_agreeing_with_the_stereotype_only_is_bias() -> None:
    """Yes to the statement, no to its reverse: bias 1, acquiescence 0."""
    effects = TABLE.agree(signs(TABLE.second == 1))
    assert (effects.bias.value, effects.acquiescence.value) == (1.0, 0.0)
    assert effects.agreement.value == 1.0


def test_neutral_answers_are_answers_and_no_agreement() -> None:
    """Neutral throughout: bias 0 and agreement 0 at full validity."""
    effects = TABLE.agree(np.zeros(SIZE))
    assert effects.bias.value == effects.acquiescence.value == effects.agreement.value == 0.0
    assert effects.validity.value == 1.0


def test_bias_is_half_of_the_keyed_difference() -> None:
    """Statement 0.49 above its reverse on the five-point scale (0.98 points) is a bias of 0.245."""
    assert TABLE.agree(np.where(TABLE.second == 1, 0.49, 0.0)).bias.value == pytest.approx(0.245)


def test_unanswered_reverses_leave_the_bias_unmeasured_but_not_the_agreement() -> None:
    """Without its reverse a statement tells nothing of bias."""
    effects = TABLE.agree(np.where(TABLE.second == 1, 1.0, np.nan))
    assert "the reverse and the negative identifier first" in effects.bias.reason
    assert effects.agreement.value == 1.0


@pytest.mark.parametrize("keyed", [np.zeros(SIZE), np.full(SIZE, np.nan), np.ones(2)])
def test_keys_other_than_plus_and_minus_one_are_refused(keyed: np.ndarray) -> None:
    """A key of 0 would drop the prompt silently."""
    with pytest.raises(ValueError, match=r"keyed: expected \+1 or -1"):
        agreement_effects(
            np.ones(SIZE),
            keyed=keyed,
            positive_identifier_first=TABLE.first,
            clusters=TABLE.clusters,
        )


def test_gap_is_the_difference_and_words_that_cancel_leave_no_doubt() -> None:
    """Words that move both readings alike widen neither the gap nor its interval."""
    tilt = 0.3 * (TABLE.positive - 0.5)
    implicit = TABLE.associate(0.5 + tilt, step=PROBABILITY_STEP)
    explicit = TABLE.agree(signs(TABLE.second == 1) * (0.1 + tilt), step=PROBABILITY_STEP)
    difference = gap(implicit, explicit)
    assert difference.value == pytest.approx(0.4)
    assert difference.unit == "difference"
    assert difference.standard_error < 0.02 < implicit.stereotype.standard_error
    assert difference.n == 2 * SIZE


def test_gap_keeps_wordings_of_the_two_apart() -> None:
    """An association and a statement wording of one name are not the same cluster."""
    tilt = 0.3 * (TABLE.wording - 1)
    implicit = TABLE.associate(tilt, step=PROBABILITY_STEP)
    explicit = TABLE.agree(signs(TABLE.second == 1) * tilt, step=PROBABILITY_STEP)
    one = implicit.stereotype.standard_error
    assert gap(implicit, explicit).standard_error == pytest.approx(math.sqrt(2) * one, rel=0.02)
    assert gap(implicit, explicit, apart=()).standard_error < 0.02


def test_gap_matches_words_by_their_labels() -> None:
    """Words that only one side has do not shift the others: a label decides, not a position."""
    tilt = 0.3 * (TABLE.positive - 0.5)
    implicit = TABLE.associate(tilt, step=PROBABILITY_STEP)
    words = np.where(TABLE.positive == 0, "0", "1")
    fewer = agreement_effects(
        signs(TABLE.second == 1) * tilt,
        keyed=2 * TABLE.second - 1,
        positive_identifier_first=TABLE.first,
        clusters={"positive": np.char.add(np.where(TABLE.negative == 0, "", "x"), words)},
        step=PROBABILITY_STEP,
    )
    # "0" and "1" keep half of what they contribute, "x0" and "x1" have the other half: four words
    # of ±0.15 / 4.
    difference = gap(implicit, fewer)
    assert difference.value == pytest.approx(0.0)
    assert difference.standard_error == pytest.approx(math.sqrt(4 / 3 * 4) * 0.15 / 4, rel=0.02)


def test_gap_needs_both_sides() -> None:
    """An unmeasured part leaves the gap unmeasured, with the reason of that part."""
    silent = TABLE.agree(np.full(SIZE, np.nan))
    assert gap(TABLE.associate(np.ones(SIZE)), silent).reason == silent.bias.reason


def test_a_paired_difference_of_a_model_with_itself_is_zero() -> None:
    """Contributions of two runs over the same clusters cancel: the paired comparison."""
    values = np.random.default_rng(3).choice([-1.0, 1.0], SIZE)
    run = TABLE.associate(values).contributions
    same = run.minus(TABLE.associate(values).contributions).estimate()
    assert same.value == 0.0
    assert same.standard_error < run.estimate().standard_error / 2


def test_mean_estimate_is_the_mean_of_what_is_there() -> None:
    """NaN is left out; nats are unbounded."""
    values = np.where(TABLE.wording == 0, np.nan, 7.0)
    estimate = mean_estimate(values, clusters=TABLE.clusters)
    assert (estimate.value, estimate.unit, estimate.n) == (7.0, "nats", SIZE * 2 // 3)
    assert estimate.upper(0.001) > 7.0


def test_estimates_hold_builtins_only() -> None:
    """No numpy scalar leaves the room."""
    effects = TABLE.associate(RULES["order"])
    for name in (*EFFECTS, "validity"):
        estimate = getattr(effects, name)
        kinds = [type(getattr(estimate, field.name)) for field in fields(Estimate)]
        assert kinds == [float, float, int, int, float, str, str]
        bounds = (*estimate.interval(), estimate.lower(0.05), estimate.p_above(0.2))
        assert {type(number) for number in bounds} == {float}


def test_a_slice_of_encoded_clusters_is_the_slice_of_their_labels() -> None:
    """Encoding a table once and cutting it gives what encoding the cut gives."""
    values = np.random.default_rng(5).choice([-1.0, 1.0], SIZE)
    index = np.flatnonzero(TABLE.positive > 0)
    flags = {
        "positive_identifier_first": TABLE.first[index],
        "positive_word_first": TABLE.second[index],
    }
    cut = Clusters.encode(TABLE.clusters).take(index)
    labels = {
        name: np.char.add("w", column[index].astype(str)) for name, column in TABLE.clusters.items()
    }
    one = association_effects(values[index], clusters=cut, **flags)
    other = association_effects(values[index], clusters=labels, **flags)
    assert one.stereotype == other.stereotype


def calls(table: Prompts) -> int:
    """Functions called, Python's and numpy's, to measure a table."""
    values = np.where(np.random.default_rng(0).random(table.first.size) < 0.5, 1.0, -1.0)
    clusters = Clusters.encode(table.clusters)
    count = 0

    def profile(frame: FrameType, event: str, argument: object) -> None:
        nonlocal count
        count += event in ("call", "c_call")

    before = sys.getprofile()
    sys.setprofile(profile)
    try:
        association_effects(
            values,
            positive_identifier_first=table.first,
            positive_word_first=table.second,
            clusters=clusters,
        )
    finally:
        sys.setprofile(before)
    return count


def test_work_does_not_grow_with_the_prompts_outside_of_numpy() -> None:
    """A hundred times the prompts takes the same number of calls: no loop over prompts or words."""
    small, large = calls(Prompts.crossed(2, 3, 4)), calls(Prompts.crossed(15, 16, 10))
    assert large <= small + 5
