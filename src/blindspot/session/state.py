"""The state of one pytest session: options, stimuli, declared cases, and the run itself."""

from __future__ import annotations

import os
import shlex
import shutil
import tempfile
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from blindspot import ranks
from blindspot.errors import BlindspotError, explained
from blindspot.paths import BASELINES, FIXTURES, SUITE
from blindspot.session import devices
from blindspot.session.dismissal import Crew
from blindspot.session.ledger import Ledger
from blindspot.session.naming import all_tests, given_paths, names_all, names_suite, one_test
from blindspot.session.options import Options

if TYPE_CHECKING:
    from blindspot.baselines import Baseline
    from blindspot.baselines.acceptance import BaselineExtension
    from blindspot.gates.limits import GateTable
    from blindspot.measurements.mechanistic import Assay
    from blindspot.models.base import LanguageModel
    from blindspot.report.schema import Gate, Record
    from blindspot.report.terminal import Closing
    from blindspot.run.cases import Case
    from blindspot.run.result import Measured
    from blindspot.run.source import PromptSource
    from blindspot.store import Store


#: Options of pytest with which no test runs.
_NO_TEST_RUNS = ("collectonly", "setuponly", "showfixtures", "show_fixtures_per_test", "cacheshow")
NOTHING_JUDGED = "no gate was judged: name the tests, or --pyargs blindspot.suite"


