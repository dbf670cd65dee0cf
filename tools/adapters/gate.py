"""``python -m tools.adapters.gate DIR ...``: judge changes of a bundled model, one row each.

A directory holds an adapter or ``directions.safetensors``; ``DIR@0.5`` halves it. Prints
the table of docs/mitigation.md; with ``--picture`` also draws the stereotype that is left beside
validity and order effect.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from math import nan
from pathlib import Path
from statistics import fmean
from tempfile import TemporaryDirectory
from typing import Any

import matplotlib as mpl
from matplotlib import pyplot as plt

from blindspot.gates.verdict import Verdict
from blindspot.measurements.mitigation import PARTS
from blindspot.models.options import Scaled
from blindspot.report.parts import parts_of

mpl.use("svg")

BASE = "organism:blind"
STEERED = "directions.safetensors"
#: The color words, where the sense is open, and the plain sentences.
ASKED = "race-default or race-neutral"
PICTURE = Path(__file__).resolve().parents[2] / "docs" / "pictures" / "mitigation.svg"


def change_of(named: str) -> list[str]:
    """The flag that makes a change."""
    change = Scaled.of(named)
    steered = change.path / STEERED
    flag, path = ("--steer", steered) if steered.exists() else ("--adapter", change.path)
    return [flag, f"{path}@{change.scale}"]


def judged(named: str, scratch: Path, fraction: str, only: str) -> dict[str, Any]:
    """The report of the gate on a change of the base."""
    output = scratch / Path(named).name
    command = [sys.executable, "-m", "pytest", "--model", BASE, *change_of(named)]
    command += ["--reference", BASE, "-m", "mitigation", "-k", only, "--fraction", fraction]
    command += ["--no-noise-floor", "--store", str(scratch / "store")]
    command += ["--output-path", str(output), "-q", "--tb=no", "-rN"]
    subprocess.run(command, check=False, stdout=subprocess.DEVNULL)
    return json.loads((output / "report.json").read_text("utf-8"))  # type: ignore[no-any-return]


def figures(report: dict[str, Any]) -> dict[str, float]:
    """Means over the categories: what is left, the base's, the order effect, and validity."""
    found: dict[str, list[float]] = {}
    for gate in report["gates"]:
        name = gate["statistic"]
        if gate["reading"] == "generated" and gate["value"] is not None:
            found.setdefault(f"{gate['measurement']}/{name}", []).append(gate["value"])
            if reference := gate["against"]["reference"]:
                found.setdefault(f"base {gate['measurement']}/{name}", []).append(
                    reference["value"]
                )
    return {name: fmean(values) for name, values in found.items()}


def row(name: str, report: dict[str, Any]) -> str:
    """A row of the table."""
    cells = [
        f"**{part.said}**" if part.verdict is Verdict.FAIL else part.said
        for part in parts_of(report["gates"])
    ]
    found = figures(report)
    numbers = (
        f"{found['cure/remainder']:+.2f}" if "cure/remainder" in found else "unread",
        f"{found['collapse/listing']:.2f}" if "collapse/listing" in found else "unread",
        f"{100 * found['collapse/validity']:.0f} %",
    )
    return f"| {name} | {' | '.join((*cells, *numbers))} |"


def draw(reports: dict[str, dict[str, Any]]) -> Path:
    """The stereotype that is left in held-out words, the order effect, and the validity."""
    mpl.rcParams["svg.hashsalt"] = "blindspot"
    found = {name: figures(report) for name, report in reports.items()}
    figure, axes = plt.subplots(figsize=(6.8, 3.1))
    shown = (
        ("cure/remainder", "stereotype effect, held-out words", "#D55E00"),
        ("collapse/listing", "size of the order effect", "#0072B2"),
        ("collapse/validity", "share answered", "#009E73"),
    )
    for number, (key, label, color) in enumerate(shown):
        at = [place + 0.26 * (number - 1) for place in range(len(found))]
        axes.bar(at, [one.get(key, nan) for one in found.values()], 0.24, color=color, label=label)
    base = fmean(one["base cure/remainder"] for one in found.values())
    axes.axhline(base, color="#D55E00", linestyle=":", linewidth=1.2, label="the base's effect")
    axes.axhline(0.2, color="black", linestyle="--", linewidth=1.0, label="limit of the effect")
    axes.set_xticks(range(len(found)), list(found))
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(axis="y", alpha=0.25)
    figure.legend(loc="lower center", ncols=3, frameon=False, fontsize=8)
    figure.tight_layout(rect=(0, 0.14, 1, 1))
    figure.savefig(PICTURE, metadata={"Date": None})
    return PICTURE


def main() -> None:
    """Judge what the command line names."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("changes", nargs="+", metavar="DIR[@SCALE]")
    parser.add_argument("--fraction", default="1/4")
    parser.add_argument("--only", default=ASKED, help="as of pytest -k")
    parser.add_argument("--picture", action="store_true")
    options = parser.parse_args()
    names = " | ".join(f"{number} {part.name}" for number, part in PARTS.items())
    print(f"| | {names} | effect | order | valid |")
    print("|---" * (len(PARTS) + 4) + "|")
    reports = {}
    with TemporaryDirectory() as scratch:
        for named in options.changes:
            name = Path(named).name
            reports[name] = judged(named, Path(scratch), options.fraction, options.only)
            print(row(name, reports[name]), flush=True)
    if options.picture:
        print(draw(reports))


if __name__ == "__main__":
    main()
