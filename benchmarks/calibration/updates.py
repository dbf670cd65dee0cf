"""Simulated updates: changes that vary over words and wordings as those of real updates do.

A change of a category slice is a table (place,), the orders already balanced: what a contrast of
`blindspot.estimates` sees when everything is answered. Real tables are taken apart into what each
word and each wording adds, and the rest. What words and wordings add is scaled to their unbiased
variance components: the mean of a word's prompts carries noise that the rest has already. A
simulated update gives every word and wording what a drawn one had in a drawn update, with a drawn
sign: nothing changes on average, and all readings and variants stay as dependent as they were.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from benchmarks.calibration.answers import Answers, design
from benchmarks.calibration.design import FACTORS, Design
from benchmarks.calibration.rule import POINT, WEIGHTS, Array

REST = "rest"


def design_of(name: str) -> Design:
    """The design behind a table named ``measurement/variant/category/reading``."""
    measurement, _, category, _ = name.split("/")
    return design(measurement, category)


def change(before: Answers, after: Answers, name: str) -> Array:
    """Change of a slice in a reading, (place,), unanswered ones left out."""
    found = after[name] - before[name]
    weights = WEIGHTS[name.split("/", maxsplit=1)[0]]
    mean = np.nanmean(found, axis=0, keepdims=True)
    return np.where(np.isnan(found), mean, found) @ weights


def answered_change(before: Answers, after: Answers, name: str) -> Array:
    """Change of the share answered, in the same shape."""
    return (~np.isnan(after[name]) * 1.0 - ~np.isnan(before[name])).mean(-1)


def taken_apart(table: Array, of: Design) -> dict[str, Array]:
    """What each word and wording adds to the mean, (level,), and the rest, (place,).

    Words and wordings are nearly orthogonal in a balanced design: their means do.
    """
    centred = table - table.mean()
    parts = of.means(centred)
    rest = centred - sum(parts[factor][codes] for factor, codes in of.codes.items())
    return {**parts, REST: rest}


def components(table: Array, of: Design) -> dict[str, float]:
    """Variance of each random effect in squared units of the table, unbiased: below 0 by chance."""
    parts = taken_apart(table, of)
    free = len(of) - 1 - sum(size - 1 for size in of.sizes.values())
    rest = float(np.square(parts[REST]).sum()) / free
    return {f: float(parts[f].var(ddof=1)) - rest * of.sizes[f] / len(of) for f in FACTORS}


def scaled(tables: Sequence[Array], of: Design) -> list[dict[str, Array]]:
    """Tables taken apart, the parts of each factor with its mean variance component, 0 at least."""
    parts = [taken_apart(table, of) for table in tables]
    found = [components(table, of) for table in tables]
    for factor in FACTORS:
        wanted = max(0.0, float(np.mean([each[factor] for each in found])))
        raw = float(np.mean([np.square(each[factor]).mean() for each in parts]))
        for each in parts:
            each[factor] = each[factor] * np.sqrt(wanted / raw if raw else 0.0)
    return parts


def points(variance: float) -> float:
    """Standard deviation in points, with the sign of the estimated variance."""
    return float(np.sign(variance) * np.sqrt(abs(variance)) / POINT)


@dataclass(frozen=True)
class Pool:
    """Real changes of one category in all that is read of it, taken apart: name -> update -> parts.

    Words are the same in all that is read; wordings are those of one measurement.
    """

    tables: Mapping[str, Sequence[dict[str, Array]]]

    @classmethod
    def of(cls, changes: Mapping[str, Sequence[Array]]) -> Pool:
        """From tables of the same updates under each name."""
        sizes = {len(tables) for tables in changes.values()}
        assert len(sizes) == 1
        return cls({name: scaled(tables, design_of(name)) for name, tables in changes.items()})

    def without_words(self) -> Pool:
        """The same, but no word changes by itself: then the gates on words judge no change."""
        return Pool(
            {
                name: [
                    {**parts, **{word: 0.0 * parts[word] for word in FACTORS[:2]}}
                    for parts in tables
                ]
                for name, tables in self.tables.items()
            }
        )

    def draw(self, updates: int, rng: np.random.Generator) -> dict[str, Array]:
        """Updates of which none changes anything on average: name -> (update, place)."""
        many = len(next(iter(self.tables.values())))
        which = rng.integers(many, size=updates)
        drawn: dict[tuple[str, str], tuple[Array, ...]] = {}
        result = {}
        for name, tables in self.tables.items():
            of, kind = design_of(name), name.split("/", maxsplit=1)[0]
            total = np.zeros((updates, len(of)))
            for factor, size in (*of.sizes.items(), (REST, len(of))):
                owner = kind if factor in (FACTORS[2], REST) else ""
                if (owner, factor) not in drawn:
                    shape = (updates, size)
                    signs = rng.choice((-1.0, 1.0), shape)
                    levels = rng.integers(many, size=shape), rng.integers(size, size=shape)
                    drawn[owner, factor] = (*levels, signs)
                update, level, sign = drawn[owner, factor]
                stack = np.stack([table[factor] for table in tables])
                if factor == REST:
                    total += sign * stack[which]
                else:
                    total += (sign * stack[update, level])[:, of.codes[factor]]
            result[name] = total
        return result
