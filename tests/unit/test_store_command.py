"""``python -m blindspot store``: what is kept, and how it is removed."""

import os
import re
import subprocess
import sys
import time

import pytest

from blindspot.__main__ import main
from blindspot.store import PLACE_VARIABLE, Store, default_directory, key_of
from blindspot.store.directory import FOLDER
from blindspot.store.place import LIMIT_VARIABLE
from tests.unit.baseline_runs import WORKERS
from tests.unit.suite_runs import ROOT, run_suite

REFERENCE = (ROOT / "docs" / "reference.md").read_text("utf-8")

MODELS = {
    "organism:aware": 1200,
    "meta-llama/Meta-Llama-3-8B-Instruct": 30,
    "./checkpoints/a name of a directory that is long/[red]and not markup[/red]/step-2000": 2,
    "evil\x1b[31m\nname": 1,
}


@pytest.fixture(name="store")
def filled(tmp_path, monkeypatch):
    """A store with a few models, used a day after each other; it is where answers are kept."""
    directory = tmp_path / "store"
    monkeypatch.delenv(LIMIT_VARIABLE, raising=False)
    monkeypatch.setenv("BLINDSPOT_STORE", str(directory))
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()
    for day, (name, count) in enumerate(MODELS.items()):
        store = Store(directory)
        answers = store.of(name, name)
        answers.put({key_of(n): ["x" * 40] for n in range(count)})
        store.close()
        os.utime(answers.path, (1_700_000_000 + 86_400 * day,) * 2)
    yield directory
    monkeypatch.undo()
    time.tzset()


def run(capsys, *arguments):
    """Exit code, standard output and standard error of a command."""
    try:
        code = main(["store", *arguments])
    except SystemExit as end:
        code = end.code
    told = capsys.readouterr()
    return code, told.out, told.err


def names(directory):
    return {model.name for model in Store(directory).models() if model.answers}


def names_left(directory):
    return sorted(path.name for path in (directory / FOLDER).iterdir())


def test_models_are_listed(capsys, store):
    """Every model with its answers, size and last use, the latest first; totals, limit and path."""
    code, out, err = run(capsys, "ls")
    assert (code, err) == (0, "")
    lines = out.splitlines()
    assert all(len(line) <= 80 for line in lines[:-1])
    assert lines[0].split() == ["model", "id", "answers", "size", "last", "used"]
    assert re.match(r"evil\\x1b\[31m\\nname +[0-9a-f]{8} +1 +\S+ KiB 2023-11-17 22:13$", lines[2])
    assert "[red]and not" in out
    assert re.search(r"^organism:aware +[0-9a-f]{8} +1,200 +\S+ KiB 2023-11-14 22:13$", out, re.M)
    assert re.search(r"^total +1,233 +\S+ KiB *$", out, re.M)
    size = sum(path.stat().st_size for path in (store / FOLDER).iterdir()) / 1024
    assert lines[-1] == f"limit 2 GiB; {size:.0f} KiB in {store / FOLDER}"
    assert "\x1b" not in out


def test_listing_says_what_the_limit_is(capsys, store, monkeypatch):
    """As the environment sets it; a wrong value is a usage error."""
    monkeypatch.setenv(LIMIT_VARIABLE, "none")
    assert "\nlimit none; " in run(capsys, "ls")[1]
    monkeypatch.setenv(LIMIT_VARIABLE, "1.5G")
    assert "\nlimit 1.5 GiB; " in run(capsys, "ls")[1]
    monkeypatch.setenv(LIMIT_VARIABLE, "lots")
    code, out, err = run(capsys, "ls")
    assert (code, out) == (4, "")
    assert err.startswith(f"blindspot: error: {LIMIT_VARIABLE}='lots': ")
    assert err.count("\n") == 1


