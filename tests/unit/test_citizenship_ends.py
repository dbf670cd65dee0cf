"""However a run is ended, it ends at once, says so, and leaves nothing half done."""

import importlib.util
import os
import signal
import time

import pytest

from blindspot.report.files import CARD, PAGE, REPORT
from tests.unit.baseline_runs import WORKERS
from tests.unit.suite_runs import StartedSuite, asked, run_suite

#: So slow that the whole run would take half an hour: who waits for the model does not get away.
SLOW = {"SCRIPTED_PAUSE": "0.5"}
#: Seconds that an end may take, beside other tests on a busy machine.
AT_ONCE = 40

needs_timeout = pytest.mark.skipif(
    importlib.util.find_spec("pytest_timeout") is None, reason="pytest-timeout is not installed"
)


def files(directory):
    """All files below a directory, by name."""
    return sorted(path.name for path in directory.rglob("*") if path.is_file())


@pytest.mark.parametrize(
    "workers",
    [
        ("-n", "2"),
        ("-n", "2", "--dist", "loadfile"),
        ("-n", "3", "--dist", "worksteal"),
    ],
    ids=" ".join,
)
@pytest.mark.slow
def test_killed_worker_ends_the_run_at_once(tmp_path, workers):
    """Killed while all are asking: exit 11, though the others have hours of work before them."""
    suite = StartedSuite(tmp_path, *workers, limit=3, env=SLOW, drawn=True)
    os.kill(suite.processes(int(workers[1]))[-1], signal.SIGKILL)
    run, took = suite.end(AT_ONCE)
    assert run.code == 11, run.out + run.err
    assert took < AT_ONCE
    assert "incomplete: worker gw" in run.out
    assert "INTERNALERROR" not in run.out
    assert "Traceback" not in run.out + run.err
    assert (run.report["verdict"], run.report["exit_code"]) == ("incomplete", 11)
    assert "was lost" in run.report["incomplete"][0]
    assert files(tmp_path / "out") == [CARD, PAGE, REPORT]


@pytest.mark.slow
def test_worker_that_does_not_look_is_ended_too(tmp_path):
    """One that is deep in a batch of minutes does not keep the run from ending."""
    suite = StartedSuite(tmp_path, "-n", "2", env={"SCRIPTED_PAUSE": "600"})
    asking = suite.processes(1)  # the other one waits until it has seen how long that takes
    (waiting,) = suite.workers() - {*asking}
    os.kill(waiting, signal.SIGKILL)
    run, took = suite.end(AT_ONCE)
    assert run.code == 11, run.out + run.err
    assert took < AT_ONCE


@pytest.mark.slow
def test_all_workers_killed(tmp_path):
    """Without any worker left the run ends as with one lost."""
    suite = StartedSuite(tmp_path, "-n", "2", env=SLOW)
    for process in suite.processes(2):
        os.kill(process, signal.SIGKILL)
    run, _ = suite.end(AT_ONCE)
    assert run.code == 11, run.out + run.err
    assert "was lost" in run.out
    assert "name the tests" not in run.out
    assert "INTERNALERROR" not in run.out


@pytest.mark.slow
def test_worker_killed_while_judging(tmp_path):
    """Killed when all is asked and it judges for all: exit 11, no half-written record."""
    env = {"KILLED_JUDGING": str(tmp_path / "killed")}
    run = run_suite(tmp_path, "-n", "2", "-p", "tests.unit.killed_judging", env=env)
    assert run.code == 11, run.out + run.err
    assert "incomplete: worker gw" in run.out
    assert "INTERNALERROR" not in run.out
    assert run.report["verdict"] == "incomplete"


@pytest.mark.slow
def test_killed_worker_of_an_embedded_model(tmp_path):
    """The same of a model that has to be loaded first."""
    suite = StartedSuite(tmp_path, "-n", "2", model="organism:blind", limit=5)
    os.kill(max(suite.workers("prompts")), signal.SIGKILL)
    run, took = suite.end(2 * AT_ONCE)
    assert run.code == 11, run.out + run.err
    assert took < 2 * AT_ONCE
    assert "INTERNALERROR" not in run.out


