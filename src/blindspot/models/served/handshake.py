"""The handshake: what a server does with what it is asked, before the first prompt of a run.

At most twelve requests, with those of the introduction. What would make answers wrong ends the run
in one sentence; what only limits them is recorded. The text differs from run to run: no cache has
seen it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any
from uuid import uuid4

from blindspot.errors import ModelError, line
from blindspot.models.served.client import Client, GoneError, RequestError
from blindspot.models.served.introduction import Introduction
from blindspot.models.served.local import Local
from blindspot.models.served.settings import ServerSettings
from blindspot.models.served.wire import NEUTRAL, Completion, Tokens, body, read
from blindspot.models.server import Check, Server

#: Ways to know the log-probability of a given answer.
ECHO, FORCED = "echo", "forced tokens"
#: Text in which repeating is likely, so that a penalty shows.
_TEXT = "{}: red green blue red green blue red green blue red green"
#: Tokens that are written, and prompts of a list.
_LENGTH, _TOGETHER = 8, 8
#: Nats by which two values of one token may differ by rounding: logits of bfloat16 between 16 and
#: 32 are 0.125 apart, and a log-probability is the difference of two.
ROUNDING = 0.25
#: Nats that a choice must be ahead to be no matter of rounding.
_SURE = 2 * ROUNDING
#: Tries of a request that a server may not know.
_TRIES = 2
_PAGE = "docs/engines.md"


def examine(
    settings: ServerSettings, client: Client, introduction: Introduction, local: Local
) -> Server:
    """Ask a server questions whose answers are known, in ten requests.

    A quantised server rounds by the size of its batches, and a prompt half of which is cached makes
    other batches. If its answer moves by too much, another prompt decides.

    Raises:
        ModelError: it does not do what it is asked; one sentence with the remedy.
    """
    given = settings, client, introduction, local
    try:
        return _Examination(*given).server()
    except _UnsteadyError:
        return _Examination(*given).server()


class _UnsteadyError(ModelError):
    """An answer changed after its beginning was asked."""


class _Examination:
    """The questions, and what came of them so far."""

    def __init__(
        self, settings: ServerSettings, client: Client, introduction: Introduction, local: Local
    ) -> None:
        self._settings, self._client = settings, client
        self._introduction, self._local = introduction, local
        self._checks: list[Check] = []
        self._spread = 0.0
        self._greedy = True
        text = local.prompts.render(_TEXT.format(uuid4().hex[:8]))
        self._text, self._ids = text, tuple(local.prompts.encode([text])[0])

    def server(self) -> Server:
        """Ask everything."""
        first = self._first()
        self._tokenizer(first)
        self._cache(first)
        self._penalties(first)
        self._together(first)
        scores = self._echo(first) or self._forced(first)
        settings, context = self._settings, self._introduction.context
        self._note("context", f"{context:,} tokens" if context else "not said")
        return Server(
            address=settings.base_url,
            kind=self._introduction.kind,
            requests=self._client.requests,
            scores=scores,
            greedy=self._greedy,
            spread=self._spread,
            context=context,
            concurrency=settings.concurrency,
            checks=tuple(self._checks),
            lacking=frozenset() if scores else frozenset({"score", "score_each"}),
        )

    # --- the questions

    def _first(self) -> Completion:
        """Whether it completes tokens greedily, with log-probabilities."""
        try:
            found = self._complete(self._ids)
        except GoneError as error:
            raise self._silent(error) from None
        except RequestError as error:
            raise self._refused(
                f"it does not complete token ids with log-probabilities: {error}",
                self._settings.doubt or f"chat:{self._settings.model} asks for text alone",
            ) from None
        if not found.tokens:
            raise self._refused("it writes no token at all", "look at the server")
        if found.prompt_tokens not in (-1, len(self._ids)):
            raise self._refused(
                f"it counts {found.prompt_tokens} tokens where {len(self._ids)} were sent: it adds "
                "some of its own, such as a second opening token or a template",
                "turn that off",
            )
        for token in found.tokens:
            if token.likeliest and token.value < token.likeliest[0][1] - ROUNDING:
                raise self._refused(
                    f"asked for the likeliest token it writes one of {token.value:.2f} nats where "
                    f"another has {token.likeliest[0][1]:.2f}: it samples or penalizes",
                    "serve it without settings of its own (vLLM: --generation-config vllm)",
                )
            if math.fsum(math.exp(value) for _, value in token.likeliest) > 1.01:
                raise self._refused(
                    "the probabilities of its likeliest tokens sum to more than 1",
                    "serve raw log-probabilities",
                )
        self._note("greedy", f"the likeliest of its own list, {len(found.tokens)} times")
        return found

    def _tokenizer(self, first: Completion) -> None:
        """Whether a token means the same there and here."""
        ids = first.ids
        if ids is not None:
            kept = ids[: next((n for n, i in enumerate(ids) if i in self._local.ends), len(ids))]
            here = self._local.prompts.decode([self._ids], [kept])[0]
            if here.strip() and here.strip() not in first.text:
                raise self._other_tokenizer(
                    f"writes {line(first.text, 40)!r} for what is {line(here, 40)!r} here"
                )
        try:
            counted = self._complete(self._text, length=1).prompt_tokens
        except RequestError:
            counted = -1
        if counted >= 0 and abs(counted - len(self._ids)) > 1:  # one may be its opening token
            raise self._other_tokenizer(f"counts {counted} tokens where {len(self._ids)} are here")
        self._note("tokens", "the same there and here")

    def _cache(self, first: Completion) -> None:
        """Whether it writes the same after it was asked the beginning."""
        self._asked(self._ids[: len(self._ids) // 2], length=1)
        if self._differ(first, self._asked(self._ids)):
            raise self._refused(
                "it writes something else after it was asked the beginning: its prefix cache "
                "changes answers",
                "serve it without one (vLLM: --no-enable-prefix-caching)",
                _UnsteadyError,
            )
        self._note("prefix cache", "changes nothing")

    def _penalties(self, first: Completion) -> None:
        """Whether it writes the same if it is told not to penalize."""
        try:
            again = self._complete(self._ids, more=NEUTRAL)
        except RequestError as error:
            if not 400 <= error.status < 500:
                raise self._silent(error) from None
            self._note("penalties", "it takes no such settings")
            return
        if self._differ(first, again):
            raise self._refused(
                "it writes something else when told not to penalize repetition: it does so by "
                "default",
                "serve it without settings of its own (vLLM: --generation-config vllm)",
            )
        self._note("penalties", "none")

    def _together(self, first: Completion) -> None:
        """Whether it writes the same in company."""
        beginnings = [self._ids[: 1 + number] for number in range(1, _TOGETHER)]
        asked = [beginnings[0], self._ids, *beginnings[1:]]
        try:
            reply = self._post(asked)
            found = read(reply, len(asked))[1]
        except RequestError as error:
            self._note(f"{_TOGETHER} at once", f"not asked: {error}")
            return
        if self._differ(first, found):
            self._greedy = False
        self._note(f"{_TOGETHER} at once", f"up to {self._spread:.1g} nats apart")

    def _echo(self, first: Completion) -> str:
        """Whether an echo has the values that the same tokens have when they are written."""
        told = self._ids_of(first)
        if not told:
            self._note(ECHO, "not tried: its tokens are not known")
            return ""
        if not self._echoes(told, [token.value for token in first.tokens]):
            return ""
        second = self._second(first)
        if second is not None and not self._echoes([second[0]], [second[1]]):
            return ""
        self._note(ECHO, "the values of written tokens")
        return ECHO

    def _echoes(self, written: Sequence[int], values: Sequence[float]) -> bool:
        asked = (*self._ids, *written)
        try:
            found = self._complete(asked, length=1, echo=True)
        except RequestError as error:
            self._note(ECHO, f"refused: {error}")
            return False
        echoed = found.tokens[len(self._ids) : len(asked)]
        if not len(asked) <= len(found.tokens) <= len(asked) + 1:
            self._note(ECHO, f"ignored: {len(found.tokens)} values of {len(asked)} tokens")
            return False
        for token, value in zip(echoed, values, strict=True):
            if not abs(token.value - value) <= ROUNDING:
                raise self._refused(
                    f"its echo is not real: a token has {token.value:.2f} nats in the echo and "
                    f"{value:.2f} when it is written, and forced choice would rest on the echo",
                    f"use another server ({_PAGE}), or chat:{self._settings.model} for the "
                    "generated answers alone",
                )
            self._spread = max(self._spread, abs(token.value - value))
        return True

    def _forced(self, first: Completion) -> str:
        """Whether a token that is forced keeps its own value."""
        second = self._second(first)
        rare = next((i for i in reversed(self._ids[1:]) if i not in self._local.ends), None)
        if second is None or rare is None:
            self._note(FORCED, "not tried: ids of tokens are not known")
            return ""
        for token, value in ((second[0], second[1]), (rare, math.nan)):
            try:
                found = self._complete(self._ids, length=1, forced=token).tokens
            except RequestError as error:
                self._note(FORCED, f"refused: {error}")
                return ""
            if len(found) != 1 or found[0].id != token:
                self._note(FORCED, "ignored: another token was written")
                return ""
            if abs(found[0].value - value) > ROUNDING:
                self._note(
                    FORCED, f"{found[0].value:.2f} nats for a token of {value:.2f}: not its own"
                )
                return ""
            if not math.isnan(value):
                self._spread = max(self._spread, abs(found[0].value - value))
        self._note(FORCED, "keep their own values")
        return FORCED

    # --- how they are asked

    def _complete(self, prompt: Tokens | str, **how: Any) -> Completion:
        return read(self._post(prompt, **how))[0]

    def _post(self, prompt: Tokens | Sequence[Tokens] | str, **how: Any) -> Any:
        settings = {"length": _LENGTH, "likeliest": 5, **how}
        settings["more"] = {**self._introduction.more, **(how.get("more") or {})}
        asked = body(self._settings.model, prompt, **settings)
        return self._client.post("/completions", asked, tries=_TRIES if how.get("echo") else 0)

    def _asked(self, prompt: Tokens, **how: Any) -> Completion:
        try:
            return self._complete(prompt, **how)
        except RequestError as error:
            raise self._silent(error) from None

    def _differ(self, first: Completion, again: Completion) -> bool:
        """Whether a completion differs by more than rounding; notes by how much it does."""
        for one, other in zip(first.tokens, again.tokens, strict=False):
            same = (one.id, one.text) == (other.id, other.text)
            there = dict(other.likeliest)
            apart = [abs(value - there[name]) for name, value in one.likeliest if name in there]
            apart += [abs(one.value - other.value)] * same
            self._spread = max(self._spread, *apart, 0.0)
            if max(apart, default=0.0) > ROUNDING:
                return True
            if not same:
                self._greedy = False
                name = other.id if other.id >= 0 else other.text
                return not dict(one.likeliest).get(name, -math.inf) >= one.value - _SURE
        return len(first.tokens) != len(again.tokens)

    def _ids_of(self, first: Completion) -> list[int]:
        """The ids of a completion, by our tokenizer if the server does not say."""
        if first.ids is not None:
            return first.ids
        whole = tuple(self._local.prompts.encode([self._text + first.text])[0])
        own = list(whole[len(self._ids) :])
        same = whole[: len(self._ids)] == self._ids and len(own) == len(first.tokens)
        return own if same else []

    def _second(self, first: Completion) -> tuple[int, float] | None:
        """The second likeliest first token and its value, by its id."""
        for token, value in first.tokens[0].likeliest[1:2]:
            if isinstance(token, int):
                return token, value
            whole = tuple(self._local.prompts.encode([self._text + token])[0])
            if whole[:-1] == self._ids:
                return whole[-1], value
        return None

    # --- what is said

    def _note(self, name: str, found: str) -> None:
        self._checks.append(Check(name, found))

    def _silent(self, error: RequestError) -> ModelError:
        name, address = self._settings.name, self._settings.base_url
        return ModelError(f"{name}: {address} stopped answering: {error.advised}")

    def _other_tokenizer(self, how: str) -> ModelError:
        return self._refused(
            f"it has another tokenizer: it {how}", "name its own with weights=DIR or tokenizer=DIR"
        )

    def _refused(self, what: str, remedy: str, kind: type[ModelError] = ModelError) -> ModelError:
        name, address = self._settings.name, self._settings.base_url
        return kind(f"{name}: {address} cannot be trusted: {what}; {remedy}")
