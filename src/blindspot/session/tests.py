"""Gate tests: look up the verdict, record the figures, pass or fail."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import pytest

from blindspot.errors import BlindspotError, DismissalError, SilentError, explained, line
from blindspot.gates.verdict import Verdict
from blindspot.paths import SUITE
from blindspot.session.commands import names_suite
from blindspot.session.exclusions import check
from blindspot.session.ledger import GATE_PROPERTY, NOT_OFFERED_PROPERTY, VERDICT_PROPERTY
from blindspot.session.requests import ON_REQUEST
from blindspot.session.session import Session

if TYPE_CHECKING:
    from blindspot.report.schema import Gate
    from blindspot.run.cases import Case
    from blindspot.session.execution import Ran


#: The marker of a gate test, and the arguments that it gives the test.
GATE = "blindspot_gate"
CASE, JUDGE = "case", "judge"
#: The fixture of syrupy that collects accepted entries.
SNAPSHOT = "snapshot"
#: Folders of the suite that hold no gates, or whose gates a run does not collect by itself.
_NO_GATES = ("real", "unit", "vllm", *ON_REQUEST)

#: What the hooks of this module leave to one another: the gates that were chosen, the test that is
#: run, and what came of the run.
CASES: pytest.StashKey[dict[str, Case]] = pytest.StashKey()
ITEM = pytest.StashKey[Any]()
RAN: pytest.StashKey[Ran] = pytest.StashKey()


def parametrize(session: Session, metafunc: pytest.Metafunc) -> None:
    """Parametrize a gate test with one case for every slice and reading, and the judge.

    The judge is a parameter, not a fixture: a project may have a fixture of that name.
    """
    if (marker := metafunc.definition.get_closest_marker(GATE)) is None:
        return
    from blindspot.measurements.registry import MECHANISTIC
    from blindspot.run.cases import cases_of

    if CASE not in metafunc.fixturenames:
        name = metafunc.definition.nodeid
        raise pytest.UsageError(f"{name}: a test marked {GATE} takes the argument {CASE!r}")
    session.ledger.seen.add((metafunc.definition.path, metafunc.function.__name__))
    try:
        found = list(cases_of(session.inputs.source, **marker.kwargs))
    except BlindspotError as error:
        session.ledger.fault = error  # reported once, after collection
        found = []
    session.ledger.known |= {case.id: case for case, _ in found}
    if marker.kwargs["measurement"] in MECHANISTIC:
        _note_undescribed(session)
    parametrize_with(metafunc, {CASE: None, JUDGE: judge_for(session)}, found)


def parametrize_with(
    metafunc: pytest.Metafunc,
    arguments: Mapping[str, object],
    found: Sequence[tuple[object, str]],
) -> None:
    """Parametrize a test with named values, and with the action if it takes one.

    ``arguments``: the name of the value, then that of the action with the action.
    """
    taken = {name: act for name, act in arguments.items() if name in metafunc.fixturenames}
    rows = [(value, *list(taken.values())[1:]) for value, _ in found]
    metafunc.parametrize(tuple(taken), rows, ids=[name for _, name in found])


def register(session: Session, items: Sequence[pytest.Item]) -> None:
    """Note the cases of the selected tests.

    Raises:
        pytest.UsageError: the stimuli are faulty, or two tests judge the same gate.
    """
    ledger = session.ledger
    asked = [(item, case) for item in items if (case := case_of(item)) is not None]
    ledger.collected = len({case.id for _, case in asked})
    _note_uncollected(session)
    if asked and ledger.fault is None:
        try:
            _check(session, asked)
        except BlindspotError as error:
            ledger.fault = error
    try:
        if ledger.fault is None:
            session.config.stash[CASES] = cases = _offered(session, asked)
            _foretell(session, cases)
    except BlindspotError as error:  # there is no model
        ledger.fault = error
    if ledger.fault is not None:
        refuse(session, ledger.fault, items)
    elif not asked and any(map(_is_gate, items)):
        ledger.lose("the selected tests have no slice of these prompts to judge")


def _foretell(session: Session, cases: Mapping[str, Case]) -> None:
    """Say what a run would ask, where tests are only listed."""
    terminal = session.config.pluginmanager.get_plugin("terminalreporter")
    listed = session.config.option.collectonly and session.worker is None
    if not listed or not cases or not session.options.asked or terminal is None:
        return
    from blindspot.session.outlook import outlook

    for said in outlook(session.inputs, cases.values()):
        terminal.write_line(f"{line(session.options.model)}: {said}")


def _check(session: Session, asked: Sequence[tuple[pytest.Item, Case]]) -> None:
    """Find mistakes before a model is asked.

    Raises:
        BlindspotError: one line that says what is wrong.
    """
    judges: dict[str, str] = {}
    for item, case in asked:
        if case.id in judges:
            raise BlindspotError(
                f"{item.nodeid} judges the gate {case.id}, as does {judges[case.id]}; remove one"
            )
        judges[case.id] = item.nodeid
    _check_paired(session, asked)
    if not session.checks_early:
        check(session.options)
    session.ledger.lose_all(session.inputs.skipped)


def _check_paired(session: Session, asked: Sequence[tuple[pytest.Item, Case]]) -> None:
    """A part of a mitigation compares with the model as it was; note what it asks.

    Raises:
        BlindspotError: there is none to compare with.
    """
    from blindspot.measurements.registry import MEASUREMENTS

    if not any(MEASUREMENTS[case.measurement].part for _, case in asked):
        return
    if session.options.reference is None and not session.config.option.collectonly:
        raise BlindspotError(
            "the gate of a mitigation compares the changed model with its base, and there is "
            "none; add --reference BASE"
        )
    session.ledger.note(session.inputs.held_out.notes)


def _offered(session: Session, asked: Sequence[tuple[pytest.Item, Case]]) -> dict[str, Case]:
    """The gates that can be asked of the model, in the order of reports; others are skipped."""
    cases, unscored = {}, 0
    for item, case in asked:
        if reason := session.inputs.lacks(case):
            item.add_marker(pytest.mark.skip(reason=f"reported: not offered: {reason}"))
            session.ledger.lacking[case.id] = reason
            unscored += not case.mechanistic
        else:
            cases[case.id] = case
    if unscored and session.options.require_scores:
        session.ledger.lose(
            f"{unscored} gates need log-probabilities, which the model does not offer "
            "(--require-scores)"
        )
    if not cases:
        return {}
    from blindspot.run.cases import in_order

    return in_order(cases, session.inputs.source)


def _note_undescribed(session: Session) -> None:
    """Note variants without mechanistic gates, because their senses are not described."""
    if session.ledger.fault is None and (stimuli := session.inputs.stimuli) is not None:
        from blindspot.stimuli.contexts import undescribed

        session.ledger.note(undescribed(stimuli))


def _note_uncollected(session: Session) -> None:
    """A configuration that excludes tests of the suite must not go unnoticed in a full run."""
    config = session.config
    of_suite = config.rootpath == SUITE or names_suite(config)
    if not (session.whole and of_suite) or config.option.collectonly:
        return
    tests = [
        (path, name)
        for path in sorted((SUITE / "tests").glob("*/test_*.py"))
        if path.parent.name not in _NO_GATES
        for name in re.findall(r"^def (test_\w+)", path.read_text("utf-8"), re.MULTILINE)
    ]
    if missing := [test for test in tests if test not in session.ledger.seen]:
        path, name = missing[0]
        session.ledger.lose(
            f"{len(missing)} of the suite's {len(tests)} tests were not collected, first {name} in "
            f"{path.name}: pytest's configuration excludes them (such as python_functions or "
            "norecursedirs); name the tests to run, or override it with -o"
        )


def refuse(session: Session, fault: BlindspotError, items: Sequence[pytest.Item]) -> None:
    """End the session with a usage error.

    A worker must survive it: there the tests fail with the line and the session stops. With -v the
    traceback of its cause follows.

    Raises:
        pytest.UsageError: in the only process.
    """
    said = explained(fault, session.config.getoption("verbose", default=0))
    if session.worker is None:
        raise pytest.UsageError(said) from None
    session.ledger.usage = said
    for item in items[:1]:
        item.session.shouldstop = str(fault)


def _is_gate(item: pytest.Item) -> bool:
    """Whether a test is marked as ours."""
    return item.get_closest_marker(GATE) is not None


def case_of(item: pytest.Item) -> Case | None:
    """The case of a gate test, None of any other test."""
    if not _is_gate(item):
        return None
    from blindspot.run.cases import Case

    callspec = getattr(item, "callspec", None)
    case = callspec.params.get(CASE) if callspec else None
    return case if isinstance(case, Case) else None  # pytest's own stand-in where there is no case


def begin(session: Session, item: pytest.Item) -> None:
    """Note which test runs; if the model is accepted, set up syrupy's fixture for it."""
    session.config.stash[ITEM] = item
    names = getattr(item, "fixturenames", [])
    if session.options.updating and _is_gate(item) and SNAPSHOT not in names:
        names.append(SNAPSHOT)


