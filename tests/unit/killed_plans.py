"""Plans killed at random moments: ``python -m tests.unit.killed_plans DIRECTORY KILLS SEED``.

A plan asks a scripted model some hundred prompts and has some assays done, in one or two processes
that share a store; at its end older models are evicted. Its processes are forked, so that a plan
takes a fraction of a second, and killed with SIGKILL, one or all of them. A killed plan is resumed,
and killed again, until it gets through; then the next begins with a fresh store. Prints as JSON
what was found: every breach of a promise in ``faults``, and how much was tried.
"""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import sqlite3
import sys
import time
from collections import Counter
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np

from blindspot.models.base import Generation, GenerationRequest, Progress, ScoreRequest
from blindspot.models.residual import ResidualStream, Source
from blindspot.report.files import write_samples
from blindspot.run import ask
from blindspot.run.ask import perform
from blindspot.run.findings import pack
from blindspot.run.result import measure
from blindspot.run.source import FixturePrompts
from blindspot.run.turns import Share
from blindspot.stimuli import Prompt, Selection, Slice, load_stimuli
from blindspot.store import Store, key_of
from blindspot.store.answers import SUFFIX
from blindspot.store.directory import FOLDER
from blindspot.store.place import LIMIT_VARIABLE
from tests.unit.scripted import ScriptedModel

UNIT = 16
ASSAYS = 12
OLD = ("old-one", "old-two")
OLD_ANSWERS = 3000
#: Room for the plan (some 120 KB) and for none of the old models (some 450 KB each) beside it.
LIMIT = "300K"


