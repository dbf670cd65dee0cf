"""TOML files: read within limits and checked against a schema; errors are one line."""

from __future__ import annotations

import re
import tomllib
from difflib import get_close_matches
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from blindspot import files
from blindspot.errors import StimulusError, line

#: Far more than any list of words takes.
LARGEST = 16 * 2**20
#: A key of more parts: the parser takes time that grows with the cube of their number.
_LONG_KEY = re.compile(
    r"""(?<![\w"'-])(?:(?:[\w-]++|"[^"\n]*+"|'[^'\n]*+')[ \t]*+\.[ \t]*+){64}""", re.ASCII
)
_INTEGERS = range(-(2**63), 2**63)  # those of TOML
#: Characters of a user's text that a message repeats.
_SHOWN = 200

Model = TypeVar("Model", bound=BaseModel)


def read_toml(path: Path) -> dict[str, Any]:
    """The content of a TOML file.

    Raises:
        StimulusError: it cannot be read, is not UTF-8 or not TOML; names the file and the place.
    """
    raw = files.read(path, LARGEST, "a TOML file", error=StimulusError)
    try:
        text = raw.decode("utf-8-sig")  # some editors mark UTF-8
        if _LONG_KEY.search(text):
            raise StimulusError(f"{path}: a key has more than 64 parts; shorten it")
        data = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        fault = line(error, _SHOWN)
        raise StimulusError(f"{path}: not valid TOML: {fault}; fix that line") from None
    except UnicodeDecodeError:
        raise StimulusError(f"{path}: not UTF-8; save the file as UTF-8") from None
    except RecursionError:
        raise StimulusError(f"{path}: nested too deeply; flatten it") from None
    except ValueError as error:
        if isinstance(error, StimulusError):
            raise
        raise StimulusError(f"{path}: a number has thousands of digits; shorten it") from None
    _check_integers(path, data)
    return data


def _check_integers(path: Path, data: dict[str, Any]) -> None:
    waiting: list[Any] = [data]
    while waiting:
        match waiting.pop():
            case dict() as table:
                waiting += table.values()
            case list() as items:
                waiting += items
            case int() as number if number not in _INTEGERS:
                raise StimulusError(f"{path}: an integer has more than 64 bits; shorten it")


def validate(model: type[Model], data: Any, path: Path) -> Model:
    """``data`` as a ``model``.

    Raises:
        StimulusError: names the file, the key of the first fault and the remedy.
    """
    try:
        return model.model_validate(data)
    except ValidationError as error:
        raise StimulusError(f"{path}: {_first_fault(error, data, model)}") from None


_REMEDIES = {
    "missing": "this key is missing; add it",
    "extra_forbidden": "unknown key; remove it or fix its spelling",
    "string_too_short": "the text is empty; fill it in",
    "string_type": "must be a quoted string",
    "tuple_type": "must be a list",
    "dict_type": "must be a table",
    "model_type": "must be a table",
}


def _misspelled(faults: list[ErrorDetails], model: type[BaseModel]) -> tuple[ErrorDetails, str]:
    """The fault to report, and the key that was meant: a missing one first, or else any known."""
    for fault in faults:
        if fault["type"] == "missing":
            *table, key = fault["loc"]
            for other in faults:
                *beside, given = other["loc"]
                if (
                    other["type"] == "extra_forbidden"
                    and beside == table
                    and get_close_matches(str(given)[:_SHOWN], [str(key)], cutoff=0.7)
                ):
                    return other, str(key)
    first = faults[0]
    return first, _near(str(first["loc"][-1]), model) if first["type"] == "extra_forbidden" else ""


def _near(key: str, model: type[BaseModel]) -> str:
    """The key of the file, or of a table in it, that is spelled most like this one; "" for none."""
    schema = model.model_json_schema()
    tables = (schema, *schema.get("$defs", {}).values())
    keys = sorted({known for table in tables for known in table.get("properties", ())})
    return next(iter(get_close_matches(key[:_SHOWN], keys, 1, cutoff=0.7)), "")


def _first_fault(error: ValidationError, data: Any, model: type[BaseModel]) -> str:
    fault, meant = _misspelled(error.errors(include_url=False), model)
    place = ""
    value: Any = data
    for step in fault["loc"]:
        if step == "[key]":
            continue
        if isinstance(step, int) and isinstance(value, list) and step < len(value):
            value = value[step]
            label = value.get("id") if isinstance(value, dict) else None
            place += f"[{line(label or step + 1, _SHOWN)}]"
        else:
            value = value.get(step) if isinstance(value, dict) else None
            key = line(step, _SHOWN)
            place += f".{key}" if place else key
    kind = fault["type"]
    if meant:
        text = f"unknown key; did you mean {meant}?"
    elif kind == "value_error":
        text = line(fault["ctx"]["error"], 3 * _SHOWN)
    elif kind == "string_pattern_mismatch":
        shown = line(fault["input"], _SHOWN)
        text = (
            "the text is blank; fill it in"
            if not shown.strip()
            else f"{shown!r} is not a name; use small letters, digits and single hyphens"
        )
    elif kind == "too_short":
        text = f"too few entries; at least {fault['ctx']['min_length']} are required"
        if not fault["ctx"]["actual_length"]:
            text = "the list is empty; add at least one entry"
    elif kind == "too_long":
        text = f"too many entries; at most {fault['ctx']['max_length']} are allowed"
    elif kind == "literal_error":
        shown = line(repr(fault["input"]), _SHOWN)
        text = f"{shown} is not known; use {fault['ctx']['expected']}"
    else:
        text = _REMEDIES.get(kind) or line(fault["msg"], _SHOWN)
    return f"{place}: {text}" if place else text
