"""Patch sweeps, interpretations and injections: ours against plain hooks and three libraries.

    python benchmarks/residual.py [--quick] [--json FILE] [--threads 2] [--device cuda]

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
    pip install --no-deps --no-build-isolation -e . && python benchmarks/residual.py
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

# As the package sets them, before torch is read.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
os.environ.setdefault("GOMP_SPINCOUNT", "1000")

import torch
from equality import TOLERANCE
from llamas import SHAPES
from machine import most_resident, rate, resident
from operations import counted
from residual_limits import SweepOperations, peak_of_child
from residual_peers import PEERS, Peer, installed
from residual_rows import OURS, PLAIN, Size, check, rows_of
from residual_subjects import Subject, organism, random_llama
from residual_work import Work, injection_windows, patch_sweep, selfie_sweep
from tqdm import tqdm
from turns import Row, turned

DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16}
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
        turns = [(n, row) for n in range(size.rounds) for row in turned(rows, n)]
        title = f"{work.name}, {work.subject.name}"
        with tqdm(turns, desc=title, file=sys.stderr, mininterval=1) as bar:
            for _, row in bar:
                if row.name == OURS:
                    rates.append(rate(self.device, self.dtype))
                bar.set_postfix_str(row.name, refresh=False)
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
        for row in rows:
            self.rows.append(
                {
                    "name": f"{work.name}, {row.name}{suffix}",
                    "seconds": row.wall,
                    "ratio": rows[1].wall / row.wall,
                    "low": min(row.walls),
                    "high": max(row.walls),
                    "cpu_seconds": row.cpu,
                    "cpu_ratio": rows[1].cpu / row.cpu,
                    "share": row.share,
                    "difference": row.difference,
                }
            )

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
    found = [
        {
            "what": f"{work}: (a) / ours",
            "is": seconds[f"{work}, {PLAIN}"] / seconds[f"{work}, {OURS}"],
        }
        | {"wanted": wanted}
        for work, wanted in TARGETS.items()
    ]
    for name, value in seconds.items():
        work, row = name.split(", ", 1)
        if (
            work in TARGETS
            and any(row.startswith(peer.name) for peer in PEERS)
            and not name.endswith(", organism")
        ):
            found.append(
                {"what": f"{work}: {row} / ours", "is": value / seconds[f"{work}, {OURS}"]}
                | {"wanted": PEER_TARGET}
            )
    for one in found:
        one["reached"] = one["is"] >= one["wanted"]
    above = used["peak"] - used["before"]
    return [
        *found,
        {
            "what": "bytes above the loaded model",
            "is": above,
            "wanted": MEMORY_ALLOWED,
            "reached": above < MEMORY_ALLOWED,
        },
    ]


def print_targets(reached: Sequence[dict[str, Any]], used: dict[str, int]) -> None:
    """Print them."""
    print("\ntargets, on the random model")
    for one in reached[:-1]:
        said = "reached" if one["reached"] else "MISSED"
        print(f"  {one['what']:70} {one['is']:7.2f}   wanted {one['wanted']:3.0f}   {said}")
    said = "reached" if reached[-1]["reached"] else "MISSED"
    above = reached[-1]["is"] / 2**20
    print(f"  peak memory of the sweeps: {above:.0f} MiB above the loaded model, {said}")


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
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="under 5 minutes on two cores")
    parser.add_argument("--smoke", action="store_true", help="tiny model, seconds: does it run?")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write rows and targets")
    parser.add_argument("--threads", type=int, default=0, help="of torch; default: its own")
    parser.add_argument("--device", default="cpu", help="cpu, or cuda for a Llama-3-8B shape")
    parser.add_argument("--shape", choices=SHAPES, help="of the random model")
    parser.add_argument("--dtype", choices=DTYPES, help="of the random model")
    parser.add_argument("--memory", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    cuda = options.device.startswith("cuda")
    size = SIZES["smoke" if options.smoke else "quick" if options.quick or cuda else "full"]
    usual = "llama-tiny" if options.smoke else "llama-3-8b" if cuda else "llama-60m"
    shape = options.shape or usual
    dtype = DTYPES[options.dtype or ("bfloat16" if cuda else "float32")]
    if options.threads:
        torch.set_num_threads(options.threads)
    if options.memory:
        memory(shape, dtype, size)
        return
    bench = Bench(options.device, dtype)
    machine = torch.cuda.get_device_name() if cuda else f"{platform.processor()} CPU"
    print(f"torch {torch.__version__} on {machine}, {torch.get_num_threads()} threads, {dtype}")
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
        used = peak_of_child([*passed, "--smoke" if options.smoke else "--quick"])
    reached = targets(bench.rows, used)
    print_targets(reached, used)
    print(f"{time.perf_counter() - begin:.0f} s in all")
    if options.json:
        written = {
            "rows": bench.rows,
            "workloads": bench.works,
            "targets": reached,
            "memory": used,
            "not_installed": missing,
            "versions": {peer.package: installed(peer) for peer in PEERS}
            | {"torch": torch.__version__},
            "threads": torch.get_num_threads(),
            "tolerance": TOLERANCE[dtype],
        }
        options.json.write_text(json.dumps(written, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