class LoggingModel(ScriptedModel):
    """Leaves a line for every prompt and unit that it is asked, in a file of its process."""

    def __init__(self, log: Path, wanted: dict[Slice, list[Prompt]]) -> None:
        super().__init__("scripted:fair", wanted.values())
        self._log = log

    def note(self, asked: Sequence[str]) -> None:
        """One write: whole or absent."""
        self._log.mkdir(exist_ok=True)
        file = os.open(self._log / str(os.getpid()), os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        os.write(file, "".join(json.dumps(line) + "\n" for line in asked).encode())
        os.close(file)

    def generate(
        self, requests: Sequence[GenerationRequest], *, progress: Progress | None = None
    ) -> list[Generation]:
        self.note([request.prompt for request in requests])
        return super().generate(requests, progress=progress)

    def score(
        self, requests: Sequence[ScoreRequest], *, progress: Progress | None = None
    ) -> list[tuple[float, ...]]:
        time.sleep(0.006)  # there is a moment in which to be killed between two transactions
        return super().score(requests, progress=progress)

    @property
    def residual(self) -> Any:
        """Handed to the units below, which only note that they are run."""
        return self

    def read(self, sources: Sequence[Source], *, progress: Progress | None = None) -> None:
        """Note what is read."""
        self.note([source.text for source in sources])


class NumberedUnit:
    """A unit of work whose findings follow from its number."""

    size = 4

    def __init__(self, number: int) -> None:
        self.content = f"unit {number}"
        self._number = number

    def run(self, stream: ResidualStream, *, progress: Progress | None = None) -> dict[str, Any]:
        """Findings of a few kilobytes: rows that need pages of their own."""
        stream.read([Source(self.content, ())])
        values = np.random.default_rng(self._number).normal(size=(40, 10)).astype(np.float32)
        return {"values": values, "words": [f"word {self._number}"]}


class Plan:
    """The plan, in a directory with its store, locks and logs."""

    def __init__(self, wanted: dict[Slice, list[Prompt]]) -> None:
        self.wanted = wanted
        self.prompts = [prompt for part in wanted.values() for prompt in part]
        self.units = [NumberedUnit(number) for number in range(ASSAYS)]
        keys = [ask.answer_key(prompt) for prompt in self.prompts]
        self.names = dict(zip(keys, (prompt.text for prompt in self.prompts), strict=True)) | {
            key_of("assay", unit.content): unit.content for unit in self.units
        }

    def run(self, directory: Path, number: int, *, shared: bool) -> None:
        """One process's part; what it has at the end is written to ``out-NUMBER``."""
        model = LoggingModel(directory / "log", self.wanted)
        share = Share(directory if shared else None, number)
        store = Store(directory / "store")
        try:
            answers = ask.ask(model, self.prompts, store, share)
            findings = perform(model, self.units, store, share)
        finally:
            store.close()
        out = directory / f"out-{number}"
        write_samples(out, measure(model.identity, self.wanted, answers))
        with out.open("ab") as file:
            file.write(json.dumps([pack(findings[unit.content]) for unit in self.units]).encode())


def start(plan: Plan, directory: Path, number: int, *, shared: bool) -> int:
    """Fork one process of a plan; its number."""
    child = os.fork()
    if child:
        return child
    code = 1
    try:
        plan.run(directory, number, shared=shared)
        code = 0
    finally:
        sys.stderr.flush()
        os._exit(code)


def kept(directory: Path) -> tuple[set[bytes], set[str], str]:
    """Keys and models in a copy of the store as it lies there, and what SQLite says of it."""
    copy = directory / "copy"
    shutil.copytree(directory / "store" / FOLDER, copy)
    keys: set[bytes] = set()
    names, state = set(), "ok"
    for path in copy.glob(f"*{SUFFIX}"):
        with closing(sqlite3.connect(path)) as connection:
            (sound,) = connection.execute("PRAGMA integrity_check").fetchone()
            state = state if sound == "ok" else sound
            if not connection.execute("SELECT 1 FROM sqlite_master").fetchone():
                continue
            found = {key for (key,) in connection.execute("SELECT key FROM answers")}
            if found:
                names.add(connection.execute("SELECT name FROM model").fetchone()[0])
            keys |= found
    shutil.rmtree(copy)
    return keys, names, state


def logged(directory: Path) -> Counter[str]:
    """What was asked since the last call, and how often."""
    found: Counter[str] = Counter()
    for path in (directory / "log").glob("*"):
        found.update(json.loads(line) for line in path.read_text("utf-8").splitlines())
        path.unlink()
    return found


def prepare(directory: Path) -> None:
    """A store that is full of older models."""
    store = Store(directory / "store")
    for name in OLD:
        for first in range(0, OLD_ANSWERS, 1000):
            some = {key_of(name, n): ["x" * 80, True] for n in range(first, first + 1000)}
            store.of(name, name).put(some)
        store.close()
        store = Store(directory / "store")
    store.close()


class Trial:
    """Kills plans and notes what is not as promised."""

    def __init__(self, plan: Plan, root: Path, seed: int) -> None:
        self.plan, self.root, self.random = plan, root, random.Random(seed)
        self.faults: list[str] = []
        self.kills = self.plans = self.resumed = self.evicting = 0
        prepare(root / "full")
        os.environ[LIMIT_VARIABLE] = LIMIT
        undisturbed = self.fresh()
        began = time.monotonic()
        os.waitpid(start(plan, undisturbed, 0, shared=False), 0)
        self.seconds = time.monotonic() - began
        self.expected = (undisturbed / "out-0").read_bytes()
        everything = Counter(dict.fromkeys(plan.names.values(), 1))
        self.claim(logged(undisturbed) == everything, "undisturbed: asks everything once")
        self.claim(kept(undisturbed)[1] == {"scripted:fair"}, "undisturbed: evicts the others")

    def claim(self, true: bool, what: str) -> None:
        if not true:
            self.faults.append(what)

    def fresh(self) -> Path:
        """A directory for the next plan."""
        directory = self.root / f"plan-{self.plans}"
        shutil.copytree(self.root / "full", directory)
        self.plans += 1
        return directory

    def until(self, kills: int) -> None:
        """Plans, killed and resumed, until so many were killed and one was killed half-way."""
        while self.kills < kills or not self.resumed:
            directory = self.fresh()
            while not self.attempt(directory):
                pass
            shutil.rmtree(directory)

    def attempt(self, directory: Path) -> bool:
        """Start or resume a plan and kill it at a random moment; whether it got through."""
        keys, names, sound = kept(directory)
        where = f"plan {self.plans} after {self.kills} kills"
        self.claim(sound == "ok", f"{where}: {sound}")
        known = {self.plan.names[key] for key in keys if key in self.plan.names}
        self.resumed += 0 < len(known) < len(self.plan.names)
        self.evicting += len(known) == len(self.plan.names) and names != {"scripted:fair"}
        processes = self.random.choice([1, 2])
        children = [
            start(self.plan, directory, number, shared=processes > 1) for number in range(processes)
        ]
        time.sleep(self.random.uniform(0, self.seconds * 0.9))
        killed = self.random.sample(children, self.random.randint(1, processes))
        for child in killed:
            os.kill(child, signal.SIGKILL)  # not reaped yet: the number is still its own
        codes = [os.waitpid(child, 0)[1] for child in children]
        through = [number for number, code in enumerate(codes) if code == 0]
        self.kills += sum(code == signal.SIGKILL for code in codes)
        self.claim(
            all(code in (0, signal.SIGKILL) for code in codes), f"{where}: ended with {codes}"
        )
        asked = logged(directory)
        self.claim(not asked.keys() & known, f"{where}: asked what was known")
        if through:
            wanted = set(self.plan.names.values()) - known
            self.claim(asked.keys() == wanted, f"{where}: did not ask all that was missing")
            twice = asked.total() - len(asked)
            self.claim(twice <= UNIT * (processes - len(through)), f"{where}: asked {twice} twice")
        for number in through:
            found = (directory / f"out-{number}").read_bytes()
            self.claim(found == self.expected, f"{where}: other samples")
        return bool(through)


def main(root: Path, kills: int, seed: int) -> None:
    """Try and print."""
    ask.UNIT = UNIT
    source = FixturePrompts(load_stimuli([]), Selection(limit=1))
    parts = [part for kind in ("implicit", "explicit") for part in source.slices(kind)[:6]]
    trial = Trial(Plan({part: list(source.prompts(part)) for part in parts}), root, seed)
    trial.until(kills)
    told = ("faults", "kills", "plans", "resumed", "evicting", "seconds")
    print(json.dumps({name: getattr(trial, name) for name in told}))


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))
