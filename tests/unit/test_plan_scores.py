"""Scores of single prompts in a file: whole, the same bytes for the same scores, and merged."""

import io
import json

import numpy as np
import pytest

from blindspot.baselines.scores import Scores, read_scores
from blindspot.errors import BaselineError
from blindspot.estimates import Contributions
from blindspot.estimates.clusters import FactorSums
from blindspot.run.answer import Answer
from blindspot.run.cases import cases_of
from blindspot.run.observations import Observations, read
from blindspot.run.result import Kept, Measures
from blindspot.run.source import FixturePrompts
from blindspot.stimuli import Selection, load_stimuli

STIMULI = load_stimuli(())
SOURCE = FixturePrompts(STIMULI, Selection(limit=3))


def answered(part, *, seed=0):
    """A slice of our prompts with answers of all kinds, drawn at random."""
    rng = np.random.default_rng(seed)
    rows = []
    for prompt in SOURCE.prompts(part):
        scores = tuple(rng.normal(-5.0, 2.0, len(prompt.candidates)).tolist())
        text = str(
            rng.choice([*prompt.candidates, "I'm sorry, I cannot help with that.", "\u3042 ..."])
        )
        rows.append(read(prompt, Answer(text, True, 0.5, scores, -0.5)))
    return Observations(part, rows)


PARTS = [
    part
    for measurement in ("implicit", "explicit")
    for part in SOURCE.slices(measurement)
    if part.variant in ("default", "names") and part.category == "weapons"
]
TABLES = {part: answered(part, seed=place) for place, part in enumerate(PARTS)}
LAYERS = Contributions(
    0.25,
    {"positive word": FactorSums(("a", "b"), np.array([True, True]), np.array([0.125, -0.25]))},
    0.001,
    12,
    "position",
)


def written(directory, scores):
    """The scores after a way through a file."""
    path = directory / "scores.npz"
    path.write_bytes(scores.packed())
    return read_scores(path)


def test_scores_come_back_as_they_were(tmp_path):
    """Every case has the same estimate from the file as from the answers themselves."""
    kept = written(
        tmp_path, Scores(TABLES, {"probing/x": LAYERS}, {"injection/x": {"one": LAYERS}})
    )
    before, after = Measures(TABLES), Kept(kept)
    seen = 0
    for measurement, statistic in (
        ("implicit", "stereotype"),
        ("implicit", "validity"),
        ("explicit", "bias"),
        ("gap", "gap"),
    ):
        for level in ("category", "word"):
            readings = ("generated", "forced-choice")
            for case, _ in cases_of(
                SOURCE, measurement=measurement, statistic=statistic, level=level, readings=readings
            ):
                if not before.has(case):
                    assert after.contributions(case) is None
                    continue
                seen += 1
                one, other = before.contributions(case), after.contributions(case)
                assert other.value == pytest.approx(one.value, abs=1e-6, nan_ok=True)
                assert other.n == one.n
    assert seen > 20
    for part, table in TABLES.items():
        found = kept.tables[part]
        assert found.keys == table.keys
        assert found.texts == table.texts
        np.testing.assert_allclose(found.mass, table.mass, rtol=1e-6)
        assert found.readings == table.readings
    assert kept.contributions["probing/x"].estimate() == LAYERS.estimate()
    assert kept.compared["injection/x"]["one"].estimate() == LAYERS.estimate()


def test_the_same_scores_are_the_same_bytes():
    """A baseline that is accepted again does not change, in whatever order slices were asked."""
    turned = dict(reversed(TABLES.items()))
    assert Scores(TABLES).packed() == Scores(turned).packed()


def test_merging_replaces_the_pairs_that_were_asked_anew(tmp_path):
    """A part of a slice takes the place of its own pairs; the rest stays, whatever its order."""
    part = PARTS[0]
    table = answered(part, seed=99)
    pair = next(iter(table.pairs))
    some = Observations(part, [table.rows[place] for place in table.pairs[pair]])
    kept = written(tmp_path, Scores(TABLES))
    merged = written(tmp_path, kept.merged(Scores({part: some})))
    found = merged.tables[part]
    assert sorted(found.keys) == sorted(TABLES[part].keys)
    for one in found.pairs:
        theirs = table if one == pair else TABLES[part]
        ours, expected = found.pairs[one], theirs.pairs[one]
        np.testing.assert_allclose(
            found.log_odds[ours], theirs.log_odds[expected].astype(np.float32)
        )
    assert merged.tables.keys() == TABLES.keys()


def _with(scores, **changes):
    with np.load(io.BytesIO(scores.packed())) as file:
        arrays = {name: file[name] for name in file.files}
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **(arrays | changes))
    return buffer.getvalue()


def _head(**changes):
    with np.load(io.BytesIO(Scores(TABLES).packed())) as file:
        head = json.loads(file["head"].tobytes())
    return np.frombuffer(json.dumps(head | changes).encode(), np.uint8)


HOSTILE = {
    "empty": b"",
    "cut short": Scores(TABLES).packed()[:3000],
    "no archive": b"PK\x03\x04 nothing of the kind",
    "other shape": _with(Scores(TABLES), wording=np.zeros(3, np.uint16)),
    "other type": _with(Scores(TABLES), text=np.zeros(3, np.float64)),
    "pickle": _with(Scores(TABLES), forced=np.array([{}], object)),
    "no number": _with(
        Scores(TABLES),
        log_odds=np.array([np.nan, *[0.0] * (sum(map(len, TABLES.values())) - 1)], np.float32),
    ),
    "no probability": _with(
        Scores(TABLES), mass=np.full(sum(map(len, TABLES.values())), 1.5, np.float32)
    ),
    "refers to a missing entry": _with(Scores(TABLES), head=_head(texts=[])),
    "future": _with(Scores(TABLES), head=_head(schema_version=99)),
    "no head": _with(Scores(TABLES), head=np.frombuffer(b"{}", np.uint8)),
}


@pytest.mark.parametrize("content", HOSTILE.values(), ids=HOSTILE)
def test_damaged_scores_are_named(tmp_path, content):
    """Whatever is in the file: one line with its name and the remedy."""
    path = tmp_path / "scores.npz"
    path.write_bytes(content)
    with pytest.raises(
        BaselineError, match=r"scores\.npz: .*(accept the whole suite again)"
    ) as error:
        read_scores(path)
    assert "\n" not in str(error.value)
