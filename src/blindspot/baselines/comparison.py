"""Whether a run can be compared with a baseline: the same model, conditions and gates."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from pathlib import Path

from blindspot import files
from blindspot.baselines.file import Baseline, Entry
from blindspot.errors import BaselineError, line
from blindspot.measurements.base import BANDS
from blindspot.models.base import UNKNOWN, Identity

#: What must be equal to compare two measurements; weights may differ, that is the point.
CONDITIONS = ("tokenizer", "template", "dtype", "device", "backend")
#: What decides which prompts are asked: they are compared as far as both were.
SELECTED = ("fraction", "words", "limit")
#: Of the prompts: a baseline of other examples is one of other prompts.
EXAMPLES = "examples"
#: Libraries whose numerics affect answers: named one by one, allowed together as ``versions``.
LIBRARIES = ("torch", "transformers")


def provenance(identity: Identity, selection: Mapping[str, str]) -> dict[str, str]:
    """The conditions that a baseline records: of the model, and which prompts were selected."""
    return {
        "weights": identity.weights,
        "revision": identity.revision,
        "tokenizer": identity.tokenizer,
        "template": identity.template,
        "dtype": identity.dtype,
        "device": identity.device.split(":")[0],
        "backend": identity.backend,
        **identity.versions,
        **selection,
    }


def mismatches(then: Mapping[str, str], now: Mapping[str, str]) -> list[tuple[str, str]]:
    """Differences between two conditions: each with its name for ``--allow-mismatch``."""
    found = []
    for when, what in (("the accepted", then), ("these", now)):
        if what.get("weights", "").startswith(UNKNOWN):
            found.append(("weights", f"{when} weights are unknown"))
            break
    for name in (*CONDITIONS, EXAMPLES, *LIBRARIES):
        one, other = then.get(name, ""), now.get(name, "")
        if one != other:
            kind = {EXAMPLES: "prompts", **dict.fromkeys(LIBRARIES, "versions")}.get(name, name)
            found.append((kind, f"{name} was {_short(one)}, is {_short(other)}"))
    return found


def _short(text: str) -> str:
    if not text:
        return "none"
    return text[:12] if re.fullmatch(r"[0-9a-f]{40,}", text) else line(text, 120)


def same_model(one: str, other: str) -> bool:
    """Whether two names mean the same model: equal names, or spellings of one directory."""
    paths = Path(one), Path(other)
    return one == other or (
        all(map(files.is_directory, paths)) and paths[0].resolve() == paths[1].resolve()
    )


def check_replaceable(
    accepted: Baseline, model: str, now: Mapping[str, str], measured: Collection[str]
) -> None:
    """Refuse to accept a part under conditions that differ from the rest.

    Args:
        accepted: the existing baseline.
        model: name of the model under test.
        now: conditions of the run.
        measured: gates that the run measures, or that no test has any more.

    Raises:
        BaselineError: the file holds gates that this run does not measure, of other weights or
            conditions; or it is that of another model.
    """
    if not same_model(accepted.model, model):
        raise BaselineError(
            f"{accepted.path}: the baseline of {line(accepted.model, 200)}, which has the same "
            f"file name as {model}; accept this one in another directory (--baselines DIR), or "
            "remove the file if it is the same model"
        )
    differing = differences(accepted, now)
    rest = accepted.gates.keys() - set(measured)
    if differing and rest:
        raise BaselineError(
            f"{accepted.path}: this run does not measure {len(rest)} of its gates, which were "
            f"accepted differently ({'; '.join(differing)}); accept the whole suite, without -k"
        )


def selected_otherwise(then: Mapping[str, str], now: Mapping[str, str]) -> list[str]:
    """Why two measurements were not asked the same prompts of the same stimuli."""
    return [
        f"{name} was {_short(then.get(name, ''))}, is {_short(now.get(name, ''))}"
        for name in SELECTED
        if then.get(name) != now.get(name)
    ]


def differences(accepted: Baseline, now: Mapping[str, str]) -> list[str]:
    """Why the measurements of a run cannot be merged into a baseline; none if they can."""
    then = accepted.provenance
    found = [how for _, how in mismatches(then, now)]
    if then.get("weights") != now["weights"]:
        found.append("the weights differ")
    found += selected_otherwise(then, now)
    if accepted.scores_path is None:
        found.append("the scores of its prompts are missing")
    return found


def vanished(accepted: Mapping[str, Entry], known: Mapping[str, str], *, whole: bool) -> list[str]:
    """Accepted gates that no test has any more, sorted.

    Args:
        accepted: the gates of a baseline.
        known: level of every gate that tests have, selected or not.
        whole: whether these are the tests of the whole suite; otherwise a gate has vanished only if
        tests of its kind exist for other slices.
    """
    asked = {_kind(gate, level) for gate, level in known.items()}
    return [
        gate
        for gate, entry in sorted(accepted.items())
        if gate not in known and (whole or _kind(gate, entry.level) in asked)
    ]


def _kind(gate: str, level: str) -> tuple[str, ...]:
    """A gate's id without its slice; a pair's words may contain a slash."""
    measurement, *rest = gate.split("/")
    asked = rest[-3:] if rest[-1] in BANDS else rest[-2:]
    return (measurement, *asked, level)
