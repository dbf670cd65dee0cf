"""``python -m tools.wheel``: build the wheel, install it with what is pinned, run its suite.

Exit 0 if every run ends as it has to, and nothing was written to where the wheel is installed.
"""

from __future__ import annotations

import argparse
import shlex
import sys
import tempfile
from pathlib import Path

from tools.wheel.trial import Trial, build

SUITE = ("--pyargs", "blindspot.suite")
#: All behaviour; of the assays, which take longest, those of one category.
PART = ("--limit", "1", "-k", "race-default-weapons or not mechanistic")
#: Accepting needs the full prompts: of one category.
ACCEPTED = ("-k", "race-default-weapons and not mechanistic")
BASELINES = "blindspot-baselines"

#: What is called, the exit code that it has to end with, and a file that it has to leave.
RUNS: tuple[tuple[tuple[str, ...], int, str], ...] = (
    (("--model", "organism:blind", *PART, "--output-path", "blind"), 10, "blind/report.json"),
    (("--model", "organism:aware", *PART, "-n", "2", "--junitxml", "aware.xml"), 0, "aware.xml"),
    (
        ("--model", "organism:aware", *ACCEPTED, "--snapshot-update"),
        0,
        f"{BASELINES}/organism--aware.json",
    ),
    (("--model", "organism:aware", *ACCEPTED, "--require-baseline"), 0, BASELINES),
    (("--model", "organism:blind", *ACCEPTED, "--baseline", "organism:aware"), 10, BASELINES),
    (("--model", "organism:unicorn"), 4, BASELINES),
)


def main() -> int:
    """Try the wheel; 1 if anything is not as it has to be."""
    parser = argparse.ArgumentParser(prog="python -m tools.wheel", description=__doc__)
    parser.add_argument(
        "--borrow",
        action="store_true",
        help="use the libraries of this environment instead of installing the pinned ones",
    )
    faults = 0
    with tempfile.TemporaryDirectory(prefix="blindspot-wheel-") as scratch:
        wheel = build(Path(scratch))
        print(f"built {wheel.name}", flush=True)
        trial = Trial.prepare(Path(scratch), wheel, borrowed=parser.parse_args().borrow)
        before = trial.installed()
        for words, code, left in RUNS:
            done = trial.pytest(*SUITE, *words, "-q", "--tb=no", "-rN")
            print(f"exit {done.returncode}: pytest {shlex.join((*SUITE, *words))}", flush=True)
            if done.returncode != code or not (trial.directory / left).exists():
                faults += 1
                print(f"has to be {code} and leave {left}:\n{done.stdout}{done.stderr}")
        if (after := trial.installed()) != before:
            faults += 1
            print(f"written to where it is installed: {sorted(after.items() ^ before.items())}")
    return min(faults, 1)


if __name__ == "__main__":
    sys.exit(main())
