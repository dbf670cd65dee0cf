"""Whatever is in a file, an answer or a command: a value, or one line that says what is wrong."""

from __future__ import annotations

import io
import json
import random
import tempfile
from argparse import ArgumentTypeError
from collections.abc import Callable, Iterator
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import replace
from pathlib import Path
from typing import Any

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
from blindspot.exchange.formats import as_lines
from blindspot.exchange.returned import parts_of
from blindspot.gates.limits import load_gates
from blindspot.models import ModelOptions
from blindspot.models.answered.file import Exported, Head, set_digest
from blindspot.models.answered.model import open_answers
from blindspot.models.base import GenerationRequest
from blindspot.models.transformers.checkpoint import read_json
from blindspot.paths import FIXTURES
from blindspot.report.document import load_document
from blindspot.run.result import Kept
from blindspot.search.promote import as_toml
from blindspot.session.exclusions import check
from blindspot.session.flags import Kind
from blindspot.session.options import TABLE, Options
from blindspot.session.parser import _READERS, _converted
from blindspot.stimuli import load_stimuli
from blindspot.stimuli.files import (
    default_axes,
    read_axis,
    read_contexts,
    read_promoted,
    read_questions,
    read_sense,
    read_transformations,
    read_wordings,
)
from tests.unit.damage import ODD, OTHERS, Reader, check_line, damaged, each, npz
from tests.unit.report_documents import document
from tests.unit.test_baselines import CONDITIONS, GATE, written
from tests.unit.test_plan_scores import LAYERS, TABLES
from tests.unit.test_published_files import GOOD
from tests.unit.test_search_promote import case

RESULT = "default_item-weapon_bias_results_m_deterministic.json"


def _room(name: str) -> Callable[[], list[bytes]]:
    return lambda: [path.read_bytes() for path in sorted((FIXTURES / name).glob("*.toml"))]


def _suite() -> list[bytes]:
    return [(FIXTURES / "suite.toml").read_bytes()]


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


def _exported() -> list[bytes]:
    """Prompts with their answers: one file that has both, with and without log-probabilities."""
    prompts = [
        Exported(name, "implicit/race-default-weapons", f"{name}: ", (" a - b", " b - a"), 40)
        for name in ("one", "two", "three")
    ]
    found = []
    for extra in ({}, {"log_probabilities": [-1.5, -2.0]}, {"ended": True}):
        head = Head("answers", 3, set_digest([each.id for each in prompts]), ("-k", "race"))
        rows = [
            {
                "id": each.id,
                "slice": each.slice,
                "prompt": each.text,
                "candidates": list(each.candidates),
                "max_tokens": 40,
                "answer": "a - b",
                **extra,
            }
            for each in prompts
        ]
        scored = replace(head, scored="log_probabilities" in extra)
        found.append(as_lines([scored.as_json(), *rows]))
    return found


def _returned() -> list[bytes]:
    """The answer to a prompt as a batch API, lm-eval and inspect write it."""
    body = {"choices": [{"message": {"content": "a"}, "finish_reason": "stop"}]}
    doc = {"id": "one", "prompt": "one: "}
    log = {
        "samples": [
            {
                "id": "one",
                "input": "one: ",
                "output": {"choices": [{"message": {"content": "a"}, "stop_reason": "stop"}]},
            }
        ]
    }
    rows: list[dict[str, Any]] = [
        {"custom_id": "one", "response": {"status_code": 200, "body": body}, "error": None},
        {"custom_id": "one", "response": {"body": {"choices": [{"text": "a"}]}}},
        {"custom_id": "one", "response": None, "error": {"message": "expired"}},
        {"doc": doc, "resps": [["a"]]},
        {"doc": doc, "resps": [[["-1.5", "True"]], [["-2.0", "False"]]]},
        log,
    ]
    return [as_lines([row]) for row in rows]


def _judged(path: Path) -> object:
    """A file of answers as a model."""
    model = open_answers(ModelOptions(f"answers:{path}"))
    request = GenerationRequest("one: ", lambda text: text.endswith("b"))
    return model.identity, model.notes, model.generate([request])


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
    "scores": Reader(_read_kept, _scores, "s.npz", 7000, npz),
    "report": Reader(load_document, _report, "report.json", 3000),
    "config": Reader(lambda path: read_json(str(path), path), _config, "config.json", 5000),
    "published": Reader(_read_result, _published, RESULT, 6000),
    "promote": Reader(_PROMOTE, _search, "s.json", 2500),
    "answers": Reader(_judged, _exported, "a.jsonl", 2000),
    "imported": Reader(_command("answers", "import", "{path}"), _exported, "a.jsonl", 1500),
    "returned": Reader(lambda path: [*parts_of(path)], _returned, "r.jsonl", 2000),
    "page": Reader(_command("report", "{path}"), _report, "report.json", 300),
    "included": Reader(lambda path: load_stimuli([path.parent]), _own_axis, "a.toml", 200),
    "suite": Reader(lambda path: default_axes(path.parent), _suite, "suite.toml", 1000),
}
#: Of answers: as many as make the readers' 100,000.
ANSWERS = 100_000 - sum(reader.tried for reader in READERS.values())
#: Of each hundred thousand, what the quick suite tries.
PART = 100


@pytest.mark.parametrize("name", READERS)
def test_what_is_valid_is_read(name: str) -> None:
    for raw in READERS[name].valid():
        with READERS[name].place() as path:
            path.write_bytes(raw)
            assert not READERS[name].fault(path)


@pytest.mark.parametrize("name", READERS)
def test_damaged_input_is_a_value_or_one_line(name: str) -> None:
    READERS[name].attempt(max(4, READERS[name].tried // PART // 5))


@pytest.mark.slow
@pytest.mark.parametrize("name", READERS)
def test_much_damaged_input_is_a_value_or_one_line(name: str) -> None:
    READERS[name].attempt(READERS[name].tried)


@pytest.mark.parametrize("name", READERS)
def test_only_a_regular_file_is_read(name: str) -> None:
    """A pipe would never end, and a directory is none."""

    def attempt(_: object) -> None:
        with READERS[name].place() as path:
            others.pop()(path)
            READERS[name].fault(path)

    others = [*OTHERS]
    each(len(others), attempt)


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

    each(tried, attempt)


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
            check(Options(**{name: _converted(row, [taken] if row.many else taken)}))
        except (BlindspotError, ArgumentTypeError) as error:
            check_line(line(error, 2000))

    each(tried, attempt)


def test_any_value_of_a_flag_is_taken_or_refused() -> None:
    _try_flags(PART)


@pytest.mark.slow
def test_very_many_values_of_flags_are_taken_or_refused() -> None:
    _try_flags(2000)
