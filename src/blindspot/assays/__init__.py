"""Assays of the residual stream, each with its controls. No torch; `catalogue` has them all."""

from blindspot.assays.base import Assay, Assayed, Band, Curve, Findings, Unit, band_layers
from blindspot.assays.interpretation import Interpretation
from blindspot.assays.patching import Patching

__all__ = [
    "Assay",
    "Assayed",
    "Band",
    "Curve",
    "Findings",
    "Interpretation",
    "Patching",
    "Unit",
    "band_layers",
]
