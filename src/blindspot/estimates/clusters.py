"""Crossed clusters: how far words and wordings move an estimate, and the variance that follows.

Prompts share words and wordings, so they are not independent. An effect is a weighted mean of cell
means; its linearised residuals, summed within each cluster, are that cluster's *contribution*. The
variance is the sum, over the cluster factors, of the one-way cluster-robust variances. Evidence for
this choice, and for the degrees of freedom: ``docs/design/003-uncertainty.md``.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from itertools import combinations
from typing import Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from blindspot.estimates.estimate import Estimate

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
BoolArray = NDArray[np.bool_]

ANSWER_STEP = 2.0
"""Change of one prompt's value when a generated answer flips from -1 to 1."""

LOGIT_STEP = 0.125
"""Nats: the spacing of bfloat16 logits between 16 and 32, where those of likely tokens lie."""

PROBABILITY_STEP = LOGIT_STEP / 2
"""The same for tanh(log-odds / 2), whose slope is at most one half."""


@dataclass(frozen=True, eq=False)
class Clusters:
    """The cluster of every prompt, per factor: (prompt,) int64 codes into the factor's levels.

    Encode a whole table once; `take` then cuts slices without touching a label again.
    """

    codes: Mapping[str, IntArray]
    levels: Mapping[str, tuple[str, ...]]

    @classmethod
    def encode(cls, labels: Mapping[str, ArrayLike]) -> Self:
        """From labels (strings or integers), one array (prompt,) per factor."""
        if not labels:
            raise ValueError("clusters: name at least one factor, such as wording=...")
        codes: dict[str, IntArray] = {}
        levels: dict[str, tuple[str, ...]] = {}
        for factor, column in labels.items():
            array = np.asarray(column)
            if array.size == 0:
                array = array.astype(np.str_)
            strings = array.dtype.kind == "O" and all(isinstance(item, str) for item in array)
            if array.ndim != 1 or not (strings or array.dtype.kind in "iuU"):
                raise ValueError(f"clusters: {factor} must be (prompt,) strings or integers")
            found, inverse = np.unique(array, return_inverse=True)
            codes[factor] = inverse.astype(np.int64, copy=False)
            levels[factor] = tuple(str(level) for level in found)
        if len({code.size for code in codes.values()}) != 1:
            sizes = ", ".join(f"{factor} {code.size}" for factor, code in codes.items())
            raise ValueError(f"clusters: the factors differ in length: {sizes}")
        return cls(codes, levels)

    @classmethod
    def of(cls, clusters: Clusters | Mapping[str, ArrayLike]) -> Clusters:
        """Encoded clusters as they are, anything else encoded."""
        return clusters if isinstance(clusters, Clusters) else cls.encode(clusters)

    def __len__(self) -> int:
        return next(iter(self.codes.values())).size

    def take(self, index: IntArray | BoolArray) -> Clusters:
        """The clusters of a slice; ``index`` holds positions or marks prompts."""
        return Clusters({name: code[index] for name, code in self.codes.items()}, self.levels)

    def varying(self) -> tuple[dict[str, BoolArray], str]:
        """Factors that count as clusters, each with its levels that occur (level,); if none, why.

        A factor with a single level cannot show any variance (the words of a single pair). A
        factor whose levels each lie within one level of another (words listed in fixed pairs,
        identifiers tied to a wording) is part of that other one and would count it twice.
        """
        present = {
            name: np.bincount(code, minlength=len(self.levels[name])) > 0
            for name, code in self.codes.items()
        }
        count = {name: int(np.count_nonzero(mask)) for name, mask in present.items()}
        kept = [name for name in present if count[name] > 1]
        for one, other in combinations(tuple(kept), 2):
            if one in kept and other in kept:
                joint = self.codes[one] * len(self.levels[other]) + self.codes[other]
                cells = int(np.count_nonzero(np.bincount(joint)))
                if cells == count[one]:
                    kept.remove(one)
                elif cells == count[other]:
                    kept.remove(other)
        reason = "" if kept else f"at least 2 levels of {' or '.join(present)} are needed"
        return {name: present[name] for name in kept}, reason


@dataclass(frozen=True, eq=False)
class FactorSums:
    """Contributions of the clusters of one factor, (level,) float64, and which levels occur."""

    levels: tuple[str, ...]
    present: BoolArray
    sums: FloatArray

    @property
    def count(self) -> int:
        """Clusters that occur."""
        return int(np.count_nonzero(self.present))

    @property
    def variance(self) -> float:
        """One-way cluster-robust variance of the estimate, with the small-sample factor."""
        return float(self.sums @ self.sums) * self.count / (self.count - 1)

    def minus(self, other: FactorSums) -> FactorSums:
        """Difference, level by level; levels are matched by their labels."""
        if self.levels == other.levels:
            return FactorSums(self.levels, self.present | other.present, self.sums - other.sums)
        levels = tuple(sorted({*self.levels, *other.levels}))
        place = {level: position for position, level in enumerate(levels)}
        sums, present = np.zeros(len(levels)), np.zeros(len(levels), np.bool_)
        for part, sign in ((self, 1.0), (other, -1.0)):
            where = np.array([place[level] for level in part.levels], np.int64)
            sums[where] += sign * part.sums
            present[where] |= part.present
        return FactorSums(levels, present, sums)


