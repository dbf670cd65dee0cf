"""Whatever a server does, an answer is right or it is unanswered with its error."""

from __future__ import annotations

import json
import math
import re
import socket
import threading
import time
from dataclasses import replace

import pytest

from blindspot.errors import ModelError
from blindspot.models import GenerationRequest, ModelOptions, ScoreRequest
from blindspot.models.pulse import noticed
from blindspot.models.registry import arguments_of, open_model
from blindspot.models.served import client, remote
from blindspot.models.transformers.seam import encode
from tests.unit.scripted_server import (
    known_answers,
    log_probabilities,
    prompt_format,
    scripted_server,
)
from tests.unit.test_served_handshake import served

PROMPT = "The sky is"
CANDIDATES = ("red green", "blue")


@pytest.fixture(autouse=True)
def no_waiting(monkeypatch):
    """The first wait is as short as it can be."""
    monkeypatch.setattr(client, "_FIRST_WAIT_S", 0.01)


def expected() -> list[float]:
    """The log-probabilities of the candidates by the rule itself."""
    form = prompt_format()
    (asked,) = encode(form, [(form.render(PROMPT), CANDIDATES)], lambda _, wanted: wanted)
    return [
        math.fsum(log_probabilities(text[:at])[text[at]] for at in range(asked.start, len(text)))
        for text in asked.texts
    ]


def asked(model, count: int = 1):
    """Scores and continuations of a prompt."""
    scores = model.score([ScoreRequest(PROMPT, CANDIDATES)] * count)
    requests = [GenerationRequest(PROMPT, lambda text: False, 20)] * count
    return scores, model.generate(requests)


def test_scores_and_texts_are_those_of_the_rule():
    """By echo and by forced tokens, in both forms of replies, and cut where they are complete."""
    found = []
    for how in ({}, {"echo": "ignored"}, {"echo": "ignored", "owner": "llamacpp"}):
        with scripted_server(**how) as server:
            model = served(server)
            (scores,), (answer,) = asked(model)
            assert scores == pytest.approx(expected(), abs=1e-9)
            assert not math.isnan(scores.first)
            assert answer.tokens == 20
            assert not answer.complete
            whole = model.generate([GenerationRequest(PROMPT, lambda text: len(text) > 9, 20)])[0]
            assert whole.complete
            assert answer.text.startswith(whole.text)
            found.append((answer.text, whole.text, round(whole.margin, 9)))
    assert len(set(found)) == 1


def test_server_that_names_tokens_by_their_texts_gives_the_same_answers():
    """Without ids an answer is asked for as a whole, and cut by the texts of its tokens."""
    requests = [
        GenerationRequest(PROMPT, rule, 20)
        for rule in (lambda text: False, lambda text: len(text) > 9)
    ]
    found = []
    for texts in (False, True):
        with scripted_server(texts=texts) as server:
            made = served(server).generate(requests)
            found.append([(one.text, one.tokens, one.complete) for one in made])
    (one, other), (whole, cut) = found
    assert one[0][:20] == whole[0][:20]
    assert other[0] == cut[0] or other[0].startswith(cut[0][:9])
    assert cut[2]


def test_known_prompts_end_by_themselves():
    """The end of the text is no token of the answer."""
    head, answer = next(iter(known_answers().items()))
    with scripted_server() as server:
        model = served(server)
        form = prompt_format()
        text = form.decode([()], [head])[0]
        (found,) = model.generate([GenerationRequest(text, lambda _: False)])
        assert found.complete
        assert found.tokens == len(answer) - 1


def hurry(model, deadline: float) -> None:
    """Shorten the deadline once hands were shaken, which may take longer on a busy machine."""
    model._client._settings = replace(model._client._settings, deadline=deadline)


def once(reply):
    """A fault of the first request for completions after it is set."""
    done = []

    def fault(handler, number, body):
        if done or "prompt" not in body:
            return False
        done.append(number)
        reply(handler)
        return True

    return fault


def cut(handler):
    """A body that ends in the middle."""
    handler.send_response(200)
    handler.send_header("Content-Length", "1000")
    handler.end_headers()
    handler.wfile.write(b'{"choices": [')
    handler.close_connection = True


def dropped(handler):
    """No reply at all."""
    handler.connection.shutdown(socket.SHUT_RDWR)
    handler.close_connection = True


def error_inside(handler):
    """An error with a status of success."""
    handler.reply({"error": {"message": "overloaded", "code": 503}})


PASSING = {
    "busy": lambda handler: handler.reply({"error": {"message": "busy"}}, 429),
    "busy-until": lambda handler: handler.reply({}, 429, {"Retry-After": "0.05"}),
    "date": lambda handler: handler.reply(
        {}, 503, {"Retry-After": "Wed, 21 Oct 2015 07:28:00 GMT"}
    ),
    "crash": lambda handler: handler.reply(b"<html>oops</html>", 502),
    "nonsense": lambda handler: handler.reply(b"{{{"),
    "cut": cut,
    "dropped": dropped,
    "error-inside": error_inside,
}


