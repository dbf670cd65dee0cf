"""The content of report.json, version 2, as types: what the reports read, and its JSON schema.

Unknown keys and other types are errors. ``python -m tools.schema`` generates ``report-2.json`` from
these types, and real reports are tested against it. A number that could not be measured is null.
"""

from pathlib import Path

from blindspot.report.schema.comparisons import (
    Comparison,
    Comparisons,
    Flip,
    FlipCount,
    Flips,
    SignatureLine,
)
from blindspot.report.schema.document import (
    SCHEMA_VERSION,
    Baseline,
    Check,
    Document,
    Model,
    Record,
    Server,
    adapter,
    json_schema,
    nothing_measured,
)
from blindspot.report.schema.findings import (
    Assay,
    BesideOther,
    Curve,
    Effects,
    Example,
    Figure,
    Mass,
    OtherVariant,
    Pair,
    Published,
    WorstPair,
)
from blindspot.report.schema.gates import Against, Family, Gate, Nats, NoiseFloor, Waiver

#: Published with the package.
SCHEMA = Path(__file__).parent / "report-2.json"

__all__ = [
    "SCHEMA",
    "SCHEMA_VERSION",
    "Against",
    "Assay",
    "Baseline",
    "BesideOther",
    "Check",
    "Comparison",
    "Comparisons",
    "Curve",
    "Document",
    "Effects",
    "Example",
    "Family",
    "Figure",
    "Flip",
    "FlipCount",
    "Flips",
    "Gate",
    "Mass",
    "Model",
    "Nats",
    "NoiseFloor",
    "OtherVariant",
    "Pair",
    "Published",
    "Record",
    "Server",
    "SignatureLine",
    "Waiver",
    "WorstPair",
    "adapter",
    "json_schema",
    "nothing_measured",
]
