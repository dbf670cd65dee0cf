"""Answers from elsewhere, checked against the prompts that were exported."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from blindspot import files
from blindspot.errors import ExchangeError, line
from blindspot.exchange.formats import as_lines
from blindspot.exchange.returned import Part, parts_of
from blindspot.models.answered.file import (
    Exported,
    Head,
    exported_of,
    given_of,
    read_lines,
    set_digest,
)
from blindspot.models.base import Missing

_REMEDY = "name a file that python -m blindspot prompts export wrote"


@dataclass(frozen=True, slots=True)
class Imported:
    """Prompts with their answers: the head and the lines of their file."""

    head: Head
    rows: Sequence[Mapping[str, Any]]

    @property
    def told(self) -> str:
        """How many answers there are, and what of them is missing, in words."""
        said = f"{len(self.rows):,} answers"
        for reason in Missing:
            if count := sum(row.get("missing") == reason for row in self.rows):
                said += f", {count:,} of them {reason}"
        return f"{said}, {'with' if self.head.scored else 'without'} log-probabilities"


def imported(file: Path, answers: Sequence[Path], model: str) -> Imported:
    """The exported prompts with the answers that came back.

    Args:
        file: of the prompts.
        answers: files of answers; none if the prompts have them beside them.
        model: its name, "" for that of the export.

    Raises:
        ExchangeError: a file cannot be read, a prompt lacks its answer, or an answer belongs to no
            prompt or to another set of them.
    """
    head, rows, _ = read_lines(file, ExchangeError, _REMEDY)
    prompts: dict[str, tuple[Exported, Mapping[str, Any]]] = {}
    for number, row in enumerate(rows, 2):
        try:
            prompt = exported_of(row)
        except ValueError as fault:
            raise ExchangeError(f"{line(file)}: line {number}: {fault}; {_REMEDY}") from None
        prompts[prompt.id] = prompt, row
    if set_digest([*prompts]) != head.digest or len(rows) != head.prompts:
        raise ExchangeError(
            f"{line(file)}: holds {len(rows):,} prompts of which some are not the {head.prompts:,} "
            "that were exported; take the file as it was written"
        )
    found: dict[str, Part] = {}
    for path in answers or [file]:
        _add(found, path, head, file)
    _check(found, prompts, file)
    scored = _scored(found, prompts, file)
    made = []
    for name, (prompt, row) in prompts.items():
        part = found[name]
        told = part.pop("prompt", prompt.text)
        if told != prompt.text:
            raise ExchangeError(
                f"{line(file)}: the answer to {name} is to another prompt: "
                f"{line(repr(told), 60)}; answer the prompts that were exported"
            )
        kept = {key: row[key] for key in row if key not in ("answer", "ended", "error", "missing")}
        if part.get("error"):
            part.setdefault("missing", Missing.UNANSWERED.value)
        made.append({**kept, **part})
        try:
            given_of(made[-1])
        except ValueError as fault:
            raise ExchangeError(f"{line(file)}: the answer to {name}: {fault}") from None
    head = replace(head, kind="answers", model=model or head.model, scored=scored)
    return Imported(head, made)


def write_answers(path: Path, found: Imported) -> None:
    """Write the file that ``--model answers:FILE`` names.

    Raises:
        OSError: it cannot be written.
    """
    files.replace(path, as_lines([found.head.as_json(), *found.rows]))


def _add(found: dict[str, Part], path: Path, head: Head, file: Path) -> None:
    """Add the answers in a file to those that were found."""
    if path != file and _first_line(path).startswith(b'{"blindspot"'):
        other = read_lines(path, ExchangeError, _REMEDY)[0]
        if other.digest != head.digest:
            raise ExchangeError(
                f"{line(path)}: answers to another set of {other.prompts:,} prompts than the "
                f"{head.prompts:,} of {line(file)}; import them with the prompts of their export"
            )
    twice = []
    for name, part in parts_of(path):
        known = found.setdefault(name, {})
        if known.keys() & part.keys() - {"prompt"}:
            twice.append(name)
        known |= part
    if twice:
        raise ExchangeError(
            f"{line(path)}: {len(twice):,} prompts are answered twice, first {line(twice[0], 60)}; "
            "give each answer once"
        )


def _first_line(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(20) if files.is_file(path) else b""
    except (OSError, ValueError):
        return b""  # the reader says why


def _check(found: Mapping[str, Part], prompts: Mapping[str, Any], file: Path) -> None:
    """Refuse answers that are not those to the prompts, by count and first id."""
    others = [name for name in found if name not in prompts]
    if others and len(others) == len(found):
        raise ExchangeError(
            f"none of {len(found):,} answers is to a prompt of {line(file)}, first "
            f"{line(others[0], 60)}: they come from another set of prompts; import them with the "
            "prompts of their export"
        )
    if others:
        raise ExchangeError(
            f"{len(others):,} of {len(found):,} answers are to no prompt of {line(file)}, first "
            f"{line(others[0], 60)}; import them with the prompts of their export"
        )
    lacking = [
        name for name in prompts if not found.get(name, {}).keys() & {"answer", "missing", "error"}
    ]
    if lacking:
        part = line(prompts[lacking[0]][0].slice, 100)
        raise ExchangeError(
            f"{len(lacking):,} of {len(prompts):,} prompts of {line(file)} have no answer, first "
            f'{lacking[0]} ({part}); answer them too, or give the reason as "error"'
        )


def _scored(found: Mapping[str, Part], prompts: Mapping[str, Any], file: Path) -> bool:
    """Whether all answers have log-probabilities; some are refused."""
    answered = [name for name in prompts if not found[name].keys() & {"missing", "error"}]
    lacking = [name for name in answered if not found[name].get("log_probabilities")]
    if lacking and len(lacking) < len(answered):
        raise ExchangeError(
            f"{line(file)}: {len(lacking):,} of {len(answered):,} answers have no "
            f"log-probabilities, first {lacking[0]}; give them for all prompts or for none"
        )
    return bool(answered) and not lacking
