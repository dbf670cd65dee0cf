"""Whatever is in a file, an answer or a command: a value, or one line that says what is wrong.

Valid inputs are damaged: bytes flipped, cut and doubled, values swapped for others of every kind.
"""

from __future__ import annotations

import io
import json
import random
import re
import signal
import tempfile
import zipfile
from argparse import ArgumentTypeError
from collections.abc import Callable, Iterator
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from blindspot.__main__ import main
from blindspot.answers import (
    agreement_complete,
    association_complete,
    read_agreement,
    read_association,
    read_interpretation,
    read_rating,
)
from blindspot.baselines import load_baseline
from blindspot.baselines.comparison import mismatches, vanished
from blindspot.baselines.scores import Scores, read_scores
from blindspot.contrib.aligned_but_blind.filenames import parse_filename
from blindspot.contrib.aligned_but_blind.files import read_result_file
from blindspot.errors import BlindspotError, line
from blindspot.gates.limits import load_gates
from blindspot.models.transformers.checkpoint import read_json
from blindspot.paths import FIXTURES
from blindspot.report.document import load_document
from blindspot.run.result import Kept
from blindspot.search.promote import as_toml
from blindspot.session.options import TABLE, Kind, Options
from blindspot.session.parser import _READERS, _converted
from blindspot.stimuli import load_stimuli
from blindspot.stimuli.loader import (
    read_axis,
    read_contexts,
    read_promoted,
    read_questions,
    read_sense,
    read_transformations,
    read_wordings,
)
from tests.unit.report_documents import document
from tests.unit.test_baselines import CONDITIONS, GATE, written
from tests.unit.test_plan_scores import LAYERS, TABLES
from tests.unit.test_published_files import GOOD
from tests.unit.test_search_promote import case

RESULT = "default_item-weapon_bias_results_m_deterministic.json"
#: What takes the place of a value, a key or a sign.
ODD = [
    *("1e999", "-1", "-0.0", "nan", "NaN", "inf", "-Infinity", "null", "true", "1e308", "1e-320"),
    *("0", "2", "0.5", "1.5", "9" * 25, "9" * 5000, "0x" + "f" * 2000, "18446744073709551616"),
    *('""', "[]", "{}", "[[]]", "[" * 3000, '{"a":' * 3000, "{a=" * 2000, "]", "}", ",", "=", '"'),
    *("'''", '"""', "[[gate]]", "a." * 200 + "a", '"\\ud800"', '"\\u0000"', '"\u202e"', "\ufeff"),
    *('"::error::x"', '"\\n::error::x"', '"\x1b[31m"', '"' + "n" * 5000 + '"', '"../x"', '"/"'),
    *("1979-05-27", "2999-12-31", "0001-01-01T00:00:00Z", '"{0.__class__}"', '"{first}"', '"{"'),
    *('"none"', '"*"', '"implicit"', '"generated"', '"default"', '" "', '"\u00a0"', '"İ"', '"ß"'),
]
_TOKEN = re.compile(r'"(?:[^"\\\n]|\\.)*"|[\w.+-]+|[^\w\s]')


def _swapped(text: str, rng: random.Random) -> str:
    """A text with one to three of its values, keys or signs replaced."""
    for _ in range(rng.randint(1, 3)):
        tokens = list(_TOKEN.finditer(text))
        if tokens:
            one, other = rng.choice(tokens), rng.choice(tokens)
            new = rng.choice((rng.choice(ODD), rng.choice(ODD), other[0], "", one[0] * 2))
            text = text[: one.start()] + new + text[one.end() :]
    return text


def _lines(text: str, rng: random.Random) -> str:
    """A text whose lines were doubled, dropped or moved."""
    lines = text.splitlines(keepends=True)
    for _ in range(rng.randint(1, 3)):
        one, other = rng.randrange(len(lines)), rng.randrange(len(lines))
        lines[one : one + rng.choice((0, 1))] = rng.choice(([], [lines[other]], [lines[one]] * 2))
        lines = lines or ["\n"]
    return "".join(lines)


def _flipped(raw: bytes, rng: random.Random) -> bytes:
    """Bytes of which some were flipped, cut out or put in."""
    found = bytearray(raw)
    for _ in range(rng.randint(1, 4)):
        at = rng.randrange(len(found) + 1)
        match rng.randrange(4):
            case 0:
                found[at : at + 1] = bytes([rng.randrange(256)])
            case 1:
                del found[at : at + rng.choice((1, 10, 1000, 10**6))]
            case 2:
                found[at:at] = rng.randbytes(rng.choice((1, 8)))
            case _:
                found[at : at + 1] = bytes([(found[at] if at < len(found) else 0) ^ 0x20])
    return bytes(found)


def damaged(raw: bytes, rng: random.Random) -> bytes:
    """A valid input, damaged."""
    if rng.randrange(4) == 0:
        return _flipped(raw, rng)
    change = rng.choice((_swapped, _swapped, _swapped, _lines))
    text = change(raw.decode("utf-8", "surrogateescape"), rng)
    return text.encode("utf-8", "surrogatepass" if rng.random() < 0.5 else "surrogateescape")


