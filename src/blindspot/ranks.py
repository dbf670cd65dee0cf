"""Processes that hold one model together, each a part of every layer: tensor parallelism. No torch.

torchrun starts them with the same command, and they take every step together. All look up a unit of
work in the answer store before any of them finishes it, so they agree on what it holds. The first
of them reports.
"""

from __future__ import annotations

import os
import re

from blindspot.errors import ModelError

#: The argument of ``--model-args`` that asks for it.
PLAN = "tp_plan"


def size() -> int:
    """How many processes torchrun has started; 1 outside of it."""
    told = os.environ.get("WORLD_SIZE", "")
    return int(told) if "LOCAL_RANK" in os.environ and re.fullmatch("[1-9][0-9]{0,5}", told) else 1


def planned(arguments: str) -> bool:
    """Whether ``--model-args`` asks for it."""
    return PLAN in (part.partition("=")[0].strip() for part in arguments.split(","))


def follows(arguments: str) -> bool:
    """Whether this process only computes and another one reports.

    Leftover torchrun variables alone do not make it True.
    """
    return planned(arguments) and size() > 1 and os.environ.get("RANK", "0") != "0"


def check(plan: bool) -> None:
    """Refuse a plan without the processes for it, and processes without a plan.

    Raises:
        ModelError: says how to start it.
    """
    if plan == (size() > 1):
        return
    how = "torchrun --nproc-per-node GPUS -m pytest --model NAME --model-args tp_plan=auto"
    if plan:
        raise ModelError(f"--model-args {PLAN}: one model over several processes; start it: {how}")
    raise ModelError(
        f"under torchrun every process would do the whole run; start it: {how}; without torchrun, "
        "unset WORLD_SIZE"
    )
