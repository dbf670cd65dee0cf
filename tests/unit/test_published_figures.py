"""The paper's figures for Llama 3 8B, reproduced from its published answers.

Needs the compact copy of those answers (a line per text), which is not part of the project:
``BLINDSPOT_PUBLISHED`` names it, or it lies in ``shared/published`` beside the checkout. The texts
are turned into the paper's own files first, so that reading those is tested as well.
"""

from __future__ import annotations

import gzip
import json
import os
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from blindspot.__main__ import main
from blindspot.contrib.aligned_but_blind import (
    Collection,
    Rescored,
    load_prompts,
    read_directory,
    rescore,
    score_association,
)
from blindspot.contrib.aligned_but_blind.rescore import balanced_share

BASE, INSTRUCT = "Meta-Llama-3-8B", "Meta-Llama-3-8B-Instruct"
GOOD_BAD, INNOCENT_GUILTY, ITEM_WEAPON = "good_adj-bad_adj", "guilty-innocent", "item-weapon"
GROUPS = [(BASE, "default"), (INSTRUCT, "default"), (BASE, "names"), (INSTRUCT, "names")]
GROUP_IDS = ["base-default", "instruct-default", "base-names", "instruct-names"]


def _compact_copy() -> Path:
    beside = Path(__file__).parents[3] / "shared" / "published" / "llama3_8b.jsonl.gz"
    return Path(os.environ.get("BLINDSPOT_PUBLISHED") or beside)


def write_paper_layout(lines: Path, folder: Path) -> None:
    """Write the paper's files, one per variant, category and model, from the compact copy."""
    files: dict[tuple[str, str, str], dict[str, dict[str, Any]]] = {}
    with gzip.open(lines, "rt", encoding="utf-8") as file:
        for line in file:
            text = json.loads(line)
            key = " ".join(text[part] for part in ("white", "black", "positive", "negative"))
            entries = files.setdefault((text["variant"], text["category"], text["model"]), {})
            entry = [text["text"], text["published_label"]]
            assert text["prompt_id"] not in entries.setdefault(key, {})
            entries[key][text["prompt_id"]] = entry
    for (variant, category, model), entries in files.items():
        path = folder / variant / f"{variant}_{category}_bias_results_{model}_deterministic.json"
        path.parent.mkdir(exist_ok=True)
        path.write_text(json.dumps(entries, indent=4), encoding="utf-8")


@pytest.fixture(scope="module")
def paper_files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    lines = _compact_copy()
    if not lines.is_file():
        pytest.skip("no copy of the published answers; set BLINDSPOT_PUBLISHED to one")
    folder = tmp_path_factory.mktemp("published")
    write_paper_layout(lines, folder)
    return folder


@pytest.fixture(scope="module")
def collection(paper_files: Path) -> Collection:
    return read_directory(paper_files)


@pytest.fixture(scope="module")
def rescored(collection: Collection) -> Rescored:
    return rescore(collection)


HITS = {
    (BASE, "default", GOOD_BAD): (34, 135),
    (BASE, "default", INNOCENT_GUILTY): (82, 245),
    (BASE, "default", ITEM_WEAPON): (36, 121),
    (INSTRUCT, "default", GOOD_BAD): (168, 168),
    (INSTRUCT, "default", INNOCENT_GUILTY): (251, 252),
    (INSTRUCT, "default", ITEM_WEAPON): (126, 140),
    (BASE, "names", GOOD_BAD): (50, 197),
    (BASE, "names", INNOCENT_GUILTY): (114, 281),
    (BASE, "names", ITEM_WEAPON): (84, 268),
    (INSTRUCT, "names", GOOD_BAD): (164, 394),
    (INSTRUCT, "names", INNOCENT_GUILTY): (197, 395),
    (INSTRUCT, "names", ITEM_WEAPON): (204, 394),
}


def test_published_hits_and_denominators_are_exact(rescored: Rescored) -> None:
    """Every cell of the published table, to the answer."""
    found = {
        (row.model, row.variant, row.category): (row.hits, row.denominator) for row in rescored.rows
    }
    assert found == HITS
    assert rescored.skipped == ()


def test_published_aggregates_are_exact(rescored: Rescored) -> None:
    """The paper's mean of categories and the pooled share, to the digits that were published."""
    found = {}
    for total in rescored.totals:
        mean, pooled = total.published_mean_of_categories, total.pooled.published_share
        assert mean is not None
        assert pooled is not None
        found[total.pooled.model, total.pooled.variant] = (f"{mean:.2%}", f"{pooled:.1%}")
    assert found == {
        (BASE, "default"): ("29.47%", "30.3%"),
        (INSTRUCT, "default"): ("96.53%", "97.3%"),
        (BASE, "names"): ("32.43%", "33.2%"),
        (INSTRUCT, "names"): ("47.76%", "47.8%"),
    }


