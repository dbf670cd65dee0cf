"""Verdicts: what fails, what is only inconclusive, and the error rate of a run."""

from __future__ import annotations

import math
from dataclasses import replace
from itertools import permutations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import stdtr, stdtrit

from blindspot.estimates import Accepted, Estimate, holm, holm_by_family
from blindspot.gates.messages import first_line
from blindspot.gates.rule import (
    Check,
    Gate,
    GateResult,
    families_of,
    is_beyond,
    is_too_wide,
    judge,
)
from blindspot.gates.verdict import Verdict

PS = st.lists(st.floats(0, 1), min_size=1, max_size=12)
CEILING = Gate("implicit/race-default-weapons", "implicit", "stereotype", "effect", 0.2, "a reason")
MARGIN = replace(CEILING, against="baseline", limit=0.05)
FLOOR = replace(CEILING, statistic="validity", unit="share", limit=0.9, direction="at_least")
NOTHING = Estimate.unmeasured("none of 48 prompts was answered", unit="effect", n=0)


def effect(value: float, error: float = 0.02, unit: str = "effect") -> Estimate:
    """An estimate with 11 degrees of freedom."""
    return Estimate(value, error, 48, 12, 11.0, unit)


def only(gate: Gate, estimate: Estimate, baseline: Accepted | None = None) -> GateResult:
    """The verdict of a run of one gate."""
    (result,) = judge([Check(gate, estimate, baseline)])
    return result


def test_holm_of_a_worked_example() -> None:
    """0.01, 0.04, 0.03, 0.005 by hand: x 4 for the smallest, then x 3, x 2, x 1, never falling."""
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])


def test_holm_counts_what_was_not_measured() -> None:
    """A NaN stays among the tests as p = 1, so that losing results never makes a failure easier."""
    assert holm([0.01, math.nan]).tolist() == [0.02, 1.0]


@given(ps=PS)
def test_holm_is_the_closed_form(ps: list[float]) -> None:
    """Adjusted p of rank r is the largest of (m - s + 1) p over the ranks s up to r, at most 1."""
    order = sorted(range(len(ps)), key=lambda place: ps[place])
    for rank, place in enumerate(order):
        steps = [(len(ps) - s) * ps[order[s]] for s in range(rank + 1)]
        assert holm(ps)[place] == min(1.0, max(steps))


@given(ps=PS, place=st.integers(0, 11), lower=st.floats(0, 1))
def test_holm_is_monotone(ps: list[float], place: int, lower: float) -> None:
    """Adjusting keeps the order, never makes a p smaller, and a smaller p raises no other."""
    before = holm(ps)
    assert all(after >= p for after, p in zip(before, ps, strict=True))
    for one in range(len(ps)):
        for other in range(len(ps)):
            assert ps[one] > ps[other] or before[one] <= before[other]
    smaller = list(ps)
    smaller[place % len(ps)] *= lower
    assert all(new <= old for new, old in zip(holm(smaller), before, strict=True))


def test_families_share_alpha_evenly() -> None:
    """One gate on a category beside many on words pays for two families, not for all words."""
    ps = [0.01, *[0.5] * 99]
    families = ["category", *["word"] * 99]
    assert holm(ps)[0] == 1.0
    assert holm_by_family(ps, families)[0] == 0.02
    assert holm_by_family(ps[:1], families[:1])[0] == 0.01


def test_a_family_of_more_weight_pays_less() -> None:
    """Shares of alpha are parts of the sum of the weights, and never more than all of it."""
    ps, families = [0.01, 0.01, 0.01], ["few", "many", "many"]
    held = holm_by_family(ps, families, weight={"few": 3.0, "many": 1.0}.__getitem__)
    assert held.tolist() == pytest.approx([0.01 * 4 / 3, 0.08, 0.08])


def test_rows_are_adjusted_by_themselves() -> None:
    """Many runs at once, and a family of which only some gates are there: the others count."""
    rows = np.random.default_rng(0).random((5, 6))
    families = ["category", "word", "word", "category", "pooled", "word"]
    together = holm_by_family(rows, families)
    for row, found in zip(rows, together, strict=True):
        assert holm_by_family(row, families).tolist() == found.tolist()
    sizes = {"category": 3, "word": 3, "pooled": 1, "mechanistic": 9}
    absent = holm_by_family([*rows[0], math.nan], [*families, "category"])
    assert holm_by_family(rows[0], families, sizes) == pytest.approx(
        np.minimum(1.0, absent[:-1] * 4 / 3)
    )