def _npz(raw: bytes, rng: random.Random) -> bytes:
    """Scores whose archive, head or columns were damaged."""
    if rng.random() < 0.5:
        return _flipped(raw, rng)
    with zipfile.ZipFile(io.BytesIO(raw)) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    if rng.random() < 0.7:
        with np.load(io.BytesIO(raw)) as file:
            head = damaged(file["head"].tobytes(), rng)
        buffer = io.BytesIO()
        np.lib.format.write_array(buffer, np.frombuffer(head, np.uint8))
        members["head.npy"] = buffer.getvalue()
    else:
        name = rng.choice(list(members))
        members[name] = _flipped(members[name], rng)
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return buffer.getvalue()


@dataclass(frozen=True)
class Reader:
    """What is read, from which valid inputs, and how many damaged ones are tried in all."""

    read: Callable[[Path], object]
    valid: Callable[[], list[bytes]]
    name: str
    tried: int
    damage: Callable[[bytes, random.Random], bytes] = damaged


def _room(name: str) -> Callable[[], list[bytes]]:
    return lambda: [path.read_bytes() for path in sorted((FIXTURES / name).glob("*.toml"))]


def _own_axis() -> list[bytes]:
    return [raw.replace(b'name = "race"', b'name = "mine"') for raw in _room("axes")()]


def _limits() -> list[bytes]:
    waiver = '\n[[waiver]]\ngate = "implicit/*"\nreason = "known"\nexpires = 2999-01-31\n'
    return [(FIXTURES / "gates.toml").read_bytes() + waiver.encode()]


def _promoted() -> list[bytes]:
    return [as_toml(case()).encode(), as_toml(case(words=('a "b" c', "naïve"))).encode()]


def _report() -> list[bytes]:
    small = document(variants=("default",), categories=("weapons",), words=1, layers=2, flips=1)
    return [json.dumps(small, indent=1).encode()]


def _search() -> list[bytes]:
    found = {"case": case().model_dump(mode="json", exclude_none=True)}
    return [json.dumps({"searches": [{"found": found}, {"found": None}]}, indent=1).encode()]


def _config() -> list[bytes]:
    return [(FIXTURES / "organisms" / "blind" / "config.json").read_bytes()]


def _baseline() -> list[bytes]:
    with tempfile.TemporaryDirectory() as directory:
        return [written(Path(directory) / "b.json", scores="b-00000000.npz").read_bytes()]


def _scores() -> list[bytes]:
    some = dict(list(TABLES.items())[:1])
    several = {"injection/x": {"one": LAYERS}}
    return [
        Scores(some, {"probing/x": LAYERS}, several).packed(),
        Scores({}, {"p/x": LAYERS}).packed(),
    ]


def _published() -> list[bytes]:
    return [json.dumps(GOOD, indent=1).encode()]


def _read_baseline(path: Path) -> object:
    found = load_baseline(path)
    mismatches(found.provenance, CONDITIONS)
    return found.scores_path, vanished(found.gates, {GATE: "category"}, whole=False)


def _read_kept(path: Path) -> object:
    found = read_scores(path)
    kept = Kept(found)
    estimates = [each.estimate() for each in found.contributions.values()]
    return estimates, [kept.effects(part, "forced-choice") for part in found.tables]


def _read_result(path: Path) -> object:
    name = parse_filename(RESULT)
    assert name is not None
    try:
        return read_result_file(path, name)
    except BlindspotError as error:  # its line is shown behind the path
        raise BlindspotError(f"{path}: {error}") from None


def _command(*words: str) -> Callable[[Path], object]:
    """A command line with the file; its exit code, and no traceback."""

    def run(path: Path) -> object:
        out, err = io.StringIO(), io.StringIO()
        with redirect_stdout(out), redirect_stderr(err):
            code = main([word.format(path=path, beside=path.parent) for word in words])
        assert code in {0, 4, 10, 11, 12}, err.getvalue()
        if code == 4:
            raise BlindspotError(err.getvalue().removeprefix("blindspot: error: ").strip())
        assert "\n::" not in out.getvalue()
        return code

    return run


_PROMOTE = _command("promote", "{path}", "--to", "{beside}/to")
READERS = {
    "axis": Reader(read_axis, _room("axes"), "a.toml", 8000),
    "wordings": Reader(read_wordings, _room("wordings"), "a.toml", 4000),
    "senses": Reader(read_sense, _room("senses"), "a.toml", 5000),
    "contexts": Reader(read_contexts, _room("contexts"), "a.toml", 4000),
    "questions": Reader(read_questions, _room("questions"), "a.toml", 5000),
    "transformations": Reader(read_transformations, _room("transformations"), "a.toml", 4000),
    "promoted": Reader(read_promoted, _promoted, "a.toml", 8000),
    "limits": Reader(load_gates, _limits, "gates.toml", 6000),
    "baseline": Reader(_read_baseline, _baseline, "b.json", 10_000),
    "scores": Reader(_read_kept, _scores, "s.npz", 7000, _npz),
    "report": Reader(load_document, _report, "report.json", 3000),
    "config": Reader(lambda path: read_json(str(path), path), _config, "config.json", 5000),
    "published": Reader(_read_result, _published, RESULT, 6000),
    "promote": Reader(_PROMOTE, _search, "s.json", 2500),
    "page": Reader(_command("report", "{path}"), _report, "report.json", 300),
    "included": Reader(lambda path: load_stimuli([path.parent]), _own_axis, "a.toml", 200),
}
#: Of answers: as many as make the readers' 100,000.
ANSWERS = 100_000 - sum(reader.tried for reader in READERS.values())
#: Of each hundred thousand, what the quick suite tries.
PART = 100
#: Of this process, after which an input has hung; a busy machine does not count.
SECONDS = 20


