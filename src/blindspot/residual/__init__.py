"""Read, write and resume the residual stream of a model. Importing this imports no torch."""

from blindspot.residual.base import (
    HasResidualStream,
    Injected,
    InjectionRequest,
    Question,
    Readout,
    ResidualStream,
    Source,
    Span,
    Vectors,
    Write,
)

__all__ = [
    "HasResidualStream",
    "Injected",
    "InjectionRequest",
    "Question",
    "Readout",
    "ResidualStream",
    "Source",
    "Span",
    "Vectors",
    "Write",
]