@pytest.mark.slow
@pytest.mark.parametrize("whom", ["serial", "-n 2", "-n 2, controller only"])
def test_interrupted_run_goes_on_later(tmp_path, whom):
    """Ctrl-C: exit 2 at once, a whole report that says so, and the next run asks only the rest."""
    log = tmp_path / "log"
    workers = ("-n", "2") if whom.startswith("-n") else ()
    env = {"SCRIPTED_LOG": str(log), "SCRIPTED_PAUSE": "0.002"}
    suite = StartedSuite(tmp_path, *workers, limit=3, env=env, drawn=True)
    suite.processes(2 if workers else 1)
    while not log.exists() or len(log.read_text().splitlines()) < 3:  # two units are kept
        assert suite.process.poll() is None
        time.sleep(0.01)
    target = os.kill if whom.endswith("only") else os.killpg
    target(suite.process.pid, signal.SIGINT)
    run, took = suite.end(AT_ONCE)
    assert run.code == 2, run.out + run.err
    assert took < AT_ONCE
    assert "incomplete: interrupted; run again: stored answers are not asked again" in run.out
    assert "INTERNALERROR" not in run.out
    assert "Traceback" not in run.out + run.err
    assert (run.report["verdict"], run.report["exit_code"]) == ("incomplete", 2)
    assert files(tmp_path / "out") == [CARD, PAGE, REPORT]
    log.unlink()
    resumed = run_suite(tmp_path, limit=3, env={"SCRIPTED_LOG": str(log)})
    assert resumed.code == 0
    assert 0 < asked(log).total() < resumed.report["prompts"]
    fresh = run_suite(tmp_path / "fresh", limit=3)
    assert resumed.comparable == fresh.comparable
    assert resumed.samples == fresh.samples


@pytest.mark.slow
@pytest.mark.parametrize("workers", [(), ("-n", "2")], ids=["serial", "-n 2"])
def test_ctrl_c_on_a_slow_model(tmp_path, workers):
    """Ctrl-C in a pass of minutes: five seconds, and the last lines say what is kept."""
    log = tmp_path / "log"
    suite = StartedSuite(
        tmp_path, *workers, limit=3, env={"SCRIPTED_LOG": str(log), "SCRIPTED_PAUSE": "600"}
    )
    suite.processes(1)  # a second one waits until it has seen how long that takes
    os.killpg(suite.process.pid, signal.SIGINT)
    run, took = suite.end(AT_ONCE)
    assert run.code == 2, run.out + run.err
    assert took < (5 if (os.cpu_count() or 1) > os.getloadavg()[0] else AT_ONCE)
    assert "(0 of " in run.out
    assert "kept in this run)" in run.out


@pytest.mark.slow
def test_killed_slow_run_loses_ten_seconds(tmp_path):
    """SIGKILL while a slow model answers: all but its last seconds of work is in the store."""
    log, pause = tmp_path / "log", 0.2
    env = {"SCRIPTED_LOG": str(log), "SCRIPTED_PAUSE": str(pause)}
    suite = StartedSuite(tmp_path, limit=3, env=env)
    (process,) = suite.processes(1)
    time.sleep(15)
    os.kill(process, signal.SIGKILL)
    suite.end(AT_ONCE)
    answered = asked(log).total()
    log.unlink()
    resumed = run_suite(tmp_path, limit=3, env={"SCRIPTED_LOG": str(log)})
    lost = asked(log).total() + answered - resumed.report["prompts"]
    assert 0 <= lost <= 10 / pause


