"""The answer store: what was asked once of the same weights is never asked again."""

from blindspot.store.answers import Answer, Store, key_of
from blindspot.store.file import FILE_NAME
from blindspot.store.limit import store_limit
from blindspot.store.place import NO_STORE, default_directory

__all__ = [
    "FILE_NAME",
    "NO_STORE",
    "Answer",
    "Store",
    "default_directory",
    "key_of",
    "store_limit",
]
