"""samples.jsonl.gz: one JSON row a prompt, whatever a model wrote."""

from __future__ import annotations

import gzip
import json
import math
from itertools import cycle

import pytest

from blindspot.measurements.mechanistic import Assayed
from blindspot.report.files import samples, write_samples
from blindspot.run.answer import Answer
from blindspot.run.result import Measured, measure
from blindspot.run.source import FixturePrompts
from blindspot.stimuli import Selection, load_stimuli

#: What a model may write; half of a surrogate pair is in no encoding, and JSON can spell it.
WRITTEN = (
    " wallet - white, revolver - black",
    "",
    'a "quote", a \\ and a \n\t\x00 line',
    "\N{SNOWMAN} \U0001f600 \u2028 é",
    "\ud83d",
    "half \udc80 a pair",
)


@pytest.fixture(scope="module")
def measured() -> Measured:
    """A slice of each measurement with such answers, one of them without a margin."""
    source = FixturePrompts(load_stimuli([]), Selection(limit=2))
    wanted = {
        part: list(source.prompts(part))
        for part in (source.slices("implicit")[0], source.slices("explicit")[0])
    }
    texts = cycle(WRITTEN)
    answers = [
        Answer(next(texts), True, math.nan if number == 3 else 1e-7 * number, values)
        for number, prompt in enumerate(prompt for part in wanted.values() for prompt in part)
        for values in [tuple(-1 / (place + 3) for place, _ in enumerate(prompt.candidates))]
    ]
    found = {"measurement": "interpretation", "text": "\ud800", "share": 0.1, "layers": [1, 2]}
    assayed = Assayed(next(iter(wanted)), {}, (), {}, (found,), "")
    return measure(None, wanted, answers, {assayed.part: assayed})  # type: ignore[arg-type]


def test_rows_are_read_back_as_they_were(measured, tmp_path):
    """To the last bit of a number and the last half of a pair; what has no number is null."""
    write_samples(tmp_path / "samples", measured)
    with gzip.open(tmp_path / "samples", "rt", encoding="utf-8") as file:
        rows = [json.loads(line, parse_constant=pytest.fail) for line in file]
    said = json.dumps(list(samples(measured)))
    assert rows == json.loads(said, parse_constant=lambda _: None)
    assert len(rows) == measured.prompts + 1 > len(WRITTEN)
    assert {row["answer"] for row in rows[:-1]} == set(WRITTEN)
    assert rows[3]["margin"] is None
    assert rows[4]["margin"] == 1e-7 * 4
    assert rows[-1]["text"] == "\ud800"


def test_same_answers_give_the_same_bytes(measured, tmp_path):
    """Whatever the file is called and whenever it is written."""
    for name in ("one", "other"):
        write_samples(tmp_path / name, measured)
    assert (tmp_path / "one").read_bytes() == (tmp_path / "other").read_bytes()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["one", "other"]
