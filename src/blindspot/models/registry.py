"""The backends that are included, by prefix of the model name."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib import import_module
from types import MappingProxyType

from blindspot.models.base import LanguageModel
from blindspot.models.options import ModelOptions

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


def open_model(options: ModelOptions) -> LanguageModel:
    """The named model, from the backend with the longest matching prefix.

    Raises:
        ModelError: the options exclude each other.
    """
    prefix = max(filter(options.name.startswith, BACKENDS), key=len)
    module, _, name = BACKENDS[prefix].partition(":")
    factory: Callable[[ModelOptions], LanguageModel] = getattr(import_module(module), name)
    return factory(options)
