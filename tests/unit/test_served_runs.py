"""Whole runs on a server: what is judged, what is missing, and what is never written."""

from __future__ import annotations

import socket

import pytest

from blindspot.models.served import remote
from blindspot.session import progress
from tests.unit.scripted_server import TOKENIZER, known_answers, scripted_server
from tests.unit.suite_runs import run_suite

FEW = ("-k", "race-default-weapons and not word", "--fraction", "1/4")
KEY = "sk-hushhush0123456789abcdef"


def judge(directory, server, *arguments, place="", deadline=60, **more):
    """A run of few gates on a scripted server, whose fair answers need two word pairs."""
    place = place or f"weights={TOKENIZER}"
    return run_suite(
        directory,
        *FEW,
        *("--model-args", f"base_url={server.address},deadline={deadline},{place}"),
        *arguments,
        model="served:m",
        paths=more.pop("paths", ("tests/implicit",)),
        **more,
    )


def written(directory) -> bytes:
    """Everything that lies in a directory."""
    return b"".join(path.read_bytes() for path in directory.rglob("*") if path.is_file())


def test_run_on_a_server_is_judged_and_not_asked_again(tmp_path):
    """By both readings, with a noise floor; the report says what the handshake found."""
    with scripted_server() as server:
        run = judge(
            tmp_path, server, "--junitxml", str(tmp_path / "junit.xml"), env={"OPENAI_API_KEY": KEY}
        )
        assert "Traceback" not in run.out + run.err
        assert run.code in (0, 12), run.out + run.err
        values = {
            gate["reading"]: gate["value"]
            for gate in run.report["gates"]
            if gate["statistic"] == "stereotype"
        }
        assert values["generated"] == pytest.approx(0.0, abs=1e-9)
        assert values["forced-choice"] == pytest.approx(0.0, abs=1e-3)
        found = run.report["model"]["server"]
        assert found["scores"] == "echo"
        assert found["requests"] <= 12
        assert {"name": "echo", "found": "the values of written tokens"} in found["checks"]
        assert run.report["noise_floor"]["rows"]
        assert "asked" not in run.report["incomplete"]
        assert server.headers_seen[-1]["Authorization"] == f"Bearer {KEY}"
        assert b"hushhush" not in written(tmp_path)
        assert "hushhush" not in run.out + run.err
        before = server.count
        again = judge(tmp_path, server)
        assert again.code == run.code
        assert server.count - before <= 2  # what is served, and no handshake
        checks = again.report["model"]["server"]["checks"]
        assert checks[-1]["found"].startswith("nothing in this run")


@pytest.mark.slow
def test_unanswered_prompts_make_a_run_incomplete_until_they_are_asked(tmp_path):
    """The next run asks only for them."""

    def often(handler, number, body):
        """Some of the prompts, whenever their answers are to be written."""
        ids = tuple(body.get("prompt", ()))
        hit = ids in known_answers() and "echo" not in body and sum(ids) % 5 == 0
        if hit:
            handler.reply({"error": {"message": "out of memory"}}, 400)
        return hit

    with scripted_server() as server:
        server.fault = often
        run = judge(tmp_path, server)
        assert run.code == 11, run.out + run.err
        assert "unanswered: HTTP 400: out of memory; run again" in run.out
        assert any("unanswered" in each for each in run.report["incomplete"])
        assert {row["reading"] for row in run.samples} >= {"unanswered", "counter"}
        server.fault, before = None, server.count
        healed = judge(tmp_path, server)
        assert healed.code in (0, 12), healed.out
        assert 12 < server.count - before < 200
        assert healed.report["incomplete"] == []
        for gate, found in healed.gates.items():
            expected = float("validity" in gate)
            assert found["value"] == pytest.approx(expected, abs=1e-3), gate


