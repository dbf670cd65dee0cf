"""Running out of memory halves what is computed at once, for good, and changes no answer."""

from __future__ import annotations

import dataclasses
from collections import defaultdict
from collections.abc import Callable
from typing import Any

import pytest
import torch

from blindspot.errors import ModelError
from blindspot.models import GenerationRequest, ModelOptions, ScoreRequest, load
from blindspot.models.transformers import both_readings, decoding, scoring
from blindspot.models.transformers.kv_cache import RowLayer
from blindspot.models.transformers.memory import Cost, Limits, batches, limits_for
from blindspot.models.transformers.model import CausalModel
from tests.unit.tiny_models import Checkpoints, counted

pytest_plugins = ["tests.unit.tiny_models"]
pytestmark = pytest.mark.usefixtures("own_cache")
PROMPTS = [f"You will see two words. Words: {word}, revolver." for word in "abcdefghij"]
LIMITS = Limits(rows=None, tokens=1000, slots=1000, reads=1000, wave=1000)

#: Tokens of a pass for which there is memory.
MOST = 24

OUT_OF_MEMORY = {
    "torch": torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB."),
    "cpu": RuntimeError(
        "DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes"
    ),
    "mps": RuntimeError("MPS backend out of memory (MPS allocated: 9 GB)"),
    "python": MemoryError(),
}


@pytest.fixture
def model(checkpoints: Checkpoints) -> CausalModel:
    """A model of its own for each test."""
    return load(ModelOptions(str(checkpoints())))


def starve(model: CausalModel, monkeypatch: pytest.MonkeyPatch, most: int, error: Any) -> list[int]:
    """Fail passes of more than ``most`` tokens; returns the list of sizes that were tried."""
    tried: list[int] = []
    forward = model._engine._forward

    def limited(tokens: Any, *rest: Any) -> Any:
        tried.append(tokens.numel())
        if tokens.numel() > most:
            raise error
        return forward(tokens, *rest)

    monkeypatch.setattr(model._engine, "_forward", limited)
    return tried


def ask(model: CausalModel) -> Any:
    texts = [
        answer.text
        for answer in model.generate([GenerationRequest(p, lambda _: False, 4) for p in PROMPTS])
    ]
    return texts, model.score([ScoreRequest(p, ("white", "black")) for p in PROMPTS])


