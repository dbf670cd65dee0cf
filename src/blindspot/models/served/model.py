"""A model behind an endpoint for completions, as vLLM, SGLang and llama.cpp have."""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Sequence
from functools import cached_property
from typing import Any

from blindspot.errors import ModelError
from blindspot.models.base import (
    Generation,
    GenerationRequest,
    Identity,
    Missing,
    Progress,
    Scored,
    ScoreRequest,
    in_order,
)
from blindspot.models.options import ModelOptions
from blindspot.models.served.acquaintance import Met
from blindspot.models.served.client import RequestError
from blindspot.models.served.handshake import ECHO, examine
from blindspot.models.served.local import Local, read_local
from blindspot.models.served.remote import RemoteModel, each
from blindspot.models.served.settings import ServerSettings
from blindspot.models.served.wire import Completion, Tokens, Written, body, read
from blindspot.models.transformers.seam import EncodedRequest, encode

#: Bump when the answers of the same server to the same prompt may change.
SERVED_VERSION = 1
#: Tokens that are asked for first: most answers are complete then.
_STRIDE = 16


class ServedModel(RemoteModel):
    """A `LanguageModel` on a server.

    Prompts are rendered and tokenized here, as for a model in this process. The first use shakes
    hands with the server.

    Raises:
        ModelError: the arguments are wrong; from any member: the server cannot be trusted.
    """

    def __init__(self, options: ModelOptions) -> None:
        super().__init__(ServerSettings.of(options, "served:"))
        self._lock = threading.Lock()

    @cached_property
    def _local(self) -> Local:
        return read_local(self._settings, self._introduction, self._otherwise())

    def _files(self) -> tuple[str, ...]:
        local = self._local
        return local.weights, local.tokenizer, local.template

    def _shake(self) -> Met:
        return Met(examine(self._settings, self._client, self._introduction, self._local))

    def _identified(self, met: Met) -> Identity:
        local, introduction = self._local, self._introduction
        way = f" by {met.server.scores}" if met.server.scores else ""
        return Identity(
            name=self._settings.name,
            weights=local.weights,
            tokenizer=local.tokenizer,
            dtype=introduction.dtype or local.dtype,
            template=local.template,
            template_text=local.template_text,
            architecture=local.architecture,
            parameters=local.parameters,
            device="server",
            backend=f"served-{SERVED_VERSION} {introduction.kind}{way}".replace("  ", " "),
        )

    def generate(
        self, requests: Sequence[GenerationRequest], *, progress: Progress | None = None
    ) -> list[Generation]:
        """Greedy continuations, in the order of the requests."""
        return in_order(self.generate_each, requests, progress)

    def score(
        self, requests: Sequence[ScoreRequest], *, progress: Progress | None = None
    ) -> list[Scored]:
        """Log-probability (nats) of each candidate as a whole continuation, request by request."""
        return in_order(self.score_each, requests, progress)

    def generate_each(
        self, requests: Sequence[GenerationRequest], done: Callable[[int, Generation], None]
    ) -> None:
        """As `generate`; ``done`` is called with the number of a request and its continuation."""
        self._ready()
        prompts = self._local.prompts
        tokens = prompts.encode([prompts.render(request.prompt) for request in requests])
        lengths = [self._room(t, r.max_new_tokens) for t, r in zip(tokens, requests, strict=True)]
        asked = list(zip(tokens, requests, lengths, strict=True))
        each(self._client, self._settings.concurrency, asked, self._generated, done)

    def score_each(
        self, requests: Sequence[ScoreRequest], done: Callable[[int, Scored], None]
    ) -> None:
        """As `score`; ``done`` is called with the number of a request and its scores."""
        self._ready()
        prompts = self._local.prompts
        rendered = [(prompts.render(one.prompt), one.candidates) for one in requests]
        asked = encode(prompts, rendered, self._room)
        each(self._client, self._settings.concurrency, asked, self._scored, done)

    # --- one request, in any thread

    def _generated(self, asked: tuple[Tokens, GenerationRequest, int]) -> Generation:
        prompt, request, length = asked
        answer = _Answer(prompt, request.is_complete, self._local, self._lock)
        try:
            while answer.open and len(answer.ids) < length:
                # Without ids of what was written it cannot be gone on with.
                stride = length if answer.blind else min(_STRIDE, length - len(answer.ids))
                answer.blind = answer.blind or stride == length
                found = self._asked((*prompt, *answer.ids), length=stride)
                answer.blind = not answer.add(found, stride) or answer.blind
        except RequestError as error:
            return Generation("", 0, False, math.nan, Missing.UNANSWERED.value, str(error))
        return answer.result()

    def _scored(self, asked: EncodedRequest) -> Scored:
        found: dict[tuple[Tokens, int], float] = {}
        try:
            for text in asked.texts:
                values = self._echoed if self._met.server.scores == ECHO else self._forced
                values(text, asked.start, found)
        except RequestError as error:
            return Scored([math.nan] * len(asked.texts), error=str(error))
        firsts = {text[asked.start]: text[: asked.start] for text in asked.texts}
        first = math.fsum(math.exp(found[before, token]) for token, before in firsts.items())
        return Scored(
            [
                math.fsum(found[text[:at], text[at]] for at in range(asked.start, len(text)))
                for text in asked.texts
            ],
            math.log(first) if first > 0.0 else math.nan,
        )

    def _echoed(self, text: Tokens, start: int, found: dict[tuple[Tokens, int], float]) -> None:
        """The log-probability of each token from ``start`` on, by an echo of the whole."""
        written = self._asked(text, length=1, likeliest=1, echo=True).tokens
        if not len(text) <= len(written) <= len(text) + 1:
            raise RequestError(f"an echo of {len(written)} values of {len(text)} tokens")
        for at in range(start, len(text)):
            if math.isnan(written[at].value):
                raise RequestError("an echo without the log-probability of a token")
            found[text[:at], text[at]] = written[at].value

    def _forced(self, text: Tokens, start: int, found: dict[tuple[Tokens, int], float]) -> None:
        """The same, by forcing each token; beginnings that candidates share are asked once."""
        for at in range(start, len(text)):
            key = text[:at], text[at]
            if key in found:
                continue
            written = self._asked(text[:at], length=1, likeliest=1, forced=text[at]).tokens
            if len(written) != 1 or written[0].id != text[at]:
                raise RequestError("another token than the one that was forced")
            found[key] = written[0].value

    def _asked(self, prompt: Tokens, **how: Any) -> Completion:
        asked = body(self._settings.model, prompt, more=self._introduction.more, **how)
        found = read(self._client.post("/completions", asked))[0]
        if found.prompt_tokens not in (-1, len(prompt)):
            raise RequestError(f"{found.prompt_tokens} tokens counted, {len(prompt)} sent")
        return found

    def _room(self, tokens: Sequence[int], wanted: int) -> int:
        """Tokens that may follow.

        Raises:
            ModelError: the context is full.
        """
        context = self._met.server.context
        if not context:
            return wanted
        if len(tokens) >= context:
            raise ModelError(
                f"{self._settings.name}: a prompt of {len(tokens)} tokens, and the server's "
                f"context has {context}; serve it with a larger one"
            )
        return min(wanted, context - len(tokens))


