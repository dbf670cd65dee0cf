"""The workers of xdist: how many there are, which GPU each sees, and how they are ended.

A run that can no longer be complete ends at once, not after hours of asking. The controller leaves
a note in the directory that the processes of the run share; a worker looks for it whenever its
model has finished a prompt. A worker that is busy loading a model or in a long batch is killed.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from blindspot import files
from blindspot.errors import BlindspotError, DismissalError
from blindspot.paths import RAY_PREFIX
from blindspot.session.options import Options

#: Arguments that spread the model over several GPUs.
_SPREAD = ("device_map", "tp_plan")
NOTE = "dismissed"
#: Seconds that a worker has to see the note. execnet interrupts it 5 s after the exit request.
PATIENCE_S = 3.0


def spread(options: Options) -> str:
    """The argument that spreads the model over several GPUs, "" if there is none."""
    names = {part.partition("=")[0].strip() for part in options.model_args.split(",")}
    return next((name for name in _SPREAD if name in names), "")


def on_ray(options: Options) -> str:
    """The model of the run that a Ray cluster computes, "" if there is none."""
    names = (options.model, options.reference or "")
    return next((name for name in names if name.startswith(RAY_PREFIX)), "")


def gpus(options: Options) -> tuple[str, ...]:
    """The GPUs that workers divide among them; none if the run uses none."""
    if options.device not in ("auto", "cuda") or spread(options) or on_ray(options):
        return ()
    from blindspot.models.transformers.accelerators import visible_gpus

    return visible_gpus()


def auto_workers(options: Options) -> int | None:
    """Workers of ``-n auto``: one per GPU, none if the model uses them all.

    None if no GPU is used: then xdist decides.
    """
    if not options.asked:
        return None
    if on_ray(options):
        return 0
    if options.device.startswith("cuda:"):
        return 1
    if not spread(options):
        return len(gpus(options)) or None
    from blindspot.models.transformers.accelerators import visible_gpus

    return 0 if visible_gpus() else None


def check_workers(options: Options, workers: int) -> str:
    """Refuse workers for a model that uses all GPUs; returns a note, or "".

    Raises:
        BlindspotError: says what to omit.
    """
    if workers < 2:
        return ""
    if name := on_ray(options):
        raise BlindspotError(
            f"{name} with -n {workers}: omit -n; replicas=N in --model-args says how many compute "
            "at once"
        )
    name = spread(options)
    if name == "tp_plan":
        raise BlindspotError(
            "--model-args tp_plan with -n: torchrun starts the processes of this run; omit -n"
        )
    if name:
        from blindspot.models.transformers.accelerators import visible_gpus

        if visible_gpus():
            raise BlindspotError(
                f"--model-args {name} with -n {workers}: every worker would use all "
                "GPUs; use only one of them"
            )
        return ""
    found = len(gpus(options))
    if 0 < found < workers:
        return (
            f"{workers} workers share {found} GPU{'s' * (found > 1)}; -n auto starts one for each"
        )
    return ""


def gpu_of(worker: str, found: tuple[str, ...]) -> str:
    """The GPU of a worker ``gwN``, "" if there is none."""
    return found[int(worker.removeprefix("gw")) % len(found)] if found else ""


def settle_gpu(config: pytest.Config) -> None:
    """In a worker: make only its own GPU visible, before CUDA is initialized."""
    told = getattr(config, "workerinput", {}).get("blindspot", {})
    if gpu := told.get("gpu", ""):
        from blindspot.models.transformers.accelerators import VISIBLE

        os.environ[VISIBLE] = gpu


class Crew:
    """The workers of a run, as its controller sees them."""

    def __init__(self) -> None:
        self._gateways: list[Any] = []
        self._timer: threading.Timer | None = None

    def add(self, gateway: Any) -> None:
        """Note a new worker; ``gateway``: execnet's."""
        self._gateways.append(gateway)

    @contextmanager
    def losing(self, lost: list[str]) -> Iterator[None]:
        """End the run when xdist sends work to a worker that has just died, and note the loss.

        xdist learns of dead workers one by one, and hands the work of the first to the others.
        """
        try:
            yield
        except OSError as error:
            if not self._gateways or not str(error).startswith("cannot send"):  # execnet's words
                raise
            if not lost:
                lost.append("a worker was lost as it was given work; run again")

    def dismiss(self, directory: Path, why: str) -> None:
        """Stop all workers without waiting for them."""
        files.replace(directory / NOTE, why)
        if self._gateways and self._timer is None:
            self._timer = threading.Timer(PATIENCE_S, self._end)
            self._timer.daemon = True
            self._timer.start()

    def _end(self) -> None:
        for gateway in self._gateways:
            gateway.exit()  # nothing, if it has already ended

    def close(self) -> None:
        """Leave the rest to xdist, which kills remaining workers."""
        if self._timer is not None:
            self._timer.cancel()


def look(directory: Path) -> None:
    """Look for the note.

    Raises:
        DismissalError: there is one.
    """
    note = directory / NOTE
    if note.exists():
        raise DismissalError(note.read_text("utf-8"))
