"""What the page says, section by section."""

from __future__ import annotations

from typing import Any

from blindspot.report import axes, changes, failures, sentences
from blindspot.report.page import inside, levels, provenance
from blindspot.report.schema import Document


def contents(document: Document) -> dict[str, Any]:
    """The variables of the template."""
    found = levels.levels(document)
    changed = changes.changes(document)
    return {
        "document": document,
        "model": document["model"]["id"],
        "summary": sentences.summarized(document),
        "matrix": axes.matrix(document["gates"]),
        "changes": changed,
        "flipped": any(change.flip_counts or change.flips for change in changed),
        "uncompared": changes.uncompared(document),
        "blind_gaps": changes.blind_gaps(document),
        "failures": failures.failures(document),
        "waived": failures.waived(document),
        "levels": found,
        "differences": levels.differences(document, found),
        "beside": levels.beside(found) if changed else "",
        "inside": inside.sections(document),
        "tables": failures.tables(document),
        "power": failures.power(document),
        "sources": provenance.sources(document),
    }
