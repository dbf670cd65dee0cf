"""The pytest plugin: hooks only, each a few lines that delegate.

The hooks of the module decide whether a session runs gates. If it does, `Gates` is registered, and
`Reports` in the process where all reports arrive; otherwise the plugin is invisible.
"""

from __future__ import annotations

import gc
from collections.abc import Generator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from blindspot.search import tests as searching
from blindspot.search.run import SearchRun
from blindspot.session import requests, tests, workers
from blindspot.session.commands import test_name
from blindspot.session.options import AXIS_KEY
from blindspot.session.parser import add_options, added, run_options
from blindspot.session.root import KEY, is_named_by_a_conftest, joined, refuse_misled
from blindspot.session.session import Session

if TYPE_CHECKING:
    from blindspot.session.conclusion import Conclusion

CONCLUSION: pytest.StashKey[Conclusion] = pytest.StashKey()


def pytest_addhooks(pluginmanager: pytest.PytestPluginManager) -> None:
    """Register our hooks."""
    from blindspot import hooks

    pluginmanager.add_hookspecs(hooks)


def pytest_addoption(parser: pytest.Parser, pluginmanager: pytest.PytestPluginManager) -> None:
    """Add the configuration key, and the flags if a conftest has just loaded the plugin."""
    parser.addini(KEY, "take part in this project's sessions: its tests are gates", "bool")
    parser.addini(AXIS_KEY, "axes that a run asks if --axis names none", "string", default="")
    if is_named_by_a_conftest(pluginmanager):
        config = pluginmanager.get_plugin("pytestconfig")
        assert isinstance(config, pytest.Config)
        refuse_misled(config)
        add_options(config, parser)


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_load_initial_conftests(
    early_config: pytest.Config, parser: pytest.Parser, args: list[str]
) -> Generator[None, object, object]:
    """Determine the root before conftests are loaded; add the flags afterwards, if wanted."""
    with joined(early_config, parser, args):
        return (yield)


@pytest.hookimpl(tryfirst=True, optionalhook=True)
def pytest_xdist_auto_num_workers(config: pytest.Config) -> int | None:
    """``-n auto``: a worker for each GPU, where the run uses any."""
    return workers.auto_workers(run_options(config)) if added(config) else None


def pytest_configure(config: pytest.Config) -> None:
    """Take part in a session that runs gates."""
    if not added(config):
        return
    for marker in (
        "blindspot_gate(measurement, statistic, level, readings, bands): judge one estimate for "
        "every slice; the test takes the arguments case and judge",
        "blindspot_search(measurement): look for prompts whose bias changes with what should not "
        "matter; the test takes the arguments space and explore",
        "blindspot_promoted(measurement): check cases that the search found; the test takes the "
        "arguments kept and hold",
        "implicit: word-association gates",
        "explicit: stated-belief gates",
        "mechanistic: gates on the residual stream",
        "mitigation: whether a changed model is a cure",
        "search: the search",
        "promoted: cases that the search found",
    ):
        config.addinivalue_line("markers", marker)
    # syrupy warns when a lost worker sent no report; under `-W error` that would end the run.
    config.addinivalue_line(
        "filterwarnings", "ignore:syrupy. received .* worker snapshot reports:UserWarning"
    )
    workers.settle_gpu(config)
    session = Session(config, run_options(config))
    search = SearchRun(session)
    # Unnamed, because `-p no:NAME` could otherwise disable them and the exit code with them.
    config.pluginmanager.register(Gates(session, search))
    if session.worker is None:
        config.pluginmanager.register(Reports(session, search))
    if session.ours and getattr(config.option, "maxworkerrestart", "") is None:
        config.option.maxworkerrestart = "0"  # a worker that is lost makes the run incomplete


