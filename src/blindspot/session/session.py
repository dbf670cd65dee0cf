"""What the hooks of one pytest session share: its inputs, its place, and its ledger."""

from __future__ import annotations

import os
import shutil
import tempfile
import time
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from blindspot import ranks
from blindspot.errors import BlindspotError, ModelError, explained
from blindspot.paths import SUITE
from blindspot.session import workers
from blindspot.session.commands import Commands, names_all, names_suite
from blindspot.session.inputs import Inputs
from blindspot.session.ledger import Ledger
from blindspot.session.options import Options

if TYPE_CHECKING:
    from blindspot.baselines.acceptance import BaselineExtension
    from blindspot.models.base import LanguageModel
    from blindspot.report.terminal import Closing
    from blindspot.store import Store


#: Options of pytest with which no test runs.
_NO_TEST_RUNS = ("collectonly", "setuponly", "showfixtures", "show_fixtures_per_test", "cacheshow")
NOTHING_JUDGED = "no gate was judged: name the tests, or --pyargs blindspot.suite"


class Session:
    """One process of a run, as pytest's hooks see it."""

    def __init__(self, config: pytest.Config, options: Options) -> None:
        self.began = time.monotonic()
        self.config = config
        self.options = options
        self.ledger = Ledger()
        self.inputs = Inputs(options, config.rootpath, self._given, self._share)
        self.commands = Commands(config, options)
        self.crew = workers.Crew()
        self._interrupted = False
        worker = getattr(config, "workerinput", None)
        self.worker: dict[str, Any] | None = worker and worker.get("blindspot")
        self.workers = int(worker["workercount"]) if worker else 1
        self.worker_number = int(str(worker["workerid"]).removeprefix("gw")) if worker else 0

    def _given(self, name: str) -> LanguageModel | None:
        """The model that a plugin gives by this name.

        Raises:
            ModelError: it fails, or what it gives is none.
        """
        from blindspot.run.answer import blamed

        with blamed("the hook pytest_blindspot_model", f"gives no model for {name}"):
            given = self.config.hook.pytest_blindspot_model(name=name, config=self.config)
        if given is not None:
            if not callable(getattr(given, "generate", None)):
                raise ModelError(
                    f"the hook pytest_blindspot_model gives a {type(given).__name__} for {name}, "
                    "which has no generate(): no model"
                )
            ranks.check(False)
        return given  # type: ignore[no-any-return]

    def _share(self, model: LanguageModel) -> None:
        """Share with other processes and runs what a model finds out before the first prompt."""
        from blindspot.models.base import IsShared

        if isinstance(model, IsShared):
            model.share(self.directory, self._store_directory)

    @property
    def ours(self) -> bool:
        """Whether the session obviously runs gates: by the tests it names, or in our checkout."""
        config = self.config
        return self.options.asked or config.rootpath == SUITE or names_suite(config)

    @property
    def checks_early(self) -> bool:
        """Whether to check the command line before anything is collected."""
        options = self.options
        asked = options.asked or (self.ours and (options.updating or options.strict))
        return asked and self.worker is None

    @property
    def whole(self) -> bool:
        """Whether the run collects every file of the suite."""
        return bool(self.worker["whole"]) if self.worker else names_all(self.config)

    @cached_property
    def gpus(self) -> tuple[str, ...]:
        """The GPUs that the workers divide among them."""
        return workers.gpus(self.options) if self.ours else ()

    # --- before anything is collected

    def check_or_exit(self) -> None:
        """Find mistakes of the command line.

        Raises:
            pytest.UsageError: one line that says what is wrong.
        """
        try:
            self._check()
        except BlindspotError as error:
            verbose = self.config.getoption("verbose", default=0)
            raise pytest.UsageError(explained(error, verbose)) from None

    def _check(self) -> None:
        options, inputs, chosen = self.options, self.inputs, self.config.option
        options.check()
        if options.output_path is not None and not chosen.collectonly:
            _probe(options.output_path, "--output-path")
        if (junit := getattr(chosen, "xmlpath", None)) is not None:
            _probe(Path(os.path.expandvars(junit)).expanduser().parent, "--junitxml in")
        if inputs.baseline_directory.exists() and not inputs.baseline_directory.is_dir():
            raise BlindspotError(f"--baselines {inputs.baseline_directory}: not a directory")
        from blindspot.store import store_limit

        store_limit()
        if note := workers.check_workers(
            options, len(self.config.getoption("tx", default=None) or ())
        ):
            self.ledger.notes.append(note)
        self.ledger.lose_all(inputs.skipped)
        if options.gates is not None:
            _ = inputs.gates
        if options.baseline is not None:
            _ = inputs.baseline
        if options.updating:
            _ = inputs.own_baseline
            _probe(inputs.baseline_directory, "--baselines")
        if options.asked and not chosen.collectonly:
            from blindspot.models.base import HasWeights

            for model in (inputs.model, inputs.reference):
                if isinstance(model, HasWeights):
                    model.check_files()
            inputs.check_differ()

    # --- the place of the run

    @cached_property
    def directory(self) -> Path:
        """Scratch directory of the run, shared with the workers."""
        return Path(self.worker["directory"] if self.worker else tempfile.mkdtemp("", "blindspot-"))

    @property
    def has_directory(self) -> bool:
        """Whether this run has a scratch directory."""
        return self.worker is not None or "directory" in vars(self)

    @property
    def _store_directory(self) -> Path | None:
        """Where the answer store is; None if nothing is stored."""
        from blindspot.store import NO_STORE, default_directory

        named = self.options.store
        if named == NO_STORE:
            return None
        return default_directory() if named is None else Path(named)

    def open_store(self) -> Store:
        """The answer store; without a writable directory, one for this run only."""
        from blindspot.store import Store

        directory, tell = self._store_directory, self.ledger.notes.append
        shared = self.directory if self.worker else None
        if directory is None:
            return Store(shared)
        if self.options.store is not None:
            return Store(directory, told=tell)
        return Store(directory, told=tell, otherwise=Store(shared))

    @cached_property
    def baseline_extension(self) -> type[BaselineExtension]:
        """The syrupy extension for the candidate's baseline: one class per run writes it once."""
        from blindspot.baselines.acceptance import extension_for

        inputs = self.inputs
        return extension_for(
            inputs.own_baseline_path, self.directory, inputs.provenance, inputs.own_baseline
        )

    # --- the end

    def closing(self, exit_code: int) -> Closing:
        """Data of the last lines in the terminal."""
        from blindspot.report.terminal import Closing

        said = self.commands
        return Closing(self.options.candidate, exit_code, said.rerun, said.rerun_one, said.accept)

    def worker_down(self, name: str, output: dict[str, Any], error: object | None) -> None:
        """Collect the final report of a worker; without one the run is incomplete."""
        ledger, told = self.ledger, output.get("blindspot")
        if error or told is None:
            what = str(error).strip().splitlines()[-1:] or ["no reason given"]
            ledger.lost.append(f"worker {name} was lost ({what[0]}); run again")
            if self.ours and self.config.getoption("maxworkerrestart", default=None) == "0":
                self.crew.dismiss(self.directory, f"worker {name} was lost")
            return
        ledger.collected = max(ledger.collected, told["collected"])
        ledger.usage = ledger.usage or told["usage"]
        ledger.note(told["notes"])
        ledger.lose_all(told["incomplete"])

    def interrupted(self, error: BaseException) -> None:
        """Note that the run ended early: by a plugin, an option or the user."""
        ledger = self.ledger
        ledger.stopped = (
            isinstance(error, KeyboardInterrupt) and type(error) is not KeyboardInterrupt
        )
        if not ledger.stopped and (self.options.asked or ledger.collected):
            self._interrupted = True
            if self.has_directory:
                self.crew.dismiss(self.directory, "interrupted")

    def _resumption(self) -> str:
        """What the next run of the same command finds."""
        from blindspot.session.told import told_in
        from blindspot.store import NO_STORE

        if self.options.store == NO_STORE:
            return ""
        said = ": stored answers are not asked again"
        told = told_in(self.directory) if self.has_directory else []
        if told:
            total, kept = max(each.total for each in told), sum(each.kept for each in told)
            said += f" ({kept:,} of {total:,} kept in this run)"
        return said

    def note_unjudged(self, own: int, *, searched: bool) -> None:
        """A run that asks for gates, or collected some, and judges none is incomplete.

        ``own``: pytest's exit code, which stays unless it is a success; ``searched``: whether a
        test of the search ran.
        """
        ended = own in (pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED)
        none_runs = any(getattr(self.config.option, name, False) for name in _NO_TEST_RUNS)
        if not ended or none_runs or searched or self.ledger.concerned or self.ledger.lost:
            return
        if self.options.asked or self.ledger.collected:
            self.ledger.lose(NOTHING_JUDGED)

    @property
    def concerned(self) -> bool:
        """Whether the session runs gates; lost workers of other sessions do not concern us."""
        lost = self._interrupted or self.ledger.lost
        return self.ledger.concerned or bool(lost and (self.ours or self.ledger.verdicts))

    def note_lost(self) -> None:
        """Note what an interruption or lost workers cost, once all have told what they kept."""
        if self._interrupted:
            self.ledger.lost.insert(0, f"interrupted; run again{self._resumption()}")
        if self.ours or self.ledger.verdicts:
            self.ledger.lose_all(self.ledger.lost)

    def close(self) -> None:
        """Remove the scratch directory."""
        if self.worker is None and self.has_directory:
            shutil.rmtree(self.directory, ignore_errors=True)


def _probe(directory: Path, option: str) -> None:
    """Check that files can be written to a directory, before any model is asked."""
    try:
        directory.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=directory):
            pass
    except OSError as error:
        raise BlindspotError(
            f"{option} {directory}: cannot be written ({error.strerror}); name another"
        ) from None
