"""A candidate against a reference, measured on the same prompts: differences, and relative loss."""

from __future__ import annotations

from collections.abc import Sequence
from functools import reduce

from blindspot.estimates.clusters import Contributions
from blindspot.estimates.estimate import Estimate

#: Below this lower bound (the group control is at 1) a reference does not represent the group
#: clearly enough for "x % less" to mean anything: it would be a ratio of noise.
LEAST_REPRESENTED = 0.1


def mean_of(parts: Sequence[Contributions]) -> Contributions:
    """Mean of values measured on different words; clusters of one name are one cluster."""
    unit, share = parts[0].unit, 1 / len(parts)
    scaled = [part.times(share) for part in parts]
    total = reduce(lambda one, other: one.minus(other.times(-1.0)), scaled)
    return Contributions(total.value, total.factors, total.floor, total.n, unit, total.reason)


def difference(candidate: Contributions, reference: Contributions) -> Estimate:
    """Candidate minus reference, paired: what words and wordings do to both cancels."""
    return candidate.minus(reference, paired=True).estimate()


def beyond(
    ones: tuple[Contributions, Contributions], others: tuple[Contributions, Contributions]
) -> Estimate:
    """Difference of differences: the change of the first two minus that of the others.

    Each pair is candidate and reference, paired; both pairs share wordings and questions.
    """
    first, second = (pair[0].minus(pair[1], paired=True) for pair in (ones, others))
    return first.minus(second).estimate()


def less_represented(candidate: Contributions, reference: Contributions) -> Estimate:
    """Share by which the candidate represents the group less than the reference; unit "ratio".

    Both hold a blindness b in [-1, 1]; the group is represented to (1 - b) / 2 (1 like the group
    control, 0 like the literal one), and the result is 1 - candidate / reference. This is
    the form of the paper's "52 % less likely to represent" the group (arXiv 2506.00253).
    Uncertainty by the delta method on paired contributions.
    """
    ours, theirs = (1 - candidate.value) / 2, (1 - reference.value) / 2
    n = max(candidate.n, reference.n)
    reason = candidate.reason or reference.reason
    if not reason:
        known = reference.estimate()
        if (1 - known.upper(0.05)) / 2 < LEAST_REPRESENTED:
            reason = "the reference itself does not represent the group clearly"
    if reason:
        return Estimate.unmeasured(reason, unit="ratio", n=n)
    # d(1 - c / r) = -dc / r + c dr / r^2, and a share moves by -1/2 of its blindness.
    change = candidate.times(0.5 / theirs).minus(
        reference.times(0.5 * ours / theirs**2), paired=True
    )
    estimate = change.estimate()
    return Estimate(
        value=1 - ours / theirs,
        standard_error=estimate.standard_error,
        n=n,
        clusters=estimate.clusters,
        df=estimate.df,
        unit="ratio",
    )
