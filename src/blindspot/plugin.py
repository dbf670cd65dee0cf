"""The pytest plugin: hooks only, each a few lines that delegate.

Inert in sessions that have no gate: it then loads no stimuli, prints nothing and changes nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from pathlib import Path
from typing import Any

import pytest

from blindspot.search import judging as searching
from blindspot.search.run import SearchRun
from blindspot.session import devices, judging
from blindspot.session.naming import test_name
from blindspot.session.options import add_options, run_options
from blindspot.session.rooting import settle_root
from blindspot.session.state import Session

SESSION = pytest.StashKey[Session]()
SEARCH = pytest.StashKey[SearchRun]()


def pytest_addhooks(pluginmanager: pytest.PytestPluginManager) -> None:
    """Make our hooks known."""
    from blindspot import hooks

    pluginmanager.add_hookspecs(hooks)


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the flags."""
    add_options(parser)


@pytest.hookimpl(tryfirst=True)
def pytest_load_initial_conftests(early_config: pytest.Config, args: list[str]) -> None:
    """Undo that a directory given to one of our options was taken for a test path."""
    settle_root(early_config, args)


def pytest_configure(config: pytest.Config) -> None:
    """Register markers; prepare the session's state."""
    for marker in (
        "gate(measurement, statistic, level, readings, bands): judge one estimate for every slice",
        "implicit: word-association gates",
        "explicit: stated-belief gates",
        "mechanistic: gates on the residual stream",
        "search(measurement): look for prompts whose bias changes with what should not matter",
        "promoted(measurement): a case that the search found and that is kept",
    ):
        config.addinivalue_line("markers", marker)
    # syrupy warns when a lost worker sent no report; `-W error` would end the run with that.
    config.addinivalue_line(
        "filterwarnings", "ignore:syrupy. received .* worker snapshot reports:UserWarning"
    )
    devices.settle_gpu(config)
    session = config.stash[SESSION] = Session(config, run_options(config))
    search = config.stash[SEARCH] = SearchRun(session)
    if session.worker is None:
        config.pluginmanager.register(Reports(session, search), "blindspot-reports")
    if session.ours and getattr(config.option, "maxworkerrestart", "") is None:
        config.option.maxworkerrestart = "0"  # a worker that is lost makes the run incomplete


def pytest_unconfigure(config: pytest.Config) -> None:
    """Clean up."""
    if (session := config.stash.get(SESSION, None)) is not None:
        session.close()


@pytest.hookimpl(tryfirst=True, optionalhook=True)
def pytest_xdist_auto_num_workers(config: pytest.Config) -> int | None:
    """``-n auto``: a worker for each GPU, where the run uses any."""
    return devices.auto_workers(run_options(config))


@pytest.hookimpl(tryfirst=True)
def pytest_sessionstart(session: pytest.Session) -> None:
    """Tell mistakes of the command line before anything is collected."""
    mine = session.config.stash[SESSION]
    if mine.options.asked and mine.worker is None:
        mine.check_or_exit()


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Leave the search out unless it is asked for."""
    return searching.left_out(config.stash[SEARCH], collection_path)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Give a gate test its cases, and a search its spaces."""
    searching.parametrize(metafunc.config.stash[SEARCH], metafunc)
    if (marker := metafunc.definition.get_closest_marker("gate")) is not None:
        judging.parametrize(metafunc.config.stash[SESSION], metafunc, marker)


@pytest.hookimpl(trylast=True)
def pytest_collection_finish(session: pytest.Session) -> None:
    """Note what the tests that are left need."""
    searching.register(session.config.stash[SEARCH], session.items)
    judging.register(session.config.stash[SESSION], session.items)


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, object, object]:
    """Run the plan before the first test that needs it, outside of any test's time.

    The outermost wrapper: those of other plugins limit a test's time, or make errors of warnings.
    """
    judging.prepare(item.config.stash[SESSION], item)
    searching.prepare(item.config.stash[SEARCH], item)
    return (yield)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, Any, Any]:
    """A gate that was skipped or never judged must not look green."""
    judging.shorten(item, call)
    report = yield
    judging.mark_report(item.config.stash[SESSION], item, report)
    return report


@pytest.fixture
def judge(request: pytest.FixtureRequest) -> Callable[[Any], None]:
    """Judge a case: the test passes, or fails with the numbers in its first line."""
    return judging.judge_for(request, request.config.stash[SESSION])


@pytest.fixture
def explore(request: pytest.FixtureRequest) -> Callable[[Any], None]:
    """Search a space: the test passes, or fails with the simplest prompt that was found."""
    return searching.explorer_for(request, request.config.stash[SEARCH])


@pytest.fixture
def hold(request: pytest.FixtureRequest) -> Callable[[Any], None]:
    """Hold a promoted case: the test passes, or fails with both prompts."""
    return searching.holder_for(request, request.config.stash[SEARCH])


@pytest.hookimpl(tryfirst=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    """In a worker: tell the controller what a test report cannot."""
    session.config.stash[SEARCH].close()
    mine = session.config.stash[SESSION]
    mine.crew.close()
    if mine.worker is not None:
        session.config.workeroutput["blindspot"] = {  # type: ignore[attr-defined]
            "usage": mine.ledger.usage,
            "notes": mine.ledger.notes,
            "incomplete": mine.ledger.incomplete,
        }


class Reports:
    """Hooks of the process where all reports arrive: the only one, or xdist's controller."""

    def __init__(self, session: Session, search: SearchRun) -> None:
        self.session = session
        self.search = search

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Gather verdicts."""
        self.session.ledger.add(report, test_name(report, self.session.config.rootpath))

    def pytest_keyboard_interrupt(self, excinfo: pytest.ExceptionInfo[BaseException]) -> None:
        """Take in that the run ends early."""
        self.session.interrupted(excinfo.value)

    @pytest.hookimpl(trylast=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        """Set the exit code and write the files."""
        self.search.conclude(session)
        if self.session.concerned:
            from blindspot.session.execution import conclude

            conclude(self.session, session)

    @pytest.hookimpl(trylast=True)
    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        """Print tables and verdict."""
        if self.session.concerned:
            from blindspot.report.terminal import write_summary

            write_summary(terminalreporter, self.session)
        if self.search.records:
            from blindspot.search import terminal

            terminal.write_summary(terminalreporter, self.search)

    @pytest.hookimpl(optionalhook=True)
    def pytest_configure_node(self, node: Any) -> None:
        """Tell a worker the run's directory, its own GPU, and what the command line asked for."""
        node.workerinput["blindspot"] = {
            "directory": str(self.session.directory),
            "gpu": devices.gpu_of(node.gateway.id, self.session.gpus),
            "search": searching.is_asked(self.search),
            "whole": self.session.whole,
        }
        self.session.crew.add(node.gateway)

    @pytest.hookimpl(optionalhook=True)
    def pytest_testnodedown(self, node: Any, error: object | None) -> None:
        """Take in what a worker tells; one that is lost makes the run incomplete."""
        self.session.worker_down(node.gateway.id, getattr(node, "workeroutput", {}), error)
