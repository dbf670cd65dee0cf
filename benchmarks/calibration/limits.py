"""What the gates against limits say of a single model: how often a sound one passes.

``python -m benchmarks.calibration.limits [--runs N]`` simulates the association answers of a model
to four variants of three categories, and judges their stereotype, order and identifier effects,
and the stereotype effect of each word, together by the shipped limits.
"""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from itertools import product

import numpy as np

from benchmarks.calibration.alarms import CATEGORIES
from benchmarks.calibration.answers import GATED, READINGS
from benchmarks.calibration.design import FACTORS, ORDERS, Design
from benchmarks.calibration.outcomes import Answers, Level, Spread
from benchmarks.calibration.rule import STEPS, Array
from blindspot.estimates.association import AssociationEffects, association_effects
from blindspot.gates.limits import GateTable, load_gates
from blindspot.gates.outcomes import gate_of
from blindspot.gates.rule import Check, judge
from blindspot.gates.verdict import Verdict
from blindspot.measurements.base import FORCED_CHOICE, WORD
from blindspot.paths import FIXTURES
from blindspot.run.cases import Case
from blindspot.stimuli import IMPLICIT, Slice

STEREOTYPE = "stereotype"
STATISTICS = (STEREOTYPE, "order", "identifier")
#: The word that one of the subjects singles out, and all others.
SINGLED = "first negative word"
KINDS = (*STATISTICS, SINGLED, WORD)
DESIGN = Design.made(9, 12, 24, 2)
SEED = 13


@dataclass(frozen=True)
class Subject:
    """A model, in nats of log-odds.

    ``stereotype``, ``order``, ``identifier``: what it follows; ``of_word``: the stereotype in one
    negative word of a category alone; ``turns``: standard deviation of the order by wording;
    ``spread``: by how much words and wordings differ.
    """

    stereotype: float = 0.0
    of_word: float = 0.0
    order: float = 0.5
    identifier: float = 0.0
    turns: float = 1.0
    spread: Spread = field(default_factory=lambda: Level().spread)


SUBJECTS: Mapping[str, Subject] = {
    "fair, words and wordings as measured": Subject(),
    "fair, twice as uneven": Subject(spread=Spread(0.8, 0.8, 1.6, 1.2, 1.6)),
    "stereotyped, 2 nats": Subject(stereotype=2.0),
    "reversed, 2 nats": Subject(stereotype=-2.0),
    "stereotyped in one word of each category, 6 nats": Subject(of_word=6.0),
    "follows the order, 6 nats": Subject(order=6.0),
    "favors an identifier, 6 nats": Subject(identifier=6.0),
}


def prompts() -> Array:
    """(prompt, 5): positive word, negative word, wording, and both orders."""
    places = np.repeat(np.stack([*DESIGN.codes.values()], axis=1), ORDERS, axis=0)
    orders = np.tile([*product((0, 1), (0, 1))], (len(DESIGN), 1))
    return np.concatenate([places, orders], axis=1)


def answers(subject: Subject, prompts: Array, rng: np.random.Generator) -> Array:
    """Log-odds (nats) of the stereotyped answer, (prompt,)."""
    _, negative, w, first, second = prompts.T
    drawn = replace(subject.spread, prompts=0.0).draw(DESIGN, (), rng)[:, 0]
    followed = subject.order + subject.turns * rng.standard_normal(DESIGN.sizes[FACTORS[2]])
    own = subject.spread.prompts * rng.standard_normal(len(prompts))
    return np.asarray(
        subject.stereotype
        + subject.of_word * (negative == 0)
        + np.repeat(drawn, ORDERS)
        + np.where(first == second, 1.0, -1.0) * followed[w]
        + np.where(second == 1, 1.0, -1.0) * subject.identifier
        + own
    )


def effects(prompts: Array, log_odds: Array, reading: str) -> AssociationEffects:
    """The effects of these answers, as a run estimates them."""
    return association_effects(
        Answers.values(log_odds, reading),
        positive_identifier_first=prompts[:, 3],
        positive_word_first=prompts[:, 4],
        clusters={name: prompts[:, column] for column, name in enumerate(FACTORS)},
        step=STEPS[reading],
    )


def run(subject: Subject, table: GateTable, rng: np.random.Generator) -> list[tuple[str, Verdict]]:
    """What every gate of one run judges, one of `KINDS`, and its verdict."""
    checks, asked = [], prompts()
    for variant, category in product(GATED, CATEGORIES):
        part = Slice(IMPLICIT, "race", variant, category)
        log_odds = answers(subject, asked, rng)
        for reading in READINGS:
            found = effects(asked, log_odds, reading)
            for statistic in STATISTICS:
                case = Case(IMPLICIT, part, statistic, reading, "category")
                gate = gate_of(table, case, "limit")
                checks.append(Check(gate, found.of(statistic).estimate()))
        for column, word in ((c, w) for c in (0, 1) for w in np.unique(asked[:, c])):
            own = asked[:, column] == word
            found = effects(asked[own], log_odds[own], FORCED_CHOICE)
            single = replace(part, word=f"{column}.{word}")
            case = Case(IMPLICIT, single, STEREOTYPE, FORCED_CHOICE, WORD)
            checks.append(Check(gate_of(table, case, "limit"), found.judged))
    kinds = ((WORD if one.level == WORD else one.statistic, one) for one in judge(checks))
    return [
        (SINGLED if kind == WORD and "-1.0/" in one.id else kind, one.verdict)
        for kind, one in kinds
    ]


def main() -> None:
    """Print a table of verdicts."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=50)
    runs = parser.parse_args().runs
    table, rng = load_gates(FIXTURES / "gates.toml"), np.random.default_rng(SEED)
    print("| model | runs with a failure |", *(f"{name} |" for name in KINDS))
    print("|---" * (2 + len(KINDS)) + "|")
    for name, subject in SUBJECTS.items():
        judged = [run(subject, table, rng) for _ in range(runs)]
        failed = sum(any(verdict is Verdict.FAIL for _, verdict in one) for one in judged)
        told = []
        for statistic in KINDS:
            count = Counter(v for one in judged for s, v in one if s == statistic)
            total = count.total()
            told.append(
                ", ".join(f"{100 * count[v] / total:.1f} % {v}" for v in Verdict if count[v])
            )
        print(f"| {name} | {failed} of {runs} |", *(f"{each} |" for each in told), flush=True)


if __name__ == "__main__":
    main()
