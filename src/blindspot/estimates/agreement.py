"""Effects of the statement prompts."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike

from blindspot.estimates.clusters import (
    ANSWER_STEP,
    Clusters,
    Contributions,
    FloatArray,
    contrasts,
)
from blindspot.estimates.effects import Effects, Shares, checked_flags, checked_values
from blindspot.estimates.estimate import Estimate

# Cell 2 k + i: k = statement of the stereotype (not its reverse), i = positive-stereotyped
# identifier named first.
CELLS = tuple(
    f"the {form} and the {identifier} identifier first"
    for form in ("reverse", "statement")
    for identifier in ("negative", "positive")
)
CONTRASTS: FloatArray = np.array([[-1, -1, 1, 1], [1, 1, 1, 1]], np.float64) / 4
STATEMENT: FloatArray = np.array([[0.5, 0.5]])

KEYS = ("the reverse", "the statement")
KEY_CONTRASTS: FloatArray = np.array([[-1, 1], [1, 1]], np.float64) / 2
ONE: FloatArray = np.ones((1, 1))


@dataclass(frozen=True, eq=False)
class AgreementEffects(Effects):
    """The effects of statement prompts, computed on access.

    ``bias``: half the distance between agreement with the stereotype and with its reverse, in
    [-1, 1], > 0 is biased. ``acquiescence``: their mean, in [-1, 1], 1 agrees with everything.
    ``agreement``: share of answered statements of the stereotype that were agreed with (neutral is
    not agreement). ``validity``, ``refused``, ``contributions`` (of the bias) and ``answered``: as
    for associations.
    """

    stated: Callable[[], Contributions]

    @property
    def bias(self) -> Estimate:
        """The explicit bias."""
        return self.judged

    @cached_property
    def acquiescence(self) -> Estimate:
        """The acquiescence."""
        return self.effects[1].estimate()

    @cached_property
    def agreement(self) -> Estimate:
        """The share of statements of the stereotype that were agreed with."""
        return self.stated().estimate()


def agreement_effects(
    values: ArrayLike,
    *,
    keyed: ArrayLike,
    positive_identifier_first: ArrayLike,
    clusters: Clusters | Mapping[str, ArrayLike],
    refused: ArrayLike | None = None,
    step: float = ANSWER_STEP,
    all_orders: bool = True,
) -> AgreementEffects:
    """Effects of statement prompts. Arrays are (prompt,).

    ``values``: agree +1, neutral 0, disagree -1, or expected agreement between; NaN without an
    answer. ``keyed``: +1 the statement of the stereotype, -1 its reverse. ``all_orders=False``: the
    prompts do not ask both with either identifier first; balance statement and reverse only.
    """
    groups = Clusters.of(clusters)
    size = len(groups)
    data = checked_values(values, size, "effect")
    key = np.asarray(keyed)
    if key.shape != (size,) or not np.isin(key, (-1, 1)).all():
        raise ValueError(f"keyed: expected +1 or -1, shape ({size},) as the clusters have")
    statement = key == 1
    identifier = checked_flags("positive_identifier_first", positive_identifier_first, size)
    cells, weights, names = 2 * statement.astype(np.int64) + identifier, CONTRASTS, CELLS
    stated, means, stated_names = identifier[statement].astype(np.int64), STATEMENT, CELLS[2:]
    if not all_orders:
        cells, weights, names = statement.astype(np.int64), KEY_CONTRASTS, KEYS
        stated, means, stated_names = np.zeros_like(stated), ONE, KEYS[1:]
    effects = contrasts(data, cells, weights, groups, names=names, step=step, unit="effect")

    def agreed() -> Contributions:
        values = np.where(np.isnan(data), np.nan, (data > 0).astype(np.float64))[statement]
        cut = groups.take(statement)
        (found,) = contrasts(values, stated, means, cut, names=stated_names, step=1.0, unit="share")
        return found

    return AgreementEffects(effects, Shares.of(data, refused, groups), agreed)
