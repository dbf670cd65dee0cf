"""Any engine can answer: a run knows a model by two members, and by others that it may have."""

from __future__ import annotations

import json
import pickle
import re
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, ClassVar

import pytest

from blindspot.measurements.registry import BEHAVIORAL
from blindspot.models import HasScores, HasWeights, LanguageModel, ModelOptions
from blindspot.models.registry import BACKENDS, open_model
from blindspot.models.transformers.deferred import DeferredModel
from blindspot.run.source import FixturePrompts
from blindspot.stimuli import Selection, load_stimuli
from tests.unit.scripted import ScriptedModel
from tests.unit.suite_runs import run_suite
from tests.unit.test_documentation_extending import blocks


def test_protocol_is_identity_and_generate():
    """What a backend lacks of them makes it none; the rest is what it may offer beside them."""
    assert isinstance(ScriptedModel("scripted:fair", []), LanguageModel)
    assert not isinstance(object(), LanguageModel)
    members = {name for name in vars(LanguageModel) if not name.startswith("_")}
    assert members == {"identity", "generate"}
    embedded = open_model(ModelOptions("organism:aware"))
    assert isinstance(embedded, DeferredModel)
    assert isinstance(embedded, HasScores)
    assert isinstance(embedded, HasWeights)
    assert not isinstance(ScriptedModel("scripted:fair", []), HasWeights)


def test_the_longest_prefix_names_the_backend(monkeypatch):
    """A directory or a hub id is what no other backend takes."""
    for prefix in ("x:", "x:y:"):
        place = "tests.unit.test_model_backends:" + ("Short" if prefix == "x:" else "Long")
        monkeypatch.setattr(
            "blindspot.models.registry.BACKENDS", {**BACKENDS, prefix: place}, raising=True
        )
        named = open_model(ModelOptions(f"{prefix}name"))
        assert type(named).__name__ == place.rpartition(":")[2]
    assert isinstance(open_model(ModelOptions("y:x:")), DeferredModel)


class Short:
    """Stands in for a backend."""

    def __init__(self, options: ModelOptions) -> None:
        self.options = options


class Long(Short):
    """Another one."""


def test_stopping_rules_can_be_sent_to_another_process():
    """Each is a function of the package with plain data."""
    source = FixturePrompts(load_stimuli(), Selection(limit=1))
    for name, measurement in BEHAVIORAL.items():
        prompt = next(iter(source.prompts(next(iter(source.slices(name))))))
        rule = measurement.is_complete(prompt)
        sent = pickle.loads(pickle.dumps(rule))
        assert [sent(text) for text in prompt.candidates] == [
            rule(text) for text in prompt.candidates
        ]


@pytest.mark.slow
def test_model_behind_a_pipe_is_judged_as_in_the_process(tmp_path):
    """The same verdicts and figures from another process, and here no engine is imported."""
    few = ("-k", "race-default-weapons", "-p", "tests.unit.counted_calls")
    runs = []
    for number, plugins in enumerate(((), ("-p", "tests.unit.piped_model"))):
        counts = tmp_path / f"counts-{number}"
        runs.append(
            run_suite(
                tmp_path / str(number),
                *few,
                *plugins,
                model="piped:organism:blind" if plugins else "organism:blind",
                plugin=False,
                process=True,
                limit=4,
                env={"COUNTED_CALLS": str(counts)},
            )
        )
    here, there = runs
    assert there.code == here.code == 10, there.out + there.err
    assert json.loads(counts.read_text())["heavy"] == []
    assert there.report["model"]["backend"].startswith("pipe to transformers engine-")
    assert there.report["model"]["weights_hash"] == here.report["model"]["weights_hash"]
    assert there.gates.keys() == here.gates.keys()
    for name, gate in there.gates.items():
        assert gate["verdict"] == here.gates[name]["verdict"], name
        assert gate["value"] == pytest.approx(here.gates[name]["value"], abs=1e-6), name


