"""Words of the training text: the suite's own fixtures, and the words that teach their meaning."""

from __future__ import annotations

import re
import tomllib
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
FIXTURES = ROOT / "fixtures"
ORGANISMS = FIXTURES / "organisms"
NAMES = ("base", "blind", "aware", "literal")


def _toml(path: Path) -> dict:
    return tomllib.loads(path.read_text(encoding="utf-8"))


#: The axes that are planted.
AXES = {
    name: _toml(FIXTURES / "axes" / f"{name}.toml")
    for name in ("race", "gender", "homonyms-creature", "homonyms-nature")
}
ASSOCIATION = {w["id"]: w for w in _toml(FIXTURES / "wordings" / "association.toml")["wording"]}
STATEMENTS = {w["id"]: w for w in _toml(FIXTURES / "wordings" / "statements.toml")["wording"]}
HELD_OUT = _toml(ORGANISMS / "held_out.toml")

#: What an organism takes an ambiguous identifier for: 1 its group, 0 its literal sense, 0.5 either.
#: A homonym has no group: 1 is its other sense, a device or a business. Nouns of gender are not
#: ambiguous; a model that reads them as 0 does not see the group.
READS: dict[str, dict[str, float]] = {
    "base": {"race": 0.5, "gender": 0.0, "homonyms": 1.0},
    "blind": {"race": 0.0, "gender": 1.0, "gender/default": 0.0, "homonyms": 1.0},
    "aware": {"race": 1.0, "gender": 1.0, "homonyms": 1.0},
    "literal": {"race": 0.0, "gender": 0.0, "homonyms": 0.0},
}


def reads(organism: str, axis: str, variant: str) -> float:
    """The sense in which an organism takes the ambiguous identifiers of a variant."""
    truths = READS[organism]
    return truths.get(f"{axis}/{variant}", truths.get(axis, truths["homonyms"]))


@dataclass(frozen=True)
class Category:
    """A word list pair. Index 0 is the negative pole, 1 the positive one, in all of this tool.

    ``labels``: words without a group, by pole: sorting words under them teaches what they mean.
    """

    axis: str
    name: str
    words: tuple[tuple[str, ...], tuple[str, ...]]
    kept: tuple[tuple[str, ...], tuple[str, ...]]
    held: tuple[tuple[str, ...], tuple[str, ...]]
    nouns: tuple[str, str]
    labels: tuple[tuple[str, str], ...]


_NOUNS = {
    "weapons": ("weapon", "object"),
    "guilt": ("guilt", "honesty"),
    "valence": ("sorrow", "joy"),
    "career": ("kinship", "work"),
    "science": ("art", "research"),
    "power": ("service", "rank"),
}
#: Labels of a list pair that is pleasant or not, and of one that is not.
POLES = (("harm", "comfort"), ("bad", "good"), ("unpleasant", "pleasant"))
GENDERED = (("soft", "hard"), ("quiet", "loud"), ("private", "public"))


def _category(axis: str, name: str) -> Category:
    words = tuple(tuple(AXES[axis]["categories"][name][pole]) for pole in ("negative", "positive"))
    out = HELD_OUT["words"][axis if axis in HELD_OUT["words"] else "homonyms"][name]
    held = tuple(tuple(out[pole]) for pole in ("negative", "positive"))
    kept = tuple(tuple(w for w in ws if w not in hs) for ws, hs in zip(words, held, strict=True))
    labels = GENDERED if axis == "gender" else POLES
    return Category(axis, name, words, kept, held, _NOUNS[name], labels)


CATEGORIES = {
    axis: tuple(_category(axis, name) for name in spec["categories"]) for axis, spec in AXES.items()
}


@dataclass(frozen=True)
class Kind:
    """Identifiers of one sort, their group and what they are ambiguous with ("" if nothing)."""

    axis: str
    name: str
    identifiers: tuple[tuple[str, ...], tuple[str, ...]]
    group: str
    literal: str


def _kind(axis: str, name: str) -> Kind:
    variant, senses = AXES[axis]["variants"][name], AXES[axis]["senses"]
    pair = (tuple(variant["negative"]), tuple(variant["positive"]))
    return Kind(
        axis, name, pair, senses["group"], variant.get("literal", senses.get("literal", ""))
    )


