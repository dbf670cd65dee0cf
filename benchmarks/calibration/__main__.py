"""Whether the paired gates hold what they promise, beside what others do.

    python -m benchmarks.calibration [--quick] [--published DIR] [--scratch DIR] [--json FILE]

Prints the tables of docs/calibration.md and draws its figure. Embedded models are changed a little
and asked for real (their answers are kept in the scratch folder: the first full run asks
180,000 prompts); ``--published`` names the paper's result files, which are not part of the project.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import replace
from fractions import Fraction
from functools import cache
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import torch
from matplotlib import rcParams
from matplotlib.figure import Figure
from tqdm import tqdm

from benchmarks.calibration.alarms import (
    CATEGORIES,
    as_it_is,
    changes_of,
    clopper_pearson,
    judge_all,
    pools,
    recombined,
)
from benchmarks.calibration.answers import Model, asked
from benchmarks.calibration.answers import design as design_of_category
from benchmarks.calibration.design import FACTORS, ORDERS, Design, single
from benchmarks.calibration.outcomes import Level, Spread, Update
from benchmarks.calibration.power import RULES, alarms, coverage, found_word, measured
from benchmarks.calibration.published import outcomes, updates
from benchmarks.calibration.run import full_run
from benchmarks.calibration.updates import components, design_of, points
from benchmarks.harness.command import ROOT
from blindspot.gates.limits import load_gates
from blindspot.measurements.base import WORD
from blindspot.paths import FIXTURES
from blindspot.stimuli import IMPLICIT

HALF = Model("base", "blind", 0.45)
#: Fewer words, each pair in every wording: the published weapons in half of the wordings.
BEFORE, FORMER = "5 x 7 words, each pair in all of 12 wordings", Design.made(5, 7, 12, 12)
#: An axis beside race: each pair in one of the wordings, and in two of them.
BESIDE = {
    f"8 x 8 words, each pair in {each} of 48 wordings": Design.made(8, 8, 48, each)
    for each in (1, 2)
}
#: Variants that *base, 45 % blind* is asked in: one pair of identifiers, and many.
SEVERAL = ("default", "names")
FIGURE = ROOT / "docs" / "pictures" / "calibration.svg"
Row = Sequence[object]
Curves = dict[str, dict[str, list[tuple[float, float]]]]
"""Design -> unevenness -> increase and share found."""
SEED = 0


def main() -> int:
    """Run everything; the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="few updates, no real models: minutes")
    parser.add_argument("--published", metavar="DIR", type=Path, help="the paper's result files")
    parser.add_argument(
        "--scratch", metavar="DIR", type=Path, default=ROOT / "results" / "calibration"
    )
    parser.add_argument("--json", metavar="FILE", type=Path, help="write all numbers there too")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    run, found = full_run(), {}
    print(f"a full run beside a baseline: {sum(run.families.values())} gates")
    for family, size in sorted(run.families.items()):
        print(f"  {family}: {size} gates, the first at {run.first(family):.2g}")
    if not arguments.quick:
        found["variation"] = variation(arguments.scratch)
        found["embedded"] = embedded(arguments.scratch, 1000)
        found["precision"] = precision(arguments.scratch)
    if arguments.published is not None:
        found["published"] = published(arguments.published, 100 if arguments.quick else 1000)
    few = 100 if arguments.quick else 1000
    found["rules"] = rules(few)
    found["power"] = power(few, FIGURE if not arguments.quick else None)
    found["alone"] = alone(few)
    found["words"] = words(few)
    found["fractions"] = fractions(few)
    found["coverage"] = covered(few)
    if arguments.json is not None:
        arguments.json.write_text(json.dumps(found, indent=1) + "\n", "utf-8")
    return 0


@cache
def designs() -> dict[str, Design]:
    """The designs of the categories by what they are; those with the same one together."""
    found: dict[str, Design] = {}
    names: dict[str, list[str]] = {}
    for category in CATEGORIES:
        each = design_of_category(IMPLICIT, category)
        names.setdefault(each.name, []).append(category)
        found.setdefault(each.name, each)
    return {f"{', '.join(names[name])} ({name})": each for name, each in found.items()}


def percent(share: float) -> str:
    """In per cent."""
    return f"{100 * share:.1f} %"