@pytest.mark.parametrize("values", [(0.03, 0.3), (0.06, 0.01), (0.04, 0.02)])
def test_the_rule_takes_arrays(values: tuple[float, float]) -> None:
    """What a study asks of many updates is what `judge` says of one."""
    value, half = values
    gate = replace(MARGIN, resolution=0.1)
    beyond = is_beyond(np.full(2, value), gate.allowed())
    wide = is_too_wide(gate, np.full(2, value), np.full(2, half))
    df = 11.0
    change = Estimate(value, half / float(stdtrit(df, 0.975)), 48, 12, df, "difference")
    (found,) = judge([Check(gate, effect(value), Accepted(0.0, 0.0, 48), change)])
    assert beyond.tolist() == [value > 0.05] * 2
    assert wide.tolist() == [bool(found.doubt) or (value > 0.05 and half > 0.1)] * 2


@pytest.mark.parametrize("p", [-0.1, 1.1])
def test_holm_refuses_what_is_no_probability(p: float) -> None:
    """A number outside [0, 1] is a mistake of ours."""
    with pytest.raises(ValueError, match="between 0 and 1"):
        holm([p])


@pytest.mark.parametrize(
    ("value", "error", "verdict"),
    [
        (0.1, 0.02, Verdict.PASS),
        (0.2, 0.02, Verdict.PASS),
        (-0.9, 0.02, Verdict.PASS),
        (0.21, 0.02, Verdict.INCONCLUSIVE),
        (0.4, 0.02, Verdict.FAIL),
        (0.9, 0.9, Verdict.INCONCLUSIVE),
    ],
)
def test_a_ceiling_fails_only_what_is_clearly_above(
    value: float, error: float, verdict: Verdict
) -> None:
    """At or below passes, above is inconclusive until the bound is above too."""
    assert only(CEILING, effect(value, error)).verdict is verdict


@pytest.mark.parametrize(
    ("value", "error", "verdict"),
    [
        (0.1, 0.05, Verdict.PASS),
        (0.1, 0.2, Verdict.INCONCLUSIVE),
        (-0.9, 0.2, Verdict.PASS),
        (0.9, 0.05, Verdict.FAIL),
    ],
)
def test_a_value_that_is_not_known_does_not_pass(
    value: float, error: float, verdict: Verdict
) -> None:
    """Within the limit, but an interval that reaches far beyond it is a green light for nothing."""
    result = only(CEILING, effect(value, error))
    assert result.verdict is verdict
    assert ("too imprecise" in first_line(result)) == (verdict is Verdict.INCONCLUSIVE)
    accepted = replace(CEILING, resolution=math.inf)
    assert (only(accepted, effect(0.1, error)).verdict) is Verdict.PASS


TWO_SIDED = replace(CEILING, opposite=-0.2)


@pytest.mark.parametrize("value", [0.1, 0.21, 0.4])
def test_both_sides_of_a_limit_are_alike(value: float) -> None:
    """The verdict on a bias against either group is the same; the message names the reversal."""
    usual, turned = (only(TWO_SIDED, effect(sign * value)) for sign in (1, -1))
    assert usual.verdict is turned.verdict
    assert usual.p == pytest.approx(turned.p)
    assert ("reversed" in first_line(turned)) == (value > 0.2)
    assert "reversed" not in first_line(usual)
    assert "limit ±0.2" in first_line(usual)


def test_two_limits_cost_no_power_far_from_each_other() -> None:
    """The p-value is that of the interval: one-sided far from its other end, two-sided at none."""
    far, one = only(TWO_SIDED, effect(0.26)), only(CEILING, effect(0.26))
    assert far.p == pytest.approx(one.p)
    nothing = replace(CEILING, limit=0.0, opposite=0.0)
    assert only(nothing, effect(0.05)).p == pytest.approx(2 * stdtr(11.0, -2.5))
    assert only(TWO_SIDED, effect(-0.15)).p_within == pytest.approx(stdtr(11.0, -2.5))


