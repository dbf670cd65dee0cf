"""Gate tests: look up the verdict, record the figures, pass or fail."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import pytest

from blindspot.errors import BlindspotError, explained, line
from blindspot.gates.verdict import Verdict
from blindspot.session.absence import note_uncollected
from blindspot.session.dismissal import DismissalError
from blindspot.session.ledger import GATE_PROPERTY, NOT_OFFERED_PROPERTY, VERDICT_PROPERTY
from blindspot.session.state import Session

if TYPE_CHECKING:
    from blindspot.report.schema import Gate
    from blindspot.run.cases import Case


#: The marker of a gate test, and the arguments that it gives the test.
GATE = "blindspot_gate"
CASE, JUDGE = "case", "judge"
#: The fixture of syrupy that collects accepted entries.
SNAPSHOT = "snapshot"


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
    session.seen.add((metafunc.definition.path, metafunc.function.__name__))
    try:
        found = list(cases_of(session.source, **marker.kwargs))
    except BlindspotError as error:
        session.fault = error  # reported once, after collection
        found = []
    session.known |= {case.id: case for case, _ in found}
    if marker.kwargs["measurement"] in MECHANISTIC:
        session.note_undescribed()
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
    judges: dict[str, str] = {}
    for item in items:
        if (case := case_of(item)) is None:
            continue
        if case.id in judges:
            session.fault = session.fault or BlindspotError(
                f"{item.nodeid} judges the gate {case.id}, as does {judges[case.id]}; remove one"
            )
        judges[case.id] = item.nodeid
    session.collected = len(judges)
    note_uncollected(session)
    if judges and session.fault is None and not session.checks_early:
        try:
            session.options.check()
        except BlindspotError as error:
            session.fault = error
    for item in items:
        if (case := case_of(item)) is None:
            continue
        if reason := "" if session.fault else session.lacks(case):
            item.add_marker(pytest.mark.skip(reason=f"reported: not offered: {reason}"))
            session.not_offered[case.id] = reason
        else:
            session.cases[case.id] = case
    if session.fault is not None:
        refuse(session, session.fault, items)
    elif not judges and any(_is_gate(item) for item in items):
        session.ledger.lose("the selected tests have no slice of these prompts to judge")
    elif session.cases:
        from blindspot.run.cases import in_order

        session.cases = in_order(session.cases, session.source)


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
    session.item = item
    names = getattr(item, "fixturenames", [])
    if session.updating and _is_gate(item) and SNAPSHOT not in names:
        names.append(SNAPSHOT)


def prepare(session: Session, item: pytest.Item) -> None:
    """Run the plan before the first gate test.

    Raises:
        pytest.UsageError: the model, store or baseline cannot be used.
        pytest.Session.Failed: in a worker: the run was abandoned.
    """
    if session.record is not None or not session.cases or case_of(item) is None:
        return
    if getattr(item.config.option, "setuponly", False):
        return  # no test will need it
    from blindspot.session.execution import execute

    try:
        execute(session)
    except BlindspotError as error:
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
    if report.skipped and case.id in session.not_offered:
        report.user_properties += [
            (GATE_PROPERTY, case.id),
            (VERDICT_PROPERTY, Verdict.REPORTED.value),
            (NOT_OFFERED_PROPERTY, session.not_offered[case.id]),
        ]
    elif report.skipped:
        report.user_properties.append((GATE_PROPERTY, case.id))
    elif report.when == "call" and report.passed and not judged:
        report.outcome = "failed"
        report.longrepr = f"{case.id}: the test never called judge(case); call it"


def judge_for(session: Session) -> Callable[[Case], None]:
    """The judge: the test passes, or fails with the numbers in its first line."""

    def judge(case: Case) -> None:
        if session.fault is not None:
            pytest.fail(str(session.fault), pytrace=False)
        gate = _gate(session, case)
        session.item.user_properties += _properties(gate)
        if session.updating and gate["value"] is not None:
            _accept(session, gate)
        if not Verdict(gate["verdict"]).green:
            pytest.fail(line(gate["message"]), pytrace=False)

    return judge


def _gate(session: Session, case: Case) -> Gate:
    assert session.record is not None
    if not session.by_id:
        session.by_id = {gate["id"]: gate for gate in session.record["gates"]}
    return session.by_id[case.id]


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
    snapshot = session.item.funcargs[SNAPSHOT].use_extension(session.baseline_extension)
    # Not an assert: python -O would omit the comparison through which syrupy collects the entry.
    if entry != snapshot(name=gate["id"]):
        pytest.fail(f"{gate['id']}: the baseline cannot store it", pytrace=False)
