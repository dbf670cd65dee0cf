"""The included backends by prefix of the model name, and the arguments that each takes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib import import_module
from types import MappingProxyType

from blindspot.models.base import LanguageModel
from blindspot.models.options import ModelArgument, ModelOptions

_TRANSFORMERS = "blindspot.models.transformers.deferred:DeferredModel"

#: Factories from `ModelOptions` to `LanguageModel`, as ``module:name``, by prefix. Nothing is
#: imported before a model is named.
BACKENDS: Mapping[str, str] = MappingProxyType(
    {
        "organism:": _TRANSFORMERS,
        "answers:": "blindspot.models.answered.model:open_answers",
        "chat:": "blindspot.models.served.chat:ChatModel",
        "ray:": "blindspot.models.replicas.model:RayModel",
        "served:": "blindspot.models.served.model:ServedModel",
        "": _TRANSFORMERS,  # a directory, or a model of the hub
    }
)

_ON_A_SERVER = (
    *("base_url", "reference_base_url", "weights", "reference_weights"),
    *("concurrency", "deadline"),
)
#: Names of ``--model-args`` that a backend takes for itself, by prefix; all others are those of
#: ``from_pretrained``.
ARGUMENTS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "answers:": ("weights", "reference_weights"),
        "chat:": (*_ON_A_SERVER, "price", "reasoning_effort", "thinking_tokens"),
        "ray:": ("replicas", "gpus_per_replica", "cpus_per_replica"),
        "served:": (*_ON_A_SERVER, "tokenizer"),
    }
)


def prefix_of(name: str) -> str:
    """The prefix of a model name that chooses its backend."""
    return max(filter(name.startswith, BACKENDS), key=len)


def arguments_of(
    name: str, arguments: Mapping[str, ModelArgument], *, reference: bool, beside: str = ""
) -> dict[str, ModelArgument]:
    """The arguments that are meant for one of two models; ``beside``: the name of the other.

    ``reference``: its weights are ``reference_weights``, its server ``reference_base_url`` or that
    of the candidate; of the candidate's weights it has at most the tokenizer.
    """
    own, others = (ARGUMENTS.get(prefix_of(each), ()) for each in (name, beside))
    found = {k: v for k, v in arguments.items() if k in own or k not in others}
    if not reference or "weights" not in own:
        return found
    url = found.pop("reference_base_url", None)
    if url is not None:
        found["base_url"] = url
    weights, mine = found.pop("weights", None), found.pop("reference_weights", None)
    if mine is not None:
        found["weights"] = mine
    elif weights is not None and "tokenizer" in own:
        found.setdefault("tokenizer", weights)
    return found


def open_model(options: ModelOptions) -> LanguageModel:
    """The named model, from the backend with the longest matching prefix.

    Raises:
        ModelError: the options exclude each other.
    """
    module, _, name = BACKENDS[prefix_of(options.name)].partition(":")
    factory: Callable[[ModelOptions], LanguageModel] = getattr(import_module(module), name)
    return factory(options)