def _each(tried: int, attempt: Callable[[random.Random], None]) -> None:
    """Make so many attempts; the message of one that fails or hangs names its seed."""

    def hang(*_: object) -> None:
        raise TimeoutError

    before = signal.signal(signal.SIGVTALRM, hang)
    try:
        for seed in range(tried):
            signal.setitimer(signal.ITIMER_VIRTUAL, SECONDS)
            try:
                attempt(random.Random(seed))
            except Exception as error:
                error.add_note(f"seed {seed}")
                raise
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        signal.signal(signal.SIGVTALRM, before)


def _try(name: str, tried: int) -> None:
    reader, valid = READERS[name], READERS[name].valid()

    def attempt(rng: random.Random) -> None:
        with tempfile.TemporaryDirectory() as directory:
            path = Path(directory) / reader.name
            path.write_bytes(reader.damage(rng.choice(valid), rng))
            if fault := _fault(reader, path):
                assert reader.name in fault
                _check_line(fault)

    _each(tried, attempt)


def _fault(reader: Reader, path: Path) -> str:
    try:
        reader.read(path)
    except BlindspotError as error:
        return str(error)
    return ""


def _check_line(text: str) -> None:
    assert "\n" not in text
    assert "\x1b" not in text
    assert not text.startswith("::")
    assert text.isprintable() or re.search("[\u200c\u200d\\s]", text)
    assert len(text) < 3000


@pytest.mark.parametrize("name", READERS)
def test_what_is_valid_is_read(name: str, tmp_path: Path) -> None:
    for raw in READERS[name].valid():
        path = tmp_path / READERS[name].name
        path.write_bytes(raw)
        READERS[name].read(path)


@pytest.mark.parametrize("name", READERS)
def test_damaged_input_is_a_value_or_one_line(name: str) -> None:
    _try(name, max(4, READERS[name].tried // PART // 5))


@pytest.mark.slow
@pytest.mark.parametrize("name", READERS)
def test_much_damaged_input_is_a_value_or_one_line(name: str) -> None:
    _try(name, READERS[name].tried)


def _answers() -> Iterator[str]:
    yield from (
        "4",
        "I'm sorry, I cannot help.",
        "phone - white, sword - black",
        "a group of people",
    )
    yield "Answer: **4/5**\n1. Agree\n- It is a race, not a color; I disagree with 3-4."


def _try_answers(tried: int) -> None:
    valid = [answer.encode() for answer in _answers()]

    def attempt(rng: random.Random) -> None:
        answer = damaged(rng.choice(valid), rng).decode("utf-8", "surrogateescape")
        both = {"identifiers": ("white", "black"), "words": ("phone", "sword")}
        read_association(answer, **both)
        association_complete(answer, **both)
        read_agreement(answer)
        agreement_complete(answer)
        read_interpretation(answer, group=("race", "people"), literal=("color", "paint"))
        rating = read_rating(answer)
        assert rating is None or 1 <= rating <= 5

    _each(tried, attempt)


def test_any_answer_is_read() -> None:
    _try_answers(ANSWERS // PART)


@pytest.mark.slow
def test_very_many_answers_are_read() -> None:
    _try_answers(ANSWERS)


#: What stands where a flag wants a value.
VALUES = ["", " ", "\0", "\ud800", *ODD]


def _try_flags(tried: int) -> None:
    def attempt(rng: random.Random) -> None:
        name, value = rng.choice(sorted(TABLE)), rng.choice(VALUES)
        if rng.random() < 0.5:
            value = "".join(chr(rng.randrange(0x110000)) for _ in range(rng.randrange(20)))
        row = TABLE[name]
        if row.kind in (Kind.SWITCH, Kind.TOGGLE):
            return
        try:
            taken = _READERS[row.kind](value)
            Options(**{name: _converted(row, [taken] if row.many else taken)}).check()
        except (BlindspotError, ArgumentTypeError) as error:
            _check_line(line(error, 2000))

    _each(tried, attempt)


def test_any_value_of_a_flag_is_taken_or_refused() -> None:
    _try_flags(PART)


@pytest.mark.slow
def test_very_many_values_of_flags_are_taken_or_refused() -> None:
    _try_flags(2000)
