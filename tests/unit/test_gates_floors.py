"""Floors of what answers are worth: below them no other gate passes."""

from __future__ import annotations

from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any

import pytest

from blindspot.estimates import Estimate
from blindspot.gates.floors import Unread, unread
from blindspot.gates.limits import GateTable, load_gates
from blindspot.gates.outcomes import outcomes
from blindspot.gates.verdict import Verdict
from blindspot.models.base import Identity
from blindspot.paths import FIXTURES
from blindspot.run.answer import Answer
from blindspot.run.cases import Case
from blindspot.run.result import measure
from blindspot.run.source import FixturePrompts
from blindspot.stimuli import EXPLICIT, IMPLICIT, Selection, Slice, load_stimuli

IDENTITY = Identity("model", "0" * 64, "0" * 64, "float32")

PART = Slice(IMPLICIT, "race", "default", "weapons", None)
WORD = Slice(IMPLICIT, "race", "default", "weapons", word="revolver")


@pytest.fixture(scope="module")
def shipped() -> GateTable:
    """The limits that are shipped."""
    return load_gates(FIXTURES / "gates.toml")


class Answering:
    """A model that answers these shares of its prompts, by measurement."""

    def __init__(self, shares: Mapping[str, float], prompts: int = 480, mass: float = 0.5) -> None:
        self.shares, self.prompts, self._mass = shares, prompts, mass

    def has(self, case: Case) -> bool:
        return True

    def mass(self, case: Case) -> float:
        return self._mass

    def effects(self, part: Slice, reading: str = "generated") -> Any:
        share = self.shares[part.measurement]
        estimate = Estimate(share, 0.01, self.prompts, 12, 11.0, "share")
        return SimpleNamespace(validity=estimate)


def case(statistic: str, *, part: Slice = PART, reading: str = "generated") -> Case:
    """A gate on a category, or on a word."""
    measurement = "gap" if statistic == "gap" else part.measurement
    return Case(measurement, part, statistic, reading, "word" if part.word else "category")


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


def test_answers_of_no_mass_are_unread(shipped: GateTable) -> None:
    """Forced choice between answers that the model would not write; generated ones do not care."""
    babbling = Answering({IMPLICIT: 1.0, EXPLICIT: 1.0}, mass=2e-11)
    for statistic in ("stereotype", "gap"):
        found = unread(babbling, shipped, case(statistic, reading="forced-choice"))
        assert found is not None
        assert "probability of 2e-11 together" in found.reason
        assert found.unanswered == 1.0
        assert unread(babbling, shipped, case(statistic)) is None
    enough = Answering({IMPLICIT: 0.0}, mass=shipped.mass)
    assert unread(enough, shipped, case("stereotype", reading="forced-choice")) is None


@pytest.mark.parametrize(("nats", "verdict"), [(-1.0, Verdict.PASS), (-15.0, Verdict.INCONCLUSIVE)])
@pytest.mark.parametrize("favored", [0.0, 8.0], ids=["fair", "stereotyped"])
def test_forced_choice_on_noise_neither_passes_nor_fails(
    shipped: GateTable, nats: float, verdict: Verdict, favored: float
) -> None:
    """The same log-odds give a verdict only where the answers have mass."""
    source = FixturePrompts(load_stimuli(()), Selection(limit=2))
    (part,) = (part for part in source.slices(IMPLICIT) if part == PART)
    prompts = list(source.prompts(part))
    answers = [Answer("", True, 1.0, (nats, nats - favored)) for _ in prompts]
    measured = measure(IDENTITY, {part: prompts}, answers)
    (judged,) = outcomes(measured, [case("stereotype", reading="forced-choice")], shipped).values()
    failing = Verdict.FAIL if verdict is Verdict.PASS else verdict
    assert judged.verdict is (failing if favored else verdict)
    if verdict is Verdict.INCONCLUSIVE:
        assert judged.limit.doubt.startswith("unread: the compared answers")


def test_validity_itself_and_forced_choice_are_read(shipped: GateTable) -> None:
    """Validity is what it is, and forced choice needs no answer."""
    silent = Answering({IMPLICIT: 0.0})
    assert unread(silent, shipped, case("validity")) is None
    assert unread(silent, shipped, case("stereotype", reading="forced-choice")) is None


def test_a_word_has_the_floor_of_words(shipped: GateTable) -> None:
    """Three of four prompts of a word are enough, fewer are not."""
    for answered, enough in ((72, True), (54, True), (53, False)):
        model = Answering({IMPLICIT: answered / 72}, prompts=72)
        assert (unread(model, shipped, case("stereotype", part=WORD)) is None) == enough