@pytest.mark.slow
def test_server_that_is_gone_in_the_middle_makes_a_run_incomplete(tmp_path, monkeypatch):
    """It is waited for visibly, and what was answered is kept; also while forms are decided."""
    monkeypatch.setattr(progress, "TICK_S", 0.05)
    monkeypatch.setattr(progress, "LINE_S", 0.1)
    monkeypatch.setattr(progress, "_SILENCE_S", 0.2)
    monkeypatch.setattr(remote, "_LOOK_S", 0.05)

    def dies(handler, number, body):
        handler.connection.shutdown(socket.SHUT_RDWR)
        handler.close_connection = True
        return True

    written, whole = [], ("--fraction", "1", "--no-noise-floor")

    def dies_later(handler, number, body):
        if tuple(body.get("prompt", ())) in known_answers() and "echo" not in body:
            written.append(number)
        return len(written) > 20 and dies(handler, number, body)

    with scripted_server() as server:
        server.fault = lambda *asked: asked[1] > 60 and dies(*asked)
        run = judge(tmp_path, server, *whole, deadline=3)
        assert run.code == 11, run.out + run.err
        assert ", waiting for the server, " in run.err
        assert "served:m: unanswered: no connection to 127.0.0.1:" in run.out
        server.fault = dies_later
        run = judge(tmp_path, server, *whole, deadline=3)
    assert run.code == 11, run.out + run.err
    assert ", waiting for the server, " in run.err
    assert "prompts are unanswered: " in run.out
    assert sum(row["reading"] != "unanswered" for row in run.samples) >= 20


@pytest.mark.slow
def test_unknown_weights_belong_to_one_run(tmp_path):
    """Nothing is found again, and a baseline is compared only if that is allowed."""
    place, part = f"tokenizer={TOKENIZER}", ("--fraction", "1/8")
    with scripted_server() as server:
        full = {"limit": None, "place": f"{place},concurrency=2"}
        accepted = judge(tmp_path, server, *part, "--snapshot-update", **full)
        assert "its weights are unknown" in accepted.out
        before = server.count
        run = judge(tmp_path, server, *part, **full)
        assert server.count - before > 100
        assert run.code == 11, run.out
        assert "weights are unknown" in run.out
        assert "--allow-mismatch weights" in run.out
        allowed = judge(tmp_path, server, *part, "--allow-mismatch", "weights", **full)
        assert allowed.code in (0, 12), allowed.out
        assert allowed.report["comparisons"]["baseline"]


def test_server_without_log_probabilities_offers_generated_answers_alone(tmp_path):
    """Forced choice is not offered, which --require-scores does not accept."""
    with scripted_server(echo="ignored", biased=False) as server:
        run = judge(tmp_path, server)
        assert run.code in (0, 12), run.out + run.err
        assert "not offered: served:m does not offer log-probabilities" in run.out
        assert not any("forced-choice" in gate for gate in run.gates)
        required = judge(tmp_path, server, "--require-scores")
        assert required.code == 11, required.out
        assert "need log-probabilities" in required.out


def test_lying_echo_ends_the_run_in_one_sentence(tmp_path):
    """Usage error, before any prompt."""
    with scripted_server(echo="lie") as server:
        run = judge(tmp_path, server)
    assert run.code == 4
    (said,) = [line for line in (run.out + run.err).splitlines() if "cannot be trusted" in line]
    assert "its echo is not real" in said
    assert "Traceback" not in run.out + run.err


@pytest.mark.slow
def test_workers_share_a_server(tmp_path):
    """The same figures, each prompt asked by one of them."""
    with scripted_server() as server:
        alone = judge(tmp_path / "alone", server)
        before = server.count
        shared = judge(tmp_path / "shared", server, "-n", "2", process=True)
        assert shared.code == alone.code, shared.out + shared.err
        assert server.count - before <= before + 2
    for gate, found in shared.gates.items():
        assert found["value"] == pytest.approx(alone.gates[gate]["value"], abs=1e-9)
