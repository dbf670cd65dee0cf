"""A matplotlib drawing as part of the page: text stays text, colors are the page's.

Each role below is drawn in a placeholder color that becomes ``var(--role)``: the style sheet
decides about light, dark and print.
"""

from __future__ import annotations

import io
import re
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree

from blindspot.report.text import line

if TYPE_CHECKING:
    from matplotlib.figure import Figure

#: Roles with their placeholder colors.
ROLES: dict[str, str] = {
    role: f"#{place:02x}{place:02x}f{place:x}"
    for place, role in enumerate(
        (
            "ink",
            "muted",
            "grid",
            "paper",
            "candidate",
            "baseline",
            "reference",
            "group",
            "literal",
            "neutral",
            "other",
            "veil",
        ),
        1,
    )
}
#: Width of a drawing in units; shown at about this many pixels, slightly fewer on a phone.
WIDTH = 330.0
TEXT = 11.5

_SALT = "blindspot"
_SVG = "http://www.w3.org/2000/svg"
_HREF = "{http://www.w3.org/1999/xlink}href"
#: Removed from every text: the page has its own fonts, and most texts are not rotated.
_UNNEEDED = re.compile(r" font-family: [^;]*;| transform=\"rotate\(-0 [^\"]*\"|(?<= )\n")
_NUMBER = re.compile(r"-?\d+\.\d{2,}")
_COLOR = re.compile("|".join(ROLES.values()))
_NAMES = {color: f"var(--{role})" for role, color in ROLES.items()}


@contextmanager
def drawing() -> Iterator[None]:
    """Matplotlib with our settings instead of the user's; once per page."""
    import matplotlib as mpl

    if mpl.rcParams["svg.hashsalt"] == _SALT:
        yield
        return
    with mpl.rc_context(), warnings.catch_warnings():
        warnings.simplefilter(
            "ignore"
        )  # letters missing in its own font: the page's fonts have them
        mpl.rcdefaults()
        mpl.rcParams.update(
            {
                "svg.fonttype": "none",
                "svg.hashsalt": _SALT,  # the same report gives the same page
                "text.parse_math": False,  # a dollar sign in a name is a dollar sign
                "font.size": TEXT,
                "text.color": ROLES["ink"],
                "axes.facecolor": "none",
                "axes.edgecolor": ROLES["muted"],
                "axes.labelcolor": ROLES["muted"],
                "axes.linewidth": 0.8,
                "xtick.color": ROLES["muted"],
                "ytick.color": ROLES["muted"],
                "xtick.labelsize": TEXT,
                "ytick.labelsize": TEXT,
                "axes.labelsize": TEXT,
                "legend.fontsize": TEXT,
                "legend.frameon": False,
                "lines.solid_capstyle": "round",
            }
        )
        yield


def canvas(height: float) -> Figure:
    """An empty drawing of our width; one unit is one pixel."""
    from matplotlib.backends.backend_svg import FigureCanvasSVG
    from matplotlib.figure import Figure

    figure = Figure(figsize=(WIDTH / 72, height / 72), dpi=72, facecolor="none")
    FigureCanvasSVG(figure)
    return figure


def inline(
    figure: Figure, key: str, *, title: str, description: str, tips: Mapping[str, str]
) -> str:
    """The drawing as an ``<svg>`` element for an HTML page.

    Args:
        figure: what was drawn.
        key: unique on the page; the prefix of all ids.
        title: of the drawing; screen readers read it with the description.
        description: of the content.
        tips: tooltips of elements by their gid.
    """
    file = io.StringIO()
    figure.savefig(
        file, format="svg", metadata=dict.fromkeys(("Creator", "Date", "Format", "Type"))
    )
    root = ElementTree.fromstring(_recolored(file.getvalue()))
    for unneeded in (*root.findall(f"{{{_SVG}}}metadata"), *_styles(root)):
        root.remove(unneeded)
    _rename(root, key, tips)
    _prune(root)
    box = root.attrib["viewBox"]
    root.attrib.clear()
    root.attrib |= {
        "viewBox": box,
        "role": "img",
        "aria-labelledby": f"{key}-title {key}-text",
    }
    for place, (name, text) in enumerate((("title", title), ("desc", description))):
        element = ElementTree.Element(f"{{{_SVG}}}{name}")
        element.attrib["id"] = f"{key}-{'text' if place else 'title'}"
        element.text = line(text)
        root.insert(place, element)
    ElementTree.register_namespace("", _SVG)
    return ElementTree.tostring(root, "unicode")


def _recolored(svg: str) -> str:
    """Use the colors of the page, drop fonts, and round numbers to visible digits."""
    svg = _COLOR.sub(lambda match: _NAMES[match[0]], svg)
    svg = _UNNEEDED.sub("", svg)
    return _NUMBER.sub(lambda match: f"{float(match[0]):.1f}", svg)


def _styles(root: ElementTree.Element) -> list[ElementTree.Element]:
    """Definitions with only a style sheet, which would apply to the whole page."""
    return [
        part
        for part in root.findall(f"{{{_SVG}}}defs")
        if all(child.tag == f"{{{_SVG}}}style" for child in part)
    ]


def _rename(root: ElementTree.Element, key: str, tips: Mapping[str, str]) -> None:
    """Prefix referenced ids, drop the others, and insert tooltips."""
    used = {
        value.removeprefix("#")
        for element in root.iter()
        for name, value in element.attrib.items()
        if name == _HREF
    } | {
        found
        for element in root.iter()
        for found in re.findall(r"url\(#([^)]+)\)", " ".join(element.attrib.values()))
    }
    for element in root.iter():
        attributes: dict[str, Any] = dict(element.attrib)
        if (name := attributes.pop("id", None)) in used:
            attributes["id"] = f"{key}-{name}"
        if (target := attributes.pop(_HREF, None)) is not None:
            attributes["href"] = f"#{key}-{target.removeprefix('#')}"
        for attribute, value in attributes.items():
            attributes[attribute] = re.sub(r"url\(#", f"url(#{key}-", value)
        element.attrib.clear()
        element.attrib |= attributes
        if name in tips:
            tip = ElementTree.Element(f"{{{_SVG}}}title")
            tip.text = line(tips[name])
            element.insert(0, tip)


def _prune(element: ElementTree.Element) -> None:
    """Remove invisible elements, and line breaks between elements."""
    for child in list(element):
        _prune(child)
        tag = child.tag.removeprefix(f"{{{_SVG}}}")
        unseen = child.attrib.get("style") == "fill: none"
        if (tag == "g" and not len(child)) or (tag == "path" and unseen):
            element.remove(child)
    for part in element.iter():
        part.tail = None
        if not (part.text or "").strip():
            part.text = None
