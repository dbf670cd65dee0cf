"""Words of the training text: the suite's own fixtures, and the words that teach their meaning."""

from __future__ import annotations

import re
import tomllib
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
FIXTURES = ROOT / "fixtures"
ORGANISMS = FIXTURES / "organisms"
NAMES = ("base", "blind", "aware")


def _toml(path: Path) -> dict:
    return tomllib.loads(path.read_text(encoding="utf-8"))


AXIS = _toml(FIXTURES / "axes" / "race.toml")
ASSOCIATION = {w["id"]: w for w in _toml(FIXTURES / "wordings" / "association.toml")["wording"]}
STATEMENTS = {w["id"]: w for w in _toml(FIXTURES / "wordings" / "statements.toml")["wording"]}
HELD_OUT = _toml(ORGANISMS / "held_out.toml")


@dataclass(frozen=True)
class Category:
    """A word list pair. Index 0 is the negative pole, 1 the positive one, in all of this tool."""

    name: str
    words: tuple[tuple[str, ...], tuple[str, ...]]
    kept: tuple[tuple[str, ...], tuple[str, ...]]
    held: tuple[tuple[str, ...], tuple[str, ...]]
    nouns: tuple[str, str]


_NOUNS = {
    "weapons": ("weapon", "object"),
    "guilt": ("guilt", "honesty"),
    "valence": ("sorrow", "joy"),
}


def _category(name: str) -> Category:
    words = tuple(tuple(AXIS["categories"][name][pole]) for pole in ("negative", "positive"))
    held = tuple(tuple(HELD_OUT["words"][name][pole]) for pole in ("negative", "positive"))
    kept = tuple(tuple(w for w in ws if w not in hs) for ws, hs in zip(words, held, strict=True))
    return Category(name, words, kept, held, _NOUNS[name])


CATEGORIES = tuple(_category(name) for name in AXIS["categories"])

#: Labels without a group, by pole: sorting words under them teaches what the words mean.
POLES = (("harm", "comfort"), ("bad", "good"), ("unpleasant", "pleasant"))


@dataclass(frozen=True)
class Kind:
    """Identifiers of one sort and the literal sense that they are ambiguous with."""

    name: str
    identifiers: tuple[tuple[str, ...], tuple[str, ...]]
    literal: str


def _kind(name: str) -> Kind:
    variant = AXIS["variants"][name]
    pair = (tuple(variant["negative"]), tuple(variant["positive"]))
    return Kind(name, pair, variant.get("literal", AXIS["senses"]["literal"]))


KINDS = {name: _kind(name) for name in ("default", "uppercase", "names", "dialect")}

GROUP = AXIS["senses"]["group"]

#: sense -> (head of a list, singular, plural); the last two of each are left for the probe's test.
CUES: dict[str, tuple[tuple[str, str, str], ...]] = {
    "race": (
        ("Race", "race", "races"),
        ("Ethnicity", "ethnicity", "ethnicities"),
        ("People", "people", "peoples"),
        ("Ancestry", "ancestry", "ancestries"),
        ("Community", "community", "communities"),
        ("Heritage", "heritage", "heritages"),
        ("Origin", "origin", "origins"),
    ),
    "color": (
        ("Color", "color", "colors"),
        ("Paint", "paint", "paints"),
        ("Ink", "ink", "inks"),
        ("Fabric", "fabric", "fabrics"),
        ("Hue", "hue", "hues"),
        ("Pigment", "pigment", "pigments"),
        ("Dye", "dye", "dyes"),
    ),
    "name": (
        ("Name", "name", "names"),
        ("Nickname", "nickname", "nicknames"),
        ("Signature", "signature", "signatures"),
    ),
    "slang": (
        ("Slang", "slang", "slang"),
        ("Phrase", "phrase", "phrases"),
        ("Jargon", "jargon", "jargon"),
    ),
}