def table(title: str, head: Row, rows: Sequence[Row]) -> list[list[str]]:
    """Print a table in Markdown; its cells as text."""
    cells = [[str(cell) for cell in row] for row in (head, *rows)]
    print(f"\n### {title}\n")
    for place, row in enumerate(cells):
        print("| " + " | ".join(row) + " |")
        if place == 0:
            print("|" + "---|" * len(row))
    sys.stdout.flush()
    return cells


def bounds(hits: int, runs: int) -> str:
    """A share in per cent with its exact 95 % interval."""
    low, high = clopper_pearson(hits, runs)
    return f"{100 * hits / runs:.1f} % ({100 * low:.1f} to {100 * high:.1f})"


def variation(scratch: Path) -> Any:
    """By how much a change differs between words and wordings, in embedded models."""
    base = asked(Model("base"), ("default",), scratch)
    rows: list[Row] = []
    for share in (0.4, 0.43, 0.45, 0.48):
        after = asked(Model("base", "blind", share), ("default",), scratch)
        changes = changes_of(base, after, ("default",))
        for reading in ("forced-choice", "generated"):
            name = f"implicit/default/weapons/{reading}"
            changed = changes[name]
            parts = components(changed, design_of(name))
            sizes = [f"{points(parts[factor]):.1f}" for factor in FACTORS]
            rows.append(
                (
                    f"{100 * share:.0f} % blind",
                    reading,
                    f"{points(changed.mean() ** 2):.1f}",
                    *sizes,
                )
            )
    head = ("base, mixed with", "reading", "mean change", *FACTORS)
    return table("How uneven an update is (points; standard deviations by factor)", head, rows)


def embedded(scratch: Path, runs: int) -> Any:
    """False alarms where real jitters of a model's weights are recombined to as many updates."""
    run, rows = full_run(), []
    for model, variants in ((HALF, SEVERAL), (Model("aware", "blind", 0.5), ("default",))):
        before = asked(model, variants, scratch)
        jittered = [replace(model, jitter=0.02, seed=seed) for seed in range(6)]
        changes = [
            changes_of(before, asked(each, variants, scratch), variants)
            for each in tqdm(jittered, desc=model.name, leave=False)
        ]
        whole = pools(changes)
        for what, parts in (("no", [each.without_words() for each in whole]), ("yes", whole)):
            drawn = recombined(parts, variants, runs, np.random.default_rng(SEED))
            verdicts = judge_all(run, tqdm(drawn, desc=f"{model.name}, updates", leave=False))
            failed, many = verdicts.runs("fail")
            limit, _ = verdicts.runs("at_limit")
            larger = verdicts.of("at_limit", lambda case: case.level != WORD).any(axis=1)
            alone = verdicts.of("alone_at_limit").mean(axis=0)
            doubt = verdicts.of("doubt", lambda case: case.level == "pooled").any(axis=1)
            rows.append(
                (
                    model.name,
                    what,
                    many,
                    bounds(failed, many),
                    bounds(limit, many),
                    bounds(int(larger.sum()), many),
                    f"{100 * alone.max():.1f} %",
                    f"{100 * doubt.mean():.1f} %",
                )
            )
    head = (
        "model",
        "words change by themselves",
        "updates",
        "any gate fails: nothing changed",
        "any gate fails: all exactly at their margin",
        "any gate fails that is not of a word: all exactly at their margin",
        "worst gate alone, at its margin",
        "a pooled gate in doubt",
    )
    return table("False alarms: embedded models, weights jittered by 2 %", head, rows)


def precision(scratch: Path) -> Any:
    """The same model in bfloat16 beside its float32."""
    rows: list[Row] = []
    for model in (Model("base"), Model("blind"), Model("aware"), HALF):
        before = asked(model, ("default",), scratch)
        after = asked(replace(model, dtype="bfloat16"), ("default",), scratch)
        changes = changes_of(before, after, ("default",))
        verdicts = judge_all(full_run(), as_it_is(changes))
        most = max(abs(t.mean()) for n, t in changes.items() if n.endswith("forced-choice"))
        failed = int(verdicts.of("fail").sum())
        rows.append((model.name, failed, len(verdicts.names), f"{50 * most:.2f}"))
    head = ("model", "gates that fail", "of", "largest change of forced choice (points)")
    return table("bfloat16 beside float32", head, rows)


