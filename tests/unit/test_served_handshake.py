"""The handshake refuses what would make answers wrong, in one sentence, and records the rest."""

from __future__ import annotations

import math
import re
import socket
import time

import pytest

from blindspot.errors import ModelError
from blindspot.models import GenerationRequest, IsServed, ModelOptions
from blindspot.models.base import AnswersEarly, HasScores, HasWeights, offers
from blindspot.models.registry import open_model
from blindspot.models.served import client
from tests.unit.scripted_server import TOKENIZER, ScriptedServer, scripted_server


def served(server: ScriptedServer, model: str = "m", **more):
    """The model of a server."""
    arguments = {"base_url": server.address, "tokenizer": str(TOKENIZER), **more}
    return open_model(ModelOptions(f"served:{model}", model_args=arguments))


def refusal(server: ScriptedServer, model: str = "m", **more) -> str:
    """Why a server is refused."""
    with pytest.raises(ModelError) as caught:
        served(server, model, **more).check_files()
    said = str(caught.value)
    assert "\n" not in said
    assert said.startswith(f"served:{model}: ")
    return said


def test_a_sound_server_is_met_in_at_most_twelve_requests():
    """What it can is found by asking: by echo where that is real, else by forced tokens."""
    for how, scores in (
        ({}, "echo"),
        ({"echo": "ignored"}, "forced tokens"),
        ({"echo": "ignored", "owner": "llamacpp"}, "forced tokens"),
        ({"echo": "ignored", "biased": False}, ""),
    ):
        with scripted_server(**how) as server:
            model = served(server)
            assert model.server.scores == scores
            assert server.count == model.server.requests <= 12
            assert model.server.greedy
            assert model.server.spread < 1e-9
            assert model.server.context == (0 if "owner" in how else 2048)
            assert offers(model, "score") is bool(scores)
            assert {"greedy", "tokens", "penalties", "prefix cache"} < {
                check.name for check in model.server.checks
            }
    for protocol in (IsServed, HasScores, HasWeights, AnswersEarly):
        assert isinstance(model, protocol)


@pytest.mark.parametrize(
    ("how", "said"),
    [
        ({"echo": "lie"}, "its echo is not real"),
        ({"penalty": 30.0}, "it samples or penalizes"),
        ({"penalty": 30.0, "hidden": True}, "when told not to penalize repetition"),
        ({"cached": -1.0}, "--no-enable-prefix-caching"),
    ],
    ids=["echo", "penalty", "hidden", "cache"],
)
def test_a_server_that_answers_otherwise_is_refused(how, said):
    """Each in one sentence with the remedy."""
    with scripted_server(**how) as server:
        found = refusal(server)
        assert said in found
        assert "; " in found


def test_one_unlucky_prompt_refuses_no_server():
    """A quantised server may move one answer by its batches; a second prompt decides."""
    with scripted_server(cached=-1.0) as server:
        prompts = []

        def unlucky_once(handler, number, body):
            if "prompt" in body:
                prompts.append(body["prompt"])
                server.cached = -1.0 if len(prompts) <= 4 else 0.0
            return False

        server.fault = unlucky_once
        assert served(server).server.greedy
        assert len(prompts) > 4 + 4


def test_other_names_tokens_and_endpoints_are_refused():
    """An id that is not served; tokens of another vocabulary; no completions; a second opening."""
    with scripted_server() as server:
        assert "serves m, n, not other; name one of them" in refusal(server, "other")
        assert "needed; add to --model-args weights=DIR" in refusal(server, tokenizer="")
        assert "no directory with a tokenizer" in refusal(server, tokenizer="/no/such")

        def no_completions(handler, number, body):
            if "prompt" in body:
                handler.reply({"error": {"message": "not found"}}, 404)
            return "prompt" in body

        server.fault = no_completions
        assert "chat:m asks for text alone" in refusal(server)
        root = server.address.removesuffix("/v1")
        assert refusal(server, base_url=root).endswith("; base_url usually ends in /v1")

        def opens_twice(handler, number, body):
            if "prompt" not in body:
                return False
            found = server.completed(body)
            found["usage"]["prompt_tokens"] += 1
            handler.reply(found)
            return True

        server.fault = opens_twice
        assert "it adds some of its own, such as a second opening token" in refusal(server)

        def other_texts(handler, number, body):
            if "prompt" not in body:
                return False
            found = server.completed(body)
            for choice in found["choices"]:
                choice["text"] = "something else"
            handler.reply(found)
            return True

        server.fault = other_texts
        assert "it has another tokenizer" in refusal(server)


