"""The command line of the suite as pytest reads it: flags from the table, values from the flags."""

from __future__ import annotations

import argparse
import os
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from blindspot import ranks
from blindspot.session.flags import PREFIX, Kind, Option, flag_of, no_flag_of
from blindspot.session.options import AXIS_KEY, TABLE, Options, flags

#: Our flags that another plugin or a conftest has taken.
_TAKEN = pytest.StashKey[tuple[str, ...]]()


def add_options(config: pytest.Config, parser: pytest.Parser) -> None:
    """Add all flags that are free; for the others, their long form.

    A project keeps its own ``--device``: ours is then ``--blindspot-device``.
    """
    group = parser.getgroup("blindspot", "bias regression tests for language models")
    taken = []
    for flag, name in flags().items():
        settings = {"dest": f"blindspot_{name}", **_settings(name)}
        try:
            group.addoption(flag, **settings)
        except (argparse.ArgumentError, ValueError):
            taken.append(flag)
            group.addoption(flag.replace("--", PREFIX, 1), **settings)
    config.stash[_TAKEN] = tuple(taken)


def added(config: pytest.Config) -> bool:
    """Whether the flags are those of this session."""
    return hasattr(config.option, "blindspot_model")


def _settings(name: str) -> dict[str, Any]:
    """The arguments of a flag for argparse."""
    row = TABLE.get(name)
    if row is None:  # --no-x
        return {"action": "store_true", "default": None, "help": TABLE[name[3:]].negative}
    if row.kind in (Kind.SWITCH, Kind.TOGGLE):
        return {"action": "store_true", "default": None, "help": row.help}
    more: dict[str, Any] = {"action": "append"} if row.many else {}
    if row.choices:
        more["choices"] = row.choices
    return more | {
        "metavar": row.metavar,
        "default": None,
        "type": str if row.environment else _READERS[row.kind],  # empty: the default
        "help": row.help,
    }


def _filled(text: str) -> str:
    if not text.strip():
        raise argparse.ArgumentTypeError("it is empty; give a value, or omit the option")
    return text


def _batch_size(text: str) -> str:
    if text != "auto" and not _is_positive(text):
        raise argparse.ArgumentTypeError(f"{text!r} is neither auto nor a whole number above 0")
    return text


def _fraction(text: str) -> str:
    """A fraction in lowest terms, or "all"."""
    if text == "all":
        return text
    from blindspot.stimuli.design import fraction_of  # pydantic: not in every pytest of a project

    if (found := fraction_of(text)) is None:
        raise argparse.ArgumentTypeError(
            f"{text!r} is neither a fraction above 0 and up to 1, such as 1/4, nor all"
        )
    return str(found)


def _duration(text: str) -> str:
    if re.fullmatch(r"[1-9][0-9]{0,6}[smh]", text) is None:
        raise argparse.ArgumentTypeError(f"{text!r} is no time such as 90s, 20m or 2h")
    return text


def _positive(text: str) -> int:
    if not _is_positive(text):
        raise argparse.ArgumentTypeError(
            f"{text!r} is not a whole number above 0 (18 digits at most)"
        )
    return int(text)


def _is_positive(text: str) -> bool:
    """Whether it is a whole number above 0 of at most 18 digits."""
    return re.fullmatch(r"0*[1-9][0-9]{0,17}", text) is not None


def _seed(text: str) -> int:
    if not (re.fullmatch(r"[0-9]{1,19}", text) and int(text) < 2**63):
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number from 0 to 2^63 - 1")
    return int(text)


_READERS: dict[Kind, Callable[[str], object]] = {
    Kind.TEXT: str,
    Kind.PATH: _filled,
    Kind.NAME: _filled,
    Kind.POSITIVE: _positive,
    Kind.SEED: _seed,
    Kind.BATCH: _batch_size,
    Kind.FRACTION: _fraction,
    Kind.DURATION: _duration,
}


def run_options(config: pytest.Config) -> Options:
    """The options of a run.

    Raises:
        pytest.UsageError: both switches of a toggle.
    """
    values: dict[str, Any] = {}
    given = set()
    for name, row in TABLE.items():
        value = getattr(config.option, f"blindspot_{name}")
        if row.kind is Kind.TOGGLE and getattr(config.option, f"blindspot_no_{name}"):
            if value:
                raise pytest.UsageError(
                    f"{flag_of(name)} and {no_flag_of(name)} exclude each other; use only one"
                )
            value = False
        if value is not None:
            given.add(name)
        elif row.environment:
            value = os.environ.get(row.environment) or None
        if value not in (None, ""):
            values[name] = _converted(row, value)
    follows = ranks.follows(str(values.get("model_args", "")))
    if follows:
        values["output_path"] = None
    values["accept_reason"] = values.get("accept_reason", "").strip()
    axes = values.get("axis") or config.getini(AXIS_KEY)
    return Options(
        **values,
        axes=tuple(dict.fromkeys(name.strip() for name in axes.split(",") if name.strip())),
        given=frozenset(given),
        taken=tuple(_gone_elsewhere(config, given)),
        updating=bool(config.getoption("update_snapshots", default=False)) and not follows,
        strict=_strict(config),
        follows=follows,
    )


def _converted(row: Option, value: Any) -> Any:
    if row.kind is Kind.PATH:
        return tuple(map(Path, value)) if row.many else Path(value)
    return tuple(value) if row.many else value


def _gone_elsewhere(config: pytest.Config, given: set[str]) -> Iterator[str]:
    """Flags on the command line that another plugin took."""
    written = {str(arg).split("=", 1)[0] for arg in config.invocation_params.args}
    for flag in config.stash.get(_TAKEN, ()):
        if flag in written and flags()[flag].removeprefix("no_") not in given:
            yield flag


def _strict(config: pytest.Config) -> bool:
    """Whether ``--strict`` was given.

    It is pytest's own flag and makes pytest stricter for one run; in a run of gates it makes them
    stricter too. The option in a configuration file applies to pytest alone.
    """
    return "strict=true" in (config.option.override_ini or ())
