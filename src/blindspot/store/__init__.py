"""The answer store: nothing is asked of a model twice."""

from blindspot.store.answers import Answers, StoredAnswer, key_of
from blindspot.store.directory import Store, StoredModel
from blindspot.store.place import NO_STORE, PLACE_VARIABLE, default_directory, store_limit

__all__ = [
    "NO_STORE",
    "PLACE_VARIABLE",
    "Answers",
    "Store",
    "StoredAnswer",
    "StoredModel",
    "default_directory",
    "key_of",
    "store_limit",
]
