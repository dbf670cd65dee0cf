"""A server whose model is a rule, on loopback, with any fault that a test wants.

Its tokens are those of the bundled models. It knows the prompts of the small stimuli and gives the
fair answer to each; any other text goes on as a digest of its last tokens says.
"""

from __future__ import annotations

import hashlib
import json
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache, lru_cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np

from blindspot.measurements.registry import BEHAVIORAL
from blindspot.models.transformers.formats import PromptFormat
from blindspot.run.source import FixturePrompts
from blindspot.stimuli import Selection
from tests.unit.scripted import fair
from tests.unit.small_stimuli import small_stimuli
from tests.unit.suite_runs import ROOT

TOKENIZER = ROOT / "fixtures" / "organisms" / "blind"
CONFIG = json.loads((TOKENIZER / "config.json").read_text("utf-8"))
VOCABULARY, END = CONFIG["vocab_size"], CONFIG["eos_token_id"]
#: What a fault does to a request: true if it has replied.
Fault = Callable[["Handler", int, dict[str, Any]], bool]


@cache
def prompt_format() -> PromptFormat:
    """The tokenizer of the bundled models."""
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(TOKENIZER, local_files_only=True)
    return PromptFormat(tokenizer, "scripted", chat=False)


@cache
def known_prompts() -> dict[str, str]:
    """The fair answer to each prompt of the small stimuli."""
    source = FixturePrompts(small_stimuli(), Selection(limit=1))
    parts = [part for name in BEHAVIORAL for part in source.slices(name)]
    return {prompt.text: fair(prompt) for part in parts for prompt in source.prompts(part)}


@cache
def known_answers() -> dict[tuple[int, ...], tuple[int, ...]]:
    """The tokens of prompts, and those of the fair answer with the end of the text."""
    form = prompt_format()
    texts = [(form.render(prompt), answer) for prompt, answer in known_prompts().items()]
    heads = form.encode([prompt for prompt, _ in texts])
    wholes = form.encode([form.join(*pair) for pair in texts])
    return {head: (*whole[len(head) :], END) for head, whole in zip(heads, wholes, strict=True)}


@cache
def _ends() -> set[tuple[int, ...]]:
    """The last tokens of prompts."""
    return {head[-2:] for head in known_answers()}


def log_probabilities(context: tuple[int, ...]) -> np.ndarray:
    """(token,) nats after these tokens."""
    for cut in range(len(context), max(0, len(context) - 40), -1):
        if context[max(0, cut - 2) : cut] not in _ends():
            continue
        answer = known_answers().get(context[:cut])
        if answer and answer[: len(context) - cut] == context[cut:]:
            return _drawn(context[-4:], answer[len(context) - cut])
    return _drawn(context[-4:], None)


@lru_cache(maxsize=1 << 13)
def _drawn(last: tuple[int, ...], wanted: int | None) -> np.ndarray:
    seed = hashlib.sha256(repr(last).encode()).digest()[:8]
    logits = np.random.default_rng(int.from_bytes(seed)).normal(0.0, 2.0, VOCABULARY)
    if wanted is not None:
        logits[wanted] += 20.0
    top = logits.max()
    found: np.ndarray = logits - top - np.log(np.exp(logits - top).sum())
    found.flags.writeable = False
    return found


def chatted(text: str | None, reason: str = "stop", **message: Any) -> dict[str, Any]:
    """The reply to a chat."""
    return {
        "choices": [{"index": 0, "message": {"content": text, **message}, "finish_reason": reason}],
        "usage": {"completion_tokens": 7},
    }


class Handler(BaseHTTPRequestHandler):
    """The endpoints of a server in the form of vLLM or of llama.cpp."""

    protocol_version = "HTTP/1.1"
    server: ScriptedServer
    disable_nagle_algorithm = True

    def do_GET(self) -> None:
        self._handle({})

    def do_POST(self) -> None:
        self._handle(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))

    def _handle(self, body: dict[str, Any]) -> None:
        with self.server.lock:
            self.server.count += 1
            number = self.server.count
            self.server.bodies.append(body)
            self.server.headers_seen.append(dict(self.headers))
        fault = self.server.fault
        if fault is not None and fault(self, number, body):
            return
        if self.path == "/v1/models":
            row = {"owned_by": self.server.owner, "max_model_len": 2048}
            self.reply({"data": [row | {"id": name} for name in "mn"]})
        elif self.path == "/v1/completions":
            self.reply(self.server.completed(body))
        elif self.path == "/v1/chat/completions":
            self.reply(chatted(known_prompts().get(body["messages"][0]["content"], "Yes.")))
        else:
            self.reply({"error": {"message": "no such endpoint"}}, 404)

    def reply(self, content: Any, status: int = 200, headers: dict[str, str] | None = None) -> None:
        """Send JSON, or bytes as they are."""
        data = content if isinstance(content, bytes) else json.dumps(content).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(data)))
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_: Any) -> None:
        """Print nothing."""