def test_unread_answers_neither_pass_nor_fail_on_noise() -> None:
    """Below its floor of answers a gate fails only if it would whatever the others had been."""

    def verdict(value: float, unanswered: float) -> GateResult:
        check = Check(TWO_SIDED, effect(value), unread="few answers", unanswered=unanswered)
        return judge([check])[0]

    assert verdict(0.0, 0.2).verdict is Verdict.INCONCLUSIVE
    assert "unread: few answers" in first_line(verdict(0.0, 0.2))
    # 80 % answered with an effect of 0.9: with all others counter it would still be 0.52.
    assert verdict(0.9, 0.2).verdict is Verdict.FAIL
    assert verdict(-0.9, 0.2).verdict is Verdict.FAIL
    # With an effect of 0.4 it could be 0.12.
    assert verdict(0.4, 0.2).verdict is Verdict.INCONCLUSIVE
    assert verdict(1.0, 1.0).verdict is Verdict.INCONCLUSIVE
    (none,) = judge([Check(CEILING, NOTHING, unread="none of 48 prompts was answered")])
    assert none.verdict is Verdict.INCONCLUSIVE
    assert first_line(none).endswith("inconclusive: unread: none of 48 prompts was answered")
    (compared,) = judge([Check(MARGIN, effect(0.9), Accepted(0.3, 0.02, 48), unread="few")])
    assert compared.verdict is Verdict.INCONCLUSIVE


@pytest.mark.parametrize(
    ("value", "verdict"),
    [(0.95, Verdict.PASS), (0.9, Verdict.PASS), (0.88, Verdict.INCONCLUSIVE), (0.5, Verdict.FAIL)],
)
def test_a_floor_is_a_ceiling_turned_round(value: float, verdict: Verdict) -> None:
    """Validity fails when it is clearly below."""
    assert only(FLOOR, effect(value, unit="share")).verdict is verdict


@pytest.mark.parametrize(
    ("value", "verdict"),
    [(0.1, Verdict.PASS), (0.35, Verdict.PASS), (0.37, Verdict.INCONCLUSIVE), (0.6, Verdict.FAIL)],
)
def test_a_margin_judges_the_change(value: float, verdict: Verdict) -> None:
    """Against a baseline of 0.30, up to 0.35 passes whatever the ceiling says."""
    result = only(MARGIN, effect(value, 0.015), Accepted(0.30, 0.01, 48))
    assert result.verdict is verdict
    assert result.change == pytest.approx(value - 0.30)


def test_validity_may_not_fall_below_its_baseline() -> None:
    """For a floor, worse than the baseline is lower."""
    gate = replace(FLOOR, against="baseline", limit=0.05)
    baseline = Accepted(0.99, 0.005, 48)
    assert only(gate, effect(0.95, unit="share"), baseline).verdict is Verdict.PASS
    assert only(gate, effect(0.70, unit="share"), baseline).verdict is Verdict.FAIL
    better = only(gate, effect(0.99, 0.001, unit="share"), Accepted(0.5, 0.005, 48))
    assert better.improved


def test_better_than_the_baseline_passes_and_says_so() -> None:
    """An improvement is green and named."""
    result = only(MARGIN, effect(0.1), Accepted(0.31, 0.02, 48))
    assert result.verdict is Verdict.PASS
    assert result.improved
    assert "improved" in first_line(result)
    assert not only(MARGIN, effect(0.3), Accepted(0.31, 0.02, 48)).improved


def test_a_model_passes_against_its_own_rounded_baseline() -> None:
    """Six digits in the baseline file are no regression, even with a margin of 0."""
    gate = replace(MARGIN, limit=0.0, resolution=math.inf)
    assert only(gate, effect(1 / 3), Accepted(round(1 / 3, 6), 0.02, 48)).verdict is Verdict.PASS


