"""Progress: it moves while a model is busy, adds up workers, and ends a run that was given up."""

from __future__ import annotations

import json
import math
import signal
import time
from types import SimpleNamespace

import pytest

from blindspot.errors import DismissalError
from blindspot.models.pulse import beat, heard, silent
from blindspot.run.cost import Cost
from blindspot.session import progress
from blindspot.session.progress import Bars, ProgressBar, duration
from blindspot.session.told import told_in
from blindspot.session.workers import NOTE


@pytest.fixture
def bars(tmp_path, monkeypatch):
    """Bars of a worker, which tick fast."""
    monkeypatch.setattr(progress, "TICK_S", 0.01)
    monkeypatch.setattr(progress, "LINE_S", 0.0)
    config = SimpleNamespace(pluginmanager=SimpleNamespace(get_plugin=lambda _: None), stash={})
    session = SimpleNamespace(
        config=config, directory=tmp_path, worker={"directory": str(tmp_path)}, worker_number=0
    )
    return Bars(session)


def until(true, seconds=10.0):
    """Wait until something is so."""
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end
        time.sleep(0.01)


@pytest.mark.parametrize(
    ("seconds", "said"),
    [(0.4, "0 s"), (99, "99 s"), (150, "2 min"), (3600, "60 min"), (8000, "2 h 13 min")],
)
def test_durations_are_short(seconds, said):
    """Seconds, minutes, or hours and minutes."""
    assert duration(seconds) == said


def test_a_busy_model_moves_the_line(bars, capsys):
    """No prompt is finished yet; the tokens of the passes are told."""
    with bars(8, "slow", "prompts"):
        beat(64)
        until(lambda: "tokens/s" in capsys.readouterr().err)


def test_a_line_says_how_much_is_left(capsys, monkeypatch):
    """Prompts, tokens a second and the time that is left."""
    monkeypatch.setattr(progress, "LINE_S", 0.0)
    bar = ProgressBar(8, "slow")
    bar._began -= 20.0
    bar._before[0] = (bar._began, 0)
    bar.draw(2, 600)
    line = capsys.readouterr().err
    assert line == "slow: 2 of 8 prompts, 30 tokens/s, 60 s left\n"


def test_a_silent_server_is_waited_for_visibly(bars, capsys):
    """A line says for how long; a moment of silence is no matter."""
    with bars(8, "slow", "prompts"):
        silent(2.0)
        until(lambda: "so far" in capsys.readouterr().err)
        silent(34.0)
        until(
            lambda: "slow: 0 of 8 prompts, waiting for the server, 34 s" in capsys.readouterr().err
        )


def test_the_first_prompts_do_not_say_how_much_is_left(capsys, monkeypatch):
    """They took as long as loading the model: 16 of 1,000 in 20 s would be 20 min for the rest."""
    monkeypatch.setattr(progress, "LINE_S", 0.0)
    bar = ProgressBar(1000, "slow")
    bar._began -= 20.0
    bar.draw(16, 0)
    assert capsys.readouterr().err == "slow: 16 of 1,000 prompts, 20 s so far\n"


def test_lines_are_few(capsys):
    """A log gets a line every fifteen seconds, not every tick."""
    bar = ProgressBar(8, "slow")
    for _ in range(5):
        bar.draw(1, 1)
    assert capsys.readouterr().err == ""


def test_the_first_worker_draws_the_sum(bars, tmp_path, capsys):
    """What others have done is in their files."""
    other = {"what": "slow prompts", "total": 8, "done": 3, "kept": 3, "tokens": 50}
    (tmp_path / "progress-1").write_text(json.dumps(other))
    (tmp_path / "progress-2").write_text(json.dumps({**other, "what": "slow forward passes"}))
    with bars(8, "slow", "prompts") as watch:
        watch.progress(2)
        watch.kept(2)
        until(lambda: "5 of 8 prompts" in capsys.readouterr().err)
    assert sum(told.kept for told in told_in(tmp_path) if told.what == "slow prompts") == 5


@pytest.fixture
def interruptible():
    """A process that Ctrl-C ends; one in the background may have been started to ignore it."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("interruptible")
def test_a_given_up_run_ends_in_the_middle_of_a_pass(bars, tmp_path):
    """The thread sees the note and interrupts; the error says why."""

    def slow_pass():
        with bars(8, "slow", "prompts"):
            (tmp_path / NOTE).write_text("worker gw1 was lost")
            for _ in range(1_000):
                time.sleep(0.01)
        raise AssertionError("nobody interrupted")

    with pytest.raises(DismissalError, match="lost"):
        slow_pass()


def test_only_those_who_listen_hear_the_pulse():
    """Passes without a listener are silent; listeners hear their own."""
    heard_by_one: list[int] = []
    beat(1)
    with heard(heard_by_one.append):
        beat(2)
    beat(3)
    assert heard_by_one == [2]


@pytest.mark.parametrize(
    ("cost", "said"),
    [
        (Cost(464, 16, "prompts", 61234.0, 200.0),
         "slow: 464 prompts to ask, 16 more are in the store; about 61,000 tokens, about 3 min\n"),
        (Cost(464, 16, "prompts", 0.0, 200.0),
         "slow: 464 prompts to ask, 16 more are in the store, about 3 min\n"),
        (Cost(464, 16, "prompts", 61234.0, 2.0), ""),
        (Cost(4640, 0, "forward passes", 61234.0, 200.0),
         "slow: 4,640 forward passes to do; about 61,000 tokens, about 3 min\n"),
        (Cost(4640, 0, "forward passes", 61234.0, math.nan),
         "slow: 4,640 forward passes to do; about 61,000 tokens\n"),
    ],
)  # fmt: skip
def test_the_cost_of_long_work_is_one_line(capsys, cost, said):
    """Prompts or forward passes, what is stored, tokens and time; nothing if it is soon done."""
    ProgressBar(464, "slow").announce(cost)
    assert capsys.readouterr().err == said
