"""Replicas share lists of work, and what one leaves undone is done by others. Needs no Ray."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from blindspot.errors import ModelError, SilentError
from blindspot.models.base import Identity
from blindspot.models.pulse import heard
from blindspot.models.replicas.crew import Crew, LostError
from blindspot.models.replicas.parts import PARTS, ranges, scopes
from blindspot.models.replicas.replica import Done, Load, Loaded
from tests.unit.cluster_here import ClusterHere, Meet

IDENTITY = Identity("m", "w", "t", "float32")


@dataclass(frozen=True)
class Twice:
    """Work that needs no model."""

    number: int

    def __call__(self, model: Any) -> int:
        """The number, doubled."""
        return 2 * self.number


class Bare:
    """A replica without a model."""

    def do(self, work: Any) -> Done[Any]:
        """As of `Replica`."""
        value = Loaded(IDENTITY, (), "1") if isinstance(work, Load) else work(None)
        return Done(value, 3)


def bare(**more: Any) -> ClusterHere:
    return ClusterHere(made=lambda _: Bare(), **more)


def worked(crew: Crew, count: int = 40) -> list[tuple[int, int]]:
    """What came of some work, part by part."""
    found: list[tuple[int, int]] = []
    crew.each([Twice(n) for n in range(count)], lambda part, value: found.append((part, value)))
    return found


def whole(found: list[tuple[int, int]], count: int = 40) -> bool:
    """Whether each part was done once, and by its own number."""
    return sorted(found) == [(n, 2 * n) for n in range(count)]


def test_parts_are_done_once_by_all_replicas():
    """Whichever is ready first; the tokens of all are heard."""
    cluster, tokens = bare(count=3), []
    crew = Crew("ray:m", cluster, 3)
    with heard(tokens.append):
        assert whole(worked(crew))
    assert sum(tokens) == 40 * 3
    assert all(sum(isinstance(w, Twice) for w in one.asked) for one in cluster.actors)
    assert whole(worked(crew))
    assert len(cluster.actors) == 3, "replicas stay for the next list"
    assert crew.roll.nodes == ["node"] * 3
    crew.close()
    assert not cluster.alive
    assert whole(worked(crew)), "and start again"


def test_replica_that_is_lost_is_replaced_and_its_work_asked_again():
    """Also while it joins, and if others are lost at the same time."""
    for lost in (
        lambda number, asked: number == 0 and asked == 5,
        lambda number, asked: number in (0, 1) and asked == 1,
        lambda number, asked: number < 4 and asked == 3 + number,
    ):
        cluster = bare(count=3, lost=lost)
        crew = Crew("ray:m", cluster, 3)
        assert whole(worked(crew))
        assert crew.roll.lost == len(cluster.actors) - 3
        assert crew.roll.lost
        assert len(cluster.alive) == 3


def test_replacement_without_a_place_keeps_nobody_waiting():
    """The others do its work; one that never finds a place is no error."""
    cluster = bare(count=3, places=2, lost=lambda number, asked: number == 1 and asked == 6)
    crew = Crew("ray:m", cluster, 3, patience=0.05)
    assert whole(worked(crew))
    cluster.places = 0
    crew.close()
    with pytest.raises(ModelError, match=r"no replica started on .* nothing is free; wait for"):
        worked(crew)
    with pytest.raises(ModelError, match="no replica started"):
        crew.first(Twice(1))
    assert not cluster.alive


def test_last_replica_that_is_lost_without_a_replacement_is_one_line():
    """Not an endless wait; something was done, and the run is incomplete."""
    cluster = bare(count=1, places=1)
    cluster.lost = lambda number, asked: asked == 9 and not setattr(cluster, "places", 0)
    with pytest.raises(SilentError, match="ray:m: no replica started"):
        worked(Crew("ray:m", cluster, 1, patience=0.05))
    assert not cluster.alive


def test_work_that_ends_every_replica_is_not_asked_for_ever():
    """And replicas that are lost as soon as they start are not started for ever."""
    for lost, said in (
        (lambda _, asked: asked == 3, "the same prompts ended 3 replicas: its process ended"),
        (lambda _, asked: asked == 1, "replicas were lost and nothing was done"),
    ):
        cluster = bare(count=2, lost=lost)
        with pytest.raises(ModelError, match=said) as caught:
            worked(Crew("ray:m", cluster, 2), 1)
        assert caught.type is ModelError, "nothing was done: the model cannot be used"
        assert not cluster.alive
        cluster = bare(count=2)
        crew = Crew("ray:m", cluster, 2)
        worked(crew)
        cluster.lost = lambda number, asked, lost=lost: number < 2 or lost(number, asked)
        with pytest.raises(SilentError, match=said):
            worked(crew, 1)
        assert not cluster.alive
    with pytest.raises(ModelError, match="a replica was lost: its process ended"):
        Crew("ray:m", bare(lost=lambda *_: True), 1).first(Twice(1))


def test_what_the_receiver_or_the_work_raises_ends_all_replicas():
    """As does Ctrl-C."""
    cluster = bare()

    def interrupted(part: int, value: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        Crew("ray:m", cluster, 2).each([Twice(1), Twice(2)], interrupted)
    assert not cluster.alive
    with pytest.raises(TypeError):
        Crew("ray:m", cluster, 2).each([Twice(None)], lambda *_: None)  # type: ignore[arg-type]
    assert not cluster.alive


def test_replica_that_holds_another_model_gets_no_work():
    """Whoever checks what was loaded may refuse it."""

    def check(loaded: Loaded, node: str) -> None:
        raise ModelError(f"{node} has {loaded.identity.weights}")

    cluster = bare()
    with pytest.raises(ModelError, match="node has w"):
        worked(Crew("ray:m", cluster, 2, check))
    assert not any(isinstance(work, Twice) for one in cluster.actors for work in one.asked)


def test_first_answer_needs_no_weights():
    """The replica that gives it is ended, so that its GPU is free."""
    cluster = bare()
    assert Crew("ray:m", cluster, 2).first(Twice(4)) == 8
    (actor,) = cluster.actors
    assert actor.ended
    assert [type(work) for work in actor.asked] == [Meet, Twice]
    assert issubclass(LostError, Exception)


# --- parts


@given(
    st.lists(st.text("ab", max_size=6), max_size=60),
    st.integers(1, 5),
)
def test_scopes_hold_each_text_once(texts, replicas):
    """Equal lists give equal parts; none is empty, and there are not too many."""
    parts = scopes(texts, replicas)
    assert sorted(number for part in parts for number in part) == list(range(len(texts)))
    assert len(parts) <= PARTS * replicas
    assert all(parts) or not texts
    assert scopes(texts, replicas) == parts


def test_scopes_keep_shared_beginnings_together():
    """Whatever the order of the list; no border lies within a wording where one lies near."""
    heads = ("Pair the words: ", "Which word fits? ", "Assign each of these: ", "You see ")
    texts = [f"{head}{number:02} and so on" for number in range(24) for head in heads]
    parts = scopes(texts, 1)
    assert [{texts[number][:8] for number in part} for part in parts] == [
        {head[:8]} for head in sorted(heads)
    ]
    long = [f"{head}{number:03}" for number in range(30) for head in heads[:3]]
    borders = [
        (texts_of[0][:8], len(texts_of))
        for texts_of in ([long[number] for number in part] for part in scopes(long, 1))
    ]
    assert len(borders) == PARTS
    assert sum(count for _, count in borders) == 90


def test_ranges_are_of_equal_size_and_worth_sending():
    """One for each replica, fewer of a short list."""
    assert ranges(100, 3, 8) == [range(33), range(33, 66), range(66, 100)]
    assert ranges(10, 4, 8) == [range(10)]
    assert ranges(0, 4, 8) == [range(0)]
    assert [len(part) for part in ranges(17, 4, 8)] == [8, 9]
