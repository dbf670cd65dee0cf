"""Patch sweeps, interpretations and injections: ours against plain hooks and three libraries.

    python -m benchmarks.residual [--quick] [--json FILE] [--threads 2] [--device cuda]

Same weights, same prompts, same process, rows by turns. What came out is compared before a time is
printed: probabilities to 1e-4 of themselves, also those of TransformerLens, which folds the norms'
weights into others; generated texts word for word, but where the two best tokens are a near tie.
A row measured on a part of the jobs is scaled to all of them by tokens, and says so.

How much is saved hangs on where the placeholder stands, for what is before it is computed once.
"Patch sweep" asks as Patchscopes do, after two answered examples (a chat template with its system
lines is about as long): token 48 of 57. "Bare patch sweep" is the question alone, token 3 of 12:
the worst case.

The libraries are no dependencies of ours. To have their rows, in an environment of their own:

    python -m venv peers && . peers/bin/activate
    pip install torch==2.13.0 -r requirements.lock -r benchmarks/requirements-peers.txt
    pip install --no-deps --no-build-isolation -e . && python -m benchmarks.residual
"""

from __future__ import annotations

import argparse
import json
import os
import time
from collections.abc import Sequence
from typing import Any

# As the package sets them, before torch is read.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
os.environ.setdefault("GOMP_SPINCOUNT", "1000")

import torch

from benchmarks.harness.command import (
    child,
    dtype_of,
    parser,
    print_machine,
    print_targets,
    target,
    write,
)
from benchmarks.harness.equality import TOLERANCE
from benchmarks.harness.llamas import SHAPES
from benchmarks.harness.machine import most_resident, rate, resident
from benchmarks.harness.operations import counted
from benchmarks.harness.turns import Row, by_turns
from benchmarks.residual.limits import SweepOperations
from benchmarks.residual.peers import PEERS, Peer, installed
from benchmarks.residual.rows import OURS, PLAIN, Size, check, rows_of
from benchmarks.residual.subjects import Subject, organism, random_llama
from benchmarks.residual.work import Work, injection_windows, patch_sweep, selfie_sweep

MEMORY_ALLOWED = 1 << 30
#: (a) over ours, at least; and every library over ours. Of a bare question the operations alone,
#: however few, allow no more than 4 times.
TARGETS = {"patch sweep": 12.0, "selfie sweep": 8.0, "injection windows": 8.0}
PEER_TARGET = 3.0
SIZES = {
    "full": Size(5, 40, 2, 20, 4, {"patch": 17, "bare": 5, "selfie": 17, "injection": 13}),
    "quick": Size(3, 40, 1, 4, 2, {"patch": 37, "bare": 37, "selfie": 31, "injection": 19}, 6),
    # What is small is done in the numbers of a real run.
    "organism": Size(3, 40, 2, 20, 8, {"patch": 5, "bare": 5, "selfie": 7, "injection": 7}),
    "smoke": Size(1, 4, 1, 1, 1, {"patch": 1, "bare": 1, "selfie": 3, "injection": 3}),
}


class Bench:
    """Runs workloads, prints their tables and keeps the rows for ``--json``."""

    def __init__(self, device: str, dtype: torch.dtype) -> None:
        self.device, self.dtype = device, dtype
        self.rows: list[dict[str, Any]] = []
        self.works: list[dict[str, Any]] = []

    def run(self, work: Work, peers: Sequence[Peer], size: Size, suffix: str = "") -> None:
        """Measure, compare, then print."""
        rows = rows_of(work, peers, size)
        operations = SweepOperations(work.model.config)
        done = counted(work.ours)  # warms up, too
        for row in rows[1:] if not work.new else ():
            row.run(row.jobs[:1])
        rates = []
        for row in by_turns(rows, size.rounds, f"{work.name}, {work.subject.name}"):
            if row.name == OURS:
                rates.append(rate(self.device, self.dtype))
            row.time(self.device)
        check(work, rows, self.dtype)
        needed, plain = operations.needed(work), operations.plain(work)
        floor = needed / max(rates)
        about = {
            "name": work.name + suffix,
            "about": work.about,
            "jobs": len(work.jobs),
            "operations_needed": needed,
            "operations_ours": done,
            "operations_plain": plain,
            "operations_per_second": max(rates),
            "floor_seconds": floor,
            "share_of_floor": floor / rows[0].wall,
        }
        self.works.append(about)
        self._print(work, rows, about)
        self.rows += [
            {"name": f"{work.name}, {row.name}{suffix}"} | row.figures(rows[1]) for row in rows
        ]

    def _print(self, work: Work, rows: Sequence[Row], about: dict[str, Any]) -> None:
        print(f"\n{work.name} on {work.subject.name}: {work.about}; {len(work.jobs)} in all")
        if work.new:
            print("  compared with (a): texts are the same but for near ties (share that differs)")
        else:
            print(f"  compared with (a): probabilities to {TOLERANCE[self.dtype]} of themselves")
        print(f"  {'':50}   wall s    (range)          x (a)    CPU s  x (a)   differs  measured")
        for row in rows:
            spread = f"({min(row.walls):.3g}-{max(row.walls):.3g})"
            print(
                f"  {row.name:50} {row.wall:8.3g}    {spread:15} {rows[1].wall / row.wall:6.2f}  "
                f"{row.cpu:7.3g} {rows[1].cpu / row.cpu:6.2f}   {row.difference:7.1e}  "
                f"{'all' if row.share == 1 else f'{row.share:.0%} of it'}"
            )
        needed, ours = about["operations_needed"], about["operations_ours"]
        if ours < needed:
            print("  texts ended before their limit: operations are not compared")
            return
        print(
            f"  GFLOP: needed {needed / 1e9:.4g}, ours {ours / 1e9:.4g}, (a) "
            f"{about['operations_plain'] / 1e9:.4g} ({about['operations_plain'] / needed:.3g} x "
            f"needed). A large matrix product runs at {about['operations_per_second'] / 1e9:.4g} "
            f"GFLOP/s: floor {about['floor_seconds']:.3g} s, of which ours reaches "
            f"{about['share_of_floor']:.0%}: {ours / needed:.2f} x by operations that are not "
            f"needed, {rows[0].wall / about['floor_seconds'] / ours * needed:.2f} x by their speed"
        )


