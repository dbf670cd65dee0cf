"""report.json as a whole: read back, and made into the page and the model card."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from blindspot import files
from blindspot.errors import ReportError
from blindspot.report.card import write_card
from blindspot.report.files import REPORT
from blindspot.report.page import write_page
from blindspot.report.text import line

if TYPE_CHECKING:
    from blindspot.report.schema import Document

#: A run of the whole suite writes 5 MB; a far larger file is not a report.
LARGEST = 128 * 2**20
_REMEDY = "name a directory that a run wrote with --output-path, or run again"
_AGAIN = "run again with this version"


def load_document(path: Path) -> Document:
    """The report at ``path``: report.json or its directory.

    Raises:
        ReportError: it cannot be read, is not a report or has another version; names the file and
        the remedy.
    """
    from pydantic import ValidationError

    from blindspot.report.schema import SCHEMA_VERSION, adapter

    if files.is_directory(path):
        path = path / REPORT
    data = files.read_json(path, LARGEST, "a report", error=ReportError, remedy=_REMEDY)
    if not isinstance(data, dict) or "schema_version" not in data:
        _refuse(path, "not a report of blindspot (no schema_version)")
    version, writer = data["schema_version"], data.get("blindspot_version")
    by = f" of blindspot {line(writer, 40)}" if isinstance(writer, str) else ""
    if version != SCHEMA_VERSION:
        said = line(repr(version), 40)
        _refuse(path, f"schema_version {said}{by}, this blindspot reads {SCHEMA_VERSION}", _AGAIN)
    try:
        return adapter().validate_python(data)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = line(".".join(map(str, first["loc"])), 80) or "the whole"
        why = f"{where}: {line(first['msg'], 120)}"
        if not by:
            _refuse(path, f"not a report of blindspot ({why})")
        said = f"schema_version {SCHEMA_VERSION}{by}, but not as this one writes it ({why})"
        _refuse(path, said, _AGAIN)


def publish(directory: Path, document: Document) -> list[Path]:
    """Write report.html and report-model-card.yaml; their paths.

    Raises:
        OSError: one cannot be written; an older one is then still intact.
    """
    return [write_page(directory, document), write_card(directory, document)]


def _refuse(path: Path, what: str, remedy: str = _REMEDY) -> NoReturn:
    raise ReportError(f"{line(path)}: {what}; {remedy}") from None
