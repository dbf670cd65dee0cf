"""Certificates are checked, and no key is written or printed anywhere."""

from __future__ import annotations

import re
import shutil
import subprocess

import pytest

from blindspot.errors import ModelError
from blindspot.models import GenerationRequest, ModelOptions, ScoreRequest
from blindspot.models.registry import open_model
from tests.unit.scripted_server import TOKENIZER, known_answers, scripted_server
from tests.unit.suite_runs import run_suite
from tests.unit.test_served_handshake import refusal, served

KEY = "sk-" + "hushhush" * 4
PROMPT = "The sky is"


def certificate(directory, *names):
    """A file with a new certificate of these names, signed by itself, and its key."""
    if shutil.which("openssl") is None:
        pytest.skip("no openssl to make a certificate with")
    path, key = directory / "certificate.pem", directory / "key.pem"
    subprocess.run(
        [
            *("openssl", "req", "-x509", "-nodes", "-days", "2", "-subj", "/CN=scripted"),
            *("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1"),
            *("-addext", f"subjectAltName={','.join(names)}", "-keyout", key, "-out", path),
        ],
        check=True,
        capture_output=True,
    )
    path.write_text(path.read_text() + key.read_text())
    return path


def test_certificate_is_trusted_only_if_that_was_asked_for(tmp_path, monkeypatch):
    """One that nobody signed is refused at once; SSL_CERT_FILE is the way to trust it."""
    monkeypatch.delenv("SSL_CERT_FILE", raising=False)
    path = certificate(tmp_path, "IP:127.0.0.1")
    with scripted_server(path) as server:
        said = refusal(server)
        assert re.search("certificate is not trusted .self.signed.* set SSL_CERT_FILE to", said)
        assert server.count == 0
        monkeypatch.setenv("SSL_CERT_FILE", str(path))
        model = served(server)
        model.check_files()
        (answer,) = model.generate([GenerationRequest(PROMPT, lambda text: False, 4)])
        assert answer.text
        for wrong in (tmp_path / "none.pem", tmp_path):
            monkeypatch.setenv("SSL_CERT_FILE", str(wrong))
            said = refusal(server)
            assert "its certificate cannot be checked" in said
            assert "set SSL_CERT_FILE" in said


def test_certificate_of_another_name_is_refused(tmp_path, monkeypatch):
    """Also one that is trusted."""
    path = certificate(tmp_path, "DNS:elsewhere")
    monkeypatch.setenv("SSL_CERT_FILE", str(path))
    with scripted_server(path) as server:
        said = refusal(server)
    assert "not trusted (IP address mismatch" in said
    assert "name it in base_url as its certificate does" in said


def test_server_without_certificates_is_not_asked_again():
    """Neither certificates nor names that are wrong are a matter of trying again."""
    with scripted_server() as server:
        secure = server.address.replace("http:", "https:")
        model = open_model(
            ModelOptions("served:m", model_args={"base_url": secure, "tokenizer": str(TOKENIZER)})
        )
        with pytest.raises(ModelError, match=r"no secure connection .*base_url=http://"):
            model.check_files()


def denied(handler, number, body):
    """A fault: the key is refused, and repeated as a whole and in part."""
    given = handler.headers["Authorization"].removeprefix("Bearer ")
    handler.reply({"error": {"message": f"Incorrect key {given}, {given[:9]}*"}}, 401)
    return True