class ScriptedServer(ThreadingHTTPServer):
    """The server; ``fault`` may be set at any time."""

    daemon_threads = True
    owner = "vllm"  # or llamacpp, whose replies have the form of chats
    echo = "real"  # or ignored, or a lie
    biased = True  # whether it forces tokens
    penalty = 0.0  # on what it writes, unless it is told otherwise
    hidden = False  # whether the penalty is in the reported values too
    cached = 0.0  # nats by which a cached beginning moves everything
    texts = False  # whether tokens are named by their texts alone
    fault: Fault | None = None

    def __init__(self, certificate: Path | None = None) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.scheme = "http" if certificate is None else "https"
        if certificate is not None:
            context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
            context.load_cert_chain(certificate)
            self.socket = context.wrap_socket(self.socket, server_side=True)
        self.lock = threading.Lock()
        self.count = 0
        self.bodies: list[dict[str, Any]] = []
        self.headers_seen: list[dict[str, str]] = []
        self._seen: set[tuple[int, ...]] = set()

    @property
    def address(self) -> str:
        """For ``base_url``."""
        return f"{self.scheme}://127.0.0.1:{self.server_port}/v1"

    def handle_error(self, *_: Any) -> None:
        """Clients may break connections."""

    def completed(self, body: dict[str, Any]) -> dict[str, Any]:
        """The reply to a request for completions."""
        prompt = body["prompt"]
        if isinstance(prompt, str):
            prompt = list(prompt_format().encode([prompt])[0])
        lists = prompt if prompt and isinstance(prompt[0], list) else [prompt]
        choices = [self._choice(tuple(ids), n, body) for n, ids in enumerate(lists)]
        return {"choices": choices, "usage": {"prompt_tokens": sum(map(len, lists))}}

    def _choice(self, prompt: tuple[int, ...], index: int, body: dict[str, Any]) -> dict[str, Any]:
        values, told = [], list(prompt)
        moved = self.cached if prompt in self._seen else 0.0
        self._seen.update(prompt[:cut] for cut in (len(prompt), len(prompt) // 2))
        if body.get("echo") and self.echo != "ignored":
            for at in range(len(prompt)):
                after = log_probabilities(prompt[:at]) if at else None
                values.append((prompt[at], after))
        bias = {int(key): value for key, value in body.get("logit_bias", {}).items()}
        reason = "length"
        for _ in range(body["max_tokens"]):
            after = log_probabilities(tuple(told)) + moved
            penalized = after.copy()
            if "frequency_penalty" not in body:
                penalized[int(after.argmax())] -= self.penalty
            if self.hidden:
                after = penalized - np.log(np.exp(penalized).sum())
            chosen = penalized.copy()
            for token, value in bias.items() if self.biased else ():
                chosen[token] += value
            token = int(chosen.argmax())
            values.append((token, after))
            told.append(token)
            if token == END:
                reason = "stop"
                break
        text = prompt_format().decode([prompt], [[t for t in told[len(prompt) :] if t != END]])[0]
        reported = self._reported(values, body, len(prompt))
        return {"index": index, "text": text, "logprobs": reported, "finish_reason": reason}

    def _reported(
        self, values: list[tuple[int, np.ndarray | None]], body: dict[str, Any], prompt: int
    ) -> dict[str, Any]:
        lie = -1.0 if self.echo == "lie" and body.get("echo") else None
        names = prompt_format().tokenizer.convert_ids_to_tokens

        def own(place: int, token: int, after: np.ndarray | None) -> float | None:
            if after is None:
                return None
            return lie if lie is not None and place < prompt else float(after[token])

        def top(after: np.ndarray) -> list[int]:
            if body["logprobs"] == 1:
                return [int(after.argmax())]
            some = np.argpartition(-after, body["logprobs"])[: body["logprobs"]]
            return [int(one) for one in some[np.argsort(-after[some])]]

        if self.owner == "llamacpp":
            return {
                "content": [
                    {
                        "id": token,
                        "token": names(token),
                        "logprob": own(place, token, after),
                        "top_logprobs": [
                            {"id": one, "token": names(one), "logprob": float(after[one])}
                            for one in top(after)
                        ],
                    }
                    for place, (token, after) in enumerate(values)
                    if after is not None
                ]
            }

        def name(token: int) -> str:
            return prompt_format().tokenizer.decode([token]) if self.texts else f"token_id:{token}"

        return {
            "tokens": [name(token) for token, _ in values],
            "token_logprobs": [own(n, *pair) for n, pair in enumerate(values)],
            "top_logprobs": [
                None if after is None else {name(one): float(after[one]) for one in top(after)}
                for _, after in values
            ],
        }


@contextmanager
def scripted_server(certificate: Path | None = None, **how: Any) -> Iterator[ScriptedServer]:
    """A running server; ``certificate``: a file with its certificate and its key."""
    server = ScriptedServer(certificate)
    for name, value in how.items():
        setattr(server, name, value)
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}).start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
