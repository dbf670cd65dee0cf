"""What a process has found and not yet stored: kept every few seconds."""

from __future__ import annotations

import time
from collections.abc import Collection, Iterable

from blindspot.store import Answers, StoredAnswer, key_of

#: Seconds after which what was found is stored.
KEEP_S = 5.0


class Keeper:
    """Stores what is found: after `KEEP_S`, at the end, and when the work is ended early.

    Args:
        answers: the store.
        run: name of the run among its processes, "" where there is only this one.

    ``found``: values by key, as the store gives them back.
    """

    def __init__(self, answers: Answers, run: str = "") -> None:
        self.found: dict[bytes, StoredAnswer] = {}
        self._answers, self._run = answers, run
        self._waiting: dict[bytes, StoredAnswer] = {}
        self._parts: dict[bytes, set[bytes]] = {}
        self._sizes: dict[bytes, int] = {}
        self._last = time.monotonic()

    @property
    def due(self) -> bool:
        """Whether it is time to store what was found."""
        return time.monotonic() - self._last >= KEEP_S

    def known(self, keys: Collection[bytes]) -> dict[bytes, StoredAnswer]:
        """What is stored, by key; of this run also why something has no answer."""
        found = self._answers.get(keys)
        if self._run and (missing := [key for key in keys if key not in found]):
            named = {self._failed(key): key for key in missing}
            found |= {named[key]: value for key, value in self._answers.get(named).items()}
        return found

    def drop(self, keys: Collection[bytes]) -> None:
        """Remove damaged values."""
        self._answers.drop(keys)

    def failed(self, key: bytes, value: StoredAnswer) -> None:
        """Keep, for the processes of this run alone, why something has no answer."""
        self.found[key] = value
        if self._run:
            self._answers.put({self._failed(key): value})

    def _failed(self, key: bytes) -> bytes:
        return key_of("unanswered", self._run, key.hex())

    def parts(self, of: Iterable[tuple[bytes, str]]) -> dict[tuple[bytes, str], StoredAnswer]:
        """What `part` left of a run that was ended, by key and name."""
        named = {_part_of(*each): each for each in of}
        found = self._answers.get(named)
        for part in found:
            self._parts.setdefault(named[part][0], set()).add(part)
        return {named[part]: value for part, value in found.items()}

    @property
    def size(self) -> int:
        """Of the parts that are stored."""
        return sum(size for part, size in self._sizes.items() if part in self.found)

    def part(self, key: bytes, name: str, value: StoredAnswer) -> None:
        """Keep a named part of a value until the whole is found."""
        self.hold(key, name, value)
        if self.due:
            self.store()

    def hold(self, key: bytes, name: str, value: StoredAnswer, size: int = 0) -> None:
        """Have a named part of a value stored with the next ones."""
        part = _part_of(key, name)
        self._parts.setdefault(key, set()).add(part)
        self._sizes[part] = size
        self._waiting[part] = value

    def whole(self, key: bytes, value: StoredAnswer) -> None:
        """Keep a value."""
        for part in [*self._parts.get(key, ())]:
            if self._waiting.pop(part, None) is not None:
                self._parts[key].remove(part)  # it was never stored
        self._waiting[key] = value
        if self.due:
            self.store()

    def store(self) -> None:
        """Store what waits."""
        if self._waiting:
            self.found |= self._answers.put(self._waiting)
            self._waiting = {}  # only now: what is interrupted is stored again
        self._last = time.monotonic()

    def close(self) -> None:
        """Store the rest, and remove parts of what is whole."""
        self.store()
        self._answers.remove(
            part for key, parts in self._parts.items() if key in self.found for part in parts
        )


def _part_of(key: bytes, name: str) -> bytes:
    return key_of("part", key.hex(), name)