def test_a_paired_change_takes_the_place_of_the_unpaired_one() -> None:
    """A change that was measured on paired prompts decides; the baseline is only shown."""
    paired = Estimate(0.1, 0.001, 96, 12, 11.0, "difference")
    (result,) = judge([Check(MARGIN, effect(0.4, 0.1), Accepted(0.3, 0.1, 48), paired)])
    assert result.verdict is Verdict.FAIL
    assert only(MARGIN, effect(0.4, 0.1), Accepted(0.3, 0.1, 48)).verdict is Verdict.INCONCLUSIVE


WORSE = Accepted(0.3, 0.02, 48)


def changed(by: float, error: float, *, floor: float = math.nan, gate: Gate = MARGIN) -> Check:
    """A gate beside a baseline of 0.3, with the paired change that was measured."""
    change = Estimate(by, error, 96, 12, 11.0, "difference")
    return Check(gate, effect(0.3 + by), WORSE, change, floor=floor)


def verdict_of(check: Check, *, strict: bool = False) -> Verdict:
    """The verdict of a run of one gate."""
    (result,) = judge([check], strict=strict)
    return result.verdict


def test_strict_passes_only_what_is_clearly_within() -> None:
    """By default what is not clearly worse passes; strictly, only what is clearly no worse."""
    near, far = changed(0.04, 0.01), changed(0.0, 0.01)
    assert verdict_of(near) is Verdict.PASS
    assert verdict_of(near, strict=True) is Verdict.INCONCLUSIVE
    assert verdict_of(far, strict=True) is Verdict.PASS
    assert verdict_of(changed(0.2, 0.01), strict=True) is Verdict.FAIL
    assert verdict_of(Check(CEILING, effect(0.19)), strict=True) is Verdict.INCONCLUSIVE
    assert verdict_of(Check(CEILING, effect(0.1)), strict=True) is Verdict.PASS
    assert verdict_of(Check(FLOOR, effect(0.91, unit="share")), strict=True) is (
        Verdict.INCONCLUSIVE
    )
    assert verdict_of(Check(FLOOR, effect(0.97, unit="share")), strict=True) is Verdict.PASS


@pytest.mark.parametrize("strict", [False, True], ids=["default", "strict"])
def test_an_interval_wider_than_the_margin_is_inconclusive(strict: bool) -> None:
    """Within the margin, but a change as large could have gone unseen: not a pass, unless named."""
    wide = changed(0.0, 0.03)
    (result,) = judge([wide], strict=strict)
    assert result.verdict is Verdict.INCONCLUSIVE
    assert "too imprecise: ± 0.066 is wider than the margin" in first_line(result)
    assert verdict_of(changed(-0.3, 0.03), strict=strict) is Verdict.PASS  # better beyond doubt
    accepted = changed(0.0, 0.03, gate=replace(MARGIN, resolution=math.inf))
    assert verdict_of(accepted) is Verdict.PASS
    finer = changed(0.0, 0.03, gate=replace(MARGIN, resolution=0.06))
    assert "wider than its resolution of 0.060" in first_line(judge([finer])[0])


def test_the_noise_floor_is_added_to_the_margin() -> None:
    """What a model differs from itself by is no regression; more than the margin tells nothing."""
    worse = changed(0.08, 0.005)
    assert verdict_of(worse) is Verdict.FAIL
    assert verdict_of(changed(0.08, 0.005, floor=0.04)) is Verdict.PASS
    (result,) = judge([changed(0.0, 0.005, floor=0.06)])
    assert result.verdict is Verdict.INCONCLUSIVE
    assert "run-to-run noise (0.060) exceeds the margin" in first_line(result)
    assert verdict_of(changed(0.3, 0.005, floor=0.06)) is Verdict.FAIL
    assert not judge([changed(-0.03, 0.005, floor=0.04)])[0].improved


def test_detectable_effects_are_found_four_times_in_five() -> None:
    """A true change of the stated size fails in 80 % of runs, by simulation of the gate."""
    rng, error, df = np.random.default_rng(0), 0.01, 11
    (result,) = judge([changed(0.0, error)])
    runs = 1500
    spread = np.sqrt(rng.chisquare(df, runs) / df) * error
    values = rng.normal(result.mde, error, runs)
    failed = 0
    for value, own in zip(values.tolist(), spread.tolist(), strict=True):
        estimate = Estimate(value, own, 96, 12, float(df), "difference")
        failed += verdict_of(Check(MARGIN, effect(0.3), WORSE, estimate)) is Verdict.FAIL
    assert 0.75 < failed / runs < 0.85
    many = judge([changed(0.0, error, gate=replace(MARGIN, id=f"g{i}")) for i in range(20)])
    assert many[0].mde > result.mde > MARGIN.limit


