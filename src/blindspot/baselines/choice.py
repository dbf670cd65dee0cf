"""The accepted baseline that a run is compared with, or why it is compared with none."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from blindspot.baselines.comparison import mismatches, same_model, selected_otherwise
from blindspot.baselines.file import Baseline
from blindspot.baselines.scores import Scores, read_scores


@dataclass(frozen=True)
class Choice:
    """What is known of the baseline.

    Attributes:
        path: of its file.
        named: whether the user named it.
        baseline: None where there is none, or it cannot be compared with.
        scores: of its prompts, None where they are missing.
        uncompared: why it is not compared with.
        faults: what makes the run incomplete.
        notes: what the user should know.
        partial: whether it was asked other prompts: then only the common ones are compared.
    """

    path: Path
    named: bool = False
    baseline: Baseline | None = None
    scores: Scores | None = None
    uncompared: str = ""
    faults: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    partial: bool = False


def choose(
    none: Choice,
    found: Baseline | None,
    model: str,
    provenance: Mapping[str, str],
    *,
    required: bool,
    allowed: Collection[str],
) -> Choice:
    """The baseline, unless it is missing or its conditions differ.

    Args:
        none: where it was looked for.
        found: what lies there.
        model: name of the model under test.
        provenance: conditions of the run.
        required: whether a run without one is incomplete.
        allowed: mismatches that the user allows.

    Raises:
        BaselineError: the file of the scores is damaged.
    """
    path = none.path
    if found is None:
        if not (none.named or required):
            return none
        why = f"the baseline {path} is missing"
        whose = "that model" if none.named else "this model"
        remedy = f"accept {whose} first: pytest --model NAME --snapshot-update"
        return replace(none, uncompared=why, faults=(f"{why}; {remedy}",))
    if not none.named and not same_model(found.model, model):
        why = f"{path} is the baseline of {found.model}, which has the same file name as {model}"
        remedy = f"name another directory (--baselines DIR), or compare with it: --baseline {path}"
        return replace(none, uncompared=why, faults=(f"{why}; {remedy}",))
    differing = mismatches(found.provenance, provenance)
    if found.scores_path is None:
        differing.append(("scores", "scores of single prompts are missing"))
    faults = tuple(
        f"the baseline {path.name} was measured otherwise: {how}; accept anew, or "
        f"--allow-mismatch {kind}"
        for kind, how in differing
        if kind not in allowed
    )
    if faults:
        why = "the baseline was measured under other conditions"
        return replace(none, uncompared=why, faults=faults)
    scores = None if found.scores_path is None else read_scores(found.scores_path)
    partial = bool(selected_otherwise(found.provenance, provenance))
    return replace(none, baseline=found, scores=scores, partial=partial)
