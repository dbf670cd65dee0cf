"""Work on a model: what it has found is kept while it goes on, and nobody waits for long lists."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import replace
from itertools import pairwise

import pytest

from blindspot.errors import DismissalError
from blindspot.models.base import AnswersEarly, AnswersTogether, Generation, Identity
from blindspot.models.pulse import loaded
from blindspot.run import keeper, spells
from blindspot.run.ask import answer_key, ask, try_out
from blindspot.run.cost import TRIAL, trial_of
from blindspot.run.source import FixturePrompts
from blindspot.run.turns import ALONE, Share, Watch
from blindspot.stimuli import load_stimuli
from blindspot.store import Store


@pytest.fixture(scope="module")
def prompts():
    """Forty prompts of one slice."""
    source = FixturePrompts(load_stimuli([]))
    return list(source.prompts(source.slices("implicit")[0]))[:40]


class EndedError(DismissalError):
    """The run ends, as by Ctrl-C."""


class EarlyModel:
    """Hands over each answer at once; ends the run after so many of them."""

    identity = Identity("early", weights="1" * 64, tokenizer="0" * 64, dtype="float32")

    def __init__(self, last: int = 10**6) -> None:
        self.scored: list[str] = []
        self.generated: list[str] = []
        self._last = last

    def generate(self, requests, *, progress=None):
        raise AssertionError("each is asked for")

    score = generate

    def score_each(self, requests, done):
        for number, request in enumerate(requests):
            self.scored.append(request.prompt)
            done(number, tuple(-1.0 for _ in request.candidates))

    def generate_each(self, requests, done):
        for number, request in enumerate(requests):
            if number == self._last:
                raise EndedError
            self.generated.append(request.prompt)
            done(number, Generation(" yes", 2, True, 1.0))


class TogetherModel(EarlyModel):
    """Gives both readings in one go."""

    identity = Identity("together", weights="3" * 64, tokenizer="0" * 64, dtype="float32")

    def __init__(self) -> None:
        super().__init__()
        self.lists: list[int] = []

    def answer_each(self, scores, generations, scored, generated):
        self.lists.append(len(scores))
        self.score_each(scores, scored)
        self.generate_each(generations, generated)


class ListModel:
    """Answers whole lists, each prompt in a second of a clock that stands still otherwise."""

    identity = Identity("lists", weights="2" * 64, tokenizer="0" * 64, dtype="float32")

    def __init__(self, monkeypatch, seconds: float, loading: float = 0.0) -> None:
        self.lists: list[int] = []
        self._loading = loading
        self._now, self._seconds = 0.0, seconds
        monkeypatch.setattr(spells.time, "monotonic", lambda: self._now)  # of the whole process

    def generate(self, requests, *, progress=None):
        if not self.lists:
            self._now += self._loading
            loaded(self._loading)
        self.lists.append(len(requests))
        self._now += self._seconds * len(requests)
        return [Generation(" yes", 2, True, 1.0)] * len(requests)


def test_an_ended_run_keeps_what_was_answered(tmp_path, prompts):
    """Answers before the end are in the store; of the others the scores are. Nothing twice."""
    assert isinstance(EarlyModel(), AnswersEarly)
    first, second = EarlyModel(last=7), EarlyModel()
    with pytest.raises(EndedError):
        ask(first, prompts, Store(tmp_path))
    found = ask(second, prompts, Store(tmp_path))
    assert len(first.generated) == 7
    assert sorted(first.generated + second.generated) == sorted(p.text for p in prompts)
    assert len(first.scored) == len(prompts)
    assert second.scored == []
    assert all(answer.log_probabilities[0] == -1.0 for answer in found)


def test_no_halves_stay_in_the_store(tmp_path, prompts):
    """Scores that waited for their answers are removed with them: one row a prompt."""
    with pytest.raises(EndedError):
        ask(EarlyModel(last=7), prompts, Store(tmp_path))
    store, model = Store(tmp_path), EarlyModel()
    ask(model, prompts, store)
    identity = model.identity
    assert len(store.of(identity.fingerprint(), identity.name)) == len(prompts)


def test_answers_are_kept_while_others_are_awaited(tmp_path, prompts, monkeypatch):
    """After some seconds what is there is stored, wherever the work is."""
    monkeypatch.setattr(keeper, "KEEP_S", 0.0)
    counts = []

    class Watched(EarlyModel):
        def generate_each(self, requests, done):
            super().generate_each(requests, done)
            other = Store(tmp_path).of(self.identity.fingerprint(), self.identity.name)
            counts.append(len(other.known(map(answer_key, prompts))))

    ask(Watched(), prompts, Store(tmp_path))
    assert counts == [len(prompts)]


def test_lists_are_cut_by_the_time_they_take(tmp_path, prompts, monkeypatch):
    """A slow backend gets short lists: the next one takes five seconds."""
    slow = ListModel(monkeypatch, seconds=1.0)
    ask(slow, prompts, Store(tmp_path))
    assert slow.lists == [16, 5, 5, 5, 5, 4]
    fast = ListModel(monkeypatch, seconds=0.01)
    ask(fast, prompts, Store(tmp_path / "other"))
    assert fast.lists == [16, 24]


@contextmanager
def noting(costs):
    """Someone who asks what the work costs."""
    yield Watch(cost=costs.append)


@pytest.fixture
def many(prompts):
    """So many that a trial of them is worth its time."""
    return [replace(one, text=f"{number}: {one.text}") for number, one in enumerate(prompts * 2)]


def test_a_process_that_joins_later_tries_nothing(tmp_path, monkeypatch, many):
    """Other prompts are missing then, and another process may be at them."""
    locks = tmp_path / "run"
    locks.mkdir()
    costs = []
    share = Share(locks, watched=lambda _: noting(costs))

    class Ended(ListModel):
        def generate(self, requests, *, progress=None):
            if self.lists:
                raise EndedError
            return super().generate(requests)

    first, second = Ended(monkeypatch, seconds=1.0), ListModel(monkeypatch, seconds=1.0)
    with pytest.raises(EndedError):
        ask(first, many, Store(tmp_path), share)
    assert (first.lists, len(costs)) == ([TRIAL], 1)
    ask(second, many, Store(tmp_path), share)
    assert sum(second.lists) == len(many) - TRIAL
    assert len(costs) == 1


def test_the_cost_is_said_after_a_trial(tmp_path, monkeypatch, many):
    """Some prompts are asked first and timed; what is in the store costs nothing."""
    slow, costs = ListModel(monkeypatch, seconds=1.0), []
    share = Share(watched=lambda _: noting(costs))
    ask(slow, many[:8], Store(tmp_path), share)
    assert costs == []
    ask(slow, many, Store(tmp_path), share)
    (cost,) = costs
    assert (cost.count, cost.stored) == (80 - 8 - TRIAL, 8 + TRIAL)
    assert cost.seconds == pytest.approx(cost.count)
    assert cost.tokens == 2 * cost.count
    ask(slow, many, Store(tmp_path), share)
    assert len(costs) == 1


def test_a_trial_does_not_wait_for_its_last_answers(tmp_path, many):
    """Three quarters of them end it. The others are asked with the rest, and counted once."""
    model, costs, told, kept = TogetherModel(), [], [], []
    answers = Store(tmp_path)

    @contextmanager
    def watched(_):
        yield Watch(told.append, kept.append, costs.append)

    found = ask(model, many, answers, Share(watched=watched))
    assert isinstance(model, AnswersTogether)
    assert model.lists == [TRIAL, len(many) - TRIAL * 3 // 4]
    assert sorted(model.generated) == sorted(one.text for one in many)
    assert sum(told) == sum(kept) == len(many)
    (cost,) = costs
    assert (cost.count, cost.stored) == (len(many) - TRIAL * 3 // 4, TRIAL * 3 // 4)
    assert all(answer.log_probabilities[0] == -1.0 for answer in found)
    assert len(answers.of(model.identity.fingerprint(), "together")) == len(many)


def test_a_trial_says_how_many_it_answered(many):
    """By which its time is divided."""
    model = TogetherModel()
    assert try_out(model, many[:TRIAL], ALONE).answers == len(model.generated) == TRIAL * 3 // 4
    assert try_out(model, many[:1], ALONE).answers == 1


def test_loading_the_model_is_no_cost_of_its_prompts(tmp_path, monkeypatch, many):
    """Or 16 prompts that take as long as the load would make the rest look like hours."""
    slow, costs = ListModel(monkeypatch, seconds=1.0, loading=100.0), []
    ask(slow, many, Store(tmp_path), Share(watched=lambda _: noting(costs)))
    (cost,) = costs
    assert cost.seconds == pytest.approx(cost.count)


def test_a_trial_is_spread_over_all_in_blocks():
    """Neighbours, which share prefixes, from the beginning to the end."""
    chosen = list(trial_of(range(1000)))
    assert len(set(chosen)) == TRIAL
    assert (chosen[0], chosen[-1]) == (0, 999)
    assert sum(b - a == 1 for a, b in pairwise(chosen)) == TRIAL - 4
    assert trial_of(range(4 * TRIAL - 1)) == ()


def test_parts_do_not_shrink_where_their_items_get_dearer(monkeypatch):
    """A part of any size takes ten seconds: it stays as large as it was."""
    now = [0.0]
    monkeypatch.setattr(spells.time, "monotonic", lambda: now[0])
    sizes = []
    for part in spells.spells(200, first=16, short=3.0, long=6.0):
        sizes.append(part.stop - part.start)
        now[0] += 10.0
    assert min(sizes[2:]) == 16


def test_parts_shrink_where_their_items_cost_the_same(monkeypatch):
    """A second for each item: parts take at most the seconds that they may."""
    now = [0.0]
    monkeypatch.setattr(spells.time, "monotonic", lambda: now[0])
    sizes = []
    for part in spells.spells(60, first=16, short=3.0, long=6.0):
        sizes.append(part.stop - part.start)
        now[0] += sizes[-1]
    assert max(sizes[1:]) == 6
