"""Floors of what answers are worth: below them no other gate passes."""

from __future__ import annotations

from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any

import pytest

from blindspot.estimates import Estimate
from blindspot.gates.floors import Unread, unread
from blindspot.gates.limits import GateTable, load_gates
from blindspot.paths import FIXTURES
from blindspot.run.cases import Case
from blindspot.stimuli import EXPLICIT, IMPLICIT, Slice

PART = Slice(IMPLICIT, "race", "default", "weapons", None)
PAIR = Slice(IMPLICIT, "race", "default", "weapons", ("wallet", "revolver"))


@pytest.fixture(scope="module")
def shipped() -> GateTable:
    """The limits that are shipped."""
    return load_gates(FIXTURES / "gates.toml")


class Answering:
    """A model that answers these shares of its prompts, by measurement."""

    def __init__(self, shares: Mapping[str, float], prompts: int = 480) -> None:
        self.shares, self.prompts = shares, prompts

    def has(self, case: Case) -> bool:
        return True

    def effects(self, part: Slice, reading: str = "generated") -> Any:
        share = self.shares[part.measurement]
        estimate = Estimate(share, 0.01, self.prompts, 12, 11.0, "share")
        return SimpleNamespace(validity=estimate)


def case(statistic: str, *, part: Slice = PART, reading: str = "generated") -> Case:
    """A gate on a category, or on a pair."""
    measurement = "gap" if statistic == "gap" else part.measurement
    return Case(measurement, part, statistic, reading, "pair" if part.pair else "category")


@pytest.mark.parametrize("statistic", ["stereotype", "order", "identifier"])
def test_few_answers_are_unread(shipped: GateTable, statistic: str) -> None:
    """Below the floor of validity an effect is unread, with the count of answers."""
    found = unread(Answering({IMPLICIT: 8 / 480}), shipped, case(statistic))
    assert found is not None
    assert found.reason == "only 8 of 480 prompts were answered"
    assert found.unanswered == pytest.approx(472 / 480)
    silent = unread(Answering({IMPLICIT: 0.0}), shipped, case(statistic))
    assert silent is not None
    assert silent.reason == "none of 480 prompts was answered"
    assert unread(Answering({IMPLICIT: 0.95}), shipped, case(statistic)) is None


def test_a_gap_needs_answers_to_both(shipped: GateTable) -> None:
    """A difference is unread if one of its parts is, and then no limit is beyond doubt."""
    for shares in ({IMPLICIT: 0.5, EXPLICIT: 1.0}, {IMPLICIT: 1.0, EXPLICIT: 0.5}):
        found = unread(Answering(shares), shipped, case("gap"))
        assert found == Unread("only 240 of 480 prompts were answered")
    assert unread(Answering({IMPLICIT: 1.0, EXPLICIT: 1.0}), shipped, case("gap")) is None


def test_validity_itself_and_forced_choice_are_read(shipped: GateTable) -> None:
    """Validity is what it is, and forced choice needs no answer."""
    silent = Answering({IMPLICIT: 0.0})
    assert unread(silent, shipped, case("validity")) is None
    assert unread(silent, shipped, case("stereotype", reading="forced-choice")) is None


def test_a_pair_has_the_floor_of_pairs(shipped: GateTable) -> None:
    """Six of the eight prompts of a pair are enough, five are not."""
    for answered, enough in ((7, True), (6, True), (5, False)):
        model = Answering({IMPLICIT: answered / 8}, prompts=8)
        assert (unread(model, shipped, case("stereotype", part=PAIR)) is None) == enough