class _Answer:
    """A greedy answer as it grows, cut where it is complete.

    ``ids``: of its tokens; ``blind``: whether the server does not say them.
    """

    def __init__(
        self,
        prompt: Tokens,
        is_complete: Callable[[str], bool],
        local: Local,
        lock: threading.Lock,
    ) -> None:
        self._prompt, self._is_complete = prompt, is_complete
        self._local, self._lock = local, lock
        self.ids: list[int] = []
        self.blind, self.open = False, True
        self._text, self._complete, self._margin = "", False, math.inf
        self._count = 0

    def add(self, found: Completion, asked: int) -> bool:
        """Take in what was written; false if it must be asked as a whole, because ids are missing.

        ``asked``: most tokens that it may have.
        """
        ids = found.ids
        if ids is None:
            if not self.blind and not found.ended and len(found.tokens) >= asked:
                return False
            self._take(found)
            return True
        for token, written in zip(ids, found.tokens, strict=True):
            self._margin = _least(self._margin, written)
            if token in self._local.ends:
                self._end()
                return True
            self.ids.append(token)
            with self._lock:  # a tokenizer is not for several threads
                self._text = self._local.prompts.decode([self._prompt], [self.ids])[0]
            if self._is_complete(self._text):
                self._end()
                return True
        if found.ended or not ids:
            self._end()
        return True

    def _take(self, found: Completion) -> None:
        """A whole answer by its text, to the token that completes it if the texts add up."""
        self._text, self._count = found.text, len(found.tokens)
        texts = [token.text for token in found.tokens]
        cut = len(texts)
        if "".join(texts) == found.text:
            beginnings = ("".join(texts[:n]) for n in range(1, len(texts) + 1))
            cut = next((n for n, t in enumerate(beginnings, 1) if self._is_complete(t)), cut)
            self._text = "".join(texts[:cut])
        for written in found.tokens[:cut]:
            self._margin = _least(self._margin, written)
        self._complete = found.ended or self._is_complete(self._text)
        self.open = False

    def _end(self) -> None:
        self._complete, self.open = True, False

    def result(self) -> Generation:
        """The finished answer."""
        count = self._count or len(self.ids)
        return Generation(self._text, count, self._complete, self._margin)


def _least(margin: float, written: Written) -> float:
    """The smaller margin; NaN once one is not known."""
    return math.nan if math.isnan(written.margin) else min(margin, written.margin)
