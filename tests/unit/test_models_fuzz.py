"""Whatever is in the files of a model, or in a reply of a server: a value, or one line."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from functools import cache
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest
from safetensors.numpy import save

from blindspot.errors import BlindspotError
from blindspot.models import ModelOptions, identify, load
from blindspot.models.options import Scaled
from blindspot.models.served import chat, wire
from blindspot.models.served.client import Client, RequestError, _BusyError
from blindspot.models.served.introduction import introduced
from blindspot.models.served.settings import ServerSettings
from blindspot.models.transformers.adapters import CONFIG, WEIGHTS, open_adapter
from blindspot.models.transformers.checkpoint import open_checkpoint
from blindspot.models.transformers.directions import open_directions
from blindspot.models.transformers.location import locate
from tests.unit import gguf_files, tiny_models
from tests.unit.damage import (
    OTHERS,
    Reader,
    check_line,
    damaged,
    each,
    gguf,
    safetensors,
)
from tests.unit.scripted_server import chatted

pytest_plugins = ["tests.unit.tiny_models"]
pytestmark = pytest.mark.usefixtures("own_cache", "made")

#: Of what the slow suite tries, the quick one tries this part.
PART = 500
_PLACES: dict[str, Path] = {}


@pytest.fixture(scope="module")
def made(checkpoints: tiny_models.Checkpoints, tmp_path_factory: pytest.TempPathFactory) -> None:
    """A checkpoint, the same in shards and as a GGUF file, and an adapter."""
    root = tmp_path_factory.mktemp("made")
    _PLACES["model"] = checkpoints()
    _PLACES["gguf"] = root / "gguf"
    _PLACES["gguf"].mkdir()
    gguf_files.write(_PLACES["gguf"] / "m.gguf", checkpoints())
    _PLACES["adapter"] = root / "adapter"
    _PLACES["adapter"].mkdir()
    (_PLACES["adapter"] / CONFIG).write_text(json.dumps(ADAPTER, indent=1))
    (_PLACES["adapter"] / WEIGHTS).write_bytes(save(FACTORS))


ADAPTER: dict[str, Any] = {
    "peft_type": "LORA",
    "base_model_name_or_path": "m",
    "r": 2,
    "lora_alpha": 4,
    "rank_pattern": {"k_proj": 2},
    "alpha_pattern": {},
    "target_modules": ["q_proj"],
    "modules_to_save": None,
    "init_lora_weights": True,
}
_QUERY = "base_model.model.model.layers.0.self_attn.q_proj.lora_"
FACTORS = {
    f"{_QUERY}A.weight": np.ones((2, 32), np.float32),
    f"{_QUERY}B.weight": np.ones((32, 2), np.float32),
}
DIRECTIONS = save({f"layer.{n}": np.ones(32, np.float32) for n in (0, 1)}, {"coefficient": "2"})


def _file(place: str, name: str) -> Callable[[], list[bytes]]:
    return lambda: [(_PLACES[place] / name).read_bytes()]


def _identified(path: Path) -> object:
    """Everything but the weights is read, by transformers too."""
    return identify(ModelOptions(str(path.parent)))


def _opened(path: Path) -> object:
    """What the files alone show."""
    found = open_checkpoint(locate(str(path.parent)))
    return found.quantization, found.parameters, found.architecture, found.dtype


def _of(place: str) -> Callable[[], Path]:
    return lambda: _PLACES[place]


def _model(name: str, tried: int, read: Callable[[Path], object] = _identified) -> Reader:
    damage = safetensors if name.endswith(".safetensors") else damaged
    return Reader(read, _file("model", name), name, tried, damage, _of("model"))


def _adapter(name: str, tried: int) -> Reader:
    damage = safetensors if name == WEIGHTS else damaged
    read = lambda path: open_adapter(Scaled(path.parent, 1.0)).notes("m")  # noqa: E731
    return Reader(read, _file("adapter", name), name, tried, damage, _of("adapter"))


READERS = {
    "config": _model("config.json", 4000, _opened),
    "config, read": _model("config.json", 300),
    "weights": _model("model.safetensors", 4000, _opened),
    "weights, loaded": _model(
        "model.safetensors", 300, lambda path: load(ModelOptions(str(path.parent))).identity
    ),
    "tokenizer": _model("tokenizer.json", 300),
    "tokenizer's settings": _model("tokenizer_config.json", 300),
    "generation": _model("generation_config.json", 300),
    "GGUF": Reader(_opened, _file("gguf", "m.gguf"), "m.gguf", 4000, gguf),
    "GGUF, read": Reader(_identified, _file("gguf", "m.gguf"), "m.gguf", 100, gguf),
    "adapter": _adapter(CONFIG, 4000),
    "adapter's weights": _adapter(WEIGHTS, 3000),
    "directions": Reader(
        lambda path: open_directions(Scaled(path, 1.0)),
        lambda: [DIRECTIONS],
        "d.safetensors",
        3000,
        safetensors,
    ),
}


@pytest.mark.parametrize("name", READERS)
def test_valid_files_of_a_model_are_read(name: str) -> None:
    for raw in READERS[name].valid():
        with READERS[name].place() as path:
            path.write_bytes(raw)
            assert not READERS[name].fault(path)


@pytest.mark.parametrize("name", READERS)
def test_damaged_files_of_a_model_are_read_or_refused(name: str) -> None:
    READERS[name].attempt(max(2, READERS[name].tried // PART))


@pytest.mark.slow
@pytest.mark.parametrize("name", READERS)
def test_many_damaged_files_of_a_model_are_read_or_refused(name: str) -> None:
    READERS[name].attempt(READERS[name].tried)


@pytest.mark.parametrize("name", [name for name in READERS if "," not in name])
def test_only_regular_files_of_a_model_are_read(name: str) -> None:
    """A pipe would never end, and a directory is none."""

    def attempt(_: object) -> None:
        with READERS[name].place() as path:
            others.pop()(path)
            READERS[name].fault(path)

    others = [*OTHERS]
    each(len(others), attempt)


SETTINGS = ServerSettings("served:m", "m", "http://127.0.0.1:9/v1")
LISTS = {"tokens": [" a", "b"], "token_logprobs": [-0.5, -1.0], "top_logprobs": [{" a": -0.5}, {}]}
CHATS = {"content": [{"token": "token_id:7", "logprob": -1, "top_logprobs": []}]}
CHOICE = {"index": 0, "text": " ab", "finish_reason": "stop"}
COMPLETIONS = [
    {"choices": [{**CHOICE, "logprobs": logprobs}], "usage": {"prompt_tokens": 4}}
    for logprobs in (LISTS, CHATS)
]
CHATTED = [chatted("4"), chatted(None, "length")]
LISTING = {"id": "m", "owned_by": "llamacpp", "max_model_len": 2048, "meta": {"n_ctx": 512}}
PROPERTIES = {
    "build_info": "b1",
    "model_path": "/m.gguf",
    "default_generation_settings": {"n_ctx": 9},
}


@cache
def _client() -> Client:
    return Client(SETTINGS)


def _reply(content: bytes, status: int = 200) -> Any:
    """What a client makes of a reply."""
    reply = SimpleNamespace(status_code=status, headers={"Retry-After": content.decode("latin-1")})
    return _client()._parsed(cast(Any, reply), content)


def _introduced(content: bytes) -> object:
    """What a server says of itself, in all of its replies."""

    def get(*_: object, **__: object) -> Any:
        return _reply(content)

    return introduced(SETTINGS, cast(Client, SimpleNamespace(get=get)))


#: What is made of a reply, and replies that are valid.
REPLIES: dict[str, tuple[Callable[[bytes], object], list[Any]]] = {
    "completion": (lambda content: wire.read(_reply(content)), COMPLETIONS),
    "answer": (
        lambda content: chat.read_reply(_reply(content)),
        [chatted("4"), chatted(None, "length")],
    ),
    "introduction": (
        _introduced,
        [
            {"data": [LISTING], **PROPERTIES},
            {
                "data": [{**LISTING, "owned_by": "vllm", "root": "/m", "parent": None}],
                "version": "1",
            },
        ],
    ),
    "error": (
        lambda content: _reply(content, 503),
        [{"error": {"message": "wait", "code": 503}}, "3.5", {"detail": [{"msg": "no"}]}],
    ),
}


def _try_replies(name: str, tried: int) -> None:
    read, valid = REPLIES[name]
    raw = [json.dumps(reply, indent=1).encode() for reply in valid]

    def attempt(rng: random.Random) -> None:
        try:
            read(damaged(rng.choice(raw), rng))
        except (BlindspotError, RequestError, _BusyError) as error:
            check_line(str(error))

    each(tried, attempt)


@pytest.mark.parametrize("name", REPLIES)
def test_damaged_replies_are_read_or_refused(name: str) -> None:
    _try_replies(name, 20)


@pytest.mark.slow
@pytest.mark.parametrize("name", REPLIES)
def test_many_damaged_replies_are_read_or_refused(name: str) -> None:
    _try_replies(name, 3000)