@pytest.mark.parametrize("name", PASSING)
def test_faults_that_pass_are_waited_for(name):
    """The answers are those of a server without the fault."""
    with scripted_server() as server:
        model = served(server)
        clean = asked(model)
        server.fault = once(PASSING[name])
        assert asked(model) == clean
        assert server.fault is not None


def test_every_status_of_a_busy_server_is_tried_again(monkeypatch):
    """And none of another refusal."""
    monkeypatch.setattr(client, "_LONGEST_WAIT_S", 0.02)
    statuses = [408, 409, 425, 429, 500, 502, 503, 504]
    with scripted_server() as server:
        model = served(server)
        clean = asked(model)
        left = list(statuses)
        server.fault = lambda handler, number, body: left and (handler.reply({}, left.pop()), 1)
        assert asked(model) == clean
        assert left == []
        for status in (400, 404, 422, 501):
            server.fault, before = always({}, status), server.count
            (scores,), (answer,) = asked(model)
            assert server.count == before + 2
            assert scores.error == answer.error == f"HTTP {status}"


def broken(change):
    """A fault of every reply: ``change`` is made to it."""

    def fault(handler, number, body):
        if "prompt" not in body:
            return False
        found = handler.server.completed(body)
        change(found)
        text = json.dumps(found)
        handler.reply(text.encode())
        return True

    return fault


def always(*reply, **more):
    """The same reply to everything."""

    def fault(handler, number, body):
        handler.reply(*reply, **more)
        return True

    return fault


def set_value(value):
    """One log-probability, replaced."""

    def change(found):
        for choice in found["choices"]:
            choice["logprobs"]["token_logprobs"][-1] = value
            choice["logprobs"]["token_logprobs"][-2:-1] = [value]

    return change


def slow(handler, number, body):
    """A byte now and then."""
    handler.send_response(200)
    handler.send_header("Content-Length", "1000")
    handler.end_headers()
    for _ in range(40):
        try:
            handler.wfile.write(b" ")
            handler.wfile.flush()
        except OSError:
            break
        time.sleep(0.05)
    handler.close_connection = True
    return True


LASTING = {
    "busy": (always({"error": {"message": "busy"}}, 429), "HTTP 429: busy .* tries in"),
    "wait-long": (always({}, 429, {"Retry-After": "3600"}), "asks to wait 3600 s"),
    "wrong": (always({"error": {"message": "no such thing"}}, 400), "HTTP 400: no such thing"),
    "redirect": (always({}, 307, {"Location": "http://elsewhere/v1"}), "moved to http://elsewhere"),
    "error-inside": (always({"error": {"message": "odd"}}), "an error instead of an answer: odd"),
    "empty": (always({}), "a reply without choices"),
    "list": (always([1]), "a reply without choices"),
    "slow": (slow, "too slowly|in time"),
    "nan": (broken(set_value(math.nan)), "the log-probability nan"),
    "infinite": (broken(set_value(-math.inf)), "the log-probability -inf"),
    "text": (broken(set_value("high")), "a str as a log-probability"),
    "above": (broken(set_value(0.5)), "the log-probability 0.5"),
    "twice": (broken(lambda found: found["choices"].append(found["choices"][0])), "2 answers to 1"),
    "none": (broken(lambda found: found["choices"].clear()), "0 answers to 1"),
    "other": (broken(lambda found: found["choices"][0].update(index=3)), "1 answers to 1"),
    "bare": (
        broken(lambda found: found["choices"][0].update(logprobs=None)),
        "without log-probabilities",
    ),
    "counted": (broken(lambda found: found["usage"].update(prompt_tokens=1)), "tokens counted"),
    "short": (
        broken(lambda found: found["choices"][0]["logprobs"]["tokens"].pop()),
        "of an unknown form",
    ),
}


@pytest.mark.parametrize("name", LASTING)
def test_faults_that_last_leave_prompts_unanswered_with_the_error(name):
    """No answer is made up, and none is taken for an empty one."""
    fault, said = LASTING[name]
    with scripted_server() as server:
        model = served(server)
        model.check_files()
        hurry(model, 0.4)
        server.fault = fault
        (scores,), (answer,) = asked(model)
        assert all(map(math.isnan, scores)), scores
        assert answer.missing == "unanswered"
        assert answer.text == ""
        for error in (scores.error, answer.error):
            assert re.search(said, error), error


def test_list_whose_answers_are_out_of_order_is_put_in_order():
    """Of a list in the handshake; one that is missing is no reason to trust the rest."""

    def shuffled(handler, number, body):
        if not body.get("prompt") or not isinstance(body["prompt"][0], list):
            return False
        found = handler.server.completed(body)
        found["choices"].reverse()
        if handler.server.penalty:
            found["choices"].pop()
        handler.reply(found)
        return True

    with scripted_server(fault=shuffled) as server:
        assert served(server).server.greedy
        server.penalty = 1e-9
        checks = {check.name: check.found for check in served(server).server.checks}
        assert checks["8 at once"].startswith("not asked: 7 answers to 8 prompts")