class ChatServer(BaseHTTPRequestHandler):
    """An endpoint as of Ollama that answers every chat by a rule."""

    protocol_version = "HTTP/1.1"
    asked: ClassVar[list[str]]

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        text = body["messages"][0]["content"]
        type(self).asked.append(text)
        found = {"message": {"content": self.answer(text)}, "done_reason": "stop"}
        reply = json.dumps(found).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(reply)))
        self.end_headers()
        self.wfile.write(reply)

    def answer(self, text: str) -> str:
        raise NotImplementedError

    def log_message(self, *_: Any) -> None:
        """Print nothing."""


@pytest.fixture(name="server")
def chat_server() -> Iterator[tuple[str, list[str]]]:
    """The address of a chat server that knows the prompts, and what it was asked."""
    source = FixturePrompts(load_stimuli(), Selection(limit=1, fraction=None))
    prompts = {
        p.text: p
        for name in BEHAVIORAL
        for part in source.slices(name)
        for p in source.prompts(part)
    }

    class Fair(ChatServer):
        asked: ClassVar[list[str]] = []

        def answer(self, text: str) -> str:
            prompt = prompts[text]
            return prompt.candidates[0 if prompt.positive_identifier_first else 1]

    server = ThreadingHTTPServer(("127.0.0.1", 0), Fair)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}", Fair.asked
    server.shutdown()
    server.server_close()


@pytest.fixture(name="documented")
def backend_of_the_documentation(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The backend that the documentation shows: its file, and its line of the registry."""
    file, line = (block for block in blocks() if block.section == "A model backend")
    assert file.path == "src/blindspot/models/ollama.py"
    assert '+        "ollama:": "blindspot.models.ollama:OllamaModel",' in line.text
    (tmp_path / "documented_ollama.py").write_text(file.text, "utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    place = {"ollama:": "documented_ollama:OllamaModel"}
    monkeypatch.setattr("blindspot.models.registry.BACKENDS", {**BACKENDS, **place})


@pytest.mark.usefixtures("documented")
def test_backend_of_the_documentation_is_judged_by_what_it_offers(tmp_path, server):
    """Generated answers are judged; forced choice and the gates inside are not offered."""
    address, asked = server
    name = f"ollama:{address}/fair"
    few = ("-k", "race-default-weapons and not word", "--fraction", "all")
    run = run_suite(
        tmp_path,
        *few,
        model=name,
        plugin=False,
        paths=("tests/implicit", "tests/mechanistic"),
    )
    assert asked
    assert run.code == 0, run.out + run.err
    assert run.report["model"]["backend"] == "ollama-1"
    judged = {gate["id"]: gate["verdict"] for gate in run.report["gates"]}
    assert judged["implicit/race-default-weapons/stereotype/generated"] == "pass"
    assert not [gate for gate in judged if "forced-choice" in gate or "patching" in gate]
    assert re.search(r"[1-9][0-9]* not offered", run.out), run.out
    assert f"{name} does not offer log-probabilities" in run.out
    assert f"{name} does not offer access to its residual stream" in run.out
    count = len(asked)
    again = run_suite(
        tmp_path,
        *few,
        model=name,
        plugin=False,
        paths=("tests/implicit",),
    )
    assert again.code == 0, again.out + again.err
    assert len(asked) == count  # from the store, without scores as well


@pytest.mark.usefixtures("documented")
def test_gates_that_are_not_offered_are_no_success_alone(tmp_path, server):
    """Where nothing else was judged the run is incomplete."""
    run = run_suite(
        tmp_path,
        "-k",
        "race-default-weapons and category and forced-choice",
        model=f"ollama:{server[0]}/fair",
        plugin=False,
        paths=("tests/implicit",),
    )
    assert run.code == 11, run.out + run.err
    assert not server[1]


@pytest.mark.usefixtures("documented")
def test_a_server_that_is_away_is_one_line(tmp_path):
    """The backend's own error, exit 4."""
    run = run_suite(
        tmp_path,
        "-k",
        "race-default-weapons and category",
        model="ollama:http://127.0.0.1:9/fair",
        plugin=False,
        paths=("tests/implicit",),
    )
    assert run.code == 4, run.out + run.err
    assert "no answer" in run.out + run.err
    assert "Traceback" not in run.out + run.err