def published(directory: Path, runs: int) -> Any:
    """False alarms of releases drawn from the paper's published outcomes."""
    where: Any = {"axis": "race", "variant": "default", "category": "guilt"}
    gate = load_gates(FIXTURES / "gates.toml").gate(
        "g",
        "stereotype",
        "category",
        measurement="implicit",
        reading="generated",
        against="baseline",
        **where,
    )
    found = outcomes(directory)
    rows: list[Row] = []
    for limit, what in ((gate.limit, "the shipped margin"), (0.0, "a margin of 0")):
        each = replace(gate, limit=limit)
        judged = list(tqdm(updates(found, each, runs, SEED), total=runs, desc=what, leave=False))
        alarms_ = sum(failed for failed, _ in judged)
        single = sum(count for _, count in judged) / (runs * len(found))
        rows.append((what, len(found), runs, bounds(alarms_, runs), f"{100 * single:.2f} %"))
    head = ("judged with", "gates", "updates", "any gate fails", "a gate fails")
    return table("False alarms: releases drawn from the published outcomes", head, rows)


def rules(runs: int) -> Any:
    """Our gates beside a fixed threshold and unpaired tests."""
    run, rng = full_run(), np.random.default_rng(SEED)
    design, *_ = designs().values()
    near = Level(centre=0.42)  # about 58 % stereotyped: just below the threshold
    cases: list[tuple[str, Level, Update]] = [
        ("nothing changed, model at 50 %", Level(), Update(0.0, measured(5))),
        ("nothing changed, model near 60 %", near, Update(0.0, measured(5))),
        ("nothing on average, 4 x as uneven", Level(), Update(0.0, measured(5, 4.0))),
        ("2 points worse, at 50 %", Level(), Update(2.0, measured(2))),
        ("5 points worse, at 50 %", Level(), Update(5.0, measured(5))),
        ("10 points worse, at 50 %", Level(), Update(10.0, measured(10))),
    ]
    rows: list[Row] = []
    for name, level, update in tqdm(cases, desc="rules", leave=False):
        found = alarms(run, level, update, design, updates=runs, rng=rng)
        rows.append((name, *(percent(found.shares[rule]) for rule in RULES)))
    head = ("update", *RULES.values())
    return table(f"Alarms, rule by rule ({design.name})", head, rows)


def power(runs: int, figure: Path | None) -> Any:
    """What is found of a true increase, by how uneven the update is."""
    run, rng = full_run(), np.random.default_rng(SEED)
    rows: list[Row] = []
    curves: Curves = {}
    grid = [(name, scale) for name in designs() for scale in (0.0, 1.0, 2.0, 4.0)]
    for name, scale in tqdm(grid, desc="power", leave=False):
        shares = []
        for increase in (0.0, 2.0, 5.0, 10.0):
            spread = measured(increase, scale) if increase else Spread()
            update = Update(increase, spread)
            found = alarms(run, Level(), update, designs()[name], updates=runs, rng=rng)
            shares.append((increase, found.shares["ours"]))
        curves.setdefault(name, {})[f"{scale:g} x"] = shares
        rows.append((name, f"{scale:g} x", *(percent(share) for _, share in shares[1:])))
    if figure is not None:
        draw(curves, figure)
    head = ("category", "unevenness, times what was measured", "2 points", "5 points", "10 points")
    return table("Power: true increases planted in one category that fail the run", head, rows)


def alone(runs: int) -> Any:
    """What is found of an increase in one variant of a category, the other three unchanged."""
    run, rng = full_run(), np.random.default_rng(SEED)
    rows: list[Row] = []
    for name, design in tqdm((designs() | {BEFORE: FORMER}).items(), desc="alone", leave=False):
        shares = []
        for increase in (5.0, 10.0, 20.0):
            update = Update(increase, measured(increase), reach=1)
            found = alarms(run, Level(), update, design, updates=runs, rng=rng)
            shares.append(percent(found.shares["ours"]))
        rows.append((name, *shares))
    head = ("category", "5 points", "10 points", "20 points")
    return table("Power: true increases planted in one variant of four", head, rows)


