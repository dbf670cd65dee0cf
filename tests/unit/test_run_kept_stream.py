"""What a unit has found when it is ended: the next run goes on from there."""

from __future__ import annotations

import numpy as np
import pytest

from blindspot.measurements.interpretation import Interpretation
from blindspot.measurements.patching.statistic import Patching
from blindspot.models.base import Generation, Identity
from blindspot.models.residual import Injected, InjectionRequest
from blindspot.run import keeper
from blindspot.run.ask import perform
from blindspot.run.keeper import Keeper
from blindspot.run.kept_stream import KeptStream
from blindspot.stimuli import Slice
from blindspot.store import Store
from tests.unit.planted_senses import PlantedSenses, stimuli

PATCHED = Slice("patching", "race", "default", "weapons")
DESCRIBED = Slice("interpretation", "race", "default", "weapons")


class EndedError(KeyboardInterrupt):
    """The run was ended."""


class Ending(PlantedSenses):
    """Ends the run at its n-th patching call or text."""

    calls: int = 0
    last: int | None = None

    def _count(self) -> None:
        self.calls += 1
        if self.calls == self.last:
            raise EndedError

    def patch(self, *args, **options):
        self._count()
        return super().patch(*args, **options)

    def _text(self, *args):
        self._count()
        return super()._text(*args)


class Looked:
    """A model with a stream."""

    identity = Identity("looked", weights="1" * 64, tokenizer="0" * 64, dtype="float32")

    def __init__(self, residual):
        self.residual = residual

    def generate(self, requests, *, progress=None):
        raise AssertionError("nobody asks")

    score = generate


@pytest.mark.parametrize(
    ("assay", "part"), [(Patching, PATCHED), (Interpretation, DESCRIBED)], ids=["patch", "describe"]
)
def test_an_ended_unit_goes_on_where_it_was(tmp_path, assay, part):
    """Every piece is made once in two runs, and the findings are those of one."""
    (unit, *_) = assay(stimuli()).units(part)
    whole = PlantedSenses(part, 1.0)
    expected = unit.run(whole)
    first, second = Ending(part, 1.0), Ending(part, 1.0)
    first.last = 4
    with pytest.raises(EndedError):
        perform(Looked(first), [unit], Store(tmp_path))
    store = Store(tmp_path)
    model = Looked(second)
    found = perform(model, [unit], store)[unit.content]
    assert 0 < first.patches < whole.patches
    assert first.patches + second.patches == whole.patches
    for name, values in expected.items():
        np.testing.assert_array_equal(found[name], values)
    assert len(store.of(model.identity.fingerprint(), model.identity.name)) == 1, "no part is left"
    store.close()


def test_answers_under_injection_are_kept_while_others_are_awaited(tmp_path, monkeypatch):
    """After some seconds what is there is stored, answer by answer."""
    monkeypatch.setattr(keeper, "KEEP_S", 0.0)
    asked: list[str] = []

    class Stream(PlantedSenses):
        def inject(self, requests, vectors, *, done):
            for number, one in enumerate(requests):
                asked.append(one.prompt)
                if len(asked) > 20:
                    raise EndedError
                done(number, Injected(Generation(one.prompt, 3, True, 0.5), (-1.0, -2.0)))

    requests = [
        InjectionRequest(str(number), (), (), None, str.isspace, ()) for number in range(50)
    ]
    store = Store(tmp_path)
    answers = store.of("fingerprint", "name")

    def inject():
        return KeptStream(Stream(PATCHED), Keeper(answers), b"unit").inject(
            requests, np.empty((0, 6, 3), np.float32)
        )

    with pytest.raises(EndedError):
        inject()
    kept = len(answers)
    asked.clear()
    with pytest.raises(EndedError):
        inject()
    assert (kept, asked[0]) == (20, "20")
    store.close()