@pytest.mark.parametrize("error", OUT_OF_MEMORY.values(), ids=OUT_OF_MEMORY.keys())
def test_batches_are_halved_and_stay_so(
    error: Exception, model: CausalModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The run goes on with smaller passes and does not try large ones again."""
    texts, values = ask(model)
    tried = starve(model, monkeypatch, MOST, error)
    found, scored = ask(model)
    assert found == texts
    for one, other in zip(scored, values, strict=True):
        assert one == pytest.approx(other, abs=1e-4)
    assert any(size > MOST for size in tried)
    tried.clear()
    ask(model)
    assert all(size <= MOST for size in tried)


def test_a_failure_while_answers_grow_is_repaired(
    model: CausalModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Answers of a batch that failed half-way start again; each is told once."""
    expected, told = ask(model)[0], []
    compute, passes = model._engine.step, []

    def failing(*arguments: Any) -> Any:
        passes.append(1)
        if len(passes) == 3:
            raise OUT_OF_MEMORY["torch"]
        return compute(*arguments)

    monkeypatch.setattr(model._engine, "step", failing)
    model._known = type(model._known)()
    requests = [GenerationRequest(p, lambda _: False, 4) for p in PROMPTS]
    answers = model.generate(requests, progress=told.append)
    assert [answer.text for answer in answers] == expected
    assert {answer.tokens for answer in answers} <= {0, 1, 2, 3, 4}
    assert sum(told) == len(PROMPTS)


#: Tokens of the answers to the prompts: some are open when the next wave begins.
LENGTHS = (2, 9, 4, 12, 3, 10, 5, 12, 2, 8)


class Waves:
    """Both readings of the prompts in waves of a few; ``carried``: open rows when one began."""

    def __init__(self, model: CausalModel, monkeypatch: pytest.MonkeyPatch, wave: int) -> None:
        self.model, self.carried, self.widths = model, list[int](), list[int]()
        self.steps: list[int] = []
        self.failing: Callable[[], bool] = lambda: False
        self._set, self._wave = monkeypatch.setattr, wave
        monkeypatch.setattr(decoding, "_OPEN_ROWS", 2)

    def expected(self) -> tuple[list[str], list[Any]]:
        """One prompt at a time."""
        written = [self.model.generate([one])[0].text for one in self._generations()]
        return written, [self.model.score([one])[0] for one in self._scores()]

    def asked(self) -> tuple[dict[int, list[str]], dict[int, Any]]:
        """All together; ``steps``: the wave of each."""
        model, engine = self.model, self.model._engine
        model._budget.limits = dataclasses.replace(model._budget.limits, wave=self._wave)
        model._known = type(model._known)()
        follow, step = both_readings.follow, engine.step

        def followed(batch: Any, *rest: Any) -> None:
            self.carried.append(sum(len(part.going) for part in batch._parts))
            follow(batch, *rest)

        def stepped(tokens: Any, lengths: Any, mask: Any, cache: Any) -> Any:
            self.steps.append(len(self.carried))
            self.widths.append(mask.shape[1])
            if self.failing():
                raise OUT_OF_MEMORY["torch"]
            return step(tokens, lengths, mask, cache)

        self._set(both_readings, "follow", followed)
        self._set(engine, "step", stepped)
        scored: dict[int, Any] = {}
        written: dict[int, list[str]] = defaultdict(list)
        model.answer_each(
            self._scores(),
            self._generations(),
            scored.__setitem__,
            lambda n, one: written[n].append(one.text),
        )
        return written, scored

    def _generations(self) -> list[GenerationRequest]:
        pairs = zip(PROMPTS, LENGTHS, strict=True)
        return [GenerationRequest(prompt, lambda _: False, most) for prompt, most in pairs]

    def _scores(self) -> list[ScoreRequest]:
        return [ScoreRequest(prompt, ("white", "black")) for prompt in PROMPTS]


@pytest.mark.parametrize("wave", [30, 20])
@pytest.mark.parametrize("times", [0, 1])
def test_rows_that_wait_for_the_next_wave_are_not_lost(
    model: CausalModel, monkeypatch: pytest.MonkeyPatch, wave: int, times: int
) -> None:
    """Memory runs out in a later wave: answers that were open from an earlier one are finished.

    Waves of one prompt (20) do not end the run: alone it fits.
    """
    asking = Waves(model, monkeypatch, wave)
    texts, values = asking.expected()
    failed: list[int] = []

    def failing() -> bool:
        if len(failed) < times and asking.carried[-1] and len(asking.carried) > 1:
            failed.append(1)
            return True
        return False

    asking.failing = failing
    written, scored = asking.asked()
    assert len(failed) == times
    assert max(asking.carried) > 0
    assert max(asking.steps) > 2
    if wave == 20:
        assert model._budget.limits.wave == wave  # tried again, not halved
    assert written == {n: [text] for n, text in enumerate(texts)}
    for number, one in enumerate(values):
        assert scored[number] == pytest.approx(one, abs=1e-4)


def test_a_batch_that_never_empties_does_not_grow_wider(
    model: CausalModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Slots that only rows before used are dropped when rows join."""
    asking = Waves(model, monkeypatch, 20)
    asking.asked()
    longest = max(len(model.prompts.encode([prompt])[0]) for prompt in PROMPTS)
    assert sum(count > 0 for count in asking.carried) > 4
    assert max(asking.widths) <= longest + max(LENGTHS)


def test_one_prompt_that_does_not_fit_is_an_error(
    model: CausalModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It says how long the prompt is and what can be done."""
    starve(model, monkeypatch, 0, OUT_OF_MEMORY["cpu"])
    with pytest.raises(ModelError, match=r"out of memory with a single prompt of \d+ tokens; use"):
        ask(model)


def test_other_failures_are_not_taken_for_it(
    model: CausalModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A bug is not hidden by trying again."""
    starve(model, monkeypatch, 0, RuntimeError("shape mismatch"))
    with pytest.raises(RuntimeError, match="shape mismatch"):
        ask(model)


def test_batch_size_is_the_most_rows(
    checkpoints: Checkpoints, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The number that the user gives, and no other limit."""
    model = load(ModelOptions(str(checkpoints()), batch_size=3))
    rows = counted(monkeypatch, model._engine, "_forward")
    ask(model)
    assert max(rows) == 3


def test_batch_size_holds_after_greedy_answers(
    checkpoints: Checkpoints, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What follows the candidates that are greedy is computed together, within the limit."""
    model = load(ModelOptions(str(checkpoints()), batch_size=3))
    monkeypatch.setattr(scoring._Collector, "greedy_end", lambda self, row: self._asked[row][0][1])
    rows = counted(monkeypatch, model._engine, "step")
    model.score([ScoreRequest(p, ("white and", "black and")) for p in PROMPTS])
    assert max(rows) == 3
    assert sum(rows) >= 2 * len(PROMPTS)


@pytest.mark.parametrize(
    ("changed", "cuts"),
    [
        ({}, [6]),
        ({"tokens": 24}, [3, 3]),
        ({"tokens": 1}, [1] * 6),
        ({"slots": 25}, [2, 2, 2]),
        ({"reads": 7}, [3, 3]),
        ({"rows": 4}, [4, 2]),
    ],
    ids=["all", "tokens", "at-least-one", "slots", "reads", "rows"],
)
def test_batches_keep_each_limit(changed: dict[str, int], cuts: list[int]) -> None:
    """Padding counts: a batch is as dear as its longest row makes it."""
    costs = [Cost(tokens=8, slots=12, reads=2)] * 6
    limits = dataclasses.replace(LIMITS, **changed)
    assert [len(run) for run in batches(costs, limits)] == cuts


def test_rows_of_equal_length_only() -> None:
    """Where padding is not allowed, a new length is a new batch."""
    costs = [Cost(n, n) for n in (3, 3, 4, 5, 5, 5)]
    assert [len(run) for run in batches(costs, LIMITS, equal=True)] == [2, 1, 3]
    assert list(batches([], LIMITS)) == []


def test_limits_of_large_models_are_smaller() -> None:
    """Memory of a cached token and of a vocabulary bound what is held at once."""
    device = torch.device("cpu")
    small = limits_for(device, kv_bytes=4608, vocabulary=2000, rows=None)
    large = limits_for(device, kv_bytes=1 << 20, vocabulary=256_000, rows=None)
    assert small.slots > large.slots > 0
    assert small.reads > large.reads > 0
    assert small.wave > large.wave > 0
    assert limits_for(device, kv_bytes=4608, vocabulary=2000, rows=7).rows == 7


@pytest.mark.parametrize(
    ("changed", "slots", "most"),
    [({}, 10, 100), ({"reads": 7}, 10, 7), ({"rows": 3}, 10, 3), ({}, 2000, 1)],
)
def test_most_rows_is_the_strictest_limit(changed: dict[str, int], slots: int, most: int) -> None:
    """At least one row, however long."""
    assert dataclasses.replace(LIMITS, **changed).most_rows(slots) == most


def test_keys_and_values_of_joined_rows_may_differ() -> None:
    """In heads and in width, as in latent attention; slots before the longest row are dropped."""
    parts = []
    for rows, filled in ((2, 5), (1, 3)):
        layer = RowLayer()
        layer.update(torch.full((rows, 1, filled, 6), rows), torch.full((rows, 2, filled, 4), rows))
        parts.append(layer)
    joined = RowLayer.joined(parts, 4, 2)
    assert joined.keys.shape == (3, 1, 4, 6)
    assert joined.values.shape == (3, 2, 4, 4)
    assert joined.keys[:, 0, :, 0].tolist() == [[2] * 4, [2] * 4, [0, 1, 1, 1]]


def test_limits_on_apple_silicon_are_by_its_own_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the system recommends less what is taken, not the limits of a CPU."""
    monkeypatch.setattr(torch.mps, "recommended_max_memory", lambda: 12 << 30)
    monkeypatch.setattr(torch.mps, "driver_allocated_memory", lambda: 2 << 30)
    found = limits_for(torch.device("mps"), kv_bytes=4608, vocabulary=2000, rows=None)
    assert found.slots * 4608 == pytest.approx(0.4 * (10 << 30), rel=1e-3)
    assert (
        found.tokens
        > limits_for(torch.device("cpu"), kv_bytes=4608, vocabulary=2000, rows=None).tokens
    )