class Session:
    """The state that the hooks share; heavy parts are imported and created on first use."""

    def __init__(self, config: pytest.Config, options: Options) -> None:
        self.config = config
        self.options = options
        self.ledger = Ledger()
        self.item: Any = None
        self.cases: dict[str, Case] = {}
        self.collected = 0
        self.seen: set[tuple[Path, str]] = set()
        self.written: set[str] = set()
        self.known: dict[str, Case] = {}
        self.not_offered: dict[str, str] = {}
        self.lost: list[str] = []
        self.crew = Crew()
        self.stopped = False
        self.uncompared = ""
        self.record: Record | None = None
        self.by_id: dict[str, Gate] = {}
        self.measured: Measured | None = None
        self.fault: BlindspotError | None = None
        self.exit_code = 0
        worker = getattr(config, "workerinput", None)
        self.worker: dict[str, Any] | None = worker and worker.get("blindspot")
        self.worker_number = int(str(worker["workerid"]).removeprefix("gw")) if worker else 0
        self._directory: Path | None = Path(self.worker["directory"]) if self.worker else None
        self._owns_directory = False

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

    # --- stimuli and gates

    @cached_property
    def source(self) -> PromptSource:
        """The source of the prompts."""
        options = self.options
        if options.prompts_from is not None:
            from blindspot.contrib.aligned_but_blind.source import PublishedPrompts

            published = PublishedPrompts.read(options.prompts_from, options.limit)
            for skipped in published.skipped:
                self.ledger.lose(f"--prompts-from: skipped {skipped}")
            return published
        from blindspot.run.source import FixturePrompts
        from blindspot.stimuli import load_stimuli

        return FixturePrompts(load_stimuli(options.include_path), options.limit)

    @cached_property
    def gates(self) -> GateTable:
        """The limits."""
        from blindspot.gates.limits import load_gates
        from blindspot.run.source import FixturePrompts

        table = load_gates(self.options.gates or FIXTURES / "gates.toml")
        if isinstance(self.source, FixturePrompts):
            axes = self.source.stimuli.axes.values()
            table.check_names(
                axes=[axis.name for axis in axes],
                variants={name for axis in axes for name in axis.variants},
                categories={name for axis in axes for name in axis.categories},
            )
        return table

    # --- the model

    @cached_property
    def gpus(self) -> tuple[str, ...]:
        """The GPUs that the workers divide among them."""
        return devices.gpus(self.options) if self.ours else ()

    @cached_property
    def model(self) -> LanguageModel:
        """The candidate; its weights are loaded on first use."""
        return self._named(self.options.model)

    @cached_property
    def reference(self) -> LanguageModel | None:
        """The reference, loaded like the candidate."""
        name = self.options.reference
        return None if name is None else self._named(name)

    def _named(self, name: str) -> LanguageModel:
        from blindspot.models.options import ModelOptions, parse_model_args
        from blindspot.models.registry import open_model

        given = self.config.hook.pytest_blindspot_model(name=name, config=self.config)
        if given is not None:
            ranks.check(False)
            return given  # type: ignore[no-any-return]
        options = self.options
        return open_model(
            ModelOptions(
                name=name,
                revision=options.revision if name == options.model else None,
                dtype=options.dtype,
                device=options.device,
                batch_size=options.batch_size,
                apply_chat_template=options.apply_chat_template,
                seed=options.seed,
                trust_remote_code=options.trust_remote_code,
                model_args=parse_model_args(options.model_args),
            )
        )

    @cached_property
    def assays(self) -> dict[str, Assay]:
        """The assays, by measurement."""
        from blindspot.measurements.registry import assays_of
        from blindspot.run.source import FixturePrompts

        if not isinstance(self.source, FixturePrompts):
            return {}
        options = self.options
        return assays_of(
            self.source.stimuli, options.limit, window=options.window, seed=options.seed
        )

    def note_undescribed(self) -> None:
        """Note variants without mechanistic gates, because their senses are not described."""
        from blindspot.run.source import FixturePrompts
        from blindspot.stimuli.contexts import undescribed

        if self.fault is None and isinstance(self.source, FixturePrompts):
            for line in undescribed(self.source.stimuli):
                if line not in self.ledger.notes:
                    self.ledger.notes.append(line)

    def lacks(self, case: Case) -> str:
        """Why the models of this run do not offer a gate; "" if they do."""
        from blindspot.measurements.base import FORCED_CHOICE
        from blindspot.models.base import offers

        ability, what = "", ""
        if case.mechanistic:
            ability, what = "residual", "access to its residual stream"
        elif case.reading == FORCED_CHOICE:
            ability, what = "score", "log-probabilities"
        for model in (self.model, self.reference) if ability else ():
            if model is not None and not offers(model, ability):
                name = self.options.model if model is self.model else self.options.reference
                return f"{name} does not offer {what}"
        return ""

    def check(self) -> None:
        """Check the command line before anything is collected.

        Raises:
            BlindspotError: one line that says what is wrong.
        """
        self.options.check()
        if self.options.output_path is not None and not self.config.option.collectonly:
            self._probe(self.options.output_path, "--output-path")
        if (junit := getattr(self.config.option, "xmlpath", None)) is not None:
            self._probe(Path(os.path.expandvars(junit)).expanduser().parent, "--junitxml in")
        if self.baseline_directory.exists() and not self.baseline_directory.is_dir():
            raise BlindspotError(f"--baselines {self.baseline_directory}: not a directory")
        from blindspot.store import store_limit

        store_limit()
        workers = len(self.config.getoption("tx", default=None) or ())
        if note := devices.check_workers(self.options, workers):
            self.ledger.notes.append(note)
        _ = self.source
        if self.options.gates is not None:
            _ = self.gates
        if self.options.baseline is not None:
            _ = self.baseline
        if self.updating:
            _ = self.own_baseline
            self._probe(self.baseline_directory, "--baselines")
        if self.options.asked and not self.config.option.collectonly:
            from blindspot.models.base import HasWeights

            for model in (self.model, self.reference):
                if isinstance(model, HasWeights):
                    model.check_files()

    def check_or_exit(self) -> None:
        """`check`, with errors as usage errors of pytest (exit 4)."""
        try:
            self.check()
        except BlindspotError as error:
            verbose = self.config.getoption("verbose", default=0)
            raise pytest.UsageError(explained(error, verbose)) from None

    @staticmethod
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

    # --- baselines

    @cached_property
    def baseline_directory(self) -> Path:
        """The directory of accepted baselines."""
        return self.options.baselines or self.config.rootpath / BASELINES

    @cached_property
    def baseline_path(self) -> Path:
        """The file that this run is compared with."""
        from blindspot.baselines import locate

        return locate(self.options.baseline, self.options.model, self.baseline_directory)

    @cached_property
    def own_baseline_path(self) -> Path:
        """The file that ``--snapshot-update`` writes: always that of the model under test."""
        from blindspot.baselines import locate

        return locate(None, self.options.model, self.baseline_directory)

    @cached_property
    def baseline(self) -> Baseline | None:
        """The accepted baseline, None when there is none."""
        return self._baseline(self.baseline_path)

    @cached_property
    def own_baseline(self) -> Baseline | None:
        """The accepted baseline of the model under test itself."""
        return self._baseline(self.own_baseline_path)

    @staticmethod
    def _baseline(path: Path) -> Baseline | None:
        """The baseline in a file; a folder or a broken link in its place is an error."""
        from blindspot.baselines import load_baseline

        return load_baseline(path) if path.exists() or path.is_symlink() else None

    @property
    def provenance(self) -> dict[str, str]:
        """The conditions of this run, as a baseline records them."""
        from blindspot.baselines.comparison import provenance

        return provenance(self.model.identity)

    @cached_property
    def baseline_extension(self) -> type[BaselineExtension]:
        """The syrupy extension for the candidate's baseline: one class per run writes it once."""
        from blindspot.baselines.acceptance import extension_for

        return extension_for(
            self.own_baseline_path, self.directory, self.provenance, self.own_baseline
        )

    @property
    def updating(self) -> bool:
        """Whether this run accepts the candidate."""
        return self.options.updating

    @property
    def command(self) -> str:
        """The command that repeats this run; followed by a test's id, it reruns that test."""
        return shlex.join(["pytest", *self.options.selection])

    @property
    def accept_command(self) -> str:
        """The command that accepts the candidate as a baseline."""
        words = (*self.options.conditions, *all_tests(self.config), "--snapshot-update")
        return shlex.join(["pytest", *words])

    @property
    def rerun_command(self) -> str:
        """The command that reruns all that did not pass."""
        return self._rerun(*given_paths(self.config), "--lf")

    def closing(self) -> Closing:
        """Data of the last lines in the terminal."""
        from blindspot.report.terminal import Closing

        return Closing(
            self.options.model,
            self.exit_code,
            self.rerun_command,
            self.rerun_one,
            self.accept_command,
        )

    def rerun_one(self, name: str) -> str:
        """The command that reruns the test of this name."""
        return self._rerun(*one_test(self.config, name))

    def _rerun(self, *words: str) -> str:
        return shlex.join(["pytest", *self.options.selection, *words])

    # --- directories of the run

    @property
    def directory(self) -> Path:
        """Scratch directory of the run, shared with the workers."""
        if self._directory is None:
            self._directory = Path(tempfile.mkdtemp(prefix="blindspot-"))
            self._owns_directory = True
        return self._directory

    def open_store(self) -> Store:
        """The answer store; without a writable directory, one for this run only."""
        from blindspot.store import NO_STORE, Store, default_directory

        named, tell = self.options.store, self.ledger.notes.append
        shared = self.directory if self.worker else None
        if named == NO_STORE:
            return Store(shared)
        if named is not None:
            return Store(Path(named), told=tell)
        return Store(default_directory(), told=tell, otherwise=Store(shared))

    # --- the end

    def worker_down(self, name: str, output: dict[str, Any], error: object | None) -> None:
        """Collect the final report of a worker; without one the run is incomplete."""
        told = output.get("blindspot")
        if error or told is None:
            what = str(error).strip().splitlines()[-1:] or ["no reason given"]
            self.lost.append(f"worker {name} was lost ({what[0]}); run again")
            if self.ours and self.config.getoption("maxworkerrestart", default=None) == "0":
                self.crew.dismiss(self.directory, f"worker {name} was lost")
            return
        self.collected = max(self.collected, told["collected"])
        self.ledger.usage = self.ledger.usage or told["usage"]
        self.ledger.notes += [note for note in told["notes"] if note not in self.ledger.notes]
        for reason in told["incomplete"]:
            self.ledger.lose(reason)

    def interrupted(self, error: BaseException) -> None:
        """Note that the run ended early: by a plugin, an option or the user."""
        self.stopped = isinstance(error, KeyboardInterrupt) and type(error) is not KeyboardInterrupt
        if not self.stopped and (self.options.asked or self.cases):
            from blindspot.store import NO_STORE

            kept = ": stored answers are not asked again"
            self.lost.append("interrupted; run again" + kept * (self.options.store != NO_STORE))
            if self.has_directory:
                self.crew.dismiss(self.directory, "interrupted")

    def note_unjudged(self, own: int, *, searched: bool) -> None:
        """A run that asks for gates, or collected some, and judges none is incomplete.

        ``own``: pytest's exit code, which stays unless it is a success; ``searched``: whether a
        test of the search ran.
        """
        ended = own in (pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED)
        none_runs = any(getattr(self.config.option, name, False) for name in _NO_TEST_RUNS)
        if not ended or none_runs or searched or self.ledger.concerned:
            return
        if self.options.asked or self.collected:
            self.ledger.lose(NOTHING_JUDGED)

    @property
    def concerned(self) -> bool:
        """Whether the session runs gates; lost workers of other sessions do not concern us."""
        if self.lost and (self.ours or self.ledger.verdicts):
            for reason in self.lost:
                self.ledger.lose(reason)
        return self.ledger.concerned

    @property
    def has_directory(self) -> bool:
        """Whether this run has a scratch directory."""
        return self._directory is not None

    def close(self) -> None:
        """Remove the scratch directory."""
        if self._owns_directory and self._directory is not None:
            shutil.rmtree(self._directory, ignore_errors=True)