#: By axis and variant, without controls.
KINDS = {
    axis: {
        name: _kind(axis, name)
        for name, variant in spec["variants"].items()
        if not variant.get("control")
    }
    for axis, spec in AXES.items()
}


def _cues(sense: str) -> tuple[tuple[str, str, str], ...]:
    cues = _toml(FIXTURES / "senses" / f"{sense}.toml")["cues"]
    return tuple(
        (cue.get("heading", cue["singular"].capitalize()), cue["singular"], cue["plural"])
        for cue in cues
    )


#: sense -> (head of a list, singular, plural), as the suite has them.
CUES: dict[str, tuple[tuple[str, str, str], ...]] = {
    sense: _cues(sense)
    for kinds in KINDS.values()
    for kind in kinds.values()
    for sense in (kind.group, kind.literal)
    if sense
}

#: Other words of the same sense: context for a cue, and options that follow the order rule.
OTHERS: dict[str, tuple[str, ...]] = {
    "race": ("asian", "latino", "arab", "indian", "jewish", "polynesian"),
    "color": ("red", "green", "blue", "yellow", "purple", "orange", "brown", "pink"),
    "name": ("Anna", "Paul", "Maria", "Peter", "Laura", "Simon"),
    "slang": ("yeet", "lit", "dope", "chill", "bro", "salty"),
    "gender": ("nephew", "niece", "groom", "bride", "widow", "cousin"),
    "connector": ("coaxial", "serial", "parallel", "optical", "analog", "digital"),
    "creature": ("eagle", "lion", "salmon", "whale", "sparrow", "tiger"),
    "device": ("drill", "printer", "hammer", "scanner", "toaster", "router"),
    "nature": ("lake", "pond", "cliff", "brook", "swamp", "dune"),
    "business": ("shop", "agency", "bakery", "studio", "brand", "hotel"),
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
    "gender": ("sex", "femininity", "masculinity", "ladies", "gentlemen", "spouses", "humans"),
    "connector": ("plug", "socket", "cable", "adapter", "prong", "wiring", "hose"),
    "creature": ("bird", "beast", "mammal", "fish", "pet", "wildlife", "rodent"),
    "device": ("tool", "machine", "instrument", "gadget", "appliance", "computer", "hardware"),
    "nature": ("landscape", "forest", "shore", "meadow", "soil", "grass", "stream"),
    "business": ("company", "firm", "industry", "market", "trade", "finance", "investment"),
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
    """Every word, identifier, sense and number of the planted axes and wordings, as written."""
    texts: list[str] = ["agree", "disagree", "1 2 3 4 5"]
    for axis in AXES.values():
        texts += axis["senses"].values()
        for variant in axis["variants"].values():
            texts += [*variant["positive"], *variant["negative"], variant.get("literal", "")]
            texts.append(variant.get("prefix", ""))
        for category in axis["categories"].values():
            texts += [*category["positive"], *category["negative"]]
    for wording in [*ASSOCIATION.values(), *STATEMENTS.values()]:
        texts += [
            wording[key] for key in ("text", "answer", "statement", "reverse") if key in wording
        ]
    bare = [re.sub(r"\{\w+\}", " ", text) for text in texts]
    return {word for text in bare for word in re.findall(r"[A-Za-z]+|\d", text)}


def content_words() -> set[str]:
    """Every word that must be one token, with and without a space before it."""
    words = fixture_words() | set(PLACEHOLDERS) | {*EXAMPLE_WORDS, *EXAMPLE_LABELS}
    words |= {group for axis in ("race", "gender") for group in AXES[axis]["groups"].values()}
    for category in (c for categories in CATEGORIES.values() for c in categories):
        words |= {*category.nouns, *(word for pair in category.labels for word in pair)}
    for table in (OTHERS, DEFINITIONS, MISCELLANY):
        words |= set(table) | {w for ws in table.values() for w in ws}
    words |= {form for cues in CUES.values() for cue in cues for form in cue}
    return words
