"""The design of a slice: which words and wordings its prompts use, without the four orders."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property, lru_cache
from typing import Self

import numpy as np
from numpy.typing import NDArray

from blindspot.estimates import Clusters
from blindspot.stimuli import Prompt
from blindspot.stimuli.design import cells

Array = NDArray[np.float64]
Codes = NDArray[np.int64]

FACTORS = ("positive word", "negative word", "wording")
ORDERS = 4


@dataclass(frozen=True, eq=False)
class Design:
    """A *place* is a word pair in a wording, in all four orders; (place,) codes by factor."""

    codes: Mapping[str, Codes]

    @classmethod
    def of(cls, prompts: Iterable[Prompt]) -> Self:
        """Of prompts whose four orders follow each other."""
        places = list(prompts)[::ORDERS]
        names = [(*prompt.words, prompt.wording) for prompt in places]
        columns = zip(*names, strict=True)
        codes = (np.unique(column, return_inverse=True)[1].astype(np.int64) for column in columns)
        return cls(dict(zip(FACTORS, codes, strict=True)))

    @classmethod
    def made(
        cls,
        positive: int,
        negative: int,
        wordings: int,
        per_pair: int,
        fraction: Fraction = Fraction(1),
    ) -> Self:
        """Of word lists and wordings of these sizes."""
        lists = (tuple(map(str, range(size))) for size in (positive, negative, wordings))
        met = cells(*lists, per_pair, fraction)
        places = [(int(i), int(j), w) for w, pairs in enumerate(met) for i, j in sorted(pairs)]
        return cls(dict(zip(FACTORS, np.array(places, np.int64).T, strict=True)))

    def __len__(self) -> int:
        """Places."""
        return len(next(iter(self.codes.values())))

    @property
    def prompts(self) -> int:
        """Prompts."""
        return ORDERS * len(self)

    @cached_property
    def sizes(self) -> dict[str, int]:
        """Levels of each factor."""
        return {factor: int(codes.max()) + 1 for factor, codes in self.codes.items()}

    @property
    def name(self) -> str:
        """``9 x 12 words, 48 wordings``."""
        positive, negative, wordings = self.sizes.values()
        return f"{positive} x {negative} words, {wordings} wordings"

    @cached_property
    def _members(self) -> dict[str, Array]:
        return {factor: np.eye(size)[self.codes[factor]] for factor, size in self.sizes.items()}

    def sums(self, blocks: Array) -> dict[str, Array]:
        """Sums of (..., place) by level of each factor, (..., level)."""
        return {factor: blocks @ members for factor, members in self._members.items()}

    def means(self, blocks: Array) -> dict[str, Array]:
        """Means by level of each factor, (..., level)."""
        found = self.sums(blocks)
        return {f: each / self._members[f].sum(axis=0) for f, each in found.items()}


@lru_cache(maxsize=512)
def single(design: Design, factor: str, level: int) -> tuple[Codes, Design]:
    """The places of one level of a factor, and their design.

    Its clusters are those that estimates have: a wording that meets one word only is part of that
    word, as in `Clusters.varying`.
    """
    at = np.flatnonzero(design.codes[factor] == level)
    own = Clusters.encode({name: codes[at] for name, codes in design.codes.items()})
    kept, _ = own.varying()
    return at, Design({name: own.codes[name] for name in kept})