def test_key_that_is_refused_is_said_and_never_shown(monkeypatch, caplog):
    """Not even if the server repeats it."""
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    with caplog.at_level("DEBUG"), scripted_server(fault=denied) as server:
        said = refusal(server)
        assert "HTTP 401: Incorrect key ***" in said
        assert "BLINDSPOT_API_KEY" in said
        assert server.headers_seen[0]["Authorization"] == f"Bearer {KEY}"
        assert server.count == 1
        server.fault = None
        model = served(server)
        model.check_files()
        server.fault, before = denied, server.count
        scores = model.score([ScoreRequest(PROMPT, ("red green", "blue"))] * 5)
        answers = model.generate([GenerationRequest(PROMPT, lambda text: False, 20)] * 5)
        assert all("HTTP 401" in one.error for one in (*scores, *answers))
        assert server.count - before <= 8  # those that were on their way; the others are not asked
    assert "hush" not in said + str(scores) + str(answers) + caplog.text
    monkeypatch.setenv("BLINDSPOT_API_KEY", "another")
    with scripted_server() as server:
        served(server).check_files()
        assert server.headers_seen[0]["Authorization"] == "Bearer another"
    monkeypatch.setenv("BLINDSPOT_API_KEY", "new\nline")
    with scripted_server() as server, pytest.raises(ModelError, match="characters that no key has"):
        served(server)


def judge(directory, server, *arguments, **more):
    """A run with a key and all files but the drawn ones, and everything that it wrote."""
    directory.mkdir(exist_ok=True)
    summary = directory / "summary.md"
    summary.touch()
    run = run_suite(
        directory,
        *("-k", "race-default-weapons and not word"),
        *("--model-args", f"base_url={server.address},weights={TOKENIZER}"),
        *("--junitxml", str(directory / "junit.xml")),
        *(
            "--log-file",
            str(directory / "log"),
            "--log-file-level",
            "DEBUG",
            "--log-level",
            "DEBUG",
        ),
        *arguments,
        model="served:m",
        paths=("tests/implicit",),
        env={
            "BLINDSPOT_API_KEY": KEY,
            "GITHUB_ACTIONS": "true",
            "GITHUB_STEP_SUMMARY": str(summary),
        },
        **more,
    )
    assert server.headers_seen[-1]["Authorization"] == f"Bearer {KEY}"
    assert "Traceback" not in run.out + run.err
    written = {
        path.relative_to(directory).as_posix(): path.read_bytes()
        for path in directory.rglob("*")
        if path.is_file()
    }
    return run, written | {"output": (run.out + run.err).encode()}


def leaks(written):
    """What holds the key or a good part of it."""
    return [name for name, content in written.items() if b"hushhush" in content]


def test_key_is_in_no_file_and_no_output(tmp_path):
    """Of a run whose key is refused halfway, and of one whose key is refused at once."""
    with scripted_server() as server:

        def halfway(handler, number, body):
            ids = tuple(token for token in body.get("prompt", ()) if isinstance(token, int))
            return ids in known_answers() and "echo" not in body and denied(handler, number, body)

        server.fault = halfway
        run, written = judge(tmp_path / "half", server)
        assert run.code == 11, run.out + run.err  # no gate may say that the model failed
        assert any("unanswered" in each for each in run.report["incomplete"]), run.out
        assert "HTTP 401: Incorrect key ***" in run.out
        assert {"junit.xml", "log", "summary.md", "out/report.json"} < {*written}
        assert any(name.startswith("store/") for name in written)
        assert leaks(written) == []
        server.fault = denied
        run, written = judge(tmp_path / "none", server)
        assert run.code == 4, run.out + run.err
        assert leaks(written) == []


@pytest.mark.slow
def test_workers_pages_and_baselines_show_no_key_either(tmp_path):
    """Accepted or refused, by two processes, drawn, and accepted as a baseline."""
    with scripted_server() as server:
        for name, fault in (("all", None), ("none", denied)):
            server.fault = fault
            run, written = judge(tmp_path / name, server, "-n", "2", process=True, drawn=True)
            assert run.code in ((4,) if fault else (0, 12)), run.out + run.err
            assert ("out/report.html" in written) is (fault is None)
            assert leaks(written) == []
        server.fault = None
        run, written = judge(tmp_path / "all", server, "--snapshot-update", limit=None)
        assert any(name.startswith("baselines/") for name in written), [*written]
        assert leaks(written) == []
