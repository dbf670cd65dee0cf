"""How strictly a report is read."""

from pydantic import ConfigDict

#: No key beyond those named, no number written as text, no infinity.
FIXED = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False, use_attribute_docstrings=True)