def prepare(session: Session, item: pytest.Item) -> None:
    """Execute the run before the first gate test.

    Raises:
        pytest.UsageError: the model, store or baseline cannot be used; again at every call.
        pytest.Session.Failed: the model stopped answering; in a worker: the run was abandoned.
    """
    stash, ledger = session.config.stash, session.ledger
    cases = stash.get(CASES, None)
    if RAN in stash or not cases or case_of(item) is None:
        return
    if getattr(item.config.option, "setuponly", False):
        return  # no test will need it
    from blindspot.session.run import run_of
    from blindspot.session.shares import run_once

    try:
        if ledger.fault is not None:
            raise ledger.fault
        stash[RAN] = run_once(session, lambda: run_of(session, cases.values()))
        ledger.note(stash[RAN].notes)
    except SilentError as error:
        ledger.lose(str(error))
        item.session.shouldfail = str(error)
        raise item.session.Failed(str(error)) from None
    except BlindspotError as error:
        ledger.fault = error
        refuse(session, error, [item])
    except DismissalError as error:
        item.session.shouldfail = str(error)
        raise item.session.Failed(str(error)) from None


def shorten(item: pytest.Item, call: pytest.CallInfo[None]) -> None:
    """Shorten the traceback of a verdict, which pytest does not show.

    pytest would still look up the file of every frame: a third of the time of a test.
    """
    told = call.excinfo
    if (
        told is not None
        and isinstance(told.value, pytest.fail.Exception)
        and not told.value.pytrace
        and case_of(item) is not None
        and not item.config.getoption("fulltrace", default=False)
    ):
        told.traceback = told.traceback[-2:]  # the judge, and pytest.fail, which is hidden


