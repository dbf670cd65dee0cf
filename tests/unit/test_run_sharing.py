"""Nothing is asked twice: workers share, a killed run resumes, a second run asks nothing."""

import pytest

from tests.unit.suite_runs import asked, run_suite


@pytest.mark.parametrize("store", ["named", pytest.param("none", marks=pytest.mark.slow)])
def test_workers_share_the_run(tmp_path, store):
    """-n 2 asks each prompt once and reports what the serial run reports, sample by sample."""
    arguments = ("--baselines", str(tmp_path / "baselines"))  # the same command in both reports
    arguments += ("--store", "none") if store == "none" else ()
    log = tmp_path / "log"
    env = {"SCRIPTED_LOG": str(log), "SCRIPTED_TOGETHER": "2"}
    serial = run_suite(tmp_path / "a", *arguments, model="scripted:weapons-only", limit=3)
    parallel = run_suite(
        tmp_path / "b", *arguments, "-n", "2", model="scripted:weapons-only", limit=3, env=env
    )
    assert parallel.code == serial.code == 10, parallel.out + parallel.err
    assert parallel.comparable == serial.comparable
    assert parallel.samples == serial.samples
    counts = asked(log)
    assert sum(counts.values()) == serial.report["prompts"]
    assert len(counts) == 2, "both workers take part"


@pytest.mark.slow
def test_lost_worker_is_incomplete(tmp_path):
    """A worker that dies ends the run with 11, not with a hang and not with success."""
    run = run_suite(tmp_path, "-n", "2", env={"SCRIPTED_DIE_AFTER": "10"})
    assert run.code == 11, run.out + run.err
    assert "incomplete: worker gw" in run.out
    assert "INTERNALERROR" not in run.out


@pytest.mark.slow
def test_killed_run_resumes(tmp_path):
    """After SIGKILL the next run asks only what is missing, and the one after asks nothing."""
    log = tmp_path / "log"
    arguments = {"model": "scripted:fair", "limit": 3}
    killed = run_suite(
        tmp_path, **arguments, env={"SCRIPTED_LOG": str(log), "SCRIPTED_DIE_AFTER": "500"}
    )
    assert killed.code < 0
    before = sum(asked(log).values())
    log.unlink()
    resumed = run_suite(tmp_path, **arguments, env={"SCRIPTED_LOG": str(log)})
    after = sum(asked(log).values())
    assert resumed.code == 0
    assert 0 < after < resumed.report["prompts"]
    assert 0 < before + after - resumed.report["prompts"] <= before - 16  # the first list is kept
    log.unlink()
    again = run_suite(tmp_path, **arguments, env={"SCRIPTED_LOG": str(log)})
    assert not asked(log)
    assert again.comparable == resumed.comparable
    fresh = run_suite(tmp_path / "fresh", **arguments)
    assert fresh.samples == resumed.samples


def test_other_weights_are_asked_anew(tmp_path):
    """Answers of one model are never given for another; of the same one they are."""
    log = tmp_path / "log"
    env = {"SCRIPTED_LOG": str(log)}
    first = run_suite(tmp_path, model="scripted:fair@1", env=env)
    log.unlink()
    run_suite(tmp_path, model="scripted:fair@2", env=env)
    assert sum(asked(log).values()) == first.report["prompts"]


def test_changed_wording_is_asked_anew(tmp_path):
    """Only the prompts of a new wording are asked when the rest is known."""
    log = tmp_path / "log"
    env = {"SCRIPTED_LOG": str(log)}
    first = run_suite(tmp_path, "-m", "implicit and not explicit", env=env)
    before = first.report["prompts"]
    log.unlink()
    extra = tmp_path / "extra"
    extra.mkdir()
    (extra / "more.toml").write_text(
        'measurement = "implicit"\n[[wording]]\nid = "user-made"\n'
        'text = "Take {first} or {second} for {first_word} and for {second_word}.\\nAnswer:"\n'
        'answer = "{first_word} - {first_choice}, {second_word} - {second_choice}"\n'
    )
    second = run_suite(
        tmp_path, "-m", "implicit and not explicit", "--include-path", str(extra), env=env
    )
    new = second.report["prompts"] - before
    assert new == 4 * 2 * 3 == before // 12
    assert sum(asked(log).values()) == new


def test_unwritable_store_directory_is_told(tmp_path):
    """A store that was named and cannot be made is a usage error in one line."""
    blocker = tmp_path / "blocker"
    blocker.write_text("")
    run = run_suite(tmp_path, "--store", str(blocker / "below"))
    assert run.code == 4
    assert "blocker" in run.out + run.err
    assert "Traceback" not in run.out + run.err


def test_no_store_keeps_nothing(tmp_path):
    """With --store none every run asks everything, and no answer is left anywhere."""
    log = tmp_path / "log"
    env = {"SCRIPTED_LOG": str(log), "XDG_CACHE_HOME": str(tmp_path), "BLINDSPOT_STORE": "named"}
    arguments = ("--store", "none", "-k", "race-default-weapons", "--limit", "1")
    prompts = run_suite(tmp_path, *arguments, env=env).report["prompts"]
    del env["XDG_CACHE_HOME"]  # which needs a process
    assert run_suite(tmp_path, *arguments, env=env).report["prompts"] == prompts
    assert sum(asked(log).values()) == 2 * prompts
    assert not [*tmp_path.rglob("answers*")]
