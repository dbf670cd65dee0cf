"""A GPU for each worker: how many workers ``-n auto`` starts, and which GPU each of them sees."""

from __future__ import annotations

import os

import pytest

from blindspot.errors import BlindspotError
from blindspot.session.options import Options

#: Arguments of the model that lay it over several GPUs.
_SPREAD = ("device_map", "tp_plan")


def spread(options: Options) -> str:
    """The argument by which the model takes several GPUs at once, "" if it does not."""
    names = {part.partition("=")[0].strip() for part in options.model_args.split(",")}
    return next((name for name in _SPREAD if name in names), "")


def gpus(options: Options) -> tuple[str, ...]:
    """The GPUs that workers are to share out among them; none where the run uses none."""
    if options.device not in ("auto", "cuda") or spread(options):
        return ()
    from blindspot.models.transformers.accelerators import visible_gpus

    return visible_gpus()


def auto_workers(options: Options) -> int | None:
    """Workers of ``-n auto``: one a GPU, none beside a model that takes them all.

    None where no GPU is used: then xdist decides.
    """
    if not options.asked:
        return None
    if options.device.startswith("cuda:"):
        return 1
    if not spread(options):
        return len(gpus(options)) or None
    from blindspot.models.transformers.accelerators import visible_gpus

    return 0 if visible_gpus() else None


def check_workers(options: Options, workers: int) -> str:
    """Refuse workers beside a model that takes all GPUs; what a user should know, or "".

    Raises:
        BlindspotError: says what to leave away.
    """
    if workers < 2:
        return ""
    name = spread(options)
    if name == "tp_plan":
        raise BlindspotError(
            "--model-args tp_plan with -n: torchrun starts the processes of this run; leave -n away"
        )
    if name:
        from blindspot.models.transformers.accelerators import visible_gpus

        if visible_gpus():
            raise BlindspotError(
                f"--model-args {name} with -n {workers}: every worker would lay the model over all "
                "GPUs; leave one of the two away"
            )
        return ""
    found = len(gpus(options))
    if 0 < found < workers:
        return (
            f"{workers} workers share {found} GPU{'s' * (found > 1)}; -n auto starts one for each"
        )
    return ""


def gpu_of(worker: str, found: tuple[str, ...]) -> str:
    """The GPU of a worker ``gwN``, "" without any."""
    return found[int(worker.removeprefix("gw")) % len(found)] if found else ""


def settle_gpu(config: pytest.Config) -> None:
    """In a worker: see its own GPU only, before anything asks CUDA for devices."""
    told = getattr(config, "workerinput", {}).get("blindspot", {})
    if gpu := told.get("gpu", ""):
        from blindspot.models.transformers.accelerators import VISIBLE

        os.environ[VISIBLE] = gpu
