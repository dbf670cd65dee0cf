"""The work of the assays: bands of layers, findings in the store, and who does what."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from blindspot.measurements.base import BANDS, EARLY, LATE, MIDDLE, OVERALL
from blindspot.measurements.mechanistic import band_layers
from blindspot.models.base import Identity, offers
from blindspot.run.ask import perform
from blindspot.run.cost import Cost
from blindspot.run.findings import pack, unpack
from blindspot.run.turns import Share, Watch
from blindspot.store import Store


@given(layers=st.integers(1, 200))
def test_bands_share_out_the_layers(layers):
    """Early, middle and late are all layers, in order, and each has some from three layers on."""
    bands = band_layers(layers)
    assert tuple(bands) == BANDS
    assert list(bands[OVERALL]) == list(range(layers))
    parts = [*bands[EARLY], *bands[MIDDLE], *bands[LATE]]
    if layers >= 3:
        assert parts == list(range(layers))
        assert all(len(bands[band]) for band in (EARLY, MIDDLE, LATE))
    else:
        assert set(parts) == set(range(layers))


@given(
    array=arrays.arrays(np.float32, arrays.array_shapes(max_dims=3, max_side=4)),
    texts=st.lists(st.text(), max_size=4),
)
def test_findings_survive_the_store(array, texts):
    """Arrays come back bit for bit, NaN included, and texts letter for letter."""
    back = unpack(pack({"array": array, "texts": texts, "flags": array > 0}))
    assert back["texts"] == texts
    assert back["array"].tobytes() == array.tobytes()
    assert (back["flags"] == (array > 0)).all()


def test_findings_with_objects_are_not_stored():
    """Nothing is pickled: an array of objects is refused when it is written."""
    with pytest.raises(ValueError, match="allow_pickle"):
        pack({"objects": np.array([{}], object)})


@dataclass
class CountedUnit:
    """A unit that counts how often it was done."""

    content: str
    size: int = 3
    tokens: int = 0
    done: int = 0

    def run(self, stream, *, progress=None):
        self.done += 1
        progress(2)
        progress(5)  # sizes are rough
        return {"value": np.array([len(self.content)])}


class Looked:
    """A model that can be looked into."""

    residual = None
    identity = Identity("looked", weights="1" * 64, tokenizer="0" * 64, dtype="float32")

    def generate(self, requests, *, progress=None):
        raise AssertionError("nobody asks")

    score = generate


def test_a_unit_is_done_once(tmp_path):
    """What the store knows is not done again, and the bar ends where it should."""
    units = [CountedUnit("a"), CountedUnit("bb")]
    store, sizes, told = Store(tmp_path), [], []

    @contextmanager
    def watched(size):
        sizes.append(size)
        yield Watch(told.append)

    for _ in range(2):
        found = perform(Looked(), units, store, Share(watched=watched))
        assert {content: int(one["value"][0]) for content, one in found.items()} == {
            "a": 1,
            "bb": 2,
        }
    store.close()
    assert [unit.done for unit in units] == [1, 1]
    assert sizes == [sum(told), 0] == [sum(unit.size for unit in units), 0]


@pytest.mark.parametrize(("workers", "order"), [(1, "abc"), (2, "bca")])
def test_workers_begin_with_the_longest_unit(tmp_path, workers, order):
    """One process keeps the order of the suite; of several, none waits long for another."""
    done = []

    class Named(CountedUnit):
        def run(self, stream, *, progress=None):
            done.append(self.content)
            return super().run(stream, progress=progress)

    units = [Named(name, tokens=tokens) for name, tokens in zip("abc", (1, 3, 2), strict=True)]
    found = perform(Looked(), units, Store(None), Share(workers=workers))
    assert "".join(done) == order
    assert list(found) == [unit.content for unit in units]


@pytest.mark.parametrize(
    ("speed", "seconds"), [(None, None), (10.0, 30.0), (float("nan"), float("nan"))]
)
def test_the_cost_of_assays_counts_what_is_missing(tmp_path, speed, seconds):
    """Passes and tokens that no store has, and the share of one of two workers in their time.

    Nothing where nobody timed the model; no time where its trial came from the store.
    """
    units = [CountedUnit("a", size=5, tokens=900), CountedUnit("bb", size=2, tokens=600)]
    store, said = Store(tmp_path), []

    @contextmanager
    def watched(size):
        yield Watch(cost=said.append)

    share = Share(workers=2, watched=watched)
    perform(Looked(), units[:1], store, share)
    assert not said
    for _ in range(2):
        perform(Looked(), units, store, share, speed=speed)
    store.close()
    expected = [] if speed is None else [repr(Cost(2, 5, "forward passes", 600, seconds))]
    assert [repr(each) for each in said] == expected  # NaN does not equal itself


def test_units_are_done_again_in_other_batches(tmp_path):
    """Once more, whatever is known, and once only: in passes of so many rows."""
    rows = []

    class Stream:
        def in_batches(self, most):
            rows.append(most)
            return self

    class Opened(Looked):
        residual = Stream()

    unit, store = CountedUnit("a"), Store(tmp_path)
    for again in (None, 29, 29, None):
        perform(Opened(), [unit], store, again=again)
    store.close()
    assert (unit.done, rows) == (2, [29])


def test_access_is_told_from_the_class():
    """Whether a model can be looked into is known without loading it."""

    class Trap(Looked):
        @property
        def residual(self):
            raise AssertionError("loaded")

    assert offers(Trap(), "residual")
    assert not offers(object(), "residual")
