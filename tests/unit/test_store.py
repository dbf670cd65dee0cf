"""The answer store: whole transactions, shared, and never in the way."""

import hashlib
import json
import os
import signal
import subprocess
import sys
import textwrap
import time
from dataclasses import replace

import pytest

from blindspot.run import ask
from blindspot.run.source import FixturePrompts
from blindspot.stimuli import Selection, load_stimuli
from blindspot.store import Store, key_of
from tests.unit.suite_runs import ROOT

#: Of a process that finds the package as this one did, installed or not.
ENVIRONMENT = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path), "OMP_NUM_THREADS": "1"}


def test_answers_come_back(tmp_path):
    """What was put is found by another process's store, whatever the text."""
    answers = {
        key_of(index): ["ü\n\ud800", True, 0.5, [-1.25, float("nan")]] for index in range(1200)
    }
    store = Store(tmp_path)
    store.of("m", "model").put(answers)
    store.close()
    found = Store(tmp_path).of("m", "model").get([*answers, key_of("other")])
    assert found.keys() == answers.keys()
    assert repr(found[key_of(7)]) == repr(answers[key_of(7)])


def test_models_have_a_file_each(tmp_path):
    """The fingerprint alone decides which: not the name, and not what is asked."""
    store, key = Store(tmp_path), key_of("same")
    store.of("one", "name").put({key: ["one"]})
    assert not store.of("two", "name").get([key])
    assert store.of("one", "renamed").get([key]) == {key: ["one"]}
    store.close()
    assert sorted(model.answers for model in store.models()) == [0, 1]


def test_keys_tell_parts_apart():
    """Parts do not run into each other, and every part counts."""
    keys = [key_of("ab", "c"), key_of("a", "bc"), key_of("a", ["b", "c"]), key_of("a", "b", "c")]
    assert len(set(keys)) == 4


@pytest.mark.parametrize(
    "parts",
    [[], ["a", 40, ["b", "c"], []], ['"\n\x00 é\u2028', ("\ud800", "\U0001f600")], [[""], 0, ""]],
)
def test_keys_are_digests_of_json(parts):
    """So that a store stays of use to later versions, whoever writes the JSON."""
    text = json.dumps(["m", *parts], ensure_ascii=False).encode("utf-8", "surrogatepass")
    assert key_of("m", *parts) == hashlib.sha256(text).digest()


def test_answers_have_the_key_of_all_that_decides_them(monkeypatch):
    """The prompt, its candidates, when it stops, how long it goes on, the decoding."""
    part, *_ = FixturePrompts(load_stimuli([]), Selection(limit=1)).slices("implicit")
    prompt, *_ = FixturePrompts(load_stimuli([]), Selection(limit=1)).prompts(part)
    changed = [
        {"text": f"{prompt.text} "},
        {"candidates": prompt.candidates[::-1]},
        {"identifiers": prompt.identifiers[::-1]},
        {"words": prompt.words[::-1]},
        {"full_length": True},
    ]
    keys = [ask.answer_key(prompt), ask.answer_key(prompt, "again by 7")]
    keys += [ask.answer_key(replace(prompt, **change)) for change in changed]
    for name, value in (("DECODING", "greedy-99"), ("MAX_NEW_TOKENS", 20)):
        with monkeypatch.context() as patch:
            patch.setattr(ask, name, value)
            keys.append(ask.answer_key(prompt))
    assert len(set(keys)) == len(keys)
    assert ask.answer_key(replace(prompt, wording="renamed")) == keys[0]


def test_memory_store_leaves_nothing(tmp_path, monkeypatch):
    """Without a directory answers last as long as the store."""
    monkeypatch.chdir(tmp_path)
    store = Store(None)
    answers = store.of("m", "model")
    answers.put({b"k": ["x", True, 0.0, []]})
    assert answers.get([b"k"])
    store.close()
    assert not list(tmp_path.iterdir())


def test_answers_are_the_same_when_asked_and_when_read(tmp_path):
    """What `put` returns is what `get` will: builtins of JSON, to the last bit."""
    store = Store(tmp_path).of("m", "model")
    key = key_of("m", 1)
    given = ["x", True, 0.1 + 0.2, (1, [2.5e-308, float("inf")])]
    kept = store.put({key: given})
    assert kept == {key: ["x", True, 0.1 + 0.2, [1, [2.5e-308, float("inf")]]]}
    assert store.get([key]) == kept


def test_first_answer_stays(tmp_path):
    """Two runs that asked the same at once agree ever after."""
    answers = Store(tmp_path).of("m", "model")
    answers.put({key_of(1): ["first"]})
    answers.put({key_of(1): ["second"], key_of(2): ["other"]})
    assert answers.get([key_of(1)]) == {key_of(1): ["first"]}
    assert len(answers) == 2


def test_many_processes_begin_a_store_at_once(tmp_path):
    """However many begin it: one store, and every answer of each."""
    script = textwrap.dedent(
        f"""
        import sys, time
        from pathlib import Path
        from blindspot.store import Store, key_of
        number = int(sys.argv[1])
        time.sleep(max(0, float(sys.argv[2]) - time.time()))
        for round in range(20):
            store = Store(Path({str(tmp_path / "store")!r}), told=print)
            store.of("m", "model").put({{key_of(number, round, n): [n] for n in range(10)}})
            store.close()
        """
    )
    begin = str(time.time() + 2)
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", script, str(number), begin],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env=ENVIRONMENT,
            text=True,
        )
        for number in range(6)
    ]
    assert [process.communicate()[0] for process in processes] == [""] * 6
    store = Store(tmp_path / "store")
    assert [model.answers for model in store.models()] == [6 * 20 * 10]


def test_killed_writer_leaves_whole_transactions(tmp_path):
    """A process killed while it writes leaves every transaction whole or absent."""
    script = textwrap.dedent(
        f"""
        from pathlib import Path
        from blindspot.store import Store, key_of
        store = Store(Path({str(tmp_path)!r})).of("m", "model")
        number = 0
        while True:
            store.put({{key_of(number, part): [str(number), True, 0.0, []] for part in range(50)}})
            print(number, flush=True)
            number += 1
        """
    )
    with subprocess.Popen(
        [sys.executable, "-c", script],
        stdout=subprocess.PIPE,
        env=ENVIRONMENT,
        text=True,
    ) as process:
        assert process.stdout is not None
        told = -1
        for line in process.stdout:
            told = int(line)
            if told >= 5:
                break
        process.send_signal(signal.SIGKILL)
    store = Store(tmp_path).of("m", "model")
    whole = [
        len(store.get(key_of(number, part) for part in range(50))) for number in range(told + 50)
    ]
    assert set(whole) <= {0, 50}
    assert all(count == 50 for count in whole[: told + 1])


@pytest.mark.parametrize(
    "kills", [5, pytest.param(100, marks=pytest.mark.slow)], ids=["few", "many"]
)
def test_killed_plans_resume(tmp_path, kills):
    """Killed at any moment, alone or beside another: resumed it ends as an undisturbed one.

    The samples are the same byte for byte, the model is asked what is missing and nothing else,
    no transaction is halved, and what the end of a run evicts is evicted.
    """
    done = subprocess.run(
        [sys.executable, "-m", "tests.unit.killed_plans", str(tmp_path), str(kills), str(kills)],
        cwd=ROOT,
        env=ENVIRONMENT,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["faults"] == []
    assert found["kills"] >= kills
    assert found["resumed"] > 0
