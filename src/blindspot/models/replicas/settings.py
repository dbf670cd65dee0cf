"""How many replicas there are and what each needs: ``--model-args`` of ``ray:NAME``."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from blindspot.errors import ModelError
from blindspot.models.options import ModelOptions, Scaled
from blindspot.models.registry import ARGUMENTS
from blindspot.paths import RAY_PREFIX

_MOST = 10_000


@dataclass(frozen=True, slots=True)
class RaySettings:
    """How a model is spread.

    Attributes:
        options: of the model, as given.
        replicas: how many hold it, 0 for as many as have room.
        gpus_per_replica: None for one, or none if the cluster has none.
        cpus_per_replica: which are the threads of a replica without a GPU.
    """

    options: ModelOptions
    replicas: int = 0
    gpus_per_replica: int | None = None
    cpus_per_replica: int = 1

    @classmethod
    def of(cls, options: ModelOptions) -> RaySettings:
        """As the options say.

        Raises:
            ModelError: an argument is no such number, or the device is one that Ray gives out.
        """
        if options.device.startswith("cuda:"):
            raise ModelError(
                f"{options.name}: --device {options.device}: Ray gives each replica its GPUs; "
                "omit it"
            )
        if not options.name.removeprefix(RAY_PREFIX):
            raise ModelError(f"{options.name}: name the model: --model {RAY_PREFIX}org/name")
        return cls(
            options,
            _count(options, "replicas", 1) or 0,
            _count(options, "gpus_per_replica", 0),
            _count(options, "cpus_per_replica", 1) or 1,
        )

    @property
    def name(self) -> str:
        """Of the model, as given."""
        return self.options.name

    def gpus_of(self, *, has_gpus: bool) -> int:
        """GPUs of a replica on a cluster that has some, or none."""
        if self.gpus_per_replica is not None:
            return self.gpus_per_replica
        return int(has_gpus and self.options.device in ("auto", "cuda"))

    def inner(self, gpus: int) -> ModelOptions:
        """The options of the model in a replica with so many GPUs.

        What is on this machine is named from the root: a replica has another working directory.
        """
        options = self.options
        arguments = {k: v for k, v in options.model_args.items() if k not in ARGUMENTS[RAY_PREFIX]}
        if gpus > 1:
            arguments.setdefault("device_map", "auto")
        return replace(
            options,
            name=_rooted(options.name.removeprefix(RAY_PREFIX)),
            device=options.device if gpus or options.device != "auto" else "cpu",
            model_args=arguments,
            adapter=_scaled(options.adapter),
            steer=_scaled(options.steer),
        )


def _count(options: ModelOptions, argument: str, least: int) -> int | None:
    value = options.model_args.get(argument)
    if value is None:
        return None
    if type(value) is not int or not least <= value <= _MOST:
        raise ModelError(
            f"{options.name}: --model-args {argument} is {value}; give a whole number from {least} "
            f"to {_MOST:,}"
        )
    return value


def _rooted(name: str) -> str:
    try:
        path = Path(name).expanduser()
        return str(path.resolve()) if path.exists() else name
    except (OSError, RuntimeError, ValueError):  # no such user, or no path
        return name


def _scaled(change: Scaled | None) -> Scaled | None:
    return change and replace(change, path=change.path.resolve())
