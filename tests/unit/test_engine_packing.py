"""Packed passes: every token sees its own beginning and nothing else, whatever lies around it."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st
from torch import Tensor

from blindspot.models.transformers.engine import Engine, _window
from blindspot.models.transformers.memory import Limits
from blindspot.models.transformers.packing import Packing, Place, packable
from blindspot.models.transformers.predictions import Predictions, block_size
from blindspot.models.transformers.prefix_tree import Tokens
from blindspot.models.transformers.slots import PADDING, Lane, SlotCache
from blindspot.models.transformers.waves import Node
from tests.unit import tiny_models

LIMITS = Limits(None, tokens=64, slots=1000, reads=1000, wave=1000)
VOCABULARY = 1 << 16

sequences = st.sets(
    st.lists(st.integers(0, 2), min_size=1, max_size=12).map(tuple), min_size=1, max_size=40
).map(sorted)


def fingerprint(tokens: Tokens) -> int:
    """A number for a sequence, different for those of a test."""
    value = 7
    for token in tokens:
        value = (value * 31 + token + 1) % (VOCABULARY - 1)
    return value


class Reader:
    """Stands for an engine: reads back what each token sees, and predicts its fingerprint."""

    weights = 0

    def __init__(self, portions: int = 1) -> None:
        self.portions, self.reads = portions, 0
        self.lying: dict[tuple[int, int], tuple[int, int]] = {}
        self.fed = self.padded = 0
        self.slots = 0

    def pack(
        self, tokens: Tensor, places: Tensor, seen: Tensor, cache: SlotCache, reads: list[int]
    ) -> Predictions:
        lanes, width = tokens.shape
        self.reads = max(self.reads, len(reads))
        self.padded += lanes * width
        self.slots = max(self.slots, lanes * cache.slots)
        written = cache._written.tolist()
        for lane in range(lanes):
            taken = [slot for slot in written[lane] if slot != PADDING]
            assert len(set(taken)) == len(taken), "two tokens in a slot"
            self.fed += len(taken)
            for at, slot in enumerate(written[lane]):
                if slot != PADDING:
                    self.lying[lane, slot] = (int(places[lane, at]), int(tokens[lane, at]))
        logits = torch.zeros(len(reads), VOCABULARY)
        for row, read in enumerate(reads):
            lane, at = divmod(read, width)
            sees = sorted(
                self.lying[lane, slot] for slot in seen[lane, at].nonzero()[:, 0].tolist()
            )
            assert [place for place, _ in sees] == list(range(int(places[lane, at]) + 1))
            logits[row, fingerprint(tuple(token for _, token in sees))] = 1
        return Predictions.of(logits)


class Growing:
    """Feeds some tokens behind each sequence and notes what was predicted."""

    def __init__(self, behind: dict[Tokens, int]) -> None:
        self.behind, self.found = behind, {}
        self.grown: dict[Node, list[int]] = {}

    def take(self, predictions: Predictions, places: list[Place]) -> None:
        for row, (node, place) in zip(predictions.logits(), places, strict=True):
            whole = (*node.tokens, *self.grown.get(node, []))
            assert place < len(whole)
            assert int(row.argmax()) == fingerprint(whole[: place + 1]), "sees another beginning"
            assert (node, place) not in self.found, "predicted twice"
            self.found[node, place] = True

    def following(self, node: Node) -> int | None:
        fed = self.grown.setdefault(node, [])
        if len(fed) == self.behind.get(node.tokens, 0):
            return None
        fed.append(len(fed) % 3)
        return fed[-1]


def run(
    ordered: list[Tokens],
    behind: dict[Tokens, int],
    *,
    slots: int,
    room: int,
    portions: int = 1,
    **limits: int,
) -> tuple[Reader, Growing, Packing]:
    engine, growing = Reader(portions), Growing(behind)
    packing = Packing(
        engine,  # type: ignore[arg-type]
        dataclasses.replace(LIMITS, **limits),
        ordered,
        slots=slots,
        room=room,
    )
    for row in packing.rows:
        row.wanted.update({place: set() for place in range(row.begin, len(row.tokens))})
    packing.run(growing)
    return engine, growing, packing


@given(
    sequences,
    st.lists(st.integers(0, 9), min_size=40, max_size=40),
    st.integers(1, 200),
    st.integers(1, 80),
    st.integers(1, 30),
    st.integers(0, 9),
)
@settings(deadline=None)
@example([(0,), (0, 0)], [9] * 40, 1, 1, 1, 0)
def test_every_token_sees_its_own_beginning(
    ordered: list[Tokens], counts: list[int], slots: int, tokens: int, reads: int, room: int
) -> None:
    """Under any limits each prediction is made once, from the sequence up to its token."""
    behind = dict(zip(ordered, counts, strict=False))
    _, growing, packing = run(ordered, behind, slots=slots, room=room, tokens=tokens, reads=reads)
    expected = {
        (row, place)
        for row in packing.rows
        for place in range(row.begin, len(row.tokens) + behind[row.tokens])
    }
    assert set(growing.found) == expected


@given(sequences)
def test_a_single_lane_computes_every_distinct_beginning_once(ordered: list[Tokens]) -> None:
    """Tokens fed are the nodes of the token tree, without padding."""
    engine, _, packing = run(ordered, {}, slots=1, room=0)
    distinct = len({sequence[: n + 1] for sequence in ordered for n in range(len(sequence))})
    assert len(packing._feeds) == 1
    assert engine.fed == engine.padded == distinct


def prompts(count: int) -> list[Tokens]:
    """Long ones that share 20 tokens, and 5 of 10."""
    return sorted((*range(20), 30 + n // 4, *range(5), 40 + n, *range(4)) for n in range(count))


def test_lanes_cost_little() -> None:
    """With many lanes that finish at different times, little is computed twice or padded."""
    ordered = prompts(2000)
    behind = {sequence: 8 if n < 1000 else 1 for n, sequence in enumerate(ordered)}
    engine, _, packing = run(ordered, behind, slots=1 << 14, room=8, tokens=256)
    assert len(packing._feeds) > 4
    needed = packing._done[-1] + sum(behind.values())
    assert engine.fed < 1.2 * needed
    assert engine.padded < 1.3 * needed


def test_slots_are_kept_to() -> None:
    """While answers are as long as expected, no more slots are taken than were given."""
    ordered = prompts(400)
    engine, _, _ = run(ordered, dict.fromkeys(ordered, 8), slots=700, room=8, tokens=512)
    assert engine.slots <= 700


@pytest.mark.parametrize("portions", [1, 3])
def test_a_pass_reads_what_there_is_room_for(portions: int) -> None:
    """Of logits that are made in portions, as many predictions more; never more than that."""
    ordered = prompts(60)
    engine, _, _ = run(ordered, {}, slots=1000, room=0, tokens=512, reads=9, portions=portions)
    assert engine.reads == 9 * portions


def test_portions_are_those_that_predictions_are_made_in() -> None:
    """On a CPU some at a time; elsewhere all at once, and no pass may read more."""
    engine = Engine(tiny_models.model("llama", 10_000), "tiny")
    assert engine.portions == 3
    assert block_size(torch.device("cuda"), 10_000) == 10_000
    engine.device = torch.device("cuda")
    assert engine.portions == 1


def test_answers_longer_than_expected_are_finished() -> None:
    """Slots are added where they have to be; the lane then admits fewer sequences at a time."""
    ordered = prompts(60)
    engine, growing, _ = run(ordered, dict.fromkeys(ordered, 40), slots=200, room=2, tokens=64)
    assert engine.slots > 200
    assert len(growing.grown) == len(ordered)


@given(st.lists(st.tuples(st.integers(0, 30), st.integers(1, 6), st.booleans()), max_size=60))
def test_slots_of_a_lane_are_lent_once(steps: list[tuple[int, int, bool]]) -> None:
    """A slot is not given away while it, or what lies behind it, is held; then it is."""
    lane = Lane(64)
    held: dict[int, frozenset[int]] = {}
    for choice, count, letting_go in steps:
        ends = sorted(held)
        if letting_go and ends:
            slot = ends[choice % len(ends)]
            del held[slot]
            lane.release(slot)
            lane.passed()
        elif lane.free >= count:
            above = ends[choice % len(ends)] if ends and choice % 3 else -1
            slots = lane.extend(above, count)
            alive = frozenset().union(*held.values()) if held else frozenset()
            assert not alive & set(slots)
            held[slots[-1]] = (held[above] if above >= 0 else frozenset()) | set(slots)
        for slot, path in held.items():
            assert set(lane.seen[slot].nonzero()[0].tolist()) == path
    for slot in held:
        lane.release(slot)
    lane.passed()
    assert lane.free == 63


def test_what_is_released_stays_until_the_pass_is_computed() -> None:
    """Tokens of the pass that is being put together may still see it."""
    lane = Lane(16)
    (first,) = lane.extend(-1, 1)
    lane.release(first)
    assert first not in lane.extend(-1, 5)
    lane.passed()
    assert first in lane.extend(-1, 1)


@pytest.mark.parametrize(
    ("settings", "window"),
    [
        ({}, None),
        ({"sliding_window": 9}, 9),
        ({"sliding_window": None, "max_window_layers": 28}, None),
        ({"attention_chunk_size": 64, "sliding_window": 128}, 64),
    ],
    ids=["none", "sliding", "layers", "chunks"],
)
def test_windows_are_known_by_their_names(settings: dict[str, Any], window: int | None) -> None:
    """Whatever a configuration calls how far back a token sees; not which layers have a window."""
    from transformers import LlamaConfig

    assert _window(LlamaConfig(**settings)) == window


@pytest.mark.parametrize(
    ("architecture", "settings", "packs"),
    [
        ("llama", {}, True),
        ("qwen3", {}, True),
        ("gpt_neox", {}, True),
        ("gpt2", {}, True),
        ("mixtral", {"sliding_window": None}, True),
        ("mistral", {"sliding_window": 64}, True),
        ("gemma3", {"sliding_window": 64}, True),
        ("mistral", {}, False),  # its window is shorter than what is tried
        ("llama", {"attn_implementation": "eager"}, True),
    ],
)
def test_what_a_model_is_capable_of_is_tried(
    architecture: str, settings: dict[str, Any], packs: bool
) -> None:
    """Packing is used where it gives the numbers of one plain pass."""
    from blindspot.models.transformers.selfcheck import check

    engine = Engine(tiny_models.model(architecture, **settings), "tiny")
    assert check(engine, packing=True)
    assert engine.packs is packs


def test_packing_is_refused_where_it_would_be_wrong(monkeypatch: pytest.MonkeyPatch) -> None:
    """A model that overlooks the mask, or cannot take it, is run row by row."""
    from blindspot.models.transformers.selfcheck import check

    pack = Engine.pack

    def overlooked(self: Any, tokens: Any, places: Any, seen: Any, *rest: Any) -> Any:
        return pack(self, tokens, places, torch.ones_like(seen), *rest)

    def refused(*_: Any) -> Any:
        raise RuntimeError("The size of tensor a (16) must match the size of tensor b (9)")

    for broken in (overlooked, refused):
        monkeypatch.setattr(Engine, "pack", broken)
        engine = Engine(tiny_models.model(), "tiny")
        check(engine, packing=True)
        assert engine.shares
        assert not engine.packs


@pytest.mark.parametrize(
    ("window", "rows", "longest", "expected"),
    [
        (None, None, 30, True),
        (None, 4, 30, False),
        (None, None, 3000, False),
        (41, None, 30, True),
        (40, None, 30, False),
    ],
    ids=["plain", "rows-asked-for", "very-long", "within-window", "beyond-window"],
)
def test_where_packing_is_used(
    window: int | None, rows: int | None, longest: int, expected: bool
) -> None:
    """Not beyond a window (10 tokens may follow), nor where the user counts rows."""
    engine = Engine(tiny_models.model(), "tiny")
    engine.packs, engine.window = True, window
    limits = dataclasses.replace(LIMITS, rows=rows)
    assert packable(engine, limits, [(1, 2), (1,) * longest], 10) is expected
    engine.packs = False
    assert not packable(engine, limits, [(1, 2), (1,) * longest], 10)


def test_prompts_that_may_leave_the_context_are_computed_in_rows() -> None:
    """Learned positions end there: a token behind the last one has none."""
    engine = Engine(tiny_models.model("gpt2"), "x")
    engine.packs = True
    context = engine.context
    assert context
    limits = Limits(None, 64, 64, 64, 64)
    assert packable(engine, limits, [(1,) * (context - 2)], 2)
    assert not packable(engine, limits, [(1,) * (context - 1)], 2)