@pytest.mark.parametrize("command", ["ls", "clear"])
@pytest.mark.parametrize("place", ["missing", "without a file", "emptied", "none"])
def test_empty_store_is_told_in_one_line(capsys, store, command, place):
    """Nothing there is nothing wrong, and nothing is made."""
    if place == "emptied":
        run(capsys, "clear")
        where = str(store)
    elif place == "without a file":
        where = str(store.parent)
    else:
        where = "none" if place == "none" else str(store / "nowhere")
    code, out, err = run(capsys, command, "--store", where)
    assert (code, err) == (0, "")
    none = place == "none"
    assert out == f"no answers are {'stored with --store none' if none else f'stored in {where}'}\n"
    assert not (store / "nowhere").exists()


def test_all_models_are_removed(capsys, store):
    """Without a name, with what damage and earlier versions left; it says what is gone."""
    (store / FOLDER / "damaged.broken").write_bytes(b"x" * 2048)
    (store / "answers-2.sqlite3").write_bytes(b"x")
    (store / "mine.txt").write_text("kept")
    code, out, err = run(capsys, "clear")
    assert (code, err) == (0, "")
    assert names(store) == set()
    assert len(out.splitlines()) == len(MODELS) + 2
    assert re.search(r"^removed organism:aware [0-9a-f]{8}: 1,200 answers, \S+ KiB$", out, re.M)
    assert "removed evil\\x1b[31m\\nname " in out
    assert "removed damaged.broken: 2 KiB\n" in out
    assert "removed answers-2.sqlite3: 1 B\n" in out
    assert names_left(store) == ["lock"]
    assert (store / "mine.txt").exists()


def test_named_models_are_removed(capsys, store):
    """By name or by id; the others stay, and so do their answers."""
    listed = run(capsys, "ls")[1]
    found = re.search(r"^evil\S+ +([0-9a-f]{8})", listed, re.M)
    assert found
    code, out, err = run(capsys, "clear", "organism:aware", found[1])
    assert (code, err) == (0, "")
    assert len(out.splitlines()) == 2
    assert names(store) == set(MODELS) - {"organism:aware", "evil\x1b[31m\nname"}
    name = "meta-llama/Meta-Llama-3-8B-Instruct"
    assert len(Store(store).of(name, name).get(key_of(n) for n in range(30))) == 30


def test_all_checkpoints_of_a_name_are_removed(capsys, store):
    """A name stands for all weights that were asked under it."""
    other = Store(store)
    other.of("retrained", "organism:aware").put({key_of(1): ["x"]})
    other.close()
    assert run(capsys, "clear", "organism:aware")[1].count("removed organism:aware") == 2
    assert names(store) == set(MODELS) - {"organism:aware"}


def test_unknown_model_is_a_usage_error(capsys, store):
    """One line that names it and the way to the known ones; nothing is removed."""
    code, out, err = run(capsys, "clear", "organism:aware", "organism:awre")
    assert (code, out) == (4, "")
    assert err.startswith("blindspot: error: organism:awre: ")
    assert "store ls" in err
    assert err.count("\n") == 1
    assert names(store) == set(MODELS)


def test_model_in_use_is_kept(capsys, store):
    """What a run is using stays and is told; exit 1."""
    using = Store(store)
    using.of("organism:aware", "organism:aware")
    code, out, err = run(capsys, "clear")
    using.close()
    assert code == 1
    assert out.count("\n") == len(MODELS) - 1
    assert re.fullmatch(r"blindspot: kept organism:aware [0-9a-f]{8}: a run is using it\n", err)
    assert names(store) == {"organism:aware"}


def test_damaged_store_is_told(capsys, store):
    """A listing does not stop at a damaged file; it says where that is kept."""
    path, *_ = Store(store).models()
    path.path.write_bytes(b"no database " * 1000)
    code, out, err = run(capsys, "ls")
    assert code == 0
    assert re.search(r"^total +33 ", out, re.M)
    aside = path.path.with_suffix(".broken")
    assert err == f"blindspot: the answer store was damaged; the file was moved to {aside}\n"