class Gates:
    """Hooks of every process of a session that runs gates."""

    def __init__(self, session: Session, search: SearchRun) -> None:
        self.session = session
        self.search = search

    def pytest_unconfigure(self) -> None:
        """Clean up."""
        self.session.close()

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionstart(self) -> None:
        """Report mistakes in the command line before anything is collected."""
        if self.session.checks_early:
            self.session.check_or_exit()

    def pytest_ignore_collect(self, collection_path: Path) -> bool | None:
        """Do not collect the search, or the gate of a mitigation, unless it was requested."""
        if requests.is_left_out(self.session, collection_path):
            return True
        return searching.left_out(self.search, collection_path)

    def pytest_generate_tests(self, metafunc: pytest.Metafunc) -> None:
        """Give a gate test its cases, and a search its spaces."""
        searching.parametrize(self.search, metafunc)
        tests.parametrize(self.session, metafunc)

    @pytest.hookimpl(trylast=True)
    def pytest_collection_finish(self, session: pytest.Session) -> None:
        """Note what the selected tests need."""
        searching.register(self.search, session.items)
        tests.register(self.session, session.items)

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Generator[None, object, object]:
        """Run the plan before the first test that needs it, outside of any test's time.

        The outermost wrapper: those of other plugins limit a test's time, or make errors of
        warnings.
        """
        tests.prepare(self.session, item)
        searching.prepare(self.search, item)
        return (yield)

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_setup(self, item: pytest.Item) -> None:
        """Tell the judge which test is running."""
        tests.begin(self.session, item)

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(
        self, item: pytest.Item, call: pytest.CallInfo[None]
    ) -> Generator[None, Any, Any]:
        """A gate that was skipped or never judged must not look green."""
        tests.shorten(item, call)
        report = yield
        tests.mark_report(self.session, item, report)
        return report

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        """In a worker: send the controller what a test report cannot carry."""
        self.search.close()
        mine = self.session
        mine.crew.close()
        if mine.worker is not None:
            session.config.workeroutput["blindspot"] = {  # type: ignore[attr-defined]
                "usage": mine.ledger.usage,
                "notes": mine.ledger.notes,
                "incomplete": mine.ledger.incomplete,
                "collected": mine.ledger.collected,
            }


class Reports:
    """Hooks of the process where all reports arrive: the only one, or xdist's controller."""

    def __init__(self, session: Session, search: SearchRun) -> None:
        self.session = session
        self.search = search

    @pytest.hookimpl(wrapper=True)
    def pytest_runtestloop(self) -> Generator[None, object, object]:
        """Workers that die at the same time are lost workers, not an internal error of xdist."""
        if not self.session.ours:
            return (yield)  # nobody would make such a run incomplete
        with self.session.crew.losing(self.session.ledger.lost):
            return (yield)
        return True

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Gather verdicts."""
        self.session.ledger.add(report, test_name(report, self.session.config.rootpath))
        searching.note_run(self.search, report)

    def pytest_keyboard_interrupt(self, excinfo: pytest.ExceptionInfo[BaseException]) -> None:
        """Note that the run ends early, and let the process end soon.

        Collecting the objects of torch and transformers once more took four seconds of seven.
        """
        self.session.interrupted(excinfo.value)
        gc.freeze()

    @pytest.hookimpl(trylast=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        """Set the exit code and write the files."""
        self.search.conclude(session)
        self.session.note_unjudged(int(session.exitstatus), searched=self.search.has_run)
        self.session.note_lost()
        if self.session.concerned:
            from blindspot.session.conclusion import conclude

            ran = session.config.stash.get(tests.RAN, None)
            concluded = conclude(self.session, ran, session, beside=self.search.written)
            session.config.stash[CONCLUSION] = concluded

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_terminal_summary(
        self, terminalreporter: pytest.TerminalReporter
    ) -> Generator[None, None, None]:
        """Print tables and verdict behind the list of failures: a log ends with the verdict."""
        yield
        if self.session.concerned:
            from blindspot.report.terminal import write_summary

            mine, found = self.session, terminalreporter.config.stash.get(CONCLUSION, None)
            told = mine.closing(found.exit_code if found else 0)
            record = None if found is None else found.record
            write_summary(terminalreporter, record, mine.ledger, told)
        if self.search.records:
            from blindspot.search import terminal

            terminal.write_summary(terminalreporter, self.search)

    @pytest.hookimpl(optionalhook=True)
    def pytest_configure_node(self, node: Any) -> None:
        """Send a worker the run's directory, its GPU and the options of the command line."""
        node.workerinput["blindspot"] = {
            "directory": str(self.session.directory),
            "gpu": workers.gpu_of(node.gateway.id, self.session.gpus),
            "requested": requests.requested(self.session),
            "whole": self.session.whole,
        }
        self.session.crew.add(node.gateway)

    @pytest.hookimpl(optionalhook=True)
    def pytest_testnodedown(self, node: Any, error: object | None) -> None:
        """Collect what a worker sends; a lost worker makes the run incomplete."""
        self.session.worker_down(node.gateway.id, getattr(node, "workeroutput", {}), error)
