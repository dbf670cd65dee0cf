"""``python -m tools.pictures REPORT.json ...``: the pictures of docs/mechanistic.md.

One panel a report, in the order given; from the first slice of each assay unless ``--slice`` names
one. matplotlib draws them: it is installed for development only.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl

mpl.use("svg")
from matplotlib import pyplot as plt
from matplotlib.axes import Axes

PICTURES = Path(__file__).resolve().parents[2] / "docs" / "pictures"

#: Okabe and Ito's colors, which people with any color vision tell apart, and a line style each.
LOOKS: dict[str, tuple[str, str]] = {
    "ambiguous": ("#000000", "-"),
    "group": ("#0072B2", "--"),
    "literal": ("#D55E00", "--"),
    "neutral": ("#009E73", ":"),
    "unrelated": ("#999999", ":"),
    "random": ("#999999", "-."),
    "untouched": ("#000000", "-"),
}


def curves(report: dict[str, Any], measurement: str, part: str) -> list[dict[str, Any]]:
    """The curves of an assay of a slice."""
    for assay in report["mechanistic"]:
        if (assay["measurement"], assay["slice"]) == (measurement, part):
            return list(assay["curves"])
    raise SystemExit(f"the report of {report['model']['id']} has no {measurement} of {part}")


def look(name: str, senses: tuple[str, str]) -> tuple[str, str]:
    """Color and line of a curve; the senses look alike on every axis."""
    group, literal = senses
    return LOOKS[{group: "group", literal: "literal"}.get(name, name)]


def draw(axes: Axes, found: Sequence[dict[str, Any]], senses: tuple[str, str]) -> None:
    """Draw curves with their intervals."""
    for curve in found:
        color, line = look(curve["name"], senses)
        at = [place for place, value in enumerate(curve["values"]) if value is not None]
        values = [curve["values"][place] for place in at]
        axes.plot(at, values, line, color=color, label=curve["name"], linewidth=1.8)
        if curve["low"]:
            low = [curve["low"][place] for place in at]
            high = [curve["high"][place] for place in at]
            axes.fill_between(at, low, high, color=color, alpha=0.15, linewidth=0)
    axes.set_xticks(range(len(found[0]["at"])), found[0]["at"])
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(alpha=0.25)


def picture(
    reports: Sequence[dict[str, Any]],
    part: str,
    senses: tuple[str, str],
    *,
    measurement: str,
    reading: str,
    quantity: str,
    label: str,
    along: str,
    limits: tuple[float, float],
) -> Path:
    """Draw one assay, a panel a report."""
    figure, panels = plt.subplots(
        1, len(reports), figsize=(3.4 * len(reports), 3.1), sharey=True, squeeze=False
    )
    for axes, report in zip(panels[0], reports, strict=True):
        found = [
            curve
            for curve in curves(report, measurement, part)
            if (curve["reading"], curve["quantity"]) == (reading, quantity)
        ]
        draw(axes, found, senses)
        axes.set_title(report["model"]["id"], fontsize=10)
        axes.set_xlabel(along)
        axes.set_ylim(*limits)
    panels[0][0].set_ylabel(label)
    handles, labels = panels[0][0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="lower center", ncols=len(labels), frameon=False, fontsize=9)
    figure.tight_layout(rect=(0, 0.08, 1, 1))
    PICTURES.mkdir(exist_ok=True)
    path = PICTURES / f"{measurement}.svg"
    figure.savefig(path, metadata={"Date": None})
    plt.close(figure)
    return path


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tools.pictures", description=__doc__)
    parser.add_argument("reports", nargs="+", type=Path)
    parser.add_argument("--slice", default="race-default-weapons")
    parser.add_argument(
        "--senses", nargs=2, default=("race", "color"), metavar=("GROUP", "LITERAL")
    )
    options = parser.parse_args()
    mpl.rcParams["svg.hashsalt"] = "blindspot"  # the same report gives the same file
    reports = [json.loads(path.read_text("utf-8")) for path in options.reports]
    senses = tuple(options.senses)
    group, literal = senses
    for settings in (
        {
            "measurement": "patching",
            "reading": "same-layer",
            "quantity": "P(literal) - P(group), of the two",
            "label": f"P({literal}) - P({group}), of the two",
            "along": "layer that is read and written",
            "limits": (-1.1, 1.1),
        },
        {
            "measurement": "interpretation",
            "reading": "generated",
            "quantity": f"share read as {group}",
            "label": f"share of texts about {group}",
            "along": "layer that is read and written",
            "limits": (-0.05, 1.05),
        },
        {
            "measurement": "probing",
            "reading": "linear",
            "quantity": f"P({group})",
            "label": f"P({group}), calibrated",
            "along": "layer",
            "limits": (-0.05, 1.05),
        },
        {
            "measurement": "injection",
            "reading": "forced-choice",
            "quantity": "stereotype effect",
            "label": "stereotype effect",
            "along": "layers written over",
            "limits": (-0.5, 1.1),
        },
    ):
        print(picture(reports, options.slice, (group, literal), **settings))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