def works_of(subject: Subject, size: Size) -> list[Work]:
    """All workloads."""
    return [
        patch_sweep("patch sweep", subject, subject.shots[: size.closed], size.vectors),
        patch_sweep("bare patch sweep", subject, subject.closed[: size.closed], size.vectors),
        selfie_sweep(subject, subject.open[:1], size.selfie),
        injection_windows(subject, size.contexts),
    ]


def targets(rows: Sequence[dict[str, Any]], used: dict[str, int]) -> list[dict[str, Any]]:
    """What was to be reached, and whether it was."""
    seconds = {row["name"]: row["seconds"] for row in rows}
    ours = {work: seconds[f"{work}, {OURS}"] for work in TARGETS}
    found = [
        target(f"{work}: (a) / ours", seconds[f"{work}, {PLAIN}"] / ours[work], wanted)
        for work, wanted in TARGETS.items()
    ]
    for name, value in seconds.items():
        work, row = name.split(", ", 1)
        if (
            work in TARGETS
            and any(row.startswith(peer.name) for peer in PEERS)
            and not name.endswith(", organism")
        ):
            found.append(target(f"{work}: {row} / ours", value / ours[work], PEER_TARGET))
    above = used["peak"] - used["before"]
    return [*found, target("memory: allowed above the model / used", MEMORY_ALLOWED / above, 1.0)]


def memory(shape: str, dtype: torch.dtype, size: Size) -> None:
    """Print what a sweep takes above the model, in a process that does nothing else."""
    subject = random_llama(shape, "cpu", dtype)
    model = sum(p.numel() * p.element_size() for p in subject.model.parameters())
    before = resident()
    for work in works_of(subject, size)[: 1 if shape == "llama-tiny" else None]:
        work.ours()
    print(json.dumps({"model": model, "before": before, "peak": most_resident()}))


def main() -> None:
    """Measure and print."""
    takes = parser(__doc__)
    takes.add_argument("--shape", choices=SHAPES, help="of the random model")
    takes.add_argument("--memory", action="store_true", help=argparse.SUPPRESS)
    options = takes.parse_args()
    cuda = options.device.startswith("cuda")
    size = SIZES["smoke" if options.smoke else "quick" if options.quick or cuda else "full"]
    usual = "llama-tiny" if options.smoke else "llama-3-8b" if cuda else "llama-60m"
    shape = options.shape or usual
    dtype = dtype_of(options)
    if options.memory:
        memory(shape, dtype, size)
        return
    bench = Bench(options.device, dtype)
    print_machine(options, dtype)
    # Theirs compute on a CPU in float32 here; what is compared on others is (a).
    compared = () if cuda or dtype != torch.float32 else PEERS
    missing = [peer.name for peer in compared if installed(peer) is None]
    for peer in compared:
        print(f"{peer.name}: {installed(peer) or 'not installed'}")
    begin = time.perf_counter()
    subjects = [(random_llama(shape, options.device, dtype), size, "")]
    used = {"before": torch.cuda.memory_allocated() if cuda else 0}
    if not (options.smoke or cuda):
        subjects.append((organism(), SIZES["organism"], ", organism"))
    for subject, done, suffix in subjects:
        peers = [peer(subject) for peer in compared if peer.name not in missing]
        for work in works_of(subject, done):
            bench.run(work, peers, done, suffix)
    if cuda:
        used["peak"] = torch.cuda.max_memory_allocated()
    else:
        passed = ["--shape", shape, "--dtype", str(dtype).removeprefix("torch.")]
        passed += ["--memory", "--smoke" if options.smoke else "--quick"]
        used = child("benchmarks.residual", *passed)
    reached = targets(bench.rows, used)
    print_targets(reached, "the random model")
    print(f"{time.perf_counter() - begin:.0f} s in all")
    found = {
        "rows": bench.rows,
        "workloads": bench.works,
        "targets": reached,
        "memory": used,
        "not_installed": missing,
        "versions": {peer.package: installed(peer) for peer in PEERS}
        | {"torch": torch.__version__},
        "tolerance": TOLERANCE[dtype],
    }
    write(options.json, found)


if __name__ == "__main__":
    main()