@pytest.mark.parametrize(
    "arguments",
    [(), ("list",), ("ls", "model"), ("clear", "--all")],
    ids=["no command", "unknown command", "too many", "unknown option"],
)
def test_misuse_is_a_usage_error(capsys, store, arguments):
    """Exit 4 with the usage, and nothing is removed."""
    code, out, err = run(capsys, *arguments)
    assert (code, out) == (4, "")
    assert err.startswith("usage: python -m blindspot")
    assert "error: " in err.splitlines()[-1]
    assert names(store) == set(MODELS)


@pytest.mark.parametrize("command", ["ls", "clear"])
def test_help_says_what_it_does(capsys, command):
    """Where, what, and what is not asked."""
    code, out, err = run(capsys, command, "--help")
    assert (code, err) == (0, "")
    assert "--store DIR" in out
    assert "$BLINDSPOT_STORE" in out
    assert (LIMIT_VARIABLE if command == "ls" else "Does not ask") in out


def test_default_is_where_runs_keep_answers(monkeypatch, tmp_path, capsys):
    """Without --store and without the variable both use the user's cache directory."""
    monkeypatch.delenv("BLINDSPOT_STORE", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert run(capsys, "ls")[1] == f"no answers are stored in {default_directory()}\n"
    assert default_directory().is_relative_to(tmp_path)


def test_listing_through_a_pipe(store):
    """`head` may close it early: exit 0 and no traceback."""
    command = f"{sys.executable} -m blindspot store ls"
    done = subprocess.run(
        ["bash", "-c", f"set -o pipefail; {command} | head -n 1"],
        env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path), "PYTHONUNBUFFERED": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.split()[0] == "model"


def test_colors_can_be_refused(store):
    """With NO_COLOR a terminal gets none."""
    done = subprocess.run(
        [sys.executable, "-m", "blindspot", "store", "ls"],
        env=os.environ
        | {"PYTHONPATH": os.pathsep.join(sys.path), "NO_COLOR": "1", "FORCE_COLOR": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0
    assert not re.search(r"\x1b\[(?:\d+;)*[349]\d", done.stdout)


def test_reference_tells_of_the_store():
    """Where the file lies, its limit and the commands are in the reference."""
    (section,) = re.findall(r"^## The store\n(.*?)^## ", REFERENCE, re.M | re.S)
    for told in (FOLDER, f"`{LIMIT_VARIABLE}`", f"`{PLACE_VARIABLE}`", "--store DIR", "2 GiB"):
        assert told in section
    for command in ("ls", "clear"):
        assert f"python -m blindspot store {command}" in section


def test_a_run_is_listed(tmp_path, capsys):
    """What a run of the suite has asked is in the list, under the name it was asked by.

    The form that it chose for each wording as well.
    """
    ran = run_suite(tmp_path, "-k", "default-weapons")
    code, out, _ = run(capsys, "ls", "--store", str(tmp_path / "store"))
    assert code == 0
    forms = {(row["measurement"], row["wording"]) for row in ran.samples}
    count = ran.report["prompts"] + len(forms)
    assert re.search(rf"^scripted:fair +[0-9a-f]{{8}} +{count:,} ", out, re.M)


def test_wrong_limit_is_told_before_anything_is_asked(tmp_path):
    """By a run too: one line, exit 4, no store."""
    ran = run_suite(tmp_path, env={LIMIT_VARIABLE: "2X"})
    assert ran.code == 4
    assert f"{LIMIT_VARIABLE}='2X'" in ran.out + ran.err
    assert "Traceback" not in ran.out + ran.err
    assert not (tmp_path / "store").exists()


@pytest.mark.parametrize("workers", WORKERS)
def test_eviction_is_told_by_a_run(tmp_path, workers):
    """A run whose store has reached its limit says what is no longer kept, and is as good."""
    run_suite(tmp_path, "-k", "default-weapons", model="scripted:fair@1")
    arguments = ("-k", "default-weapons", *workers)
    ran = run_suite(tmp_path, *arguments, model="scripted:fair@2", env={LIMIT_VARIABLE: "1K"})
    assert ran.code == 0, ran.out
    note = "removed the answers of scripted:fair@1"
    assert re.sub(r"\s+", " ", ran.out).count(note) == 1
    assert names(tmp_path / "store") == {"scripted:fair@2"}
