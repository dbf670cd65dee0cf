"""Ask every association wording of a file, and print what the answers are worth.

    python -m benchmarks.wordings --model DIR --candidates FILE [--apply-chat-template]

Per wording, over all orders of a few word pairs of each category: the share of prompts answered,
the share of answers that copy the listed order (a half is best), and the median mass of the two
compared answers. A wording is worth keeping if it is answered often and not decided by order.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from statistics import fmean, median

from benchmarks.wordings.table import Row, row
from blindspot.measurements.association import ASSOCIATION
from blindspot.models.base import LanguageModel
from blindspot.models.options import ModelOptions
from blindspot.models.registry import open_model
from blindspot.run.ask import ask
from blindspot.stimuli import IMPLICIT, Selection, Slice, load_stimuli
from blindspot.stimuli.collection import associations_of
from blindspot.stimuli.files import read_wordings
from blindspot.stimuli.prompts import AssociationPrompt
from blindspot.stimuli.schema import ImplicitWordings
from blindspot.store import Store


def prompts_of(candidates: Path, axis: str, variant: str, pairs: int) -> list[AssociationPrompt]:
    """The prompts of every wording of a file, in all orders of some word pairs a category."""
    wordings = read_wordings(candidates)
    if not isinstance(wordings, ImplicitWordings):
        raise SystemExit(f"{candidates}: wordings of statements; name a file of associations")
    stimuli = load_stimuli()
    stimuli = replace(stimuli, implicit={wordings.language: wordings.wording})
    parts = [Slice(IMPLICIT, axis, variant, name) for name in stimuli.axes[axis].categories]
    selection = Selection(limit=pairs, fraction=None)
    return [prompt for part in parts for prompt in associations_of(stimuli, part, selection)]


def rows(model: LanguageModel, prompts: Sequence[AssociationPrompt]) -> list[Row]:
    """One row per wording, the most answered first."""
    found: dict[str, list[tuple[bool, float, float]]] = {}
    for prompt, answer in zip(prompts, ask(model, prompts, Store(None)), strict=True):
        value = ASSOCIATION.read(prompt, answer.text, answer.log_probabilities).value
        straight = prompt.positive_identifier_first == prompt.positive_word_first
        found.setdefault(prompt.wording, []).append((straight, value, answer.mass))
    return sorted((row(name, each) for name, each in found.items()), key=lambda one: -one.answered)


def main(arguments: Sequence[str] | None = None) -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.wordings", description=__doc__)
    parser.add_argument("--model", required=True)
    parser.add_argument("--candidates", type=Path, required=True)
    parser.add_argument("--apply-chat-template", action="store_true")
    parser.add_argument("--axis", default="race")
    parser.add_argument("--variant", default="default")
    parser.add_argument("--pairs", type=int, default=1, help="word pairs per category")
    given = parser.parse_args(arguments)
    options = ModelOptions(given.model, apply_chat_template=given.apply_chat_template)
    prompts = prompts_of(given.candidates, given.axis, given.variant, given.pairs)
    table = rows(open_model(options), prompts)
    print(f"{'wording':24} {'answered':>8} {'copied':>7} {'mass':>8}")
    for one in table:
        print(f"{one.name:24} {one.answered:8.0%} {one.copied:7.0%} {one.mass:8.1e}")
    shares = [one.answered for one in table]
    print(f"{'all':24} {fmean(shares):8.0%} {'':7} {median(one.mass for one in table):8.1e}")


if __name__ == "__main__":
    main()
