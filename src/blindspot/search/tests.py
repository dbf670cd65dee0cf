"""Tests of the search: explore a space, or check a promoted case."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from blindspot.errors import BlindspotError, line
from blindspot.paths import SEARCH_TESTS
from blindspot.search.run import SearchRun
from blindspot.session.ledger import FINDING_PROPERTY
from blindspot.session.requests import SEARCH as SEARCH_FOLDER
from blindspot.session.requests import is_requested
from blindspot.session.tests import ITEM, parametrize_with, refuse

if TYPE_CHECKING:
    from blindspot.search.space import Space
    from blindspot.stimuli import PromotedCase

#: Markers of our tests, and the argument for the cases of each.
SEARCH, PROMOTED = "blindspot_search", "blindspot_promoted"
ARGUMENTS = {SEARCH: "space", PROMOTED: "kept"}

_SEARCH_FILE = SEARCH_TESTS / "test_metamorphic.py"
_PROMOTED_FILE = SEARCH_TESTS / "test_promoted.py"


def left_out(run: SearchRun, path: Path) -> bool | None:
    """Whether to ignore a file of ours; None for any other.

    The search is collected if ``-m`` or a path names it, promoted cases if there are any.
    """
    if path == _SEARCH_FILE:
        return None if is_requested(run.session, SEARCH_FOLDER) else True
    if path == _PROMOTED_FILE:
        try:
            return None if (stimuli := run.session.inputs.stimuli) and stimuli.promoted else True
        except BlindspotError:
            return None  # reported when its tests are collected
    return None


def parametrize(run: SearchRun, metafunc: pytest.Metafunc) -> None:
    """Parametrize a test of the search with its spaces, or one of promoted cases with its cases."""
    for name, argument in ARGUMENTS.items():
        if metafunc.definition.get_closest_marker(name) is None:
            continue
        try:
            found = _found(run, name)
        except BlindspotError as error:
            run.session.ledger.fault = error  # reported once, after collection
            found = {}
        acts = {"explore": explorer_for(run)} if name == SEARCH else {"hold": holder_for(run)}
        values = [(value, id) for id, value in found.items()]
        parametrize_with(metafunc, {argument: None, **acts}, values)


def _found(run: SearchRun, marker: str) -> dict[str, Space | PromotedCase]:
    from blindspot.search.space import spaces_of

    stimuli = run.session.inputs.stimuli
    if stimuli is None:
        raise BlindspotError(
            f"--prompts-from with {marker}: published prompts cannot be changed; omit one of them"
        )
    if marker == PROMOTED:
        return dict(sorted(stimuli.promoted.items()))
    return {space.id: space for space in spaces_of(stimuli, run.session.inputs.selection)}


def register(run: SearchRun, items: Sequence[pytest.Item]) -> None:
    """Note the spaces and cases of the selected tests."""
    spaces = _params(items, SEARCH)
    run.promoted = {case.id: case for case in _params(items, PROMOTED)}
    if spaces:
        from blindspot.search.exploration import Exploration

        examples = run.session.options.search_examples
        run.explorations = {space.id: Exploration(space, examples, run.seed) for space in spaces}


def _params(items: Iterable[pytest.Item], marker: str) -> list[Any]:
    """The values of the tests with a marker."""
    callspecs = (
        getattr(item, "callspec", None)
        for item in items
        if item.get_closest_marker(marker) is not None
    )
    given = (spec.params[ARGUMENTS[marker]] for spec in callspecs if spec is not None)
    return [one for one in given if hasattr(one, "id")]  # there may be none


def note_run(run: SearchRun, report: pytest.TestReport) -> None:
    """Note that a test of the search ran."""
    run.has_run |= report.when == "call" and any(marker in report.keywords for marker in ARGUMENTS)


def prepare(run: SearchRun, item: pytest.Item) -> None:
    """Ask for all searches before the first of them, outside any test's time.

    Raises:
        pytest.UsageError: the model or the store cannot be used.
    """
    if run.prepared or not any(_params([item], marker) for marker in ARGUMENTS):
        return
    try:
        run.prepare()
    except BlindspotError as error:
        run.session.ledger.fault = error
        refuse(run.session, error, [item])


def explorer_for(run: SearchRun) -> Callable[[Space], None]:
    """Searches a space: the test passes, or fails with the simplest prompt found."""

    def explore(space: Space) -> None:
        if run.session.ledger.fault is not None:
            pytest.fail(str(run.session.ledger.fault), pytrace=False)
        exploration = run.explorations[space.id]
        try:
            change = exploration.search(run.ask)
            promote = run.note(exploration, change, run.session.config.stash[ITEM].nodeid)
        except BlindspotError as error:
            pytest.fail(str(error), pytrace=False)
        if change is None:
            return
        from blindspot.search import change as said

        run.session.config.stash[ITEM].user_properties += [
            (FINDING_PROPERTY, change.contrast.id),
            ("value", change.value),
        ]
        lines = (
            said.finding(space.id, change, run.session.inputs.model.identity),
            *said.details(change),
            said.strongest(exploration.strongest(1)[0], len(exploration.changes)),
            f"  rerun: {run.rerun(space.id)}",
            f"  promote: {promote}",
        )
        pytest.fail("\n".join(map(line, lines)), pytrace=False)

    return explore


def holder_for(run: SearchRun) -> Callable[[PromotedCase], None]:
    """Checks a promoted case: the test passes, or fails with both prompts."""

    def hold(case: PromotedCase) -> None:
        if run.session.ledger.fault is not None:
            pytest.fail(str(run.session.ledger.fault), pytrace=False)
        from blindspot.search import change as said

        change = run.changes[case.contrast]
        run.session.config.stash[ITEM].user_properties += [
            ("value", change.value),
            ("limit", case.at_most),
        ]
        if not abs(change.value) <= case.at_most:  # NaN must fail
            lines = (
                said.broken_case(case, change, run.session.inputs.model.identity),
                *said.details(change),
            )
            pytest.fail("\n".join(map(line, lines)), pytrace=False)

    return hold