@dataclass(frozen=True, eq=False)
class Contributions:
    """A value with the contribution of each cluster: enough for its estimate, and to subtract.

    ``floor`` is the smallest variance allowed. ``minus`` of two runs over the same clusters is a
    paired comparison: what words and wordings do to both cancels.
    """

    value: float
    factors: Mapping[str, FactorSums]
    floor: float
    n: int
    unit: str
    reason: str = ""

    def estimate(self) -> Estimate:
        """The value with its standard error and degrees of freedom."""
        if self.reason:
            return Estimate.unmeasured(self.reason, unit=self.unit, n=self.n)
        parts = [(part.variance, part.count - 1) for part in self.factors.values()]
        seen = sum(variance for variance, _ in parts)
        cap = max(self.n / 2, *(float(free) for _, free in parts))
        df = sum(variance * free for variance, free in parts) / seen if seen > 0 else cap
        variance = max(seen, self.floor)
        if 0 < seen < variance:
            # Satterthwaite: the part that the floor adds is not estimated, so it adds no doubt.
            ratio = variance / seen
            df = min(df * ratio * ratio, cap)
        return Estimate(
            value=self.value,
            standard_error=math.sqrt(variance),
            n=self.n,
            clusters=min(part.count for part in self.factors.values()),
            df=df,
            unit=self.unit,
        )

    def times(self, factor: float) -> Contributions:
        """The value and its contributions, scaled; the unit is no longer the original one."""
        factors = {
            name: FactorSums(part.levels, part.present, factor * part.sums)
            for name, part in self.factors.items()
        }
        floor = factor**2 * self.floor
        return Contributions(factor * self.value, factors, floor, self.n, "scaled", self.reason)

    def minus(
        self, other: Contributions, *, apart: Collection[str] = (), paired: bool = False
    ) -> Contributions:
        """Difference of two values.

        Clusters are matched by factor and label. Factors that only one of the two has, and those
        named in ``apart`` (whose labels mean different things in the two), count as independent.
        ``paired``: both values rest on the same prompts, which ``n`` then counts once.
        """
        factors = dict(self.factors)
        for name, part in other.factors.items():
            if name in factors and name not in apart:
                factors[name] = factors[name].minus(part)
            else:
                factors[f"{name} (of the other)"] = part
        unit = "difference" if self.unit in ("effect", "share") else self.unit
        reason = "; ".join(dict.fromkeys(filter(None, (self.reason, other.reason))))
        n = max(self.n, other.n) if paired else self.n + other.n
        floor = self.floor + other.floor
        return Contributions(self.value - other.value, factors, floor, n, unit, reason)


def contrasts(
    values: FloatArray,
    cells: IntArray,
    weights: FloatArray,
    clusters: Clusters,
    *,
    names: Iterable[str],
    step: float,
    unit: str,
) -> tuple[Contributions, ...]:
    """Weighted sums of cell means, one per row of ``weights`` (contrast, cell).

    ``values`` (prompt,) float64 with NaN for a prompt without an answer; ``cells`` (prompt,) the
    cell of each prompt; ``names`` says what each cell is. Cells count alike however many of their
    prompts were answered; a cell without any leaves all of them unmeasured. ``step`` is the change
    of a value that the reading cannot rule out in one prompt: the variance is at least that of one
    prompt in each cell having changed so (the floor).
    """
    answered = ~np.isnan(values)
    n = int(np.count_nonzero(answered))
    if n < values.size:
        values, cells, clusters = values[answered], cells[answered], clusters.take(answered)
    width = weights.shape[1]
    filled = np.bincount(cells, minlength=width)
    if not filled.all():
        reason = _missing(answered.size, n, names, filled)
        return tuple(_unmeasured(reason, unit, n) for _ in weights)
    factors, reason = clusters.varying()
    if reason:
        return tuple(_unmeasured(reason, unit, n) for _ in weights)
    means = np.bincount(cells, values, width) / filled
    residuals = (values - means[cells]) / filled[cells]
    floors = np.square(weights * step / (filled + 1.0)).sum(axis=1)
    sums: dict[str, FloatArray] = {}
    for name, present in factors.items():
        joint = clusters.codes[name] * width + cells
        table = np.bincount(joint, residuals, present.size * width).reshape(-1, width)
        sums[name] = weights @ table.T
    return tuple(
        Contributions(
            value=float(value),
            factors={
                name: FactorSums(clusters.levels[name], present, sums[name][row])
                for name, present in factors.items()
            },
            floor=float(floors[row]),
            n=n,
            unit=unit,
        )
        for row, value in enumerate(weights @ means)
    )


def _unmeasured(reason: str, unit: str, n: int) -> Contributions:
    return Contributions(math.nan, {}, math.nan, n, unit, reason)


def _missing(prompts: int, answered: int, names: Iterable[str], filled: IntArray) -> str:
    if not prompts:
        return "there are no prompts"
    if not answered:
        return f"none of {prompts} prompts was answered"
    empty = [name for name, count in zip(names, filled, strict=True) if not count]
    return f"no answered prompt with {', nor with '.join(empty)}"
