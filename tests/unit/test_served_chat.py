"""A model that only chats: generated answers are judged, and nothing is taken for an answer."""

from __future__ import annotations

import math

import pytest

from blindspot.errors import ModelError
from blindspot.models import GenerationRequest, IsServed, ModelOptions
from blindspot.models.base import AnswersEarly, offers
from blindspot.models.registry import open_model
from tests.unit.scripted_server import chatted, known_prompts, scripted_server
from tests.unit.suite_runs import run_suite
from tests.unit.test_served_runs import FEW, KEY, written


def chat(server, **more):
    """The model of a server."""
    return open_model(ModelOptions("chat:m", model_args={"base_url": server.address, **more}))


def answers(model, count: int = 1):
    """Answers to one prompt."""
    return model.generate([GenerationRequest("Say something.", lambda text: False)] * count)


def replying(reply, status: int = 200):
    """A fault of every chat that is no handshake."""

    def fault(handler, number, body):
        text = body["messages"][0]["content"] if "messages" in body else ""
        if text != "Say something.":
            return False
        handler.reply(reply, status)
        return True

    return fault


def policy(code: str) -> dict:
    """An error about a prompt."""
    return {"error": {"message": "Your prompt was refused.", "code": code}}


@pytest.mark.parametrize(
    ("reply", "status", "missing", "said"),
    [
        (chatted(None, "length", reasoning_content="Well"), 200, "cut short", "7 tokens were used"),
        (chatted("<think>Well, the", "length"), 200, "cut short", "before an answer"),
        (chatted("", "content_filter"), 200, "filtered", "content filter"),
        (chatted(None, refusal="I will not."), 200, "blocked", "I will not."),
        (policy("content_policy_violation"), 400, "blocked", "content_policy_violation"),
        ({"error": {"message": "flagged by moderation"}}, 403, "blocked", "flagged"),
        (policy("content_filter"), 200, "blocked", "content_filter"),
        (policy("context_length_exceeded"), 400, "unanswered", "HTTP 400: Your prompt"),
        (chatted(None), 200, "unanswered", "no text as an answer"),
        (chatted(7), 200, "unanswered", "a int as an answer"),
        ({"choices": []}, 200, "unanswered", "without exactly one answer"),
        ({"choices": [{"finish_reason": "stop"}]}, 200, "unanswered", "without a message"),
    ],
    ids=lambda value: value if isinstance(value, str) else None,
)
def test_what_is_no_answer_has_its_own_reading(reply, status, missing, said):
    """And the reason with it."""
    with scripted_server(fault=replying(reply, status)) as server:
        (found,) = answers(chat(server))
        assert (found.text, found.missing) == ("", missing)
        assert said in found.error
        assert math.isnan(found.margin)
        assert not found.complete


def test_answers_are_texts_as_they_are_written():
    """Complete if they ended by themselves; it offers nothing else."""
    with scripted_server(fault=replying(chatted("Green, I say", "length"))) as server:
        model = chat(server)
        found = answers(model, 3)
        assert [(one.text, one.complete, one.missing) for one in found] == [
            ("Green, I say", False, "")
        ] * 3
        server.fault = None
        assert answers(model)[0].complete
        assert isinstance(model, IsServed)
        assert not isinstance(model, AnswersEarly)
        assert not offers(model, "score")
        assert not offers(model, "residual")
        assert server.count <= 12
        assert model.identity.weights.startswith("unknown:")
        known = chat(server, weights="organism:blind").identity
        assert known.weights == open_model(ModelOptions("organism:blind")).identity.weights
        said = chat(server, price="2/10", thinking_tokens=60).bill(["a" * 368] * 1000, 40)
        assert said == (
            "1,000 requests, about 100,000 tokens of prompts and at most 100,000 of answers, at "
            "most 1.20 at the price given"
        )


def test_settings_that_a_server_refuses_are_left_out():
    """It then draws its answers, which is recorded; the length is given by another name."""

    def strict(handler, number, body):
        for key, said in (
            ("temperature", "'temperature' does not support 0 with this model"),
            ("max_completion_tokens", "unknown field max_completion_tokens"),
        ):
            if key in body:
                handler.reply({"error": {"message": said}}, 400)
                return True
        return False

    with scripted_server(fault=strict) as server:
        model = chat(server, reasoning_effort="minimal", thinking_tokens=100)
        assert not model.server.greedy
        checks = {check.name: check.found for check in model.server.checks}
        assert checks["temperature"] == "refused: answers are drawn"
        assert "sampled" in model.identity.backend
        assert any("does not always give the same answer" in note for note in model.notes)
        answers(model)
        assert server.bodies[-1]["max_tokens"] == 140
        assert server.bodies[-1]["reasoning_effort"] == "minimal"
        assert "temperature" not in server.bodies[-1]


def test_server_that_does_not_chat_is_refused():
    """One sentence; so are arguments that a chat has no use for."""

    def away(handler, number, body):
        if "messages" in body:
            handler.reply({"error": {"message": "no such endpoint"}}, 404)
        return "messages" in body

    with scripted_server(fault=away) as server:
        with pytest.raises(ModelError, match="does not chat: HTTP 404: no such endpoint; look at"):
            chat(server).check_files()
        root = server.address.removesuffix("/v1")
        with pytest.raises(
            ModelError, match=r"does not chat: HTTP 404.*; base_url usually ends in"
        ):
            chat(server, base_url=root).check_files()
        for arguments, said in (
            ({"tokenizer": "x"}, "tokenizer is none of chat:ID"),
            ({"price": "3"}, "price=0.15/0.60"),
            ({"thinking_tokens": -1}, "thinking_tokens is -1"),
        ):
            with pytest.raises(ModelError, match=said):
                chat(server, **arguments)
        with pytest.raises(ModelError, match="omit --apply-chat-template"):
            open_model(
                ModelOptions(
                    "chat:m", apply_chat_template=True, model_args={"base_url": server.address}
                )
            )


def test_run_judges_generated_answers_and_says_what_they_cost(tmp_path):
    """Forced choice is not offered; what a filter removed is a reading of its own."""
    filtered = list(known_prompts())[::7]

    def some(handler, number, body):
        if "messages" not in body or body["messages"][0]["content"] not in filtered:
            return False
        handler.reply(chatted("", "content_filter"))
        return True

    def judge(*arguments):
        return run_suite(
            tmp_path,
            *FEW,
            *("--model-args", f"base_url={server.address},price=1/2", *arguments),
            model="chat:m",
            paths=("tests/implicit",),
            env={"BLINDSPOT_API_KEY": KEY},
        )

    with scripted_server(fault=some) as server:
        run = judge()
        assert "Traceback" not in run.out + run.err
        assert run.code in (0, 10, 12), run.out + run.err
        assert "requests, about" in run.err
        assert "at the price given" in run.err
        assert "not offered: chat:m does not offer log-probabilities" in run.out
        readings = {row["reading"] for row in run.samples}
        assert readings == {"stereotyped", "counter", "filtered"}
        assert run.report["model"]["server"]["scores"] == ""
        assert run.report["noise_floor"]["rows"]
        assert b"hushhush" not in written(tmp_path)
        assert "hushhush" not in run.out + run.err
        assert judge("--require-scores").code in (10, 11)
