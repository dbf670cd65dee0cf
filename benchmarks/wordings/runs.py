"""Run the suite on real models and print one table of what came of it, wording by wording.

    python -m benchmarks.wordings.runs                          # all runs, then the table
    python -m benchmarks.wordings.runs smollm2-chat gemma       # only these, then the table
    python -m benchmarks.wordings.runs --show                   # the table of what was run before

A run asks one word pair of each category in every wording and order, and every statement. It is
the suite itself, in a process of its own. A run that is stopped goes on where it was; its seconds
are those of all attempts. ``--published DIR`` asks the prompts of the paper's result files instead.
"""

from __future__ import annotations

import argparse
import gzip
import json
import math
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from statistics import fmean, median
from typing import Any

from benchmarks.wordings.table import Row, row
from blindspot.gates.rule import UNREAD
from blindspot.paths import FIXTURES
from blindspot.toml import read_toml
from tools.real_models.fetch import MODELS, fetch

_DIRECTORY = Path("results/wordings")
_MODES: Mapping[str, Sequence[str]] = {
    "": (),
    "-chat": ("--apply-chat-template",),
    "-examples": ("--num-fewshot", "2"),
}
#: What is run: the model, and how it is asked. A base model has no chat template.
RUNS = {
    f"{model}{mode}": (model, _MODES[mode])
    for model, modes in (("smollm2", ("-chat", "", "-examples")), ("gemma", ("", "-examples")))
    for mode in modes
}
_OURS = ("--limit", "1", "--fraction", "all", "tests/implicit", "tests/explicit")
_MEASURED = {"implicit": "association", "explicit": "statements"}


@dataclass(frozen=True)
class Run:
    """What a run wrote, and the seconds that all attempts took."""

    name: str
    report: Mapping[str, Any]
    samples: Sequence[Mapping[str, Any]]
    seconds: float

    def rows(self, measurement: str) -> dict[str, Row]:
        """What the answers are worth, by wording."""
        found: dict[str, list[tuple[bool, float, float]]] = {}
        for one in self.samples:
            if one["measurement"] == measurement:
                straight = one["order"].count("positive") in {0, 2}
                each = straight, _number(one["value"]), _number(one["mass"])
                found.setdefault(one["wording"], []).append(each)
        rows = {name: row(name, each) for name, each in found.items()}
        if measurement == "implicit":
            return rows
        return {name: replace(each, copied=math.nan) for name, each in rows.items()}

    @property
    def verdicts(self) -> str:
        """How many gates of categories had each verdict, by reading."""
        counts: dict[str, Counter[str]] = {}
        for gate in self.report["gates"]:
            if gate["level"] == "category" and gate["verdict"] != "reported":
                said = "unread" if gate["doubt"].startswith(UNREAD) else gate["verdict"]
                counts.setdefault(gate["reading"], Counter())[said] += 1
        return "; ".join(
            f"{reading}: {', '.join(f'{n} {verdict}' for verdict, n in found.most_common())}"
            for reading, found in counts.items()
        )


def _number(value: float | None) -> float:
    return math.nan if value is None else value


def perform(name: str, part: str, what: Sequence[str], directory: Path) -> None:
    """Run the suite, and note the seconds that it took; what is stored is not asked again."""
    model, how = RUNS[name]
    began = time.monotonic()
    path = directory / "seconds.json"
    before = json.loads(path.read_text("utf-8")) if path.exists() else 0.0
    directory.mkdir(parents=True, exist_ok=True)
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-q", "--tb=no", "-rN"]
    command += ["--model", str(fetch(MODELS[model])), *how, "-k", part, *what]
    command += ["--output-path", str(directory), "--store", str(directory / "store")]
    try:
        done = subprocess.run(command, check=False)
    finally:
        path.write_text(json.dumps(before + time.monotonic() - began), "utf-8")
    if done.returncode not in {0, 10, 12}:
        raise SystemExit(f"{name} ended with exit code {done.returncode}")


def read(name: str, directory: Path) -> Run | None:
    """What a run wrote; None if it has not ended yet."""
    if not (directory / "report.json").exists():
        return None
    with gzip.open(directory / "samples.jsonl.gz", "rt", encoding="utf-8") as file:
        samples = [json.loads(line) for line in file]
    report = json.loads((directory / "report.json").read_text("utf-8"))
    seconds = json.loads((directory / "seconds.json").read_text("utf-8"))
    return Run(name, report, samples, seconds)


def table(ours: Mapping[str, Run], published: Mapping[str, Run]) -> Iterator[str]:
    """Lines of a Markdown table: a column for each run, a row for each wording."""
    names = [name for name in RUNS if name in ours or name in published]

    def line(title: str, cell: Callable[[Run], str], runs: Mapping[str, Run] = ours) -> str:
        cells = (cell(runs[name]) if name in runs else "" for name in names)
        return f"| {title} | {' | '.join(cells)} |"

    yield f"| | {' | '.join(f'`{name}`' for name in names)} |"
    yield f"|---|{'---|' * len(names)}"
    for measurement, title in _MEASURED.items():
        for wording in read_toml(FIXTURES / "wordings" / f"{title}.toml")["wording"]:
            yield line(f"`{wording['id']}`", partial(_told, measurement, wording["id"]))
        yield line(f"**{title}**", partial(_told, measurement, ""))
    yield line("**published association**", partial(_told, "implicit", ""), published)
    yield line("gates", lambda run: run.verdicts)
    yield line("exit code", lambda run: str(run.report["exit_code"]))
    yield line("prompts", lambda run: str(len(run.samples)))
    yield line("seconds", lambda run: f"{run.seconds:.0f}")


def _told(measurement: str, wording: str, run: Run) -> str:
    """Share answered, share of answers that copy the listed order, and median mass.

    Of a wording, or of all.
    """
    every = [row for name, row in run.rows(measurement).items() if wording in ("", name)]
    if not every:
        return ""
    answered = fmean(one.answered for one in every)
    copied = [one.copied for one in every if not math.isnan(one.copied)]
    masses = [one.mass for one in every if not math.isnan(one.mass)]
    said = [f"{answered:.0%}"]
    said += [f"copied {fmean(copied):.0%}"] if copied else []
    said += [f"mass {median(masses):.0e}"] if masses else []
    return ", ".join(said)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run what is named, and print the table of all that was run."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.wordings.runs", description=__doc__)
    parser.add_argument(
        "names", nargs="*", metavar="RUN", help=f"of {', '.join(RUNS)}; default all"
    )
    parser.add_argument("--show", action="store_true", help="run nothing")
    parser.add_argument("--published", type=Path, help="the paper's result files; run only these")
    parser.add_argument("-k", dest="part", default="race-default", help="pytest's -k")
    parser.add_argument("--directory", type=Path, default=_DIRECTORY)
    given = parser.parse_args(arguments)
    if unknown := set(given.names) - RUNS.keys():
        parser.error(f"no run {min(unknown)}; there are {', '.join(RUNS)}")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # the seconds until then count as well
    for name in () if given.show else given.names or RUNS:
        if given.published is None:
            perform(name, given.part, _OURS, given.directory / name)
        else:
            what = ("--prompts-from", str(given.published), "--limit", "1", "tests/implicit")
            perform(name, "published-default", what, given.directory / "published" / name)
    places = (given.directory, given.directory / "published")
    ours, published = (
        {name: one for name in RUNS if (one := read(name, place / name))} for place in places
    )
    print("\n".join(table(ours, published)))


if __name__ == "__main__":
    main()
