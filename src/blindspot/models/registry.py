"""The backends that ship, by what the name of a model begins with."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib import import_module
from types import MappingProxyType

from blindspot.models.base import LanguageModel
from blindspot.models.options import ModelOptions

_TRANSFORMERS = "blindspot.models.transformers.deferred:DeferredModel"

#: What makes a `LanguageModel` of `ModelOptions`, as ``module:name``, by prefix. Nothing is
#: imported before a model is named.
BACKENDS: Mapping[str, str] = MappingProxyType(
    {
        "organism:": _TRANSFORMERS,
        "": _TRANSFORMERS,  # a directory, or a model of the hub
    }
)


def open_model(options: ModelOptions) -> LanguageModel:
    """The model that is named, of the backend with the longest prefix that fits.

    Raises:
        ModelError: the options exclude each other.
    """
    prefix = max(filter(options.name.startswith, BACKENDS), key=len)
    module, _, name = BACKENDS[prefix].partition(":")
    factory: Callable[[ModelOptions], LanguageModel] = getattr(import_module(module), name)
    return factory(options)
