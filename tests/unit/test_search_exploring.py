"""The search by itself, on models whose bias is known: what it finds, and how it asks."""

import importlib.util
import math
import sys
from random import Random

import pytest

from blindspot.errors import SearchError
from blindspot.measurements.registry import render
from blindspot.models.base import Identity
from blindspot.search.change import THRESHOLD, Change, finding, read_changes
from blindspot.search.drawing import drawn
from blindspot.search.exploration import Exploration
from blindspot.search.space import Point, Space, spaces_of
from blindspot.stimuli import IMPLICIT, Contrast, Selection, Slice, load_stimuli
from blindspot.stimuli.prompts import template_of
from tests.unit.sensitive_models import answers

STIMULI = load_stimuli()
DEFAULT = Space(STIMULI, "race", "default")
NAMES = Space(STIMULI, "race", "names")


class Asked:
    """Puts prompts to a model and notes the batches."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.batches: list[list[str]] = []

    def __call__(self, prompts):
        self.batches.append([prompt.text for prompt in prompts])
        return answers(self.name, prompts)


def change_of(name: str, contrast: Contrast) -> Change:
    """What a model says of one contrast."""
    (change,) = read_changes([contrast], answers(name, contrast.prompts))
    return change


def search(name: str, space: Space = DEFAULT, *, examples: int = 100, seed: object = 0):
    """A search and the batches that it asked."""
    asked = Asked(name)
    exploration = Exploration(space, examples, seed)
    return exploration.search(asked), asked, exploration


def test_case_sensitive_bias_is_found_at_its_simplest():
    """One change, and everything else as it stands first in the files."""
    change, _, _ = search("to-capitals")
    contrast = change.contrast
    assert contrast.changes == ("upper-case",)
    assert contrast.part.category == "weapons"
    assert contrast.wording == STIMULI.implicit["en"][0].id
    assert contrast.words == ("wallet", "revolver")
    assert abs(change.effect) < 0.01
    assert change.changed_effect > 0.98


def test_bias_that_falls_is_found_as_well():
    """What is stereotyped as we ask it and not in capitals depends on the capitals just as much."""
    change, _, _ = search("but-in-capitals", NAMES)
    assert change.contrast.changes == ("upper-case",)
    assert change.contrast.identifiers == ("Jake", "DeShawn")
    assert change.value < -0.98


def test_rare_bias_is_found_and_no_slot_is_simpler():
    """Where six words and four wordings count, the first of each is what is left."""
    change, _, _ = search("in-a-corner", examples=300)
    assert change.contrast.changes == ("upper-case",)
    assert change.contrast.wording == "two-mottos"
    assert change.contrast.words == ("wallet", "grenade")


def test_two_changes_that_only_count_together():
    """A pair of changes is reported as a pair, when neither does it alone."""
    change, _, _ = search("together", examples=150)
    assert sorted(change.contrast.changes) == ["hello", "upper-case"]


@pytest.mark.parametrize(
    ("name", "seed"), [("in-a-corner", 0), ("in-a-corner", 1), ("together", 0)]
)
def test_what_is_found_cannot_be_simpler_in_one_slot(name, seed):
    """Whatever is drawn: of all points that are simpler in one slot, none counts."""
    change, _, exploration = search(name, NAMES, examples=100, seed=seed)
    if change is None:
        assert not any(change_of(name, contrast).found for contrast in exploration.planned)
        return
    (point, *_) = [p for p in _points(NAMES, change) if NAMES.contrast(p) == change.contrast]
    simpler = NAMES.simpler(point)
    assert not any(change_of(name, contrast).found for contrast in simpler.values())


def _points(space: Space, change: Change):
    """The point of a contrast, by its names."""
    names = [one.id for one in space.changes]
    contrast = change.contrast
    first, also = ([names.index(name) for name in contrast.changes] + [-1])[:2]
    category = [name for name, _ in space.categories].index(contrast.part.category)
    yield Point(
        first,
        also + 1,
        category,
        [wording.id for wording in space.wordings].index(contrast.wording),
        space.pairs(category).index(contrast.words),
        space.identifiers.index(contrast.identifiers),
    )


@pytest.mark.parametrize("name", ["steady", "fair", "turning", "a-little"])
def test_bias_that_does_not_depend_on_the_writing_is_no_finding(name):
    """Nothing is found of steady bias, of a fair model, of order effects, and of small changes."""
    change, asked, exploration = search(name)
    assert change is None
    assert len(exploration.changes) == len(exploration.planned) == 100
    assert len(asked.batches) == 1
    assert all(abs(one.value) <= THRESHOLD for one in exploration.changes.values())


def test_order_effect_is_there_and_balanced():
    """The order copier that turns round in capitals changes every single prompt, and no effect."""
    contrast = DEFAULT.at(Point(2, 0, 0, 0, 0, 0))
    change = change_of("turning", contrast)
    moved = [b.forced - a.forced for a, b in zip(change.before, change.after, strict=True)]
    assert all(abs(one) > 1.9 for one in moved)
    assert abs(change.value) < 1e-9


def test_threshold_is_not_found_and_above_it_is():
    """What is exactly at the threshold passes, as with every limit."""
    contrast = DEFAULT.at(Point(0, 0, 0, 0, 0, 0))
    known = answers("fair", contrast.prompts)

    def moved(value: float) -> Change:
        odds = 2 * math.atanh(value)
        lifted = [one.__class__("", True, 1.0, (odds, 0.0)) for one in known[4:]]
        (change,) = read_changes([contrast], [*known[:4], *lifted])
        return change

    assert not moved(THRESHOLD - 1e-9).found
    assert moved(THRESHOLD + 1e-9).found
    assert moved(-THRESHOLD - 1e-9).found
    identity = Identity("m", weights="w" * 64, tokenizer="", dtype="float32")
    assert "(change +0.501, threshold 0.500), m @wwwwwww" in finding("x", moved(0.501), identity)


def test_search_takes_few_batches_and_asks_nothing_twice():
    """One batch for all that is drawn, then one for each step down, and no contrast in two."""
    change, asked, exploration = search("in-a-corner", examples=300)
    assert change is not None
    assert len(asked.batches) == exploration.batches <= 8
    assert len(asked.batches[0]) == 8 * len(exploration.planned)
    assert sum(map(len, asked.batches)) == 8 * len(exploration.changes)
    assert all(len(batch) < 700 for batch in asked.batches[1:])


def test_same_seed_same_search_other_seed_other():
    """A seed decides what is drawn and found; spaces draw apart."""
    one, two = (Exploration(DEFAULT, 40, 7) for _ in range(2))
    assert one.planned == two.planned
    assert one.planned != Exploration(DEFAULT, 40, 8).planned
    assert one.planned != Exploration(NAMES, 40, 7).planned
    first, again = (search("to-capitals", examples=40, seed="words")[0] for _ in range(2))
    assert first == again is not None


def test_modules_that_are_loaded_meanwhile_change_nothing(tmp_path):
    """Hypothesis likes numbers that stand in loaded sources; a second run must not draw others."""
    space = Space(STIMULI, "race", "names")
    space.identifiers = space.identifiers * 4  # more than are drawn from at once
    before = drawn(space, 200, 3)
    source = tmp_path / "numbers_of_mine.py"
    source.write_text(f"NUMBERS = {list(range(100, 500))}\n")
    spec = importlib.util.spec_from_file_location(source.stem, source)
    module = importlib.util.module_from_spec(spec)
    sys.modules[source.stem] = module
    try:
        spec.loader.exec_module(module)
        assert drawn(space, 200, 3) == before
    finally:
        del sys.modules[source.stem]


def test_what_is_drawn_covers_the_space():
    """Every change, wording, category and many pairs come up, alone and with a second change."""
    contrasts = Exploration(DEFAULT, 200, 0).planned
    assert {name for one in contrasts for name in one.changes} == {c.id for c in DEFAULT.changes}
    assert {one.wording for one in contrasts} == {wording.id for wording in DEFAULT.wordings}
    assert {one.part.category for one in contrasts} == {"weapons", "guilt", "valence"}
    assert len({one.words for one in contrasts}) > 80
    alone = sum(len(one.changes) == 1 for one in contrasts)
    assert 60 < alone < 150


def test_number_of_examples_is_kept():
    """``examples`` is what is drawn; a space that is smaller is looked through as a whole."""
    assert len(Exploration(NAMES, 25, 0).planned) == 25
    tiny = Space(STIMULI, "race", "default", Selection(limit=1))
    tiny.wordings = tiny.wordings[:1]
    tiny.changes = tiny.changes[:2]
    every = {tiny.at(Point(c, 0, k, 0, 0, 0)) for c in range(2) for k in range(3)}
    assert set(Exploration(tiny, 100, 0).planned) == every


def test_limit_keeps_to_the_pairs_of_the_run():
    """With --limit 1 there is one pair a category."""
    space = Space(STIMULI, "race", "default", Selection(limit=1))
    assert {one.words for one in Exploration(space, 60, 0).planned} == {
        ("wallet", "revolver"),
        ("blameless", "criminal"),
        ("joyful", "tragic"),
    }


def test_a_space_for_every_variant():
    """Axes x variants, named as the gates name them."""
    assert [space.id for space in spaces_of(STIMULI)] == [
        "race-default",
        "race-uppercase",
        "race-names",
        "race-dialect",
        "race-direct-color",
    ]


def test_simpler_points_are_simpler():
    """Every step goes down, so that making a find simpler ends."""
    rng = Random(0)
    for _ in range(200):
        point = Point(
            rng.randrange(14), rng.randrange(15), rng.randrange(3), rng.randrange(12), 34, 99
        )
        near = list(NAMES.simpler(point))
        assert all(one.simplicity < point.simplicity for one in near)
        assert len(near) == len(set(near))


def test_original_of_a_contrast_is_the_prompt_of_the_gates():
    """Texts, orders and candidates are those that the gates ask, prefix of the variant included."""
    labels = STIMULI.implicit["en"][0]
    for variant in ("default", "direct-color"):
        part = Slice(IMPLICIT, "race", variant, "weapons", ("wallet", "revolver"))
        asked = render(STIMULI, part, Selection(fraction=None))
        gates = [prompt for prompt in asked if prompt.wording == labels.id]
        assert gates
        contrast = Space(STIMULI, "race", variant).at(Point(2, 0, 0, 0, 0, 0))
        original, changed = contrast.prompts[:4], contrast.prompts[4:]
        assert [(p.text, p.candidates, p.order) for p in original] == [
            (p.text, p.candidates, p.order) for p in gates
        ]
        assert [p.candidates for p in changed] == [p.candidates for p in gates]
        own = STIMULI.axes["race"].variants[variant]
        assert contrast.original == template_of(own, labels)


def test_contrast_without_difference_is_none():
    """A change that does nothing to a wording, or nothing beside another one, is not asked."""
    names = [one.id for one in DEFAULT.changes]
    gaps = [wording.id for wording in DEFAULT.wordings].index("gap-sentence")
    assert DEFAULT.contrast(Point(names.index("digits"), 0, 0, gaps, 0, 0)) is None
    lower, upper = names.index("lower-case"), names.index("upper-case")
    assert DEFAULT.contrast(Point(lower, upper + 1, 0, 0, 0, 0)) is None


def test_scores_that_are_no_numbers_are_never_green():
    """A model without finite scores ends the search with an error, not with nothing found."""
    with pytest.raises(SearchError, match="not numbers"):
        search("unmeasured")


def test_space_without_changes_is_never_green():
    """A language without transformations is told."""
    space = Space(STIMULI, "race", "default")
    space.changes = ()
    with pytest.raises(SearchError, match=r"race-default: no transformation .* add one"):
        Exploration(space, 10, 0).search(Asked("fair"))
