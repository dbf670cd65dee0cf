"""What a gate test does: look up its verdict, record the figures, pass or fail."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import pytest

from blindspot.errors import BlindspotError
from blindspot.gates.verdict import Verdict
from blindspot.session.dismissal import DismissalError
from blindspot.session.ledger import CLOSED_PROPERTY, GATE_PROPERTY, VERDICT_PROPERTY
from blindspot.session.state import Session

if TYPE_CHECKING:
    from blindspot.run.cases import Case

#: Figures that JUnit carries, by their names in report.json.
FIGURES = ("value", "low", "high", "n", "limit", "baseline", "unit")


def parametrize(session: Session, metafunc: pytest.Metafunc, marker: pytest.Mark) -> None:
    """Give a test that is marked as a gate one case for every slice and reading."""
    if "measurement" not in marker.kwargs:
        return  # somebody else's marker of the same name
    from blindspot.measurements.registry import MECHANISTIC
    from blindspot.run.cases import cases_of

    if "case" not in metafunc.fixturenames:
        name = metafunc.definition.nodeid
        raise pytest.UsageError(f"{name}: a test marked as gate takes the argument 'case'")
    try:
        found = list(cases_of(session.source, **marker.kwargs))
    except BlindspotError as error:
        session.fault = error  # told once, after collection
        found = []
    session.known |= {case.id: case for case, _ in found}
    if marker.kwargs["measurement"] in MECHANISTIC:
        session.note_undescribed()
    metafunc.parametrize("case", [case for case, _ in found], ids=[name for _, name in found])


def register(session: Session, items: Sequence[pytest.Item]) -> None:
    """Note the cases of the tests that are going to run.

    Raises:
        pytest.UsageError: the stimuli are faulty, or two tests judge the same gate.
    """
    judges: dict[str, str] = {}
    for item in items:
        if (case := case_of(item)) is None:
            continue
        if case.id in judges:
            session.fault = session.fault or BlindspotError(
                f"{item.nodeid} judges the gate {case.id} that {judges[case.id]} judges already; "
                "remove one"
            )
        judges[case.id] = item.nodeid
        if case.mechanistic and session.closed:
            item.add_marker(pytest.mark.skip(reason=session.closed))
            session.shut.append(case.id)
        else:
            session.cases[case.id] = case
    if session.fault is not None:
        refuse(session, session.fault, items)
    elif not judges and any(_is_gate(item) for item in items):
        session.ledger.lose("the tests that were chosen have no slice of these prompts to judge")
    elif session.cases:
        from blindspot.run.cases import in_order

        session.cases = in_order(session.cases, session.source)


def refuse(session: Session, fault: BlindspotError, items: Sequence[pytest.Item]) -> None:
    """End the session with a usage error.

    A worker must not die of it: there the tests fail with the line and the session stops.

    Raises:
        pytest.UsageError: in the only process.
    """
    if session.worker is None:
        raise pytest.UsageError(str(fault)) from None
    session.ledger.usage = str(fault)
    for item in items[:1]:
        item.session.shouldstop = str(fault)


def _is_gate(item: pytest.Item) -> bool:
    """Whether a test is marked as ours."""
    marker = item.get_closest_marker("gate")
    return marker is not None and "measurement" in marker.kwargs


def case_of(item: pytest.Item) -> Case | None:
    """The case of a gate test, None of any other test."""
    if not _is_gate(item):
        return None
    from blindspot.run.cases import Case

    callspec = getattr(item, "callspec", None)
    case = callspec.params.get("case") if callspec else None
    return case if isinstance(case, Case) else None  # pytest's own stand-in where there is no case


def prepare(session: Session, item: pytest.Item) -> None:
    """Run the plan before the first gate test.

    Raises:
        pytest.UsageError: the model, store or baseline cannot be used.
        pytest.Session.Failed: in a worker: the run was given up.
    """
    if session.record is not None or not session.cases or case_of(item) is None:
        return
    if getattr(item.config.option, "setuponly", False):
        return  # no test will ask
    from blindspot.session.execution import execute

    try:
        execute(session)
    except BlindspotError as error:
        refuse(session, error, [item])
    except DismissalError as error:
        item.session.shouldfail = str(error)
        raise item.session.Failed(str(error)) from None


def shorten(item: pytest.Item, call: pytest.CallInfo[None]) -> None:
    """Cut the way to a verdict that is told without its traceback to where it was told.

    pytest looks up the file of every frame before it shows none: a third of the time of a test.
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
    """Fail closed: a gate that is skipped is noted, one that was never judged does not pass.

    The gates that a model cannot be asked, because nobody can look into it, are noted apart.
    """
    if (case := case_of(item)) is None:
        return
    judged = any(name == GATE_PROPERTY for name, _ in report.user_properties)
    if report.skipped and case.mechanistic and case.id not in session.cases:
        report.user_properties.append((CLOSED_PROPERTY, session.closed))
    elif report.skipped:
        report.user_properties.append((GATE_PROPERTY, case.id))
    elif report.when == "call" and report.passed and not judged:
        report.outcome = "failed"
        report.longrepr = f"{case.id}: the test never called judge(case); call it"


def judge_for(request: pytest.FixtureRequest, session: Session) -> Callable[[Case], None]:
    """The judge of one test."""

    def judge(case: Case) -> None:
        if session.fault is not None:
            pytest.fail(str(session.fault), pytrace=False)
        gate = _gate(session, case)
        request.node.user_properties += _properties(gate)
        if session.updating and gate["value"] is not None:
            _accept(request, session, gate)
        if not Verdict(gate["verdict"]).green:
            pytest.fail(gate["message"], pytrace=False)

    return judge


def _gate(session: Session, case: Case) -> dict[str, Any]:
    assert session.record is not None
    if not session.by_id:
        session.by_id = {gate["id"]: gate for gate in session.record["gates"]}
    return session.by_id[case.id]


def _properties(gate: dict[str, Any]) -> list[tuple[str, Any]]:
    figures = [(name, gate[name]) for name in FIGURES if gate[name] is not None]
    return [(GATE_PROPERTY, gate["id"]), (VERDICT_PROPERTY, gate["verdict"]), *figures]


def _accept(request: pytest.FixtureRequest, session: Session, gate: dict[str, Any]) -> None:
    """Write this gate's figures to the baseline, through syrupy."""
    from blindspot.baselines import Entry

    entry = Entry(gate["value"], gate["standard_error"], gate["n"], gate["prompts"], gate["level"])
    snapshot = request.getfixturevalue("snapshot").use_extension(session.baseline_extension)
    assert entry == snapshot(name=gate["id"])