@pytest.mark.slow
def test_interrupted_update_leaves_the_baseline(tmp_path):
    """Ctrl-C in a run that accepts: what was accepted before stays as it was, byte by byte."""
    part = ("-k", "race-default-weapons and (category or validity)")
    baselines = tmp_path / "baselines"
    accepted = run_suite(tmp_path, "--snapshot-update", *part, limit=None)
    assert accepted.code == 0, accepted.out
    before = {path.name: path.read_bytes() for path in baselines.rglob("*") if path.is_file()}
    assert before
    other = (*part, "--store", str(tmp_path / "other" / "store"), "--baselines", str(baselines))
    (tmp_path / "other").mkdir()
    suite = StartedSuite(tmp_path / "other", "--snapshot-update", *other, limit=None, env=SLOW)
    suite.processes(1)
    os.kill(suite.process.pid, signal.SIGINT)
    run, _ = suite.end(AT_ONCE)
    assert run.code == 2, run.out + run.err
    assert before == {
        path.name: path.read_bytes() for path in baselines.rglob("*") if path.is_file()
    }


def test_nothing_is_said_to_be_kept_without_a_store(tmp_path):
    """Ctrl-C under --store none: the next run asks everything, and the line promises no less."""
    run = run_suite(
        tmp_path,
        "--store",
        "none",
        "-p",
        "tests.unit.sensitive_models",
        model="sensitive:fair",
        limit=3,
        paths=("tests/implicit",),
        env={"SENSITIVE_STOP_AT": " "},
    )
    assert run.code == 2, run.out + run.err
    assert "incomplete: interrupted; run again\n" in run.out


@pytest.mark.parametrize("workers", WORKERS)
def test_stepwise_is_a_failure_not_an_interruption(tmp_path, workers):
    """--stepwise stops at a failed gate with 10, and the next run begins there."""
    arguments = ("--stepwise", *workers)
    first = run_suite(tmp_path, *arguments, model="scripted:weapons-only")
    assert first.code == 10, first.out
    assert first.report["verdict"] == "failed"
    failed = {gate["id"] for gate in first.gates.values() if gate["verdict"] == "fail"}
    again = run_suite(tmp_path, *arguments, model="scripted:weapons-only")
    assert again.code == 10, again.out
    assert failed & set(again.gates)


@needs_timeout
@pytest.mark.parametrize(
    "workers",
    [(), pytest.param(("-n", "2"), marks=pytest.mark.slow)],
    ids=["alone", "shared"],
)
def test_time_of_the_session_ends_the_asking(tmp_path, workers):
    """--session-timeout counts while the model is asked, and the run is incomplete."""
    run = run_suite(
        tmp_path,
        "-k",
        "default-weapons",
        "--session-timeout=1",
        *workers,
        env={"SCRIPTED_PAUSE": "0.5"},
    )
    assert run.code == 11, run.out + run.err
    assert "session-timeout" in run.out
    assert "INTERNALERROR" not in run.out + run.err


@needs_timeout
@pytest.mark.parametrize("method", ["signal", pytest.param("thread", marks=pytest.mark.slow)])
def test_time_of_the_model_is_no_time_of_a_test(tmp_path, method):
    """A limit on a test's time, as of pytest-timeout, does not end the run before the first test.

    It still ends a test that hangs.
    """
    limits = ("--timeout", "1", "--timeout-method", method)
    run = run_suite(
        tmp_path,
        *limits,
        "-k",
        "default-weapons",
        model="scripted:stereotyped",
        env={"SCRIPTED_PAUSE": "0.05"},
    )
    assert run.code == 10, run.out + run.err
    assert run.report["incomplete"] == []
    assert run.report["prompts"] * 0.05 > 1, "the model takes longer than a test may"
    (tmp_path / "test_hangs.py").write_text("import time\ndef test_hangs():\n    time.sleep(60)\n")
    hangs = run_suite(tmp_path, *limits, paths=(str(tmp_path / "test_hangs.py"),), process=True)
    assert hangs.code == 1
    assert "Timeout" in hangs.out + hangs.err
