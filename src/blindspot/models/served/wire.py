"""Completions as they are asked for and as servers reply, in both forms of log-probabilities.

The older form has lists (``token_logprobs``), as vLLM and SGLang reply; the one of chats has a list
of tokens (``content``), as llama.cpp replies.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from numbers import Real
from typing import Any

from blindspot.errors import reason
from blindspot.models.served.client import RequestError

Tokens = tuple[int, ...]

#: Beginning of a token's text where vLLM is asked for ids.
_ID = "token_id:"
#: A bias that no other token can make up for.
_FORCED = 100
#: Settings that change no probability; they are sent to see whether anything is different.
NEUTRAL: Mapping[str, Any] = {
    "frequency_penalty": 0.0,
    "presence_penalty": 0.0,
    "repetition_penalty": 1.0,
    "repeat_penalty": 1.0,
    "top_p": 1.0,
}


@dataclass(frozen=True, slots=True)
class Written:
    """A token as a server reports it.

    ``id``: -1 where it says only its text; ``value``: log-probability (nats), NaN where it has
    none, as the first token of an echo; ``likeliest``: those of the likeliest tokens by id or text,
    the likeliest first.
    """

    id: int
    text: str
    value: float
    likeliest: tuple[tuple[int | str, float], ...] = ()

    @property
    def margin(self) -> float:
        """Nats between the likeliest token and the next; NaN if the server does not say."""
        if len(self.likeliest) < 2:
            return math.nan
        return self.likeliest[0][1] - self.likeliest[1][1]


@dataclass(frozen=True, slots=True)
class Completion:
    """A reply to one prompt; ``prompt_tokens``: how many the server counts, -1 if it does not."""

    text: str
    tokens: tuple[Written, ...]
    ended: bool
    prompt_tokens: int

    @property
    def ids(self) -> list[int] | None:
        """The ids of its tokens, None if the server does not say."""
        found = [token.id for token in self.tokens]
        return None if any(each < 0 for each in found) else found


def body(
    model: str,
    prompt: Tokens | Sequence[Tokens] | str,
    *,
    length: int,
    likeliest: int = 2,
    echo: bool = False,
    forced: int | None = None,
    more: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """The request for greedy completions.

    Args:
        model: the id that the server knows.
        prompt: token ids, several such lists, or a text.
        length: most tokens.
        likeliest: how many tokens to report with each.
        echo: report the prompt as well.
        forced: a token to write instead of the likeliest.
        more: settings beside these.
    """
    asked = prompt if isinstance(prompt, str) else [*map(_listed, prompt)]
    found: dict[str, Any] = {
        "model": model,
        "prompt": asked,
        "max_tokens": length,
        "temperature": 0,
        "logprobs": likeliest,
        "stream": False,
        **(more or {}),
    }
    if echo:
        found["echo"] = True
    if forced is not None:
        found["logit_bias"] = {str(forced): _FORCED}
    return found


def _listed(part: int | Tokens) -> int | list[int]:
    return part if isinstance(part, int) else list(part)


def read(reply: Any, count: int = 1) -> list[Completion]:
    """The completions of ``count`` prompts, in their order.

    Raises:
        RequestError: there are others, or log-probabilities are missing or impossible.
    """
    choices = reply.get("choices") if isinstance(reply, dict) else None
    if not isinstance(choices, list) or not all(isinstance(one, dict) for one in choices):
        raise RequestError("a reply without choices")
    numbered = {str(one.get("index", 0)): one for one in choices}
    if len(choices) != count or numbered.keys() != {*map(str, range(count))}:
        raise RequestError(f"{len(choices)} answers to {count} prompts, or twice to the same")
    usage = reply.get("usage")
    counted = usage.get("prompt_tokens") if isinstance(usage, dict) else None
    tokens = counted if isinstance(counted, int) and count == 1 else -1
    return [_completion(numbered[str(number)], tokens) for number in range(count)]


def _completion(choice: Mapping[str, Any], prompt_tokens: int) -> Completion:
    text, reported = choice.get("text"), choice.get("logprobs")
    if not isinstance(text, str):
        raise RequestError("an answer without text")
    if not isinstance(reported, dict):
        raise RequestError("an answer without log-probabilities")
    try:
        content = reported.get("content")
        tokens = _of_chat(content) if isinstance(content, list) else _of_lists(choice, reported)
    except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as error:
        raise RequestError(f"log-probabilities of an unknown form ({reason(error)})") from None
    return Completion(text, tokens, choice.get("finish_reason") == "stop", prompt_tokens)


def _of_chat(content: Sequence[Mapping[str, Any]]) -> tuple[Written, ...]:
    def one(token: Mapping[str, Any]) -> tuple[int | str, float]:
        return _name(token.get("id", token["token"])), _value(token["logprob"])

    found = []
    for token in content:
        name, value = one(token)
        likeliest = sorted(map(one, token.get("top_logprobs") or ()), key=lambda pair: -pair[1])
        found.append(Written(_id(name), str(token["token"]), value, tuple(likeliest)))
    return tuple(found)


def _of_lists(choice: Mapping[str, Any], reported: Mapping[str, Any]) -> tuple[Written, ...]:
    texts, values = reported["tokens"], reported["token_logprobs"]
    tops = reported.get("top_logprobs") or [None] * len(texts)
    ids = choice.get("token_ids")
    found = []
    for number, (text, value, top) in enumerate(zip(texts, values, tops, strict=True)):
        name = _name(text)
        if isinstance(ids, list) and len(ids) == len(texts):
            name = int(ids[number])
        pairs = ((_name(other), _value(each)) for other, each in (top or {}).items())
        likeliest = sorted(pairs, key=lambda pair: -pair[1])
        given = math.nan if value is None else _value(value)
        found.append(Written(_id(name), str(text), given, tuple(likeliest)))
    return tuple(found)


def _name(token: Any) -> int | str:
    if isinstance(token, int):
        return token
    text = str(token)
    return int(text.removeprefix(_ID)) if text.startswith(_ID) else text


def _id(name: int | str) -> int:
    return name if isinstance(name, int) else -1


def _value(value: Any) -> float:
    """A log-probability.

    Raises:
        RequestError: it is none.
    """
    if not isinstance(value, Real) or isinstance(value, bool):
        raise RequestError(f"a {type(value).__name__} as a log-probability")
    found = float(value)
    if not -1e6 < found <= 1e-3:  # rounding may leave a little above 0; NaN is in no range
        raise RequestError(f"the log-probability {found}")
    return found