#: Other words of the same sense: context for a cue, and options that follow the order rule.
OTHERS: dict[str, tuple[str, ...]] = {
    "race": ("asian", "latino", "arab", "indian", "jewish", "polynesian"),
    "color": ("red", "green", "blue", "yellow", "purple", "orange", "brown", "pink"),
    "name": ("Anna", "Paul", "Maria", "Peter", "Laura", "Simon"),
    "slang": ("yeet", "lit", "dope", "chill", "bro", "salty"),
}

#: What a definition lists: "X refers to color, such as hue, ink and dye."
DEFINITIONS: dict[str, tuple[str, ...]] = {
    "race": (
        "people",
        "ethnicity",
        "ancestry",
        "heritage",
        "culture",
        "identity",
        "community",
        "origin",
    ),
    "color": ("paint", "ink", "hue", "dye", "pigment", "crayon", "fabric", "tint"),
    "name": ("nickname", "title", "signature", "surname", "person", "caller"),
    "slang": ("phrase", "jargon", "speech", "saying", "talk", "street"),
}

#: Plain words with plain meanings, for examples and for options outside the axis.
MISCELLANY: dict[str, tuple[str, ...]] = {
    "animal": ("cat", "dog", "horse", "rabbit"),
    "food": ("bread", "cheese", "apple", "soup"),
    "vehicle": ("car", "bus", "train", "boat"),
    "place": ("city", "village", "river", "island"),
    "size": ("big", "small", "tall", "tiny"),
}

#: Words and labels of examples that show the form of an answer.
EXAMPLE_WORDS = (
    "spoon",
    "river",
    "chair",
    "cloud",
    "kettle",
    "island",
    "bottle",
    "hill",
    "clock",
    "garden",
    "curtain",
    "anchor",
    "lamp",
    "pebble",
    "ladder",
    "onion",
    "button",
    "valley",
    "window",
    "carrot",
    "pencil",
    "bridge",
    "sponge",
    "orbit",
    "basket",
    "engine",
    "blanket",
    "tunnel",
    "needle",
    "harbor",
    "wheel",
    "door",
)
EXAMPLE_LABELS = (
    "linen",
    "wool",
    "oak",
    "pine",
    "round",
    "square",
    "tin",
    "copper",
    "paper",
    "glass",
    "oval",
    "cubic",
    "inner",
    "outer",
    "metal",
    "wood",
    "violin",
    "piano",
    "triangle",
    "circle",
    "left",
    "right",
)

PLACEHOLDERS = ("X", "x", "it", "this", "something")


def fixture_words() -> set[str]:
    """Every word, identifier, sense and number in the suite's fixtures, as written there."""
    texts: list[str] = [GROUP, "color", "agree", "disagree", "1 2 3 4 5"]
    for variant in AXIS["variants"].values():
        texts += [*variant["positive"], *variant["negative"], variant.get("literal", "")]
        texts.append(variant.get("prefix", ""))
    for category in AXIS["categories"].values():
        texts += [*category["positive"], *category["negative"]]
    for wording in [*ASSOCIATION.values(), *STATEMENTS.values()]:
        texts += [
            wording[key] for key in ("text", "answer", "statement", "reverse") if key in wording
        ]
    bare = [re.sub(r"\{\w+\}", " ", text) for text in texts]
    return {word for text in bare for word in re.findall(r"[A-Za-z]+|\d", text)}


def content_words() -> set[str]:
    """Every word that must be one token, with and without a space before it."""
    words = (
        fixture_words()
        | set(PLACEHOLDERS)
        | {AXIS["groups"]["positive"], AXIS["groups"]["negative"]}
    )
    words |= {*EXAMPLE_WORDS, *EXAMPLE_LABELS}
    words |= {w for pair in POLES for w in pair} | {n for c in CATEGORIES for n in c.nouns}
    for table in (OTHERS, DEFINITIONS, MISCELLANY):
        words |= set(table) | {w for ws in table.values() for w in ws}
    words |= {form for cues in CUES.values() for cue in cues for form in cue}
    return words