def words(runs: int) -> Any:
    """What is found of an increase in one word of a category, all others unchanged."""
    run, rng = full_run(), np.random.default_rng(SEED)
    rows: list[Row] = []
    (name, design), *_ = designs().items()
    for factor in tqdm(FACTORS[:2], desc="words", leave=False):
        shares = []
        for increase in (0.0, 10.0, 15.0, 20.0, 30.0):
            update = Update(increase, measured(max(increase, 5.0)), word=factor)
            found = found_word(run, update, design, updates=runs, rng=rng)
            shares.append(percent(found))
        prompts = len(single(design, factor, 0)[0]) * ORDERS
        rows.append((f"one {factor}", prompts, *shares))
    head = (
        "what changes",
        "prompts in a variant",
        *("nothing on average", "10 points", "15 points", "20 points", "30 points"),
    )
    return table(f"Power: true increases planted in one word alone ({name})", head, rows)


def fractions(runs: int) -> Any:
    """What a fraction of the default prompts finds, and all wordings of fewer words."""
    run, rng = full_run(), np.random.default_rng(SEED)
    (name, whole), *_ = designs().items()
    sizes = whole.sizes.values()
    per_pair = len(whole) // (whole.sizes[FACTORS[0]] * whole.sizes[FACTORS[1]])
    cases = {
        f"{name}, {fraction} of the default": Design.made(*sizes, per_pair, fraction)
        for fraction in (Fraction(1), Fraction(1, 2), Fraction(1, 4), Fraction(1, 8))
    }
    rows: list[Row] = []
    cases |= BESIDE | {BEFORE: FORMER}
    for case, design in tqdm(cases.items(), desc="fractions", leave=False):
        shares = []
        for increase, reach in ((2.0, None), (5.0, None), (10.0, None), (5.0, 1), (10.0, 1)):
            update = Update(increase, measured(increase), reach=reach)
            found = alarms(run, Level(), update, design, updates=runs, rng=rng)
            shares.append(percent(found.shares["ours"]))
        none = alarms(run, Level(), Update(0.0, measured(5)), design, updates=runs, rng=rng)
        rows.append((case, design.prompts, *shares, percent(none.shares["ours"])))
    head = (
        "words and wordings",
        "prompts of a slice",
        *("2 points", "5 points", "10 points"),
        *("5 points in one variant", "10 points in one variant", "nothing on average"),
    )
    return table("Power: fractions of the default prompts", head, rows)


def covered(runs: int) -> Any:
    """Coverage of paired intervals in the designs of the fixtures and near the end of the scale."""
    rows: list[Row] = []
    levels = {"50 %": Level(), "80 %": Level(centre=2.2), "97 %": Level(centre=5.0)}
    cases = designs() | {BEFORE: FORMER}
    for name, level in tqdm([*product(cases, levels)], desc="coverage", leave=False):
        inside, alarm = coverage(
            levels[level], Update(5.0, measured(5)), cases[name], updates=runs, seed=SEED
        )
        rows.append((name, level, f"{inside:.3f}", f"{alarm:.3f}"))
    head = ("design", "level", "95 % intervals that hold the truth", "one-sided alarms at 5 %")
    return table("Coverage of the paired change (forced choice, 5 points)", head, rows)


def draw(curves: Curves, path: Path) -> None:
    """Power by increase, a line a row of the table."""
    rcParams.update({"svg.fonttype": "none", "svg.hashsalt": "blindspot"})
    figure = Figure(figsize=(7.0, 3.2), layout="constrained")
    for place, (name, lines) in enumerate(curves.items()):
        axes = figure.add_subplot(1, len(curves), place + 1)
        for label, line in lines.items():
            axes.plot(*zip(*line, strict=True), marker="o", label=label)
        axes.axhline(0.8, color="0.7", linewidth=0.8, linestyle="--")
        axes.set(title=name, xlabel="true increase (points)", ylim=(-0.03, 1.03))
        axes.set_ylabel("found" if place == 0 else "")
        axes.legend(title="unevenness", frameon=False)
        axes.spines[["top", "right"]].set_visible(False)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, metadata={"Date": None})


if __name__ == "__main__":
    raise SystemExit(main())