def test_server_that_cannot_be_asked_is_told_at_once(monkeypatch):
    """Where it was looked for, and what to do; not after the deadline of a request."""
    monkeypatch.setattr(client, "FIRST_CONTACT_S", 0.6)
    with scripted_server() as server:
        server.fault = lambda handler, number, body: handler.reply({}, 503) or True
        said = refusal(server)  # on a busy machine no reply may be there in time
        assert re.search(r"(HTTP 503|too slowly) \(\d tries .*; wait until it is ready$", said)

        def dies(handler, number, body):
            if "prompt" in body:
                handler.connection.shutdown(socket.SHUT_RDWR)
                handler.close_connection = True
            return "prompt" in body

        server.fault = dies
        assert "start the server, or correct base_url" in refusal(server)
        server.fault = lambda handler, number, body: time.sleep(1.2) or False
        began = time.monotonic()
        assert f"no answer in time from 127.0.0.1:{server.server_port}" in refusal(server)
        assert time.monotonic() - began < 10
    said = refusal(server)
    assert f"no connection to 127.0.0.1:{server.server_port} (" in said
    assert said.endswith("; start the server, or correct base_url")
    assert "no connection to [::1]:1 (" in refusal(server, base_url="http://[::1]:1/v1")


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (
            b"<!DOCTYPE html><title>Sign in</title>",
            "a web page instead of JSON .*; correct base_url",
        ),
        (b'{"data": [', "a body that is no JSON .*; wait until it is ready"),
    ],
    ids=["page", "cut"],
)
def test_web_page_is_another_matter_than_a_body_that_ends_early(body, said):
    """One is a wrong address, the other a server that is not ready."""
    with scripted_server(fault=lambda handler, *_: handler.reply(body) or True) as server:
        with pytest.raises(client.RequestError) as caught:
            served(server)._client.get(f"{server.address}/models", tries=1)
        assert re.search(f"HTTP 200 with {said}", caught.value.advised)


def test_server_that_says_when_to_come_again_is_waited_for(monkeypatch):
    """Also at first, and longer than for one that says nothing."""
    monkeypatch.setattr(client, "FIRST_CONTACT_S", 0.3)
    with scripted_server() as server:
        busy = [1]

        def once(handler, number, body):
            return bool(busy and (busy.pop(), handler.reply({}, 429, {"Retry-After": "0.6"})))

        server.fault = once
        assert served(server).server.scores == "echo"


def test_processes_of_a_run_shake_hands_once(tmp_path):
    """Whoever is first does it for all, whether or not the weights are known."""
    for place in ({"tokenizer": "", "weights": "organism:blind"}, {}):
        with scripted_server() as server:
            models = [served(server, **place) for _ in range(3)]
            (run := tmp_path / str(len(place))).mkdir()
            for model in models:
                model.share(run, None)
            models[0].check_files()
            count = server.count
            assert count <= 12
            for model in models[1:]:
                assert model.identity == models[0].identity
                assert model.server == models[0].server
            assert server.count == count
            assert models[1].generate([GenerationRequest("The sky is", lambda _: True)])[0].text


def test_later_runs_shake_hands_when_they_ask(tmp_path):
    """Until then what is served is enough, if its weights are known; what changed is told."""

    def run(name, server, **place):
        model = served(server, **{"tokenizer": "", "weights": "organism:blind", **place})
        (tmp_path / name).mkdir()
        model.share(tmp_path / name, tmp_path / "store")
        before = server.count
        model.check_files()
        return model, server.count - before

    request = GenerationRequest("The sky is", lambda _: True)
    with scripted_server() as server:
        first, count = run("first", server)
        assert 2 < count <= 12
        again, count = run("again", server)
        assert count == 2
        assert again.identity == first.identity
        assert again.server.checks[:-1] == first.server.checks
        assert again.server.checks[-1].name == "asked"
        (answer,) = again.generate([request])
        assert again.server.checks[-1].name != "asked"
        assert first.generate([request]) == [answer]
        server.echo = "ignored"
        changed, count = run("changed", server)
        assert count == 2
        with pytest.raises(ModelError, match="does otherwise than in an earlier run"):
            changed.generate([request])
        assert run("known", server)[0].generate([request])[0].text == answer.text
        for path in (tmp_path / "store").rglob("*.json"):
            path.write_text('{"server": {}}')
        assert run("damaged", server)[1] > 2
        run("unknown", server, tokenizer=str(TOKENIZER), weights="")
        assert run("unknown again", server, tokenizer=str(TOKENIZER), weights="")[1] > 2


def test_weights_that_nobody_can_read_are_of_this_run_alone(tmp_path):
    """Known weights have their digest; unknown ones are others each time, and a note says so."""
    with scripted_server() as server:
        first, again = served(server), served(server)
        assert first.identity.weights.startswith("unknown:")
        assert first.identity.fingerprint() != again.identity.fingerprint()
        assert any("weights are unknown" in note for note in first.notes)
        known = served(server, tokenizer="", weights="organism:blind")
        here = open_model(ModelOptions("organism:blind")).identity
        assert known.identity.weights == here.weights
        assert known.identity.tokenizer == here.tokenizer
        assert not any("unknown" in note for note in known.notes)
        workers = [served(server) for _ in range(2)]
        for worker in workers:
            worker.share(tmp_path, None)
        assert len({worker.identity.fingerprint() for worker in workers}) == 1
    assert not math.isnan(first.server.spread)
