"""The files made from report.json alone."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from blindspot.report.card import write_card
from blindspot.report.page import write_page

if TYPE_CHECKING:
    from blindspot.report.schema import Document


def publish(directory: Path, document: Document) -> list[Path]:
    """Write report.html and report-model-card.yaml; their paths.

    Raises:
        OSError: one cannot be written; an older one is then still intact.
    """
    return [write_page(directory, document), write_card(directory, document)]