def mark_report(session: Session, item: pytest.Item, report: pytest.TestReport) -> None:
    """Fail closed: a skipped gate is noted, and one that was never judged does not pass.

    Gates that need something the model does not offer are reported with the reason.
    """
    if (case := case_of(item)) is None:
        return
    judged = any(name == GATE_PROPERTY for name, _ in report.user_properties)
    if report.skipped and case.id in session.ledger.lacking:
        report.user_properties += [
            (GATE_PROPERTY, case.id),
            (VERDICT_PROPERTY, Verdict.REPORTED.value),
            (NOT_OFFERED_PROPERTY, session.ledger.lacking[case.id]),
        ]
    elif report.skipped:
        report.user_properties.append((GATE_PROPERTY, case.id))
    elif report.when == "call" and report.passed and not judged:
        report.outcome = "failed"
        report.longrepr = f"{case.id}: the test never called judge(case); call it"


def judge_for(session: Session) -> Callable[[Case], None]:
    """The judge: the test passes, or fails with the numbers in its first line."""

    def judge(case: Case) -> None:
        if session.ledger.fault is not None:
            pytest.fail(str(session.ledger.fault), pytrace=False)
        gate = session.config.stash[RAN].gates[case.id]
        session.config.stash[ITEM].user_properties += _properties(gate)
        if session.options.updating and gate["value"] is not None:
            _accept(session, gate)
        if not Verdict(gate["verdict"]).green:
            pytest.fail(line(gate["message"]), pytrace=False)

    return judge


def _properties(gate: Gate) -> list[tuple[str, Any]]:
    """The JUnit properties of a gate; none for missing numbers."""
    accepted = gate["against"]["baseline"]
    figures = {
        "value": gate["value"],
        "low": gate["low"],
        "high": gate["high"],
        "n": gate["n"],
        "limit": gate["limit"],
        "baseline": accepted and accepted["value"],
        "unit": gate["unit"],
    }
    known = [(name, figure) for name, figure in figures.items() if figure is not None]
    return [(GATE_PROPERTY, gate["id"]), (VERDICT_PROPERTY, str(gate["verdict"])), *known]


def _accept(session: Session, gate: Gate) -> None:
    """Write this gate's figures to the baseline, through syrupy."""
    from blindspot.baselines import Entry

    assert gate["value"] is not None
    assert gate["standard_error"] is not None
    entry = Entry(gate["value"], gate["standard_error"], gate["n"], gate["prompts"], gate["level"])
    snapshot = (
        session.config.stash[ITEM].funcargs[SNAPSHOT].use_extension(session.baseline_extension)
    )
    # Not an assert: python -O would omit the comparison through which syrupy collects the entry.
    if entry != snapshot(name=gate["id"]):
        pytest.fail(f"{gate['id']}: the baseline cannot store it", pytrace=False)
