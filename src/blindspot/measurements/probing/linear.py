"""Linear probes of the residual stream: fitted on some cues and templates, tested on the others.

A probe is a logistic regression of the sense that a cue states on the vectors of the identifiers.
Each is fitted without the cues and without the templates on which it is tested: a cue word can be
read off the stream of any model, even with random weights, and says nothing about its sense.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from blindspot.models.residual import Vectors

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]

LEAST_CUES = 3
"""Least cues of each sense: with fewer, a probe is fitted on a single cue of a sense, or none."""

CUE_FOLDS, TEMPLATE_FOLDS = 4, 2
"""Parts into which cues and templates are split; one probe for each combination."""

STRENGTH = 1.0
"""Inverse L2 penalty (``C``), for vectors whose mean squared length is 1. It hardly matters: from
0.01 to 100 the blindness of the bundled models moves by 0.01."""

FLAT = 1e-6
"""Standard deviation, as a share of the mean, at which a float32 entry does not change at all."""


@dataclass(frozen=True, eq=False)
class Folds:
    """Which contexts each probe is fitted and tested on: both (probe, context) bool.

    Every context is tested by exactly one probe. ``cues`` and ``templates``: the part of the cues
    and of the templates held out from a probe, (probe,).
    """

    fitted: Bools
    tested: Bools
    cues: Ints
    templates: Ints

    @classmethod
    def cross(cls, group: Bools, cues: ArrayLike, templates: ArrayLike) -> Folds:
        """Cut the cues of either sense, and the templates, into parts.

        Args:
            group: (context,), whether its cue states the group sense.
            cues: (context,) names.
            templates: (context,) names.

        Raises:
            ValueError: a sense has fewer than `LEAST_CUES` cues.
        """
        cue = np.zeros(group.size, np.int64)
        counts = []
        for sense in (True, False):
            names, place = np.unique(np.asarray(cues)[group == sense], return_inverse=True)
            cue[group == sense] = place
            counts.append(names.size)
        if min(counts) < LEAST_CUES:
            raise ValueError(f"a probe needs {LEAST_CUES} cues of each sense, not {min(counts)}")
        names, template = np.unique(np.asarray(templates), return_inverse=True)
        parts = min(CUE_FOLDS, *counts), min(TEMPLATE_FOLDS, names.size)
        held_cues, held_templates = (
            held.ravel() for held in np.meshgrid(*map(np.arange, parts), indexing="ij")
        )
        cue_held = cue % parts[0] == held_cues[:, None]
        template_held = template % parts[1] == held_templates[:, None]
        # A single template cannot be held out: then only cues are.
        seen = ~template_held if parts[1] > 1 else template_held
        return cls(~cue_held & seen, cue_held & template_held, held_cues, held_templates)


@dataclass(frozen=True, eq=False)
class Probes:
    """The probes of one layer, as functions of its vectors: weights (probe, width), bias (probe,).

    ``slope`` and ``offset`` turn their decisions into the log-odds of the group sense: one
    calibration for all, from decisions on held-out contexts (Platt 1999).
    """

    weights: Floats
    bias: Floats
    slope: float
    offset: float

    def log_odds(self, decisions: Floats) -> Floats:
        """Log-odds of the group sense (nats) of decisions of any of the probes."""
        return self.slope * decisions + self.offset

    def probabilities(self, vectors: Vectors) -> Floats:
        """P(group) that each probe gives to vectors (..., width): (probe, ...)."""
        decisions = np.moveaxis(vectors @ self.weights.T + self.bias, -1, 0)
        return logistic(self.log_odds(decisions))


def fit_layer(
    vectors: Vectors, group: Bools, folds: Folds, labelings: Bools
) -> tuple[Probes, Floats, Bools]:
    """Fit the probes of one layer, and their shuffled-label controls.

    Args:
        vectors: (context, identifier, width), finite.
        group: (context,), whether its cue states the group sense.
        folds: the contexts that each probe is fitted and tested on.
        labelings: (labeling, context) shuffled labels, which are the same within a cue.

    Returns:
        The probes; their decisions on held-out contexts, (context, identifier), > 0 is group; and
        whether the probes of each labeling were right, (labeling, context, identifier).
    """
    contexts, identifiers, width = vectors.shape
    targets = np.concatenate([group[None], labelings])
    decisions = np.zeros((len(targets), contexts, identifiers))
    weights = np.zeros((len(folds.cues), width))
    bias = np.zeros(len(folds.cues))
    for number, (fitted, tested) in enumerate(zip(folds.fitted, folds.tested, strict=True)):
        rows = vectors[fitted].reshape(-1, width).astype(np.float64)
        centre, spread = rows.mean(0), rows.std(0)
        spread[spread <= np.abs(centre) * FLAT] = 1.0
        scale = spread * np.sqrt(width)
        rows = (rows - centre) / scale
        basis = _row_space(rows)
        known, unknown = rows @ basis, ((vectors[tested] - centre) / scale) @ basis
        slopes, constants = regress(known, np.repeat(targets[:, fitted], identifiers, axis=1))
        found = unknown @ slopes.T + constants
        decisions[:, tested] = np.moveaxis(found, -1, 0)
        weights[number] = basis @ slopes[0] / scale
        bias[number] = constants[0] - weights[number] @ centre
    slope, offset = calibrate(decisions[0].ravel(), np.repeat(group, identifiers))
    right = (decisions[1:] > 0) == labelings[..., None]
    return Probes(weights, bias, slope, offset), decisions[0], right


def draw_labelings(cues: ArrayLike, count: int, seed: int) -> Bools:
    """Shuffled labels (labeling, context): a coin toss for each cue.

    Tossed one by one, so that the label of a cue held out is independent of those fitted, and half
    of them are guessed right. With a shuffle of fixed halves, cues that are held out tend to have
    the label that is rarer among the others, and fewer are guessed right.
    """
    names, place = np.unique(np.asarray(cues), return_inverse=True)
    return (np.random.default_rng(seed).random((count, names.size)) < 0.5)[:, place]


def _row_space(rows: Floats) -> Floats:
    """Orthonormal basis (width, ...) of the space that rows span.

    Weights outside of it change no decision on the rows and are penalised, so the best ones have no
    such part: a fit within the basis is the same fit with fewer unknowns.
    """
    count, width = rows.shape
    if count >= width:
        return np.eye(width)
    values, directions = np.linalg.eigh(rows @ rows.T)
    spanned = values > values[-1] * 1e-10
    basis: Floats = rows.T @ (directions[:, spanned] / np.sqrt(values[spanned]))
    return basis


def regress(rows: Floats, labels: Bools, *, strength: float = STRENGTH) -> tuple[Floats, Floats]:
    """L2-penalised logistic regressions of each of several labels; both classes count alike.

    Args:
        rows: (row, entry).
        labels: (labeling, row).
        strength: inverse penalty, ``C`` of the usual notation.

    Returns:
        Weights (labeling, entry) and constants (labeling,). Constant labels have no optimum: their
        constant is large.
    """
    counts = np.where(labels, labels.sum(1)[:, None], (~labels).sum(1)[:, None])
    shares = labels.shape[1] / (2.0 * counts)
    return _minimum(rows, labels.astype(np.float64), shares, 1.0 / strength)


def calibrate(decisions: Floats, labels: Bools) -> tuple[float, float]:
    """Slope and offset that turn decisions into log-odds, by Platt's sigmoid.

    Its targets are slightly below certainty, as if one decision of each class were wrong, which
    keeps the slope finite for perfectly separated classes.
    """
    counts = np.where(labels, labels.sum(), (~labels).sum())
    doubt = 1.0 / (counts + 2.0)
    spread = float(decisions.std()) or 1.0
    slopes, constants = _minimum(
        decisions[:, None] / spread,
        np.where(labels, 1.0 - doubt, doubt)[None],
        (labels.size / (2.0 * counts))[None],
        0.0,
    )
    return float(slopes[0, 0]) / spread, float(constants[0])


def _minimum(
    rows: Floats, targets: Floats, shares: Floats, penalty: float
) -> tuple[Floats, Floats]:
    """Weights and constants with the least cross-entropy, weighted by ``shares``, plus penalty.

    Regressions that share only the rows are solved as one sum: a solver's step costs little more
    for all of them than for one. The optimum is unique, so the solver does not matter.
    """
    several, count = targets.shape

    def loss(unknowns: Floats) -> tuple[float, Floats]:
        table = unknowns.reshape(several, -1)
        weights = table[:, :-1]
        odds = weights @ rows.T + table[:, -1:]
        entropy = (shares * (np.logaddexp(0.0, odds) - targets * odds)).sum()
        excess = shares * (logistic(odds) - targets)
        slopes = np.hstack([excess @ rows + penalty * weights, excess.sum(1, keepdims=True)])
        value = entropy + penalty / 2.0 * np.square(weights).sum()
        return float(value) / count, slopes.ravel() / count

    from scipy.optimize import minimize  # takes half a second

    found = minimize(
        loss,
        np.zeros(several * (rows.shape[1] + 1)),
        jac=True,
        method="L-BFGS-B",
        options={"gtol": 1e-6, "ftol": 1e-12, "maxiter": 10_000},
    )
    table = found.x.reshape(several, -1)
    return table[:, :-1], table[:, -1]


def logistic(values: Floats) -> Floats:
    """Probability of log-odds (nats); never overflows."""
    shares: Floats = 0.5 * (1.0 + np.tanh(values / 2.0))
    return shares