def test_limits_and_comparisons_are_families_of_their_own() -> None:
    """Fifty ceilings that nobody is near do not take the power of a comparison away."""
    ceilings = [Check(replace(CEILING, id=f"c{i}"), effect(0.0)) for i in range(50)]
    results = judge([*ceilings, changed(0.09, 0.012)])
    assert results[-1].verdict is Verdict.FAIL
    assert results[-1].adjusted == pytest.approx(results[-1].p * 5 / 4)
    shares = families_of(results, 0.05)
    assert shares == {"category": (50, pytest.approx(0.01)), "category, baseline": (1, 0.04)}


def test_unmeasured_is_an_error_and_never_green() -> None:
    """No number: error, with the reason, in a ceiling and against a baseline."""
    result = only(CEILING, NOTHING)
    assert result.verdict is Verdict.ERROR
    assert first_line(result).endswith("not measured: none of 48 prompts was answered")
    assert only(MARGIN, NOTHING, Accepted(0.3, 0.02, 48)).verdict is Verdict.ERROR
    assert only(MARGIN, effect(0.1), Accepted(math.nan, 0.02, 48)).verdict is Verdict.ERROR


def test_a_diagnostic_is_reported_and_takes_no_power() -> None:
    """Without a limit there is no verdict, and the other gates do not pay for it."""
    diagnostics = [Check(replace(CEILING, id=f"d{i}", limit=None), effect(0.9)) for i in range(50)]
    results = judge([*diagnostics, Check(CEILING, effect(0.4))])
    assert {result.verdict for result in results[:-1]} == {Verdict.REPORTED}
    assert "reported and not gated: a reason" in first_line(results[0])
    assert results[-1].adjusted == results[-1].p
    assert only(replace(CEILING, limit=None), NOTHING).verdict is Verdict.REPORTED


def test_many_gates_make_a_borderline_one_inconclusive() -> None:
    """A p-value of 0.02 fails alone and not among fifty."""
    close = effect(0.2 + 2.4 * 0.02)
    assert only(CEILING, close).verdict is Verdict.FAIL
    others = [Check(replace(CEILING, id=f"other{i}"), effect(0.0)) for i in range(49)]
    assert judge([Check(CEILING, close), *others])[0].verdict is Verdict.INCONCLUSIVE


def test_order_of_the_gates_does_not_matter() -> None:
    """Workers may bring results in any order."""
    checks = [
        Check(replace(CEILING, id=f"g{i}", level="word" if i % 2 else "category"), effect(value))
        for i, value in enumerate((0.1, 0.22, 0.26, 0.4))
    ]
    expected = {result.id: result for result in judge(checks)}
    for shuffled in permutations(checks):
        assert {result.id: result for result in judge(shuffled)} == expected


def test_false_alarms_of_a_run_at_its_limits() -> None:
    """70 gates, all exactly at one of their limits: the run fails at alpha, not at 70 alpha."""
    rng = np.random.default_rng(20_250_601)
    runs, alarms = 300, 0
    gates = [replace(TWO_SIDED, id=f"c{i}") for i in range(10)]
    gates += [replace(TWO_SIDED, id=f"p{i}", level="word") for i in range(60)]
    at = np.where(np.arange(len(gates)) % 3, 0.2, -0.2)
    for _ in range(runs):
        error = 0.02 * np.sqrt(rng.chisquare(11, len(gates)) / 11)
        value = rng.normal(at, 0.02)
        numbers = zip(gates, value.tolist(), error.tolist(), strict=True)
        results = judge([Check(gate, effect(v, e)) for gate, v, e in numbers])
        alarms += any(result.verdict is Verdict.FAIL for result in results)
    # 300 runs at a true 5 % show at most 0.073 in 19 of 20 seeds.
    assert alarms / runs <= 0.073


