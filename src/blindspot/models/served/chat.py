"""A model behind an endpoint for chats, which gives text and nothing else."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any
from uuid import uuid4

from blindspot.errors import ModelError
from blindspot.models.base import (
    Generation,
    GenerationRequest,
    Identity,
    Missing,
    Progress,
    in_order,
)
from blindspot.models.options import ModelOptions
from blindspot.models.served.acquaintance import Met
from blindspot.models.served.client import POLICY, RequestError
from blindspot.models.served.local import Weights, read_weights
from blindspot.models.served.remote import RemoteModel, each
from blindspot.models.served.settings import ServerSettings
from blindspot.models.server import Check, Server

#: Bump when the answers of the same server to the same prompt may change.
CHAT_VERSION = 1
#: Tokens of a prompt beside its text: its role and its frame.
_FRAME = 8
#: Characters of a token of English.
_PER_TOKEN = 4
#: A question that any model answers.
_QUESTION = "{}: answer with the single word yes."
_LENGTH = 40
_THOUGHT = re.compile(r"<think>(?!.*</think>)", re.DOTALL)


@dataclass(frozen=True, slots=True)
class _Dialect:
    """How a server wants to be asked: which of the usual settings it takes."""

    length: str = "max_completion_tokens"
    greedy: bool = True

    def without(self, said: str) -> _Dialect | None:
        """The next one to try after what a server says of a request; None if it is no matter of it.

        Some say "use max_tokens instead", some "use max_completion_tokens".
        """
        if self.greedy and "temperature" in said:
            return _Dialect(self.length, greedy=False)
        if self.length in said and self.length != "max_tokens":
            return _Dialect("max_tokens", self.greedy)
        return None


class ChatModel(RemoteModel):
    """A `LanguageModel` that only generates: each prompt is a chat of one message.

    Raises:
        ModelError: the arguments are wrong; from any member: the server cannot be asked.
    """

    def __init__(self, options: ModelOptions) -> None:
        super().__init__(ServerSettings.of(options, "chat:"))
        if options.apply_chat_template:
            raise ModelError(
                f"{options.name}: its server applies the chat template; omit --apply-chat-template"
            )

    def generate(
        self, requests: Sequence[GenerationRequest], *, progress: Progress | None = None
    ) -> list[Generation]:
        """Greedy answers, in the order of the requests."""

        def all_of(asked: Sequence[GenerationRequest], done: Any) -> None:
            each(self._client, self._settings.concurrency, asked, self._answered, done)

        self._ready()
        return in_order(all_of, requests, progress)

    def bill(self, prompts: Sequence[str], length: int) -> str:
        """What prompts will cost, before they are asked; ``length``: most tokens of an answer."""
        read = sum(_FRAME + len(text) // _PER_TOKEN for text in prompts)
        write = len(prompts) * (length + self._settings.thinking_tokens)
        said = (
            f"{len(prompts):,} requests, about {read:,} tokens of prompts and at most {write:,} of "
            "answers"
        )
        if any(self._settings.price):
            one, other = self._settings.price
            said += f", at most {(read * one + write * other) / 1e6:,.2f} at the price given"
        return said

    @cached_property
    def _weights(self) -> Weights:
        return read_weights(self._settings, self._introduction, self._otherwise())

    def _files(self) -> tuple[str, ...]:
        return (self._weights.digest,)

    def _shake(self) -> Met:
        settings, introduction = self._settings, self._introduction
        dialect, checks, same = self._tried()
        server = Server(
            address=settings.base_url,
            kind=introduction.kind,
            requests=self._client.requests,
            scores="",
            greedy=dialect.greedy and same,
            spread=math.nan,
            context=introduction.context,
            concurrency=settings.concurrency,
            checks=tuple(checks),
            lacking=frozenset({"score"}),
        )
        return Met(server, asdict(dialect))

    @property
    def _dialect(self) -> _Dialect:
        return _Dialect(**self._met.dialect)

    def _identified(self, met: Met) -> Identity:
        settings, introduction, weights = self._settings, self._introduction, self._weights
        dialect = _Dialect(**met.dialect)
        told = [f"chat-{CHAT_VERSION}", introduction.kind]
        told += ["" if dialect.greedy else "sampled"]
        told += [f"reasoning_effort={settings.reasoning_effort}" * bool(settings.reasoning_effort)]
        told += [f"thinking_tokens={settings.thinking_tokens}" * bool(settings.thinking_tokens)]
        return Identity(
            name=settings.name,
            weights=weights.digest,
            tokenizer="",
            dtype=introduction.dtype or weights.dtype,
            architecture=weights.architecture,
            parameters=weights.parameters,
            device="server",
            backend=" ".join(filter(None, told)),
        )

    def _tried(self) -> tuple[_Dialect, list[Check], bool]:
        """The dialect of the server, what was found, and whether it repeats itself.

        Raises:
            ModelError: it does not answer.
        """
        dialect, question = _Dialect(), _QUESTION.format(uuid4().hex[:8])
        while True:
            try:
                first = self._chat(question, _LENGTH, dialect)
                break
            except RequestError as error:
                other = dialect.without(str(error)) if error.status in (400, 422) else None
                if other is None:
                    doubt = self._settings.doubt
                    raise ModelError(
                        f"{self._settings.name}: {self._settings.base_url} does not chat: "
                        f"{f'{error}; {doubt}' if doubt else error.advised}"
                    ) from None
                dialect = other
        try:
            again = self._chat(question, _LENGTH, dialect)
        except RequestError as error:
            raise ModelError(
                f"{self._settings.name}: {self._settings.base_url} stopped answering: "
                f"{error.advised}"
            ) from None
        same = first.text == again.text
        checks = [
            Check("temperature", "0" if dialect.greedy else "refused: answers are drawn"),
            Check("repeated", "the same answer" if same else "another answer"),
        ]
        if first.missing:
            checks.append(Check("answer", f"{first.missing}: {first.error}"))
        return dialect, checks, same

    def _answered(self, request: GenerationRequest) -> Generation:
        """The answer to a prompt, or the reason why there is none; in any thread."""
        try:
            found = self._chat(request.prompt, request.max_new_tokens, self._dialect)
        except RequestError as error:
            blocked = error.status in (0, 400, 403, 422, 451) and POLICY.search(str(error))
            missing = Missing.BLOCKED if blocked else Missing.UNANSWERED
            return Generation("", 0, False, math.nan, missing.value, str(error))
        complete = found.complete or (not found.missing and bool(request.is_complete(found.text)))
        return Generation(found.text, found.tokens, complete, math.nan, found.missing, found.error)

    def _chat(self, prompt: str, length: int, dialect: _Dialect) -> Generation:
        settings = self._settings
        body: dict[str, Any] = {
            "model": settings.model,
            "messages": [{"role": "user", "content": prompt}],
            dialect.length: length + settings.thinking_tokens,
            "stream": False,
        }
        if dialect.greedy:
            body["temperature"] = 0
        if settings.reasoning_effort:
            body["reasoning_effort"] = settings.reasoning_effort
        return read_reply(self._client.post("/chat/completions", body))


def read_reply(reply: Any) -> Generation:
    """The answer in a reply.

    Raises:
        RequestError: there is none, or more than one.
    """
    choices = reply.get("choices") if isinstance(reply, dict) else None
    if not isinstance(choices, list) or len(choices) != 1 or not isinstance(choices[0], dict):
        raise RequestError("a reply without exactly one answer")
    message, reason = choices[0].get("message"), str(choices[0].get("finish_reason") or "")
    if not isinstance(message, dict):
        raise RequestError("an answer without a message")
    content = message.get("content")
    if not isinstance(content, str | None):
        raise RequestError(f"a {type(content).__name__} as an answer")
    text = content or ""
    usage = reply.get("usage")
    tokens = usage.get("completion_tokens") if isinstance(usage, dict) else 0
    tokens = tokens if isinstance(tokens, int) else 0
    missing = ""
    if reason == "content_filter":
        missing, why = Missing.FILTERED.value, "its content filter removed the answer"
    elif not text.strip() and (said := message.get("refusal")):
        missing, why = Missing.BLOCKED.value, str(said)[:200]
    elif reason == "length" and (not text.strip() or _THOUGHT.search(text)):
        missing, why = Missing.CUT.value, f"{tokens} tokens were used up before an answer"
    if missing:
        return Generation("", tokens, False, math.nan, missing, why)
    if content is None:
        raise RequestError(f"no text as an answer (it ended by {reason or 'nothing'})")
    return Generation(text, tokens, reason == "stop", math.nan)
