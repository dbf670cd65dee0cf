"""Exit codes: which one wins."""

from types import SimpleNamespace

import pytest

from blindspot.gates.verdict import Verdict
from blindspot.session.ledger import Ledger


def report(verdict=None, *, outcome="passed", when="call", gate="g"):
    """A test report as the ledger sees it."""
    properties = [] if verdict is None else [("gate", gate), ("verdict", verdict)]
    return SimpleNamespace(
        user_properties=properties,
        when=when,
        nodeid="t",
        failed=outcome == "failed",
        skipped=outcome == "skipped",
    )


def ledger_of(*verdicts, ordinary=False, lost=False, usage=False):
    ledger = Ledger()
    for number, verdict in enumerate(verdicts):
        outcome = "passed" if Verdict(verdict).green else "failed"
        ledger.add(report(verdict, outcome=outcome, gate=f"g{number}"))
    if ordinary:
        ledger.add(report(outcome="failed"))
    if lost:
        ledger.lose("worker gw0 was lost")
    if usage:
        ledger.usage = "no such model"
    return ledger


@pytest.mark.parametrize(
    ("ledger", "own", "code"),
    [
        (ledger_of("pass", "reported"), 0, 0),
        (ledger_of("waived"), 0, 0),
        (ledger_of("waived", "fail"), 1, 10),
        (ledger_of("pass", "fail"), 1, 10),
        (ledger_of("pass", "error"), 1, 11),
        (ledger_of("pass", "inconclusive"), 1, 12),
        (ledger_of("fail", "error", "inconclusive"), 1, 10),
        (ledger_of("error", "inconclusive"), 1, 11),
        (ledger_of("pass", lost=True), 0, 11),
        (ledger_of("fail", lost=True), 1, 10),
        (ledger_of("fail", ordinary=True, lost=True), 1, 1),
        (ledger_of("fail", ordinary=True, lost=True, usage=True), 1, 4),
        (ledger_of("fail"), 2, 2),
        (ledger_of("fail"), 3, 3),
    ],
)
def test_first_that_applies_wins(ledger, own, code):
    """Interruption and internal error stay; then 4, 1, 10, 11, 12 in this order."""
    assert ledger.exit_code(own) == code


def test_gate_that_breaks_is_an_ordinary_failure():
    """A gate test that fails although its gate passed, or in its setup, is an ordinary failure."""
    ledger = ledger_of("pass")
    ledger.add(report("pass", outcome="failed", gate="other"))
    assert ledger.exit_code(1) == 1
    ledger = Ledger()
    ledger.add(report(outcome="failed", when="setup"))
    assert ledger.exit_code(1) == 1


def test_verdicts_are_worded():
    """The verdict of the run in one word."""
    words = {0: "passed", 1: "failed", 2: "incomplete", 3: "incomplete", 4: "incomplete"}
    words |= {10: "failed", 11: "incomplete", 12: "inconclusive"}
    for code, word in words.items():
        assert ledger_of("pass").verdict(code) == word
    assert ledger_of("waived").verdict(0) == "passed"
    assert Ledger().verdict(0) == "nothing judged"


def test_a_run_that_only_reports_is_incomplete():
    """Where none of the gates that ran has a limit, nothing was judged; a waived gate was."""
    ledger = ledger_of("reported", "reported")
    ledger.conclude()
    assert ledger.exit_code(0) == 11
    assert "no gate was judged" in ledger.incomplete[0]
    for verdict in ("waived", "pass"):
        judged = ledger_of("reported", verdict)
        judged.conclude()
        assert judged.exit_code(0) == 0


def finding(*verdicts, ordinary=False):
    """A ledger with gates and something that the search found."""
    ledger = ledger_of(*verdicts, ordinary=ordinary)
    found = report(outcome="failed")
    found.user_properties = [("finding", "race-default-weapons")]
    ledger.add(found)
    return ledger


@pytest.mark.parametrize(
    ("ledger", "code", "verdict"),
    [
        (finding(), 1, "nothing judged"),
        (finding("pass"), 1, "passed"),
        (finding("pass", ordinary=True), 1, "failed"),
        (finding("pass", "fail"), 10, "failed"),
        (finding("pass", "error"), 11, "incomplete"),
        (finding("pass", "inconclusive"), 12, "inconclusive"),
    ],
)
def test_what_the_search_found_hides_no_verdict(ledger, code, verdict):
    """A finding leaves pytest's own 1 where nothing else applies, and the gates their verdict."""
    assert ledger.exit_code(1) == code
    assert ledger.verdict(code) == verdict
    assert ledger.findings == 1


def test_search_that_breaks_is_an_ordinary_failure():
    """Only the test that found something is a finding, not one whose setup or teardown fails."""
    ledger = ledger_of("pass")
    broken = report(outcome="failed", when="teardown")
    broken.user_properties = [("finding", "race-default-weapons")]
    ledger.add(broken)
    assert (ledger.findings, ledger.ordinary_failures) == (0, 1)
    assert ledger.verdict(ledger.exit_code(1)) == "failed"


def test_skipped_gates_are_incomplete():
    """A gate that is skipped is not green."""
    ledger = ledger_of("pass")
    for number in range(2):
        skipped = report("pass", outcome="skipped", when="setup", gate=f"s{number}")
        skipped.user_properties = skipped.user_properties[:1]
        ledger.add(skipped)
    assert ledger.incomplete == ["2 gates were skipped; run them"]
    assert ledger.exit_code(0) == 11
