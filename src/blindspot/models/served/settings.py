"""Where a server is and how it is asked: ``--model-args`` of a served model, and the key."""

from __future__ import annotations

import ipaddress
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

from blindspot.errors import ModelError
from blindspot.models.options import ModelArgument, ModelOptions
from blindspot.models.registry import ARGUMENTS

#: Variables with the key of a server, the first one that is set.
KEYS = ("BLINDSPOT_API_KEY", "OPENAI_API_KEY")
#: Requests at once, and seconds that one may take with all its retries.
CONCURRENCY, DEADLINE_S = 8, 600.0
_MOST_AT_ONCE = 1024
#: Fields of options, by their flags, that a server alone decides.
_NOT_SERVED = (
    *("dtype", "device", "batch_size", "batch_invariant", "revision", "adapter", "steer"),
    "trust_remote_code",
)


@dataclass(frozen=True, slots=True)
class ServerSettings:
    """How a served model is asked.

    Attributes:
        name: of the model, as given; for messages.
        model: the id that the server knows.
        base_url: of its endpoints, without a slash at the end.
        weights: the checkpoint that it serves, as on this machine; "" if it is not here.
        tokenizer: a directory with the tokenizer, if it is not that of ``weights``.
        concurrency: requests at once.
        deadline: seconds that one may take with all its retries.
        price: of a million tokens of prompts and of answers; 0 if not given.
        reasoning_effort: how much a model may reason before it answers; "" for its default.
        thinking_tokens: tokens that it may reason with, beside those of the answer.
        chat_template: whether prompts go through the tokenizer's chat template.
    """

    name: str
    model: str
    base_url: str
    weights: str = ""
    tokenizer: str = ""
    concurrency: int = CONCURRENCY
    deadline: float = DEADLINE_S
    price: tuple[float, float] = (0.0, 0.0)
    reasoning_effort: str = ""
    thinking_tokens: int = 0
    chat_template: bool = False

    @classmethod
    def of(cls, options: ModelOptions, prefix: str) -> ServerSettings:
        """The settings of a model whose name begins with ``prefix``.

        Raises:
            ModelError: an argument is missing, unknown, or of another form.
        """
        name, given = options.name, options.model_args
        known = ARGUMENTS[prefix]
        if unknown := [each for each in given if each not in known]:
            raise ModelError(
                f"{name}: --model-args {unknown[0]} is none of {prefix}ID; it takes "
                f"{', '.join(known)}"
            )
        _check_flags(options)
        model = name.removeprefix(prefix)
        if not model or "base_url" not in given:
            raise ModelError(
                f"{name}: name the model and its server: --model {prefix}ID --model-args "
                "base_url=http://HOST:PORT/v1"
            )
        if other := _text(given, "reference_base_url"):
            _address(name, other)
        return cls(
            name=name,
            model=model,
            base_url=_address(name, str(given["base_url"])),
            weights=_text(given, "weights"),
            tokenizer=_text(given, "tokenizer"),
            concurrency=int(_number(name, given, "concurrency", CONCURRENCY, _MOST_AT_ONCE)),
            deadline=_number(name, given, "deadline", DEADLINE_S, 86400.0),
            price=_price(name, _text(given, "price")),
            reasoning_effort=_text(given, "reasoning_effort"),
            thinking_tokens=int(_number(name, given, "thinking_tokens", 0, 100_000)),
            chat_template=options.apply_chat_template,
        )

    @property
    def root(self) -> str:
        """The address of the server itself, where its own endpoints are."""
        return self.base_url.removesuffix("/v1")

    @property
    def doubt(self) -> str:
        """A remedy if the address looks incomplete, "" if it does not."""
        return "" if re.search(r"/v\d", self.base_url) else "base_url usually ends in /v1"

    @property
    def is_here(self) -> bool:
        """Whether the server is on this machine, so that its paths are ours."""
        host = urlsplit(self.base_url).hostname or ""
        if host == "localhost":
            return True
        try:
            return ipaddress.ip_address(host).is_loopback
        except ValueError:
            return False


def api_key() -> str:
    """The key of the server, "" for none.

    Raises:
        ModelError: it holds characters that no header can; it is not shown.
    """
    name = next((name for name in KEYS if os.environ.get(name, "").strip()), "")
    key = os.environ.get(name, "").strip() if name else ""
    if not (key.isascii() and key.isprintable()):
        raise ModelError(f"{name}: the key has characters that no key has; set it again")
    return key


def _address(name: str, url: str) -> str:
    """An address as requests are built on it.

    Raises:
        ModelError: it is none, or holds a secret, which is not shown.
    """
    form = "give base_url=http://HOST:PORT/v1"
    try:
        parts = urlsplit(url)
        valid = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        valid = False
    if not valid or not url.isprintable() or " " in url:
        raise ModelError(f"{name}: base_url is not the address of a server; {form}")
    if parts.username or parts.password or parts.query or parts.fragment:
        raise ModelError(
            f"{name}: base_url must be an address alone, because reports record it; {form}, and "
            f"the key in {KEYS[0]}"
        )
    url = url.rstrip("/")
    for end in ("/chat/completions", "/completions", "/models"):
        if url.endswith(end):
            raise ModelError(f"{name}: base_url ends with {end}, which blindspot appends; {form}")
    return url


def _check_flags(options: ModelOptions) -> None:
    """Refuse flags that decide what a server alone decides.

    Raises:
        ModelError: names the flag.
    """
    default = ModelOptions(options.name)
    for field in _NOT_SERVED:
        if getattr(options, field) != getattr(default, field):
            flag = "--" + field.replace("_", "-")
            more = "; concurrency=N in --model-args" if field == "batch_size" else ""
            raise ModelError(
                f"{options.name}: {flag} is for models in this process; omit it, the server "
                f"decides{more}"
            )


def _text(given: Mapping[str, ModelArgument], argument: str) -> str:
    value = given.get(argument)
    return "" if value is None else str(value)


def _number(
    name: str, given: Mapping[str, ModelArgument], argument: str, default: float, most: float
) -> float:
    value = given.get(argument, default)
    whole = isinstance(default, int)
    fits = isinstance(value, int if whole else (int, float)) and not isinstance(value, bool)
    least = min(1, default) if whole else 0.001
    if not fits or not least <= float(value) <= most:  # type: ignore[arg-type]
        raise ModelError(
            f"{name}: --model-args {argument} is {value}; give a "
            f"{'whole number' if whole else 'number'} from {least} to {most}"
        )
    return float(value)  # type: ignore[arg-type]


def _price(name: str, text: str) -> tuple[float, float]:
    if not text:
        return 0.0, 0.0
    try:
        prompts, answers = map(float, text.split("/"))
        if not (0 <= prompts < 1e6 and 0 <= answers < 1e6):
            raise ValueError
    except ValueError:
        raise ModelError(
            f"{name}: --model-args price is {text}; give the price of a million tokens of prompts "
            "and of answers, such as price=0.15/0.60"
        ) from None
    return prompts, answers
