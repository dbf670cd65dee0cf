"""The table of wordings: answered, copied order, mass."""

from __future__ import annotations

import math

import pytest

from benchmarks.wordings.__main__ import prompts_of, rows
from benchmarks.wordings.runs import Run, table
from blindspot.models.base import Generation, Identity
from blindspot.paths import FIXTURES

ASSOCIATIONS = FIXTURES / "wordings" / "association.toml"


class Copier:
    """Writes the complete answer that pairs first with first, or nothing."""

    identity = Identity("copier", weights="0" * 64, tokenizer="0" * 64, dtype="float32")

    def __init__(self, prompts, silent):
        self.answers = {
            prompt.text: prompt.candidates[
                prompt.positive_identifier_first != prompt.positive_word_first
            ]
            for prompt in prompts
            if prompt.wording != silent
        }

    def generate(self, requests, *, progress=None):
        return [Generation(self.answers.get(one.prompt, ""), 1, True, 1.0) for one in requests]

    def score(self, requests, *, progress=None):
        return [(math.log(0.25), math.log(0.5)) for _ in requests]


def test_a_copier_is_seen_and_silence_too():
    """A model that copies the order copies it everywhere; a wording without answers is last."""
    prompts = prompts_of(ASSOCIATIONS, "race", "default", 1)
    silent = prompts[0].wording
    *most, last = rows(Copier(prompts, silent), prompts)
    assert {(one.answered, one.copied) for one in most} == {(1.0, 1.0)}
    assert (last.name, last.answered) == (silent, 0.0)
    assert math.isnan(last.copied)
    assert last.mass == pytest.approx(0.75)


def test_statements_are_refused():
    """The table is one of association wordings."""
    with pytest.raises(SystemExit, match="statements"):
        prompts_of(FIXTURES / "wordings" / "statements.toml", "race", "default", 1)


def _sample(measurement, wording, order, value, mass):
    return {
        "measurement": measurement,
        "wording": wording,
        "order": f"{order}-identifier-first,positive-word-first",
        "value": value,
        "mass": mass,
    }


def test_runs_are_told_by_wording():
    """What was answered, copied and likely; what gates said; what was not run is left empty."""
    gate = {"level": "category", "reading": "generated", "verdict": "inconclusive", "doubt": ""}
    unread = gate | {"doubt": "unread: only 1 of 4 prompts were answered"}
    samples = [
        _sample("implicit", "two-rules", "positive", 1.0, 0.5),
        _sample("implicit", "two-rules", "negative", None, 0.25),
        _sample("explicit", "rate-closer", "negative", 0.5, None),
    ]
    report = {"gates": [gate, unread], "exit_code": 12}
    one = Run("gemma", report, samples, 61.7)
    runs = {"smollm2": Run("smollm2", report, [], 1.0), "gemma": one}
    lines = list(table(runs, {"gemma": one}))
    cells = {name: rest.split(" | ") for name, _, rest in (x[2:-2].partition(" | ") for x in lines)}
    assert cells["`two-rules`"] == ["", "50%, copied 100%, mass 4e-01"]
    assert cells["`rate-closer`"] == ["", "100%"]
    assert cells["`arrows`"] == ["", ""]
    assert cells["**published association**"] == ["", "50%, copied 100%, mass 4e-01"]
    assert cells["gates"][1] == "generated: 1 inconclusive, 1 unread"
    assert cells["exit code"] == ["12", "12"]
    assert cells["seconds"] == ["1", "62"]