def test_server_that_dies_and_comes_back_is_waited_for(monkeypatch):
    """What was asked meanwhile is answered; for how long it was silent is told."""
    monkeypatch.setattr(remote, "_LOOK_S", 0.02)
    silences: list[float] = []
    with scripted_server() as server:
        model = served(server)
        clean = asked(model, 3)
        port = server.server_port
        server.fault = lambda handler, number, body: bool(dropped(handler) or True)
        timer = threading.Timer(0.3, lambda: setattr(server, "fault", None))
        timer.start()
        with noticed(silences.append):
            assert asked(model, 3) == clean
        assert server.server_port == port
    assert max(silences) > 0.1
    assert silences[-1] == 0.0


def test_server_that_is_gone_is_not_waited_for_again_and_again():
    """After a whole deadline without an answer the rest is not asked."""
    with scripted_server() as server:
        model = served(server)
        model.check_files()
        hurry(model, 0.5)
        server.fault = lambda handler, number, body: bool(dropped(handler) or True)
        began = time.monotonic()
        scores, _ = asked(model, 60)
        assert time.monotonic() - began < 5.0
    assert any("not asked: the server has not answered" in one.error for one in scores)


def test_work_that_is_ended_does_not_wait_for_the_server():
    """Requests that wait for a reply end as soon as the connections are broken."""
    silent = threading.Event()

    def never(handler, number, body):
        silent.wait(60)
        return False

    with scripted_server() as server:
        model = served(server)
        model.check_files()
        server.fault = never
        timer = threading.Timer(0.5, model.release)
        began = time.monotonic()
        timer.start()
        (found,) = model.generate([GenerationRequest(PROMPT, lambda text: False)])
        assert time.monotonic() - began < 20
        assert (found.missing, found.error) == ("unanswered", "the run was ended")
        silent.set()
        server.fault = None
        assert model.generate([GenerationRequest(PROMPT, lambda text: False)])[0].text


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({}, "base_url=http://HOST:PORT/v1"),
        ({"base_url": "localhost:8000"}, "not the address of a server"),
        ({"base_url": "http://u:secretword@h/v1"}, "an address alone"),
        ({"base_url": "http://h/v1?key=secretword"}, "an address alone"),
        ({"base_url": "http://h/v1/chat/completions"}, "which blindspot appends"),
        ({"base_url": "http://h/v1/models/"}, "ends with /models, which blindspot appends"),
        ({"base_url": "http://h/v1", "attn": "x"}, "attn is none of served:ID"),
        ({"base_url": "http://h/v1", "concurrency": 0}, "concurrency is 0"),
        ({"base_url": "http://h/v1", "concurrency": 1.5}, "concurrency is 1.5"),
        ({"base_url": "http://h/v1", "deadline": "long"}, "deadline is long"),
    ],
)
def test_arguments_that_cannot_be_used_are_named(arguments, said):
    """One sentence each, without what may be a secret."""
    with pytest.raises(ModelError) as caught:
        open_model(ModelOptions("served:m", model_args=arguments))
    assert said in str(caught.value)
    assert "secretword" not in str(caught.value)
    with pytest.raises(ModelError, match="--dtype is for models in this process"):
        open_model(
            ModelOptions("served:m", dtype="bfloat16", model_args={"base_url": "http://h/v1"})
        )


def test_arguments_of_a_reference_are_its_own():
    """Its weights are never those of the candidate, and a model in this process has no server."""
    given = {"base_url": "http://h/v1", "weights": "a", "concurrency": 2}
    other = {**given, "reference_weights": "b", "reference_base_url": "http://i/v1"}
    served_one = {"base_url": "http://h/v1", "concurrency": 2}
    assert arguments_of("served:m", given, reference=False) == given
    assert arguments_of("served:n", given, reference=True) == {**served_one, "tokenizer": "a"}
    assert arguments_of("served:n", other, reference=True) == {
        "base_url": "http://i/v1",
        "concurrency": 2,
        "weights": "b",
    }
    beside = {"reference": True, "beside": "served:m"}
    assert arguments_of("org/name", other, **beside) == {}
    assert arguments_of("org/name", {"device_map": "auto"}, **beside) == {"device_map": "auto"}
    assert arguments_of("chat:n", {**given, "tokenizer": "t"}, **beside) == served_one
    both = {"weights": "a", "reference_weights": "b"}
    assert arguments_of("answers:x", both, reference=False) == both
    assert arguments_of("answers:y", both, reference=True) == {"weights": "b"}
    assert arguments_of("answers:y", {"weights": "a"}, reference=True) == {}
    assert arguments_of("org/name", both, reference=False, beside="answers:y") == {}
