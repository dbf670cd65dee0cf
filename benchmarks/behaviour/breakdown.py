"""Where the time of ours goes: torch's profiler over both readings."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from math import prod
from typing import Any

from torch.profiler import ProfilerActivity, profile

from benchmarks.behaviour.rows import BOTH, CHOICE, GENERATION, Ways
from benchmarks.behaviour.subjects import Job, Subject

#: Calls that multiply matrices; all others are asked of these.
_PRODUCTS = ("aten::mm", "aten::addmm", "mkldnn::_linear_pointwise")
_ATTENTION = "scaled_dot_product"
#: Kinds of calls that are named, beside products and attention.
_NAMED = 4
REST, OUTSIDE = "other calls of torch", "outside torch's calls"


@dataclass(slots=True)
class Part:
    """Seconds of the calling thread, and operations where they are known."""

    seconds: float = 0.0
    operations: int = 0


def print_profile(subject: Subject, jobs: Sequence[Job]) -> dict[str, Any]:
    """Print where the time of our readings goes."""
    ways = Ways(subject, jobs)
    kept = {}
    for kind in (GENERATION, CHOICE, BOTH):
        found = _profiled(lambda kind=kind: ways.ours(kind))
        _print_parts(found, f"{kind}, {subject.name}, {len(jobs)} prompts")
        kept[kind] = {name: asdict(part) for name, part in found.items()}
    return kept


def _profiled(run: Callable[[], object]) -> dict[str, Part]:
    """What a run spends its wall time on, most first; the parts add up to it."""
    run()  # the first takes memory, and makes the programs of its products
    with profile(activities=[ProfilerActivity.CPU], record_shapes=True) as profiled:
        begin = time.perf_counter()
        run()
        wall = time.perf_counter() - begin
    found = _parts(profiled.key_averages(group_by_input_shape=True))
    found[OUTSIDE] = Part(wall - sum(part.seconds for part in found.values()))
    return dict(sorted(found.items(), key=lambda item: -item[1].seconds))


def _parts(events: Iterable[Any]) -> dict[str, Part]:
    found: dict[str, Part] = defaultdict(Part)
    others: dict[str, float] = defaultdict(float)
    for event in events:
        seconds = event.self_cpu_time_total / 1e6
        if event.key in _PRODUCTS:
            rows, outputs, inputs = _shape(event.key, event.input_shapes)
            part = found[f"products with {inputs} x {outputs}"]
            part.seconds += seconds
            part.operations += 2 * rows * outputs * inputs * event.count
        elif _ATTENTION in event.key:
            found["attention"].seconds += seconds
        else:
            others[event.key] += seconds
    for name in sorted(others, key=lambda name: -others[name])[:_NAMED]:
        found[name] = Part(others.pop(name))
    found[REST] = Part(sum(others.values()))
    return dict(found)


def _shape(name: str, shapes: list[list[int]]) -> tuple[int, int, int]:
    """Rows, outputs and inputs of a product."""
    if name == "mkldnn::_linear_pointwise":
        rows, weight = shapes[:2]
        return prod(rows[:-1]), weight[0], weight[1]
    rows, weight = [shape for shape in shapes if len(shape) == 2][-2:]
    return rows[0], weight[1], weight[0]


def _print_parts(found: dict[str, Part], what: str) -> None:
    """Print them, and the products together."""
    wall = sum(part.seconds for part in found.values())
    products = [part for part in found.values() if part.operations]
    together = Part(sum(p.seconds for p in products), sum(p.operations for p in products))
    print(f"\nwhere the {wall:.3g} s go that the profiler saw ({what})")
    for name, part in [("all products", together), *found.items()]:
        rate = part.operations / part.seconds / 1e9 if part.operations else 0
        counted = f"{part.operations / 1e9:8.1f} GFLOP {rate:6.0f} GFLOP/s" if rate else ""
        print(f"  {name:32} {part.seconds:8.3g} s {part.seconds / wall:6.1%} {counted}")