@pytest.mark.parametrize(
    ("group", "percent"), list(zip(GROUPS, (32.4, 98.0, 39.6, 58.2), strict=True)), ids=GROUP_IDS
)
def test_balanced_shares_of_the_published_readings_are_exact(
    collection: Collection, group: tuple[str, str], percent: float
) -> None:
    """Balancing order over the answers that the published scorer reads gives the known figures."""
    readings = []
    for file in collection.files:
        if (file.name.model, file.name.variant) != group:
            continue
        for record in file.records:
            prompt = record.prompt
            if prompt.kind == "implicit":
                score = score_association(
                    record.text, identifiers=prompt.identifiers, words=prompt.words
                )
                if score.read:
                    readings.append((prompt.copy_is_stereotyped, score.hit))
    share = balanced_share(readings)
    assert share is not None
    assert round(100 * share, 1) == percent


@pytest.mark.parametrize(
    ("group", "percent"), list(zip(GROUPS, (32.4, 98.0, 39.6, 58.2), strict=True)), ids=GROUP_IDS
)
def test_balanced_shares_of_our_readings_are_close(
    rescored: Rescored, group: tuple[str, str], percent: float
) -> None:
    """Our reader takes other answers as valid, which moves no share by more than two points."""
    [share] = [
        total.pooled.balanced_share
        for total in rescored.totals
        if (total.pooled.model, total.pooled.variant) == group
    ]
    assert share is not None
    assert 100 * share == pytest.approx(percent, abs=2)


def test_keyed_likert_differences_are_exact(rescored: Rescored) -> None:
    """Stereotype minus reverse on the 1-5 scale, and the agreement with both beside it."""
    found = {
        (total.pooled.model, total.pooled.variant): (
            round(total.pooled.keyed_difference or 0.0, 2),
            round(total.pooled.acquiescence or 0.0, 2),
        )
        for total in rescored.totals
    }
    assert found == {
        (BASE, "default"): (0.00, 0.00),
        (INSTRUCT, "default"): (0.98, 0.18),
        (BASE, "names"): (-0.44, 0.35),
        (INSTRUCT, "names"): (-0.44, 1.46),
    }
    assert all(total.pooled.rated == total.pooled.statements for total in rescored.totals)


def test_published_prompts_use_three_of_four_orders(collection: Collection) -> None:
    """Copying order scores 25 % on the published prompts, which is why 50 % is not neutral."""
    prompts = [record.prompt for file in collection.files for record in file.records]
    cells = Counter(prompt.order_cell for prompt in prompts if prompt.kind == "implicit")
    assert set(cells) == {(False, True), (True, False), (False, False)}
    copies = [prompt.copy_is_stereotyped for prompt in prompts if prompt.kind == "implicit"]
    assert sum(copies) / len(copies) == 0.25


def test_published_statements_are_described(collection: Collection) -> None:
    """One form in four is reverse-keyed, one asks what is perceived, half use the Likert scale."""
    forms = Counter(
        (prompt.prompt_id, prompt.keyed, prompt.scale, prompt.perceived)
        for file in collection.files
        for prompt in (record.prompt for record in file.records)
        if prompt.kind == "explicit"
    )
    assert set(forms) == {
        ("explicit_random0", 1, "likert", False),
        ("explicit_random1", -1, "likert", False),
        ("explicit_variation0", 1, "agree", False),
        ("explicit_variation1", 1, "agree", True),
    }


def test_published_prompts_are_distinct(paper_files: Path) -> None:
    """Both models answered the same prompts: 140 pairs and 297 named ones, eight forms each."""
    loaded = load_prompts(paper_files)
    by_variant = Counter(prompt.variant for prompt in loaded.prompts)
    assert by_variant == {"default": 140 * 8, "names": 297 * 8}
    assert all(prompt.text.endswith("My Answer: ") for prompt in loaded.prompts)


def test_the_documented_output_is_current(
    paper_files: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """docs/rescore.md shows what the command prints today; paste its output there if it changed."""
    page = (Path(__file__).parents[2] / "docs" / "rescore.md").read_text(encoding="utf-8")
    assert main(["rescore", str(paper_files)]) == 0
    assert capsys.readouterr().out.rstrip() in page


def test_all_published_texts_are_scored_in_seconds(paper_files: Path) -> None:
    """6,992 texts are read and scored in seconds: ten leave room for a busy machine."""
    start = time.perf_counter()
    rescored = rescore(read_directory(paper_files))
    assert time.perf_counter() - start < 10
    assert sum(row.n for row in rescored.rows) * 2 == 6_992
