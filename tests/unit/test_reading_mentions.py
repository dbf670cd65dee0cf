"""Names are found as one pattern with all of them would find them, without compiling it."""

from __future__ import annotations

import re

from hypothesis import given
from hypothesis import strategies as st

from blindspot.answers.mentions import _bounded, spans, targets
from blindspot.answers.text import prepare

NAMES = ("white", "whitew", "black", "will", "card", "credit card", "a a", "o'hara", "東京", "京")
GLUE = (" ", "-", " - ", "", ", ", "\n", "#", "'s", " not ", " but ", "_", "a", ".")


@given(
    st.permutations(NAMES),
    st.lists(st.tuples(st.integers(0, 5), st.booleans(), st.sampled_from(GLUE)), max_size=12),
)
def test_spans_are_those_of_one_pattern(names, parts):
    """The leftmost first, the longest of several there, none within another, joined ones too."""
    known = targets((names[0], names[1]), (names[2], names[3]))
    text = prepare("".join((names[n].upper() if up else names[n]) + end for n, up, end in parts))
    pattern = re.compile("|".join(_bounded(spelling) for spelling in known.spellings) or "(?!)")
    assert list(spans(known.spellings, text)) == [match.span() for match in pattern.finditer(text)]
