"""Workers take turns: none waits for ever, and none misses the end of the run."""

import threading

import pytest
from filelock import FileLock

from blindspot.errors import ModelError
from blindspot.run import turns
from blindspot.run.turns import shared, turn


class GivenUpError(BaseException):
    """The run ends."""


def giving_up(_):
    raise GivenUpError


def test_workers_begin_at_different_units(tmp_path):
    """Each at its own number, and all do everything that nobody else does."""
    begun = []
    for start in range(4):
        order = []
        shared(4, order.append, locks=tmp_path / "unit", start=start, progress=print)
        begun.append(order[0])
        assert sorted(order) == [0, 1, 2, 3]
    assert begun == [0, 1, 2, 3]


def test_what_another_has_begun_comes_last(tmp_path):
    """Free units first; then the busy one, once it is free."""
    order, waited = [], []
    lock = FileLock(tmp_path / "unit-1.lock")
    lock.acquire()

    def progress(count):
        waited.append(count)
        lock.release()

    shared(3, order.append, locks=tmp_path / "unit", start=0, progress=progress)
    assert (order, waited) == ([0, 2, 1], [0])


@pytest.mark.parametrize("how", ["unit", "record"])
def test_waiting_workers_see_the_end_of_the_run(tmp_path, how):
    """While another process has the work, they look whether it is still wanted."""
    with FileLock(tmp_path / "unit-0.lock"), pytest.raises(GivenUpError):
        wait(tmp_path, how, giving_up)


@pytest.mark.parametrize("how", ["unit", "record"])
def test_waiting_has_an_end(tmp_path, monkeypatch, how):
    """A worker that hangs does not hang the others."""
    monkeypatch.setattr(turns, "HUNG_S", 0.0)
    with FileLock(tmp_path / "unit-0.lock"), pytest.raises(ModelError, match="finished nothing"):
        wait(tmp_path, how, lambda _: None)


def wait(directory, how, progress):
    if how == "unit":
        shared(1, print, locks=directory / "unit", start=0, progress=progress)
    else:
        with turn(directory / "unit-0.lock", progress):
            pass


def test_failing_work_lets_go(tmp_path):
    """An error leaves no unit locked."""
    with pytest.raises(ZeroDivisionError):
        shared(1, lambda _: 1 / 0, locks=tmp_path / "unit", start=0, progress=print)
    done = threading.Thread(
        target=shared,
        args=(1, print),
        kwargs={"locks": tmp_path / "unit", "start": 0, "progress": print},
    )
    done.start()
    done.join(10)
    assert not done.is_alive()
