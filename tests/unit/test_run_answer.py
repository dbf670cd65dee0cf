"""What a backend gives is checked where it arrives: one line that blames it, nothing stored."""

import math
import os
import sys

import numpy as np
import pytest

from blindspot.errors import ModelError
from blindspot.models.base import Generation, Identity
from blindspot.run import ask
from blindspot.run.ask import unit_size
from blindspot.run.source import FixturePrompts
from blindspot.stimuli import load_stimuli
from blindspot.store import Store
from tests.unit.scripted import ScriptedModel
from tests.unit.suite_runs import run_suite


class Other(ScriptedModel):
    """Answers, but for what a test replaces."""

    def __init__(self, prompts, score=None, generation=None):
        super().__init__("scripted:fair", [prompts])
        self._score, self._generation = score, generation

    def score(self, requests, *, progress=None):
        scores = super().score(requests, progress=progress)
        return scores if self._score is None else self._score(scores)

    def generate(self, requests, *, progress=None):
        given = super().generate(requests, progress=progress)
        return given if self._generation is None else self._generation(given)


@pytest.fixture(name="prompts", scope="module")
def some():
    source = FixturePrompts(load_stimuli([]), 1)
    return list(source.prompts(source.slices("implicit")[0]))


def first(value):
    """Replace what was given for the first prompt."""
    return lambda given: [value, *given[1:]]


SCORES = {
    "nan": (first((math.nan, -1.0)), "the log-probability nan"),
    "infinite": (first((-math.inf, -1.0)), "the log-probability -inf"),
    "too few": (first((-1.0,)), "1 log-probabilities for 2 candidates"),
    "too many": (first((-1.0, -2.0, -3.0)), "3 log-probabilities for 2 candidates"),
    "text": (first("ab"), "a str"),
    "none": (first(None), "a NoneType"),
    "texts": (first(("-1", "-2")), "a str as a log-probability"),
    "flags": (first((True, False)), "a bool as a log-probability"),
    "fewer prompts": (lambda given: given[1:], "did not return a list of"),
    "nothing": (lambda _: None, "did not return a list of"),
}


@pytest.mark.parametrize(("score", "fault"), SCORES.values(), ids=SCORES)
def test_scores_are_checked(tmp_path, prompts, score, fault):
    """As many finite numbers as candidates, for every prompt."""
    refused(tmp_path, prompts, Other(prompts, score=score), fault)


GENERATIONS = {
    "text": (first(Generation(7, 1, True, 1.0)), "a text of type int"),
    "complete": (first(Generation("x", 1, None, 1.0)), "a complete of type NoneType"),
    "margin": (first(Generation("x", 1, True, "1")), "a margin of type str"),
    "another thing": (first("x"), "a text of type NoneType"),
    "more prompts": (lambda given: [*given, given[0]], "did not return"),
}


@pytest.mark.parametrize(("generation", "fault"), GENERATIONS.values(), ids=GENERATIONS)
def test_generations_are_checked(tmp_path, prompts, generation, fault):
    """A text, whether it is complete, and a margin, for every prompt."""
    refused(tmp_path, prompts, Other(prompts, generation=generation), fault)


def test_errors_of_a_backend_are_its_own(tmp_path, prompts):
    """Whatever it raises: what and where in one line, and the cause behind it."""

    def failing(_):
        raise KeyError("lost\nconnection")

    error = refused(tmp_path, prompts, Other(prompts, score=failing), "failed on")
    assert "KeyError: 'lost" in str(error)
    assert isinstance(error.__cause__, KeyError)


def refused(tmp_path, prompts, model, fault):
    """The error of a run; nothing is stored, and a mended backend is asked everything."""
    with pytest.raises(ModelError) as caught:
        ask.ask(model, prompts, Store(tmp_path))
    line = str(caught.value)
    assert line.startswith("scripted:fair: the backend scripted-1")
    assert fault in line
    assert "\n" not in line
    assert "the prompt '" in line or "did not return" in line or "the first of which" in line
    mended = ScriptedModel("scripted:fair", [prompts])
    ask.ask(mended, prompts, Store(tmp_path))
    assert mended.asked == len(prompts)
    return caught.value


def test_numbers_of_numpy_are_numbers(tmp_path, prompts):
    """A backend need not know that JSON wants Python's own."""

    def scalars(scores):
        return [tuple(map(np.float32, one)) for one in scores]

    model = Other(prompts, score=scalars)
    assert ask.ask(model, prompts, Store(tmp_path)) == ask.ask(model, prompts, Store(None))


@pytest.mark.parametrize(
    ("parameters", "device", "size"),
    [
        (700_000, "cpu", 1024),
        (122_700_000, "cpu", 128),
        (8_000_000_000, "cpu", 8),
        (8_000_000_000, "cuda", 1024),
        (70_000_000_000, "cuda:1", 256),
        (0, "cpu", 256),
    ],
)
def test_units_take_about_ten_seconds(parameters, device, size):
    """By the size of the model and the kind of device, never by who shares the work."""
    identity = Identity("m", "1", "2", "float32", parameters=parameters, device=device)
    assert unit_size(identity) == size


FAILING = """
from tests.unit.scripted import ScriptedModel, pytest_blindspot_model as scripted

def pytest_blindspot_model(name, config):
    model = scripted(name.replace("failing", "scripted"), config)
    if name.startswith("failing:"):
        def score(requests, *, progress=None):
            raise LookupError("the server is gone")
        model.score = score
    return model
"""


@pytest.mark.parametrize("arguments", [("-v",), ("-n", "2")], ids=["verbose", "shared"])
def test_run_tells_of_a_failing_backend(tmp_path, arguments):
    """One line and exit 4; with -v where it was raised."""
    (tmp_path / "failing.py").write_text(FAILING)
    run = run_suite(
        tmp_path,
        "-p",
        "failing",
        *arguments,
        "-k",
        "default-weapons",
        model="failing:fair",
        env={"PYTHONPATH": os.pathsep.join([str(tmp_path), *sys.path])},
    )
    assert run.code == 4, run.out + run.err
    said = run.out + run.err
    assert "LookupError: the server is gone; -v shows where" in said
    assert ("Traceback" in said) == ("-v" in arguments)