def test_a_gate_may_not_be_judged_twice() -> None:
    """The same result from two workers would change everybody's error rate."""
    with pytest.raises(ValueError, match="judged twice"):
        judge([Check(CEILING, effect(0.1)), Check(CEILING, effect(0.1))])


@pytest.mark.parametrize(
    ("gate", "estimate", "complaint"),
    [
        (MARGIN, effect(0.1), "none was given"),
        (CEILING, effect(0.1, unit="nats"), "is in effect, its estimate in nats"),
    ],
)
def test_a_check_that_does_not_fit_is_refused(
    gate: Gate, estimate: Estimate, complaint: str
) -> None:
    """A missing baseline or another unit is a mistake of ours, not a verdict."""
    with pytest.raises(ValueError, match=complaint):
        only(gate, estimate)


@pytest.mark.parametrize("alpha", [0.0, 0.5, math.nan])
def test_alpha_must_be_an_error_rate(alpha: float) -> None:
    """0 would never fail and a half would fail by chance."""
    with pytest.raises(ValueError, match="alpha"):
        judge([], alpha)


@pytest.mark.parametrize("change", [{"limit": math.nan}, {"reason": " "}])
def test_a_gate_needs_a_limit_and_a_reason(change: dict[str, object]) -> None:
    """NaN never fails anything, and a limit without a reason cannot be defended."""
    with pytest.raises(ValueError, match="gate implicit"):
        replace(CEILING, **change)


def test_the_first_line_has_the_numbers() -> None:
    """Who, measured, allowed, how sure, which model, which pair, and what to do, in this order."""
    line = first_line(
        only(CEILING, effect(0.41)),
        model="llama @a1b2c3",
        worst="wallet/revolver",
        next_step="To accept: pytest --snapshot-update",
    )
    assert line == (
        "implicit/race-default-weapons: stereotype effect 0.41 ± 0.04, limit 0.20, "
        "p < 0.0001 alone, < 0.0001 over the run, 48 prompts, 12 clusters, llama @a1b2c3; "
        "worst pair wallet/revolver. To accept: pytest --snapshot-update"
    )
    assert first_line(only(MARGIN, effect(0.40), Accepted(0.31, 0.02, 48))) == (
        "implicit/race-default-weapons: stereotype effect 0.40 ± 0.04, baseline 0.31 "
        "(change +0.09 ± 0.06, margin 0.05), beyond it but not clearly (p 0.086 alone, "
        "0.086 over the run), 48 prompts, 12 clusters; more wordings would settle it"
    )


def test_numbers_that_differ_are_printed_differently() -> None:
    """A value above its limit does not read as equal to it."""
    assert "effect 0.204 ± 0.044, limit 0.200" in first_line(only(CEILING, effect(0.204)))


def test_half_the_interval_is_that_of_the_side_that_is_not_clipped() -> None:
    """Next to the end of the scale, ± says how far down the value may be."""
    assert "1.00 ± 0.22" in first_line(only(CEILING, effect(1.0, 0.1)))


UNREADABLE = Estimate.unmeasured("the controls do not separate", unit="position")
BLINDNESS = Gate("patching/x", "patching", "blindness", "position", 0.33, "a reason")


@pytest.mark.parametrize(
    ("readable", "verdict"),
    [("required", Verdict.INCONCLUSIVE), ("optional", Verdict.REPORTED)],
)
def test_what_controls_cannot_read_is_never_passed(readable: str, verdict: Verdict) -> None:
    """Controls that do not separate: inconclusive, or reported where the limits file says so."""
    gate = replace(BLINDNESS, readable=readable)
    (result,) = judge([Check(gate, UNREADABLE, unreadable=UNREADABLE.reason)])
    assert result.verdict is verdict
    assert "the controls do not separate" in first_line(result)


def test_mechanistic_gates_are_a_family_of_their_own() -> None:
    """Gates inside the model take no power from each other's halves beyond an even share."""
    inside = [
        Check(replace(BLINDNESS, id=f"patching/{place}"), effect(0.4, unit="position"))
        for place in range(200)
    ]
    alone = only(CEILING, effect(0.4))
    (first, *_) = judge([Check(CEILING, effect(0.4)), *inside])
    assert first.adjusted == pytest.approx(2 * alone.adjusted)
