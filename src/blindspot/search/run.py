"""The searches and promoted cases of a session: asked together, each judged by its own test."""

from __future__ import annotations

import json
import shlex
from typing import TYPE_CHECKING, Any

import pytest

from blindspot import files
from blindspot.session.session import Session

if TYPE_CHECKING:
    from collections.abc import Sequence
    from contextlib import AbstractContextManager
    from pathlib import Path

    from blindspot.run.answer import Answer
    from blindspot.run.turns import Watch
    from blindspot.search.change import Change
    from blindspot.search.exploration import Exploration
    from blindspot.stimuli import Contrast, PromotedCase, Prompt
    from blindspot.store import Store


class SearchRun:
    """State that the tests of the search share; imports nothing heavy before they run."""

    def __init__(self, session: Session) -> None:
        self.session = session
        self.explorations: dict[str, Exploration] = {}
        self.promoted: dict[str, PromotedCase] = {}
        self.changes: dict[Contrast, Change] = {}
        self.prepared = False
        self.has_run = False
        self.written: set[str] = set()
        self.records: list[dict[str, Any]] = []
        self._store: Store | None = None

    @property
    def seed(self) -> object:
        """The seed of the draws: ``--hypothesis-seed``, otherwise ``--seed``."""
        given = self.session.config.getoption("--hypothesis-seed", default=None)
        return self.session.options.seed if given is None else given

    @property
    def directory(self) -> Path:
        """Scratch directory, shared by the processes of the run."""
        directory = self.session.directory / "search"
        directory.mkdir(exist_ok=True)
        return directory

    def prepare(self) -> None:
        """Ask the draws of all searches and the promoted cases together, once.

        Raises:
            BlindspotError: the model or the store cannot be used.
        """
        from blindspot.search.change import read_changes
        from blindspot.stimuli import ORDERS

        self.prepared = True
        cases = [case.contrast for case in self.promoted.values()]
        planned = [one for search in self.explorations.values() for one in search.planned]
        prompts = [prompt for contrast in (*cases, *planned) for prompt in contrast.prompts]
        answers = self._ask(prompts, together=True)
        kept = read_changes(cases, answers[: 2 * ORDERS * len(cases)])
        self.changes = {change.contrast: change for change in kept}

    def ask(self, prompts: Sequence[Prompt]) -> list[Answer]:
        """Answers to the prompts of one search, which no other process asks."""
        return self._ask(prompts, together=False)

    def _ask(self, prompts: Sequence[Prompt], *, together: bool) -> list[Answer]:
        from blindspot.run.ask import ask
        from blindspot.run.turns import Share, unseen
        from blindspot.session.progress import Bars

        session = self.session
        if self._store is None:
            self._store = session.open_store()
        bars, label = Bars(session), f"{session.options.candidate}, search"

        def shown(size: int) -> AbstractContextManager[Watch]:
            return bars(size, label, "prompts") if together else unseen(size)

        locks = self.directory if together and session.worker else None
        share = Share(locks, session.worker_number, session.workers, watched=shown)
        return ask(session.inputs.model, prompts, self._store, share)

    def note(self, exploration: Exploration, change: Change | None, test: str) -> str:
        """Save the findings of a search for the end of the run and for ``promote``.

        Returns:
            The command that promotes it; "" if nothing was found.
        """
        from blindspot.errors import SearchError
        from blindspot.report.files import SEARCH
        from blindspot.search.promote import found_directory, keep
        from blindspot.search.record import case_of, search_record

        identity = self.session.inputs.model.identity
        record = search_record(exploration, change, identity, test)
        files.replace(self.directory / f"{exploration.space.id}.json", json.dumps(record))
        if change is None:
            return ""
        case, store = case_of(change, identity), self.session.options.store
        command = ["python", "-m", "blindspot", "promote"]
        if (directory := found_directory(store)) is not None:
            try:
                keep(case, directory)
            except SearchError as error:
                self._tell(f"found cases are not saved: {error}")
            else:
                named = store is not None and "store" in self.session.options.given
                return shlex.join([*command, case.id, *(("--store", str(store)) if named else ())])
        if (output := self.session.options.output_path) is not None:
            return shlex.join([*command, str(output / SEARCH)])
        return "run again with --output-path DIR, and promote DIR/search.json"

    def _tell(self, note: str) -> None:
        self.session.ledger.note([note])

    def rerun(self, search: str) -> str:
        """The command that repeats one search."""
        options = self.session.options
        words = ["pytest", *options.selection, "-m", "search", "-k", search]
        words.append(f"--hypothesis-seed={self.seed}")
        if "search_examples" in options.given:
            words += ["--search-examples", str(options.search_examples)]
        return shlex.join(words)

    def conclude(self, pytest_session: pytest.Session) -> None:
        """At the end of all searches: collect their findings, and write search.json."""
        session = self.session
        if not session.has_directory or not (session.directory / "search").is_dir():
            return
        found = sorted(self.directory.glob("*.json"))
        self.records = [json.loads(path.read_text("utf-8")) for path in found]
        if self.records and pytest_session.exitstatus == pytest.ExitCode.INTERRUPTED:
            from blindspot.session.conclusion import stopped_early

            if stopped_early(session):  # how xdist ends a run for -x
                pytest_session.exitstatus = pytest.ExitCode.TESTS_FAILED
        if (output := session.options.output_path) is None or not self.records:
            return
        from blindspot.report.files import SEARCH, remove_others
        from blindspot.search.record import search_document, write_document

        examples = session.options.search_examples
        document = search_document(self.records, seed=self.seed, examples=examples)
        try:
            write_document(output, document)
        except OSError as error:
            session.ledger.lose(f"--output-path {output}: {error.strerror}; search.json is missing")
            return
        self.written.add(SEARCH)
        if not session.concerned:  # this run has no other report
            remove_others(output, self.written)

    def close(self) -> None:
        """Close the store."""
        if self._store is not None:
            self._store.close()
            self._store = None
