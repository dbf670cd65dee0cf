"""report.html: one self-contained file without scripts, made from report.json alone."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from markupsafe import Markup, escape

from blindspot import files
from blindspot.gates.verdict import RunVerdict, Verdict
from blindspot.report.files import PAGE
from blindspot.report.text import line, visible

if TYPE_CHECKING:
    from jinja2 import Environment

    from blindspot.report.schema import Document

_TEMPLATES = Path(__file__).parent / "templates"


def write_page(directory: Path, document: Document) -> Path:
    """Write report.html; an older one stays whole until the new one is complete."""
    return files.replace(directory / PAGE, page(document))


def page(document: Document) -> str:
    """The page of a report. Imports the heavy libraries, jinja and matplotlib."""
    from blindspot.report.page import contents, drawing

    with drawing.drawing():  # setting up matplotlib takes longer than drawing a chart
        values = contents.contents(document)
    return render("page.html.j2", values)


def render(template: str, values: Mapping[str, Any]) -> str:
    """A page from its template, with the style sheet."""
    style = (_TEMPLATES / "style.css").read_text("utf-8") + _verdict_styles()
    return _environment().get_template(template).render(**values, style=style)


@cache
def _environment() -> Environment:
    """The templates of the page, compiled once."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    from blindspot.report import numbers

    environment = Environment(
        loader=FileSystemLoader(_TEMPLATES),
        autoescape=True,  # names, prompts and answers are untrusted text
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        finalize=_finalized,
    )
    environment.filters |= {
        "signed": numbers.signed,
        "plain": numbers.plain,
        "limits": numbers.limits,
        "percent": numbers.percent,
        "figure": numbers.figure,
        "probability": numbers.probability,
        "tiny": numbers.tiny,
        "visible": visible,
        "line": line,
        "breakable": _breakable,
        "css_class": css_class,
    }
    environment.globals |= {
        "interval": numbers.interval,
        "counted": numbers.counted,
        "verdicts": list(Verdict),
    }
    return environment


def _verdict_styles() -> str:
    """The colors and symbols of the verdicts, as rules of the style sheet."""
    rules = [
        f"header.{css_class(verdict)} {{ --verdict: var(--{verdict.tone}); }}"
        for verdict in RunVerdict
    ]
    for verdict in Verdict:
        badge, look = f".badge.{css_class(verdict)}", verdict.look
        rules.append(f'{badge}::before {{ content: "{look.symbol} "; }}')
        if look.tone:
            colors = f"color: var(--{look.tone}); background: var(--{look.tone}-tint);"
            rules.append(f"{badge} {{ {colors} }}")
    return "\n".join((*rules, ""))


def css_class(verdict: str) -> str:
    """The class of a verdict on the page."""
    return verdict.replace(" ", "-")


def _breakable(text: str) -> Any:
    """A gate's id that may wrap at its slashes on a narrow screen."""
    return Markup(str(escape(visible(text))).replace("/", "/<wbr>"))


def _finalized(value: Any) -> Any:
    """Escape text that is inserted and make invisible characters visible; keep our own markup."""
    return visible(value) if isinstance(value, str) and not isinstance(value, Markup) else value
