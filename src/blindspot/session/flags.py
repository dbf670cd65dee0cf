"""What a row of the table of flags says, and how a flag is written."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum, auto
from typing import Any

#: Prefix of our flags whose short form belongs to another plugin or to a conftest.
PREFIX = "--blindspot-"


class Kind(Enum):
    """The kind of value of a flag."""

    TEXT = auto()
    PATH = auto()  # a file or directory
    NAME = auto()  # possibly a file or directory: a model, a baseline, "none"
    POSITIVE = auto()
    SEED = auto()
    BATCH = auto()
    FRACTION = auto()
    DURATION = auto()
    SWITCH = auto()
    TOGGLE = auto()  # two switches, --x and --no-x


class Role(Enum):
    """How printed commands use a flag."""

    CONDITION = auto()  # decides what is measured: in every command that a run prints
    SELECTION = auto()  # decides what is asked or how it is judged: in the rerun command
    NEITHER = auto()


@dataclass(frozen=True, slots=True)
class Option:
    """A row of the table."""

    kind: Kind
    help: str
    metavar: str = ""
    role: Role = Role.NEITHER
    choices: tuple[str, ...] = ()
    many: bool = False
    negative: str = ""  # help of the second switch of a toggle
    environment: str = ""  # the environment variable of the flag


def option(kind: Kind, help: str, *, default: Any = None, **more: Any) -> Any:
    """A field that is a flag."""
    return field(default=default, metadata={"option": Option(kind, help, **more)})


def flag_of(name: str) -> str:
    """The flag of a field."""
    return "--" + name.replace("_", "-")


def no_flag_of(name: str) -> str:
    """The second switch of a toggle."""
    return "--no-" + name.replace("_", "-")
