"""One word per thing: the glossary has the names of the code, and what it replaces is gone."""

import re

import pytest

from blindspot.gates.verdict import RunVerdict, Verdict
from blindspot.measurements.base import BANDS, LEVELS
from blindspot.measurements.registry import ALL, BEHAVIORAL, STATISTICS
from blindspot.session.options import flags
from tests.unit.suite_runs import ROOT

GLOSSARY = (ROOT / "docs" / "glossary.md").read_text("utf-8")
PAGES = sorted((ROOT / "docs").rglob("*.md"))
SOURCE = ROOT / "src" / "blindspot"
ROOMS = {part for path in SOURCE.rglob("*.py") for part in path.relative_to(SOURCE).parts}
ROOMS = {name.removesuffix(".py") for name in ROOMS}

NAMES = {
    "verdict": {*Verdict, *RunVerdict},
    "measurement": {one.name for one in ALL},
    "statistic": {*STATISTICS},
    "reading": {reading for one in ALL for reading in one.readings},
    "answer": {answer for one in BEHAVIORAL.values() for answer in one.answers},
    "figure": {figure.name for one in BEHAVIORAL.values() for figure in one.figures},
    "level": {*LEVELS},
    "band": {*BANDS},
}

#: Words and phrases that the glossary, or plain English, replaces: each with what to write.
REPLACED = {
    r"embedded (?:models?|one)": "bundled model",
    r"shuffled labels|meaningless labels": "shuffled-label control",
    r"(?<!minimum )detectable effects?": "minimum detectable effect",
    r"error rate is held|held over the run": "family-wise error rate",
    r"counterbalanc\w+": "all four orders",
    r"\w+-blind score": "blind gap",
    r"key[- ]value cache|keys and values of the beginning": "KV cache",
    r"trie|tree of beginnings": "prefix tree",
    r"anew": "again",
    r"leave \w+ away|left away": "omit",
    r"is told|are told": "is reported",
    r"known (?:too little|less well)": "estimated too imprecisely",
    r"somebody|whoever": "anyone",
    r"mend(?:s|ed)?": "fix",
    r"so-manieth": "every nth",
    r"without a word|in silence": "silently",
}

#: Modules and packages whose name ends in -ing because the field calls the thing so.
NOUNS = {
    "patching": "activation patching, a measurement",
    "probing": "linear probing, a measurement",
    "decoding": "greedy decoding",
    "scoring": "log-probability scoring",
    "pairing": "a pairing of words with identifiers: an answer",
    "drawing": "a chart, or a draw of cases",
}
#: Names that say nothing of what is in a module.
EMPTY = {"utils", "util", "helpers", "common", "misc", "shared", "things", "stuff"}


#: Words of flags that the glossary need not explain.
PLAIN = {
    *("apply", "include", "require", "trust"),
    *("arg", "chat", "device", "dtype", "mismatch", "output", "path", "remote"),
    *("revision", "seed", "size"),
}


def prose(page):
    """A page without its blocks of code, and without words in code."""
    text = re.sub(r"^```.*?^```", "", page.read_text("utf-8"), flags=re.DOTALL | re.MULTILINE)
    return re.sub(r"`[^`\n]*`", "", text)


@pytest.mark.parametrize("kind", NAMES)
def test_glossary_lists_the_names_of_the_code(kind):
    """Every name that a user can meet is in the line of its kind, and no other."""
    (line,) = re.findall(rf"^- \*\*{kind}\*\*:.*$", GLOSSARY, re.MULTILINE)
    listed = {*re.findall("`([^`]+)`", line)}
    missing, gone = sorted(NAMES[kind] - listed), sorted(listed - NAMES[kind])
    assert not missing + gone, f"docs/glossary.md, **{kind}**: add {missing}, remove {gone}"


def test_flags_are_named_by_words_of_the_glossary():
    """Every word of a flag is in the glossary, or means what it means to everybody."""
    words = {word.removesuffix("s") for flag in flags() for word in flag.strip("-").split("-")}
    unexplained = {word for word in words if not re.search(rf"\b{word}", GLOSSARY, re.IGNORECASE)}
    assert unexplained == PLAIN


def test_flags_have_no_replaced_words():
    """A flag says what the glossary says."""
    text = " ".join(flags()).replace("-", " ")
    assert not [word for word in REPLACED if re.search(rf"\b(?:{word})\b", text)]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_replaced_words_are_gone_from_the_pages(page):
    """A page says what the glossary says."""
    found = {
        match[0]: instead
        for pattern, instead in REPLACED.items()
        for match in re.finditer(rf"\b(?:{pattern})\b", prose(page), re.IGNORECASE)
    }
    assert not found


def test_modules_are_nouns():
    """A module is named after a thing. An -ing name is one where the field has no other."""
    assert not {name for name in ROOMS if name.endswith("ing")} - {*NOUNS}
    assert not ROOMS & EMPTY


def test_every_allowed_name_is_in_use():
    """An exception that nothing needs any more is removed."""
    assert {*NOUNS} <= ROOMS
