"""How prompts and answers become tokens and text: plain text or a chat template. No torch."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import date, datetime, tzinfo
from functools import cached_property, lru_cache
from typing import Any

from blindspot.errors import ModelError, reason
from blindspot.models.transformers import thoughts
from blindspot.models.transformers.digests import json_digest
from blindspot.models.transformers.trials import TrialError, tried

Tokens = tuple[int, ...]

#: The date shown to chat templates: an answer must not depend on the day of the run.
TODAY = date(2024, 7, 26)
#: More arguments of templates. Reasoning would not fit in a short answer.
_TEMPLATE_ARGUMENTS = {
    "date_string": TODAY.strftime("%d %b %Y"),
    "enable_thinking": False,
    "thinking": False,
}
#: White space that is not a line end: no-break, ideographic and the usual two.
_BLANKS = " \t\u00a0\u3000"
#: Most characters that a template may add to a message, and most repetitions of it.
_FRAME, _REPEATS = 100_000, 8
#: Most tokens per character: NFKC expands one Arabic character to 18, of 3 bytes each.
_TOKENS = 64
#: The sample text for a tokenizer.
_PANGRAM = "The quick brown fox jumps over the lazy dog, 0123456789. THE QUICK BROWN FOX!\n"
#: Prompt tokens decoded with an answer, so that its first token keeps its leading space.
_CONTEXT = 4


class PromptFormat:
    """Tokens of prompts, the join between a prompt and its answer, and the text of an answer.

    Plain text is sent with the tokenizer's opening special tokens (each once) and nothing after
    the prompt; blanks at its end (not line ends) are dropped, because a tokenizer joins them to the
    answer's first word. With a chat template the prompt is one user message, followed by the
    template's opening of the assistant's turn.
    """

    def __init__(self, tokenizer: Any, name: str, *, chat: bool) -> None:
        self.tokenizer = tokenizer
        self.name = name
        self.chat = chat
        self._stated = _template(tokenizer, name) if chat else ""
        self._encode_batch = _fast(tokenizer, "_encode_plus", "encode_batch_fast")
        self._decode_batch = _fast(tokenizer, "_decode", "decode_batch")
        self._opening = () if chat else self._opening_tokens()
        self._context_text = lru_cache(maxsize=65536)(self._decoded_context)

    def render(self, prompt: str) -> str:
        """The text sent for a prompt (without the tokenizer's own special tokens)."""
        if self.chat:
            return self._rendered(prompt)
        return prompt.rstrip(_BLANKS)

    @property
    def template(self) -> str:
        """The chat template that prompts are sent through, "" in plain text.

        It is the tokenizer's. If that opens a thought, the end of the thought is appended.
        """
        return self._checked[0]

    @property
    def closing(self) -> str:
        """What is appended to the tokenizer's template to close a thought, "" for nothing."""
        return self._checked[1]

    @property
    def notes(self) -> list[str]:
        """What readers of the answers should know of the template."""
        if not self.closing:
            return []
        return [f"its chat template opens a thought; prompts close it with {self.closing!r}"]

    def template_digest(self) -> str:
        """Sha256 of the template and of a message rendered by it; "" in plain text.

        Raises:
            ModelError: the template cannot be used, omits the message, or opens a thought, which
            contains no answer, and what would close it is not known.
        """
        return self._checked[2]

    @cached_property
    def _checked(self) -> tuple[str, str, str]:
        """The template, its closing, and its digest.

        A separate process renders the template and is killed if it takes too long.
        """
        if not self.chat:
            return "", "", ""
        message, template, closing = "{message}", self._stated, ""
        try:
            rendered = tried(lambda: self._applied(message, template))
            place = rendered.casefold().rfind(message)
            if place >= 0 and thoughts.opened(rendered[place:]):
                closing = thoughts.closing(rendered[place:], self._has)
                rendered += closing
                template += f"{{{{ {json.dumps(closing)} }}}}" if closing else ""
            digest = json_digest([template, rendered])
        except (TrialError, ValueError) as error:  # also half a character, which has no digest
            raise self._unusable(error) from error
        if place < 0:
            raise ModelError(
                f"{self.name}: its chat template omits the user's message; fix it, or drop "
                "--apply-chat-template"
            )
        if opened := thoughts.opened(rendered[place:]):
            raise ModelError(
                f"{self.name}: its chat template opens a thought ({opened}), but answers are "
                "read from the first word; make the template close it, or drop "
                "--apply-chat-template"
            )
        return template, closing, digest

    def _has(self, marker: str) -> bool:
        """Whether the tokenizer or the template knows a marker."""
        return marker in self._stated or marker in self.tokenizer.get_added_vocab()

    def join(self, rendered: str, candidate: str) -> str:
        """A rendered prompt followed by a complete answer, which may begin with its own seam."""
        joined = self.chat or not rendered or rendered.endswith("\n") or candidate[:1].isspace()
        return rendered + ("" if joined else " ") + candidate

    def encode(self, rendered: Sequence[str]) -> list[Tokens]:
        """Token ids of rendered texts, at least one each.

        Raises:
            ModelError: an empty text, and the tokenizer has no opening token.
        """
        if not rendered:
            return []
        if self._encode_batch is None:
            encoded = self.tokenizer(list(rendered), add_special_tokens=False, verbose=False)
            return [
                self._opened(*pair) for pair in zip(encoded["input_ids"], rendered, strict=True)
            ]
        backend = self.tokenizer.backend_tokenizer
        backend.no_padding()  # a tokenizer's file, or another of its users, may have set both
        backend.no_truncation()
        found = self._encode_batch(list(rendered), add_special_tokens=False)
        return [self._opened(each.ids, text) for each, text in zip(found, rendered, strict=True)]

    def decode(self, context: Sequence[Tokens], answers: Sequence[Sequence[int]]) -> list[str]:
        """Text of each answer in its context, without special tokens."""
        tails = [tokens[-_CONTEXT:] for tokens in context]
        whole = self._decoded([[*t, *a] for t, a in zip(tails, answers, strict=True)])
        texts = []
        for tail, text, answer in zip(tails, whole, answers, strict=True):
            before = self._context_text(tail)
            # A context that ends within a character changes its text when the rest arrives.
            fits = text.startswith(before)
            texts.append(text[len(before) :] if fits else self._decoded([list(answer)])[0])
        return texts

    def _decoded(self, ids: list[list[int]]) -> list[str]:
        if self._decode_batch is not None:
            texts: list[str] = self._decode_batch(ids, skip_special_tokens=True)
            return texts
        return [
            self.tokenizer.decode(row, skip_special_tokens=True, clean_up_tokenization_spaces=False)
            for row in ids
        ]

    def _decoded_context(self, tail: Tokens) -> str:
        return self._decoded([list(tail)])[0]

    def _opened(self, ids: Sequence[int], text: str) -> Tokens:
        if len(ids) > _TOKENS * len(text):
            raise ModelError(
                f"{self.name}: its tokenizer turns {len(text)} characters into {len(ids)} tokens; "
                "copy or export its files again"
            )
        opening = self._opening
        if opening and tuple(ids[: len(opening)]) == opening:
            opening = ()  # the text spells its opening token out
        tokens = (*opening, *ids)
        if tokens:
            return tokens
        for name in ("bos_token_id", "eos_token_id"):
            if (token := getattr(self.tokenizer, name, None)) is not None:
                return (int(token),)
        raise ModelError(f"{self.name}: an empty prompt, and its tokenizer has no first token")

    def _opening_tokens(self) -> Tokens:
        """Special tokens that the tokenizer puts before a text; not those after it."""
        bare = self.tokenizer("a b", add_special_tokens=False)["input_ids"]
        full = self.tokenizer("a b")["input_ids"]
        for start in range(len(full) - len(bare) + 1):
            if full[start : start + len(bare)] == bare:
                return tuple(full[:start])
        bos = getattr(self.tokenizer, "bos_token_id", None)
        return (bos,) if bos is not None and full[:1] == [bos] else ()

    def _rendered(self, prompt: str) -> str:
        template = self.template
        try:
            rendered = self._applied(prompt, template)
        except Exception as error:  # a template is a program: it may raise anything
            raise self._unusable(error) from error
        if len(rendered) > _FRAME + _REPEATS * len(prompt):
            raise self._unusable(ValueError(f"it turns a prompt into {len(rendered)} characters"))
        return rendered

    def _applied(self, prompt: str, template: str) -> str:
        message = [{"role": "user", "content": prompt}]
        changed = {"chat_template": template} if template != self._stated else {}
        with _fixed_date(template):
            return str(
                self.tokenizer.apply_chat_template(
                    message,
                    tokenize=False,
                    add_generation_prompt=True,
                    **changed,
                    **_TEMPLATE_ARGUMENTS,
                )
            )

    def _unusable(self, error: Exception) -> ModelError:
        return ModelError(
            f"{self.name}: its chat template cannot be used ({reason(error)}); fix it, or drop "
            "--apply-chat-template"
        )


def check_tokenizer(tokenizer: Any, name: str) -> None:
    """Try a tokenizer on a sentence, in a separate process.

    Raises:
        ModelError: it raises an exception, does not finish, or produces no tokens, or far more
        tokens than characters.
    """
    fault, count = "", 0
    try:
        count = tried(lambda: len(tokenizer(_PANGRAM, add_special_tokens=False)["input_ids"]))
    except (TrialError, ValueError) as error:
        fault = reason(error)
    if not fault and not 0 < count <= _TOKENS * len(_PANGRAM):
        fault = f"it turns {len(_PANGRAM)} characters into {count} tokens"
    if fault:
        raise ModelError(
            f"{name} has a tokenizer that cannot be used ({fault}); copy or export its files again"
        )


def _fast(tokenizer: Any, single: str, batched: str) -> Callable[..., list[Any]] | None:
    """A batched method of the tokenizers library, if the tokenizer's class adds nothing to it.

    Measured against the tokenizer's own call on 3,072 prompts: 58 instead of 91 µs a text.
    """
    from transformers import PreTrainedTokenizerFast

    own = getattr(type(tokenizer), single, None)
    if own is None or own is not getattr(PreTrainedTokenizerFast, single, None):
        return None
    method: Callable[..., list[Any]] | None = getattr(tokenizer.backend_tokenizer, batched, None)
    return method


def _template(tokenizer: Any, name: str) -> str:
    try:
        template = tokenizer.get_chat_template() if tokenizer.chat_template else None
    except ValueError as error:
        said = reason(error)
        raise ModelError(f"{name}: its chat template cannot be chosen ({said})") from None
    if not template:
        raise ModelError(
            f"{name} has no chat template: omit --apply-chat-template, or add "
            "chat_template.jinja to the model's directory"
        )
    return str(template)


class _Frozen(datetime):
    @classmethod
    def now(cls, tz: tzinfo | None = None) -> _Frozen:
        return cls(TODAY.year, TODAY.month, TODAY.day, tzinfo=tz)


@contextmanager
def _fixed_date(template: str) -> Iterator[None]:
    """Freeze the clock of templates: their ``strftime_now`` uses transformers' ``datetime``."""
    module = sys.modules.get("transformers.utils.chat_template_utils")
    if "strftime_now" not in template or not hasattr(module, "datetime"):
        yield
        return
    real = module.datetime  # type: ignore[union-attr]
    module.datetime = _Frozen  # type: ignore[union-attr]
    try:
        yield
    finally:
        module.datetime = real  # type: ignore[union-attr]


def end_tokens(tokenizer: Any, *configs: dict[str, Any]) -> frozenset[int]:
    """Ids of the tokens that end a text, from the tokenizer and from model configurations."""
    found: set[int] = set()
    candidates = [getattr(tokenizer, "eos_token_id", None)]
    for config in configs:
        text = config.get("text_config")
        for place in (config, text if isinstance(text, dict) else {}):
            value = place.get("eos_token_id")
            candidates += value if isinstance(value, list) else [value]
    found.update(token for token in candidates if isinstance(token, int) and token >= 0)
    return frozenset(found)
