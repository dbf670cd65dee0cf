"""What a backend gives is checked where it arrives: one line that blames it, nothing stored."""

import math
import os
import sys
from dataclasses import replace
from itertools import product

import numpy as np
import pytest

from blindspot.errors import DismissalError, ModelError
from blindspot.models.base import Generation, Identity, Scored
from blindspot.run import ask
from blindspot.run.answer import Answer
from blindspot.run.ask import UNIT, unit_size
from blindspot.run.source import FixturePrompts
from blindspot.stimuli import Selection, load_stimuli
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
    source = FixturePrompts(load_stimuli([]), Selection(limit=1))
    return list(source.prompts(source.slices("implicit")[0]))


def first(value):
    """Replace what was given for the first prompt."""
    return lambda given: [value, *given[1:]]


SCORES = {
    "nan": (first((math.nan, -1.0)), "the log-probability nan"),
    "infinite": (first((-math.inf, -1.0)), "the log-probability -inf"),
    "beyond any text": (first((1e300, -1.0)), "the log-probability 1e+300"),
    "no float": (first((-(10**400), -1.0)), "a int as a log-probability"),
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


def test_mass_is_the_probability_of_all_candidates_together(prompts):
    """Of answers and of their first tokens; not known where a backend does not give it."""
    halves = Scored([math.log(0.25), math.log(0.125)], math.log(0.5))
    (one, other) = (
        ask.ask(model, prompts[:1], Store(None))[0]
        for model in (Other(prompts, score=first(halves)), Other(prompts))
    )
    assert (one.mass, one.first_mass) == pytest.approx((0.375, 0.5))
    assert other.mass == 1.0
    assert math.isnan(other.first_mass)
    assert math.isnan(Answer("", True, 0.0, (math.nan, math.nan)).mass)
    assert Answer("", True, 0.0, (1e8, -1.0)).mass == 1.0


GENERATIONS = {
    "text": (first(Generation(7, 1, True, 1.0)), "a text of type int"),
    "complete": (first(Generation("x", 1, None, 1.0)), "a complete of type NoneType"),
    "margin beyond a float": (first(Generation("x", 1, True, 10**400)), "a margin of type int"),
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


ENDS = [
    SystemExit(0),
    GeneratorExit(),
    pytest.skip.Exception("later"),
    pytest.xfail.Exception("never"),
    pytest.exit.Exception("bye", 0),
    MemoryError(),
    ValueError("a\n::error::b\x1b[2J"),
]


@pytest.mark.parametrize("error", ENDS, ids=lambda error: type(error).__name__)
def test_no_error_of_a_backend_ends_the_session(tmp_path, prompts, error):
    """What pytest or Python would take for the end of the run is a fault of the backend."""

    def failing(_):
        raise error

    said = str(refused(tmp_path, prompts, Other(prompts, generation=failing), "failed on"))
    assert type(error).__name__ in said
    assert said.isprintable()


def test_error_that_cannot_be_shown_is_named(tmp_path, prompts):
    """Its text raises another one."""

    class UnshownError(Exception):
        def __str__(self):
            raise RuntimeError

    def failing(_):
        raise UnshownError

    refused(tmp_path, prompts, Other(prompts, generation=failing), "UnshownError")


@pytest.mark.parametrize("end", [KeyboardInterrupt, DismissalError])
def test_end_of_the_run_passes_through(prompts, end):
    """Somebody has given it up."""

    def failing(_):
        raise end

    with pytest.raises(end):
        ask.ask(Other(prompts, generation=failing), prompts, Store(None))


SOUND = Identity("m", "1", "2", "float32", parameters=1)
IDENTITIES = {
    "a text": ("m", "a str as its identity"),
    "a name of bytes": (replace(SOUND, name=b"m"), "name is b'm'"),
    "no weights": (replace(SOUND, weights=None), "weights is None"),
    "no device": (replace(SOUND, device=None), "device is None"),
    "no versions": (replace(SOUND, versions=None), "versions is None"),
    "versions": (replace(SOUND, versions={"a": object()}), "versions is"),
    "parameters": (replace(SOUND, parameters=10**400), "parameters is 1000"),
    "fewer than none": (replace(SOUND, parameters=-1), "parameters is -1"),
    "not a number": (replace(SOUND, parameters=math.nan), "parameters is nan"),
}


@pytest.mark.parametrize(("identity", "fault"), IDENTITIES.values(), ids=IDENTITIES)
def test_identities_are_checked(prompts, identity, fault):
    """Every field of it decides something: store keys, batches, reports."""
    model = Other(prompts)
    model._identity = identity
    with pytest.raises(ModelError) as caught:
        ask.ask(model, prompts, Store(None))
    assert str(caught.value).startswith("the backend Other has a")
    assert fault in str(caught.value)


HOOKS = {
    "text": ("return 'hello'", "gives a str for odd:x, which has no generate()"),
    "error": ("raise RuntimeError('a\\n::error::b')", "RuntimeError: a\\n"),
}


@pytest.mark.parametrize(("body", "fault"), HOOKS.values(), ids=HOOKS)
def test_hook_that_gives_no_model_is_told(tmp_path, monkeypatch, body, fault):
    """In one line, exit 4."""
    (tmp_path / "odd.py").write_text(f"def pytest_blindspot_model(name):\n    {body}\n")
    monkeypatch.syspath_prepend(tmp_path)
    run = run_suite(tmp_path, "-p", "odd", model="odd:x", plugin=False)
    assert run.code == 4
    assert fault in run.err
    assert "Traceback" not in run.out + run.err


class Stream:
    """A residual stream that fails."""

    def __getattr__(self, name):
        raise SystemExit(f"no {name}")


def test_errors_of_a_residual_stream_are_the_backends(prompts):
    """As those of its answers."""

    class Inside(Other):
        residual = Stream()

    class Unit:
        content, size = "unit", 1

        def run(self, stream, *, progress=None):
            return {"a": stream.read([])}

    with pytest.raises(ModelError, match="failed where it was looked into: SystemExit: no read"):
        ask.perform(Inside(prompts), [Unit()], Store(None))


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
    ("parameters", "device", "most"),
    [
        (700_000, "cpu", 1024),
        (122_700_000, "cpu", 163),
        (8_000_000_000, "cpu", 8),
        (8_000_000_000, "cuda", 1024),
        (70_000_000_000, "cuda:1", 285),
        (0, "cpu", 256),
    ],
)
def test_units_take_about_ten_seconds(parameters, device, most):
    """By the size of the model and the kind of device; every worker gets the same number."""
    identity = Identity("m", "1", "2", "float32", parameters=parameters, device=device)
    for workers, count in product((1, 2, 3, 8), (1, 100, 864, 25_920)):
        size = unit_size(identity, count, workers)
        if most == UNIT:
            assert size == UNIT
            continue
        rounds = math.ceil(count / size / workers)
        assert size % 8 == 0
        assert size < most + 8
        assert rounds * size <= count / workers + rounds * 8


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


@pytest.mark.parametrize(
    "arguments",
    [("-v",), pytest.param(("-n", "2"), marks=pytest.mark.slow)],
    ids=["verbose", "shared"],
)
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
        process="-n" in arguments,
    )
    assert run.code == 4, run.out + run.err
    said = run.out + run.err
    assert "LookupError: the server is gone; -v shows where" in said
    assert ("Traceback" in said) == ("-v" in arguments)
