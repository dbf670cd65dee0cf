"""Read axes and wordings from TOML files: ours, and those of every ``--include-path``."""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from blindspot.errors import StimulusError
from blindspot.paths import FIXTURES
from blindspot.stimuli.schema import (
    Axis,
    ExplicitWording,
    ExplicitWordings,
    ImplicitWording,
    ImplicitWordings,
)

AXES = "axes"
WORDINGS = "wordings"

Model = TypeVar("Model", bound=BaseModel)


@dataclass(frozen=True, slots=True)
class Stimuli:
    """Everything that can be asked: axes by name, wordings by language in file order."""

    axes: dict[str, Axis]
    implicit: dict[str, tuple[ImplicitWording, ...]]
    explicit: dict[str, tuple[ExplicitWording, ...]]


def read_toml(path: Path) -> dict[str, Any]:
    """The content of a TOML file.

    Raises:
        StimulusError: it cannot be read, is not UTF-8 or not TOML; names the file and the place.
    """
    try:
        with path.open("rb") as file:
            return tomllib.load(file)
    except tomllib.TOMLDecodeError as error:
        raise StimulusError(f"{path}: not valid TOML: {error}; mend that line") from None
    except UnicodeDecodeError:
        raise StimulusError(f"{path}: not UTF-8; save the file as UTF-8") from None
    except RecursionError:
        raise StimulusError(f"{path}: nested too deeply; flatten it") from None
    except OSError as error:
        raise StimulusError(f"{path}: cannot be read: {error.strerror}; check the path") from None


def validate(model: type[Model], data: dict[str, Any], path: Path) -> Model:
    """``data`` as a ``model``.

    Raises:
        StimulusError: names the file, the key of the first fault and the remedy.
    """
    try:
        return model.model_validate(data)
    except ValidationError as error:
        raise StimulusError(f"{path}: {_first_fault(error, data)}") from None


_REMEDIES = {
    "missing": "this key is missing; add it",
    "extra_forbidden": "unknown key; remove it or mend its spelling",
    "too_short": "the list is empty; add at least one entry",
    "string_too_short": "the text is empty; fill it in",
    "string_type": "must be a text in quotes",
    "tuple_type": "must be a list",
    "dict_type": "must be a table",
    "model_type": "must be a table",
}


def _first_fault(error: ValidationError, data: dict[str, Any]) -> str:
    fault = error.errors(include_url=False)[0]
    place = ""
    value: Any = data
    for step in fault["loc"]:
        if step == "[key]":
            continue
        if isinstance(step, int) and isinstance(value, list) and step < len(value):
            value = value[step]
            label = value.get("id") if isinstance(value, dict) else None
            place += f"[{label or step + 1}]"
        else:
            value = value.get(step) if isinstance(value, dict) else None
            place += f".{step}" if place else str(step)
    kind = fault["type"]
    if kind == "value_error":
        text = str(fault["ctx"]["error"])
    elif kind == "string_pattern_mismatch":
        shown = str(fault["input"])
        text = (
            "the text is blank; fill it in"
            if not shown.strip()
            else f"{shown!r} is not a name; use small letters, digits and single hyphens"
        )
    elif kind == "literal_error":
        text = f"{fault['input']!r} is not known; use {fault['ctx']['expected']}"
    else:
        text = _REMEDIES.get(kind, fault["msg"])
    return f"{place}: {text}" if place else text


def _files(roots: Iterable[Path], room: str) -> list[Path]:
    """TOML files of a room of each root; a root may also hold the files directly."""
    found = []
    for root in roots:
        folder = root / room
        if folder.is_dir():
            found += sorted(folder.glob("*.toml"))
    return found


def _included(directory: Path) -> tuple[list[Path], list[Path]]:
    """Axis and wording files of a user's directory, sorted by what they hold.

    A user's directory is laid out like ``fixtures/`` or is flat; a flat file that has a
    ``measurement`` key holds wordings, any other one an axis.
    """
    if not directory.is_dir():
        raise StimulusError(f"--include-path {directory}: no such directory; check the path")
    axes, wordings = _files([directory], AXES), _files([directory], WORDINGS)
    for path in sorted(directory.glob("*.toml")):
        (wordings if "measurement" in read_toml(path) else axes).append(path)
    if not axes and not wordings:
        raise StimulusError(
            f"--include-path {directory}: no TOML file in it; put axes under {AXES}/ and wordings "
            f"under {WORDINGS}/"
        )
    return axes, wordings


def read_axis(path: Path) -> Axis:
    """One axis file."""
    return validate(Axis, read_toml(path), path)


def read_wordings(path: Path) -> ImplicitWordings | ExplicitWordings:
    """One wording file of either measurement."""
    data = read_toml(path)
    if data.get("measurement") == "explicit":
        return validate(ExplicitWordings, data, path)
    return validate(ImplicitWordings, data, path)


def load_stimuli(include: Sequence[Path] = (), *, fixtures: Path = FIXTURES) -> Stimuli:
    """All axes and wordings of ``fixtures`` and of the user's directories ``include``.

    Raises:
        StimulusError: a file is refused, or two files define the same axis or wording.
    """
    axis_files, wording_files = _files([fixtures], AXES), _files([fixtures], WORDINGS)
    for directory in include:
        more_axes, more_wordings = _included(directory)
        axis_files += more_axes
        wording_files += more_wordings

    axes: dict[str, Axis] = {}
    origin: dict[tuple[str, str], Path] = {}
    for path in axis_files:
        axis = read_axis(path)
        _claim(origin, ("axis", axis.name), path)
        axes[axis.name] = axis
    implicit: dict[str, list[ImplicitWording]] = {}
    explicit: dict[str, list[ExplicitWording]] = {}
    for path in wording_files:
        content = read_wordings(path)
        for wording in content.wording:
            _claim(origin, (f"{content.measurement} wording", wording.id), path)
        if isinstance(content, ImplicitWordings):
            implicit.setdefault(content.language, []).extend(content.wording)
        else:
            explicit.setdefault(content.language, []).extend(content.wording)
    for path, axis in zip(axis_files, axes.values(), strict=True):
        if axis.language not in implicit and axis.language not in explicit:
            raise StimulusError(
                f"{path}: language: no wording is written in {axis.language!r}; add a wording file "
                f'with language = "{axis.language}"'
            )
        for own in (*implicit.get(axis.language, ()), *explicit.get(axis.language, ())):
            if clash := own.literal_words & axis.identifier_words:
                raise StimulusError(
                    f"{path}: the identifier {min(clash)!r} is a word of the wording {own.id!r} "
                    f"({origin[f'{own.measurement} wording', own.id]}); change one of them"
                )
    return Stimuli(
        axes,
        {language: tuple(wordings) for language, wordings in implicit.items()},
        {language: tuple(wordings) for language, wordings in explicit.items()},
    )


def _claim(origin: dict[tuple[str, str], Path], key: tuple[str, str], path: Path) -> None:
    if key in origin:
        raise StimulusError(
            f"{path}: the {key[0]} {key[1]!r} is already defined in {origin[key]}; rename one"
        )
    origin[key] = path
