"""The content of report.json, version 2, as types: what the reports read, and its JSON schema.

A key that is not named here, or a type that differs, is a mistake on one of two sides: of these
types ``report-2.json`` is made, by ``python -m tools.schema``, and real reports are tested against
it. A number that could not be measured is null.
"""

from pathlib import Path

from blindspot.report.schema.comparisons import Comparison, Flip, FlipCount, SignatureLine
from blindspot.report.schema.document import (
    MEASURED,
    SCHEMA_VERSION,
    Document,
    adapter,
    json_schema,
)
from blindspot.report.schema.findings import Assay, Curve, Effects, Figure, OtherVariant
from blindspot.report.schema.gates import Against, Gate

#: Published with the package.
SCHEMA = Path(__file__).parent / "report-2.json"

__all__ = [
    "MEASURED",
    "SCHEMA",
    "SCHEMA_VERSION",
    "Against",
    "Assay",
    "Comparison",
    "Curve",
    "Document",
    "Effects",
    "Figure",
    "Flip",
    "FlipCount",
    "Gate",
    "OtherVariant",
    "SignatureLine",
    "adapter",
    "json_schema",
]
