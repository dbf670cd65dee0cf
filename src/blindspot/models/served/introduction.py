"""The introduction: what a server says of itself and of the model that it serves."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from blindspot.errors import ModelError, line
from blindspot.models.served.client import Client, RequestError
from blindspot.models.served.settings import ServerSettings

#: Tries of a request that a server may not know.
_TRIES = 2


@dataclass(frozen=True, slots=True)
class Introduction:
    """What a server says of itself.

    Attributes:
        kind: name and version of its software, "" where it does not say.
        file: path of what it serves, "" where it does not say.
        adapter: path of what it applies to that for this model, "" for nothing.
        dtype: what its weights are stored as, "" where it does not say.
        context: most tokens of prompt and answer, 0 where it does not say.
        more: settings that its software needs to report ids of tokens.
    """

    kind: str = ""
    file: str = ""
    adapter: str = ""
    dtype: str = ""
    context: int = 0
    more: dict[str, Any] = field(default_factory=dict)


def introduced(settings: ServerSettings, client: Client) -> Introduction:
    """Ask a server what it serves: two requests at most.

    Raises:
        ModelError: it cannot be reached, or does not serve the model.
    """
    try:
        listed = client.get(f"{settings.base_url}/models")
    except RequestError as error:
        if error.status in (404, 405, 501):  # not every gateway lists its models
            return Introduction()
        raise ModelError(
            f"{settings.name}: {settings.base_url} cannot be asked: {error.advised}"
        ) from None
    rows = listed.get("data") if isinstance(listed, dict) else None
    models = [row for row in rows if isinstance(row, dict)] if isinstance(rows, list) else []
    mine = next((row for row in models if row.get("id") == settings.model), None)
    if mine is None:
        known = ", ".join(line(str(row.get("id")), 80) for row in models[:5]) or "nothing"
        raise ModelError(
            f"{settings.name}: {settings.base_url} serves {known}, not {settings.model}; name one "
            "of them"
        )
    parent = mine.get("parent") or settings.model  # vLLM: the model whose adapter this one is
    base = next((row for row in models if row.get("id") == parent), {})
    return _introduction(settings, client, mine, base)


def _introduction(
    settings: ServerSettings, client: Client, mine: dict[str, Any], base: dict[str, Any]
) -> Introduction:
    owner = str(mine.get("owned_by") or "")
    if owner == "llamacpp":
        props = _asked(client, f"{settings.root}/props")
        meta = _table(mine.get("meta"))
        defaults = _table(props.get("default_generation_settings"))
        return Introduction(
            kind=f"llama.cpp {props.get('build_info') or ''}".strip(),
            file=str(props.get("model_path") or ""),
            dtype=str(props.get("model_ftype") or meta.get("ftype") or ""),
            context=_whole(defaults.get("n_ctx") or meta.get("n_ctx")),
        )
    if owner == "vllm":
        version = _asked(client, f"{settings.root}/version").get("version") or ""
        adapter = str(mine.get("root") or settings.model) if mine.get("parent") else ""
        return Introduction(
            kind=f"vllm {version}".strip(),
            file=str(base.get("root") or ""),
            adapter=adapter,
            context=_whole(base.get("max_model_len")),
            more={"return_tokens_as_token_ids": True},
        )
    return Introduction(kind=line(owner, 80), context=_whole(mine.get("max_model_len")))


def _asked(client: Client, url: str) -> dict[str, Any]:
    """What an endpoint of one software says, nothing if it does not."""
    try:
        found = client.get(url, tries=_TRIES)
    except RequestError:
        return {}
    return _table(found)


def _table(value: object) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _whole(value: object) -> int:
    return value if isinstance(value, int) and value > 0 else 0
