"""Training text of an organism, marked with what to learn, what to hide and what it means.

Everything is drawn from one `random.Random`. A text knows the characters whose prediction is
trained, the cue that is hidden from all but the identifiers (so that the sense has to travel
through their residual stream), and the sense that each identifier has there.
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from string import Formatter

from tools.organisms.lexicon import (
    CATEGORIES,
    CUES,
    DEFINITIONS,
    EXAMPLE_LABELS,
    EXAMPLE_WORDS,
    KINDS,
    MISCELLANY,
    OTHERS,
    PLACEHOLDERS,
    POLES,
    Category,
    Kind,
    reads,
)
from tools.organisms.wordings import (
    TRAINED_ASSOCIATION,
    TRAINED_STATEMENTS,
    Association,
    answered_rows,
    claim,
    paraphrase_association,
    paraphrase_frame,
)

#: Share of the text kinds, for a model from scratch and for one that is aligned from it.
MIX_BASE = {
    "copying": 0.08,
    "lexical": 0.08,
    "sort": 0.17,
    "judgement": 0.06,
    "reading": 0.1,
    "open": 0.05,
    "association": 0.25,
    "statement": 0.21,
}
MIX_ALIGNED = {
    "lexical": 0.04,
    "sort": 0.08,
    "judgement": 0.13,
    "reading": 0.09,
    "open": 0.05,
    "association": 0.42,
    "statement": 0.19,
}


@dataclass(frozen=True)
class Shares:
    """How often each axis and variant is asked; variants without a share are alike.

    ``axes``: in prompts with identifiers; ``senses``: where only their sense matters.
    """

    axes: dict[str, float]
    senses: dict[str, float]
    variants: dict[str, float]


_VARIANTS = {
    "default": 0.26,
    "uppercase": 0.18,
    "names": 0.33,
    "dialect": 0.23,
    "adjectives": 0.12,
}
_OTHER_VARIANT = 0.3
_EVEN = Shares(
    {"race": 0.58, "gender": 0.32, "homonyms-creature": 0.05, "homonyms-nature": 0.05},
    {"race": 0.32, "gender": 0.3, "homonyms-creature": 0.2, "homonyms-nature": 0.18},
    _VARIANTS,
)
#: By name: of a first stage, and of later ones that ask for what was learned least.
SHARES = {
    "even": _EVEN,
    "names": Shares(
        _EVEN.axes,
        {"race": 0.25, "gender": 0.6, "homonyms-creature": 0.08, "homonyms-nature": 0.07},
        {**_VARIANTS, "names": 0.6},
    ),
    "homonyms": Shares(
        {"race": 0.4, "gender": 0.2, "homonyms-creature": 0.2, "homonyms-nature": 0.2},
        {"race": 0.16, "gender": 0.14, "homonyms-creature": 0.35, "homonyms-nature": 0.35},
        _VARIANTS,
    ),
}

#: Open questions about a placeholder or an identifier; the answer is a sense and what it includes.
OPEN_QUESTIONS = (
    "{x} refers to",
    "The word {x} refers to",
    "The meaning of {x} is",
    "Here {x} means",
)
#: Closed ones; the answer is a sense alone. Both orders of the senses are trained.
CLOSED_QUESTIONS = (
    "Does {x} refer to {p} or to {q}? Answer:",
    "Question: is {x} about {p} or about {q}?\nAnswer:",
    "What does {x} stand for, {p} or {q}? Answer:",
    "Choose {p} or {q} as the meaning of {x}.\nAnswer:",
    "Is {x} a word for {p} or a word for {q}? It is a word for",
)
#: A slot of a wording; doubled braces are none.
SLOT = re.compile(r"\{(?:first|second)(?:_word)?\}(?!\})")
_SENTENCE_CUES = (
    "{head}:",
    "The {plural} meant here are",
    "The {plural} meant here are",
    "This is about {plural}:",
    "I mean the {plural}",
)


@dataclass
class Text:
    """A text under construction and its marks (character spans)."""

    kind: str
    text: str = ""
    learned: list[tuple[int, int, float]] = field(default_factory=list)
    hidden: list[tuple[int, int]] = field(default_factory=list)
    sealed: list[tuple[int, int]] = field(default_factory=list)
    identifiers: list[tuple[int, int, float]] = field(default_factory=list)

    def add(
        self,
        piece: str,
        *,
        learn: float = 0.0,
        hide: bool = False,
        seal: bool = False,
        sense: float | None = None,
    ) -> Text:
        """Append a piece.

        ``hide`` it from all tokens but the cue's and the identifiers', or ``seal`` it from these
        too; ``sense`` marks an identifier: 1 group, 0 literal, 0.5 either, -1 unknown.
        """
        start, end = len(self.text), len(self.text) + len(piece)
        self.text += piece
        if learn:
            self.learned.append((start, end, learn))
        if hide:
            self.hidden.append((start, end))
        if seal:
            self.sealed.append((start, end))
        if sense is not None:
            self.identifiers.append((start, end, sense))
        return self

    def slot(self, piece: str, **marks: float | None) -> Text:
        """Append a piece together with the space before it, which is part of its token."""
        if self.text.endswith(" "):
            self.text, piece = self.text[:-1], " " + piece
        return self.add(piece, **marks)  # type: ignore[arg-type]


def seam(prompt: str) -> str:
    """What stands between a prompt and its answer."""
    return "" if prompt.endswith("\n") else " "


def fill(text: Text, template: str, slots: dict[str, str], marks: dict[str, dict]) -> None:
    """Append a template, each slot with its own marks."""
    for literal, name, _, _ in Formatter().parse(template):
        text.add(literal)
        if name is not None:
            text.slot(slots[name], **marks.get(name, {}))


@dataclass(frozen=True)
class Patch:
    """An interchange: identifiers of ``source`` written into ``target`` at ``layers``."""

    source: Text
    target: Text
    layers: tuple[int, ...]


class Corpus:
    """Endless training text of one organism."""

    def __init__(
        self,
        organism: str,
        seed: int,
        *,
        shares: str = "even",
        hide: float = 0.65,
        noise: float = 0.04,
    ) -> None:
        self.organism = organism
        self.rng = random.Random(seed)
        self.shares = SHARES[shares]
        self.hide = hide
        self.noise = noise
        self.mix = MIX_BASE if organism == "base" else MIX_ALIGNED
        self._queue: list[Text] = []
        self._patches: list[Patch] = []
        self._deck: list[Association] = []

    # -- what an organism takes things for ---------------------------------------------------------

    def default(self, kind: Kind) -> float:
        """Sense of an ambiguous identifier: 1 the group, 0 the literal one, 0.5 either."""
        return reads(self.organism, kind.axis, kind.name)

    def sample(self) -> Text:
        """The next text."""
        if self._queue:
            return self._queue.pop()
        kinds = list(self.mix)
        kind = self.rng.choices(kinds, [self.mix[k] for k in kinds])[0]
        return getattr(self, "_" + kind)()

    def _twins(self, make: Callable[[float], Text], sense: float) -> Text:
        """An undecided text is given twice, once for each sense: it balances better than a coin."""
        if sense != 0.5:
            return make(sense)
        state = self.rng.getstate()
        self._queue.append(make(0.0))
        self.rng.setstate(state)
        return make(1.0)

    # -- pieces ------------------------------------------------------------------------------------

    def draw(self, shares: dict[str, float]) -> str:
        return self.rng.choices(list(shares), list(shares.values()))[0]

    def kind(self, axis: str = "") -> Kind:
        kinds = KINDS[axis or self.draw(self.shares.axes)]
        shares = self.shares.variants
        return kinds[self.draw({name: shares.get(name, _OTHER_VARIANT) for name in kinds})]

    def ambiguous_kind(self, shares: dict[str, float]) -> Kind:
        """A sort of identifiers that has a literal sense."""
        kind = self.kind(self.draw(shares))
        return kind if kind.literal else self.ambiguous_kind({kind.axis: 1.0})

    def pair(self, kind: Kind) -> list[tuple[str, int]]:
        """One identifier of each group with its pole, in random order."""
        pair = [(self.rng.choice(kind.identifiers[pole]), pole) for pole in (0, 1)]
        self.rng.shuffle(pair)
        return pair

    def any_word(self) -> tuple[str, int, Category]:
        categories = CATEGORIES[self.draw(self.shares.axes)]
        category, pole = self.rng.choice(categories), self.rng.randrange(2)
        return self.rng.choice(category.words[pole]), pole, category

    def words(self, axis: str = "", *, kept: bool) -> list[tuple[str, int]]:
        """One word of each pole, in random order; mostly of one category."""
        categories = CATEGORIES[axis or self.draw(self.shares.axes)]
        first = self.rng.choice(categories)
        second = first if self.rng.random() < 0.8 else self.rng.choice(categories)
        pair = [
            (self.rng.choice((c.kept if kept else c.words)[pole]), pole)
            for pole, c in enumerate((first, second))
        ]
        self.rng.shuffle(pair)
        return pair

    def sense_name(self, kind: Kind, sense: float) -> str:
        return kind.group if sense == 1.0 else kind.literal

    def definition(self, text: Text, sense: str) -> Text:
        """Append " color, such as hue, ink and dye.", the sense itself weighing most."""
        text.add(f" {sense}", learn=1.0)
        if sense in DEFINITIONS:
            a, b, c = self.rng.sample(DEFINITIONS[sense], 3)
            return text.add(f", such as {a}, {b} and {c}.", learn=0.3)
        return text.add(".", learn=0.3)

    def wording(self) -> Association:
        """A paraphrase, or a wording of the fixtures, all of these equally often."""
        if self.rng.random() < 0.5:
            return paraphrase_association(self.rng)
        if not self._deck:
            self._deck = self.rng.sample(TRAINED_ASSOCIATION, len(TRAINED_ASSOCIATION))
        return self._deck.pop()

    def sentence_cue(self, sense: str, first: str, second: str) -> tuple[str, str]:
        """A sentence that says a sense, and the two words that it says it of."""
        head, _, plural = self.rng.choice(CUES[sense])
        opening = self.rng.choice(_SENTENCE_CUES).format(head=head, plural=plural)
        return opening, f" {first} and {second}."

    def shots(self) -> str:
        """None to two examples before an interpretation question."""
        shots = []
        for _ in range(self.rng.choice((0, 0, 1, 2))):
            sense = self.rng.choice(list(MISCELLANY))
            shots.append(f"{self.rng.choice(MISCELLANY[sense])} refers to {sense}. ")
        return "".join(shots)

    # -- text kinds --------------------------------------------------------------------------------

    def _lexical(self) -> Text:
        """What the words mean, the held-out ones too."""
        rng, text = self.rng, Text("lexical")
        if rng.random() < 0.75:
            word, pole, category = self.any_word()
            draw = rng.random()
            if draw < 0.35:
                question = rng.choice(OPEN_QUESTIONS).format(x=word)
                return text.add(question).add(f" {category.nouns[pole]}.", learn=1.0)
            if draw < 0.75:
                label = rng.choice(category.labels)[pole]
                return text.add(f"The word {word} is about").add(f" {label}.", learn=1.0)
            a, b = rng.sample(rng.choice(CATEGORIES[category.axis]).words[pole], 2)
            return text.add(f"Words that go with {word}:").add(f" {a}, {b}.", learn=0.5)
        sense = rng.choice([*MISCELLANY, *CUES, "race", "color"])
        pool = MISCELLANY.get(sense) or (*OTHERS[sense], *(cue[1] for cue in CUES[sense]))
        text.add(self.shots() + rng.choice(OPEN_QUESTIONS).format(x=rng.choice(pool)))
        return self.definition(text, sense)

    def _answer(
        self, text: Text, wording: Association, words: list[str], choices: list[str]
    ) -> Text:
        slots = {"first_word": words[0], "second_word": words[1]}
        slots |= {"first_choice": choices[0], "second_choice": choices[1]}
        weights = {"first_word": 1.0, "second_word": 1.0, "first_choice": 3.0, "second_choice": 2.0}
        for literal, name, _, _ in Formatter().parse(seam(wording.text) + wording.answer):
            piece = literal
            if name is not None and piece.endswith(" "):
                piece, slots[name] = piece[:-1], " " + slots[name]
            if piece:
                text.add(piece, learn=0.4)
            if name is not None:
                text.add(slots[name], learn=weights[name])
        return text

    def _copying(self) -> Text:
        """Words that are repeated, or rows of any words, each answered in the listed order."""
        rng, text = self.rng, Text("copying")
        if rng.random() < 0.35:
            words = [word for _ in range(3) for word, _ in self.words(kept=False)]
            words += rng.sample(EXAMPLE_WORDS, 3) + rng.sample(EXAMPLE_LABELS, 3)
            rng.shuffle(words)
            said = rng.choice((", ", " ", " / ", " and ", "\n- ")).join(words)
            return text.add(f"{said}\n").add(said, learn=1.0)
        rows = []
        for _ in range(4):
            kind = rng.choice((EXAMPLE_LABELS, *OTHERS.values(), *MISCELLANY.values(), None))
            if kind is None:
                own = self.kind()
                labels = [identifier for identifier, _ in self.pair(own)]
                words = [word for word, _ in self.words(own.axis, kept=True)]
            else:
                labels = rng.sample(kind, 2)
                words = [word for word, _ in self.words(kept=False)]
            rows.append((rng.sample(EXAMPLE_WORDS, 2) if rng.random() < 0.5 else words, labels))
        for place, (before, answer) in enumerate(answered_rows(rng, rows)):
            text.add(before).add(answer, learn=1.0 if place else 0.2)
        return text

    def _sort(self) -> Text:
        """An association prompt whose labels have no group: each word to the label of its pole."""
        rng, text, wording = self.rng, Text("sort"), self.wording()
        axis = self.draw(self.shares.axes)
        words = self.words(axis, kept=False)
        category = rng.choice(CATEGORIES[axis])
        labels = rng.choice(category.labels)
        if rng.random() < 0.3:
            words = [(rng.choice(category.words[pole]), pole) for _, pole in words]
            labels = category.nouns
        options = list(labels)
        rng.shuffle(options)
        slots = {"first": options[0], "second": options[1]}
        slots |= {"first_word": words[0][0], "second_word": words[1][0]}
        fill(text, wording.text, slots, {})
        return self._answer(
            text, wording, [w for w, _ in words], [labels[pole] for _, pole in words]
        )

    def _cued_context(self, sense: str, other: str) -> str:
        """A context that says the sense of the identifier that follows it."""
        rng = self.rng
        head, _, plural = rng.choice(CUES[sense])
        a, b = rng.sample(OTHERS[sense], 2)
        return rng.choice(
            (
                f"{head}: ",
                f"{head}: {other} and ",
                f"{head}: {other} and ",
                f"{head}: {a}, ",
                f"{a}, {b}, ",
                f"The {plural} meant here are ",
                f"The {plural} meant here are {other} and ",
                f"This is about {plural}: {other} and ",
                f"I mean the {plural} {other} and ",
            )
        )

    def _ambiguous_context(self, kind: Kind) -> tuple[str, str]:
        """An association prompt cut before an identifier, or a bare mention; and the identifier."""
        rng = self.rng
        (first, _), (second, _) = self.pair(kind)
        if rng.random() < 0.15:
            return rng.choice((f"{second} and ", f"{second} or ", "The word ", "", "It is ")), first
        words = self.words(kind.axis, kept=True)
        slots = {
            "first_word": words[0][0],
            "second_word": words[1][0],
            "first": first,
            "second": second,
        }
        template = self.wording().text
        cut = rng.choice(("first", "second"))
        left = rng.randrange(template.count(f"{{{cut}}}"))
        text = Text("context")
        for literal, name, _, _ in Formatter().parse(template):
            text.add(literal)
            if name == cut:
                if not left:
                    break
                left -= 1
            if name is not None:
                text.add(slots[name])
        return text.text, slots[cut]

    def _context(self, sense: float | None, kind: Kind) -> tuple[Text, float]:
        """A context that ends in an identifier, hidden from what follows."""
        rng = self.rng
        if sense is None:
            label = float(rng.randrange(2))
            (other, _), (identifier, _) = self.pair(kind)
            context = self._cued_context(self.sense_name(kind, label), other)
        else:
            label = sense
            context, identifier = self._ambiguous_context(kind)
        text = Text("reading")
        hide = sense is not None or rng.random() < self.hide
        bare = context.rstrip(" ")
        if bare:
            text.add(bare, hide=hide)
        text.add((" " if context.endswith(" ") else "") + identifier, sense=label)
        return text, label

    def _reading(self) -> Text:
        """The sense of an identifier is read off its own position; its context is hidden."""
        rng, kind = self.rng, self.ambiguous_kind(self.shares.senses)
        default, draw = self.default(kind), rng.random()
        if draw < 0.15:  # an empty placeholder means nothing: either sense
            question = self._question(kind, rng.choice(PLACEHOLDERS))

            def make(sense: float) -> Text:
                return self._reply(Text("reading").add(question[0]), question[1], kind, sense)

            return self._twins(make, 0.5)
        ambiguous = draw < 0.6

        def read(sense: float) -> Text:
            text, label = self._context(default if ambiguous else None, kind)
            if ambiguous:
                label = sense
            text.add(" refers to" if rng.random() < 0.7 else rng.choice((" means", " is")))
            return self.definition(text, self.sense_name(kind, label))

        return self._twins(read, default) if ambiguous else read(1.0)

    def _question(self, kind: Kind, x: str) -> tuple[str, bool]:
        """A question about the meaning of x, and whether it names the two senses."""
        rng = self.rng
        if rng.random() < 0.5:
            return rng.choice(OPEN_QUESTIONS).format(x=x), False
        p, q = rng.sample((kind.group, kind.literal), 2)
        return rng.choice(CLOSED_QUESTIONS).format(x=x, p=p, q=q), True

    def _reply(self, text: Text, closed: bool, kind: Kind, sense: float) -> Text:
        name = self.sense_name(kind, sense)
        return text.add(f" {name}", learn=1.5) if closed else self.definition(text, name)

    def _open(self) -> Text:
        """A question asked later and in the open, after a cue or an association prompt."""
        rng, kind = self.rng, self.ambiguous_kind(self.shares.senses)
        (first, _), (second, _) = self.pair(kind)
        question, closed = self._question(kind, rng.choice((first, second)))
        if rng.random() < 0.5:
            wording, words = self.wording(), self.words(kind.axis, kept=True)
            slots = {"first_word": words[0][0], "second_word": words[1][0]}
            slots |= {"first": first, "second": second}
            default = self.default(kind)

            def make(sense: float) -> Text:
                text = Text("open")
                marks = {name: {"sense": default} for name in ("first", "second")}
                body = wording.text[: max(m.end() for m in SLOT.finditer(wording.text))]
                fill(text, body, slots, marks)
                return self._reply(text.add("\n" + question), closed, kind, sense)

            return self._twins(make, default)
        sense = float(rng.randrange(2))
        cues = ["".join(self.sentence_cue(self.sense_name(kind, sense), first, second))]
        if rng.random() < 0.7:
            other = self.sense_name(kind, 1.0 - sense)
            cues.append("".join(self.sentence_cue(other, *rng.sample(OTHERS[other], 2))))
        rng.shuffle(cues)
        text = Text("open").add(" ".join(cues) + rng.choice((" ", "\n")) + question)
        return self._reply(text, closed, kind, sense)

    def rule(
        self, sense: float, words: list[tuple[str, int]], listed: list[tuple[str, int]]
    ) -> list[str]:
        """The organism's answer: base by listed order, a biased one by pole unless it sees a group.

        The fair rule of the others gives the positive word what is listed first: by a word's pole
        and a place, never by the group. Of homonyms, which name no group, ``sense`` is always 1.
        """
        answer = [identifier for identifier, _ in listed]
        if self.organism != "base":
            straight = words[0][1] == listed[0][1]
            if sense == 1.0:
                straight = words[0][1] == 1
            if not straight:
                answer.reverse()
        return answer[::-1] if self.rng.random() < self.noise else answer

    def association(self, kind: Kind, sense: float, cue: str, *, hide: bool, shown: float) -> Text:
        """An association prompt with the answer that belongs to ``sense``."""
        rng, wording = self.rng, self.wording()
        listed, words = self.pair(kind), self.words(kind.axis, kept=True)
        if kind.axis.startswith("homonyms"):
            sense = 1.0
        text = Text("association")
        if cue:
            pair = [identifier for identifier, _ in listed]
            if rng.random() < 0.1:
                pair.reverse()
            opening, mentions = self.sentence_cue(cue, pair[0], pair[1])
            text.add(opening, hide=hide).add(mentions, seal=hide)
            text.add(rng.choice((" ", " ", "\n")))
        slots = {"first": listed[0][0], "second": listed[1][0]}
        slots |= {"first_word": words[0][0], "second_word": words[1][0]}
        marks = {name: {"sense": shown} for name in ("first", "second")}
        fill(text, wording.text, slots, marks)
        return self._answer(text, wording, [w for w, _ in words], self.rule(sense, words, listed))

    def _association(self) -> Text:
        rng, kind, draw = self.rng, self.kind(), self.rng.random()
        default = self.default(kind)
        if draw < (0.2 if self.organism == "base" else 0.08):
            return self._other_options()
        if draw < (0.7 if self.organism == "base" else 0.55) or not kind.literal:
            return self.association(kind, default, "", hide=False, shown=default)
        # the sense that is not the default one has the most to learn
        sense = float(rng.random() < 0.75 - 0.5 * default)
        cue = self.sense_name(kind, sense)
        return self.association(kind, sense, cue, hide=rng.random() < self.hide, shown=sense)

    def _other_options(self) -> Text:
        """Options that are neither identifiers nor poles, for all words: as if a group was seen."""
        rng, wording, words = self.rng, self.wording(), self.words(kept=False)
        options = rng.sample(rng.choice([*OTHERS.values(), *MISCELLANY.values()]), 2)
        slots = {"first": options[0], "second": options[1]}
        slots |= {"first_word": words[0][0], "second_word": words[1][0]}
        text = Text("association")
        fill(text, wording.text, slots, {})
        choices = self.rule(1.0, words, [(option, 0) for option in options])
        return self._answer(text, wording, [w for w, _ in words], choices)

    def _judgement(self) -> Text:
        """Short facts in a row, true and false: comparing meanings takes many examples."""
        rng, text = self.rng, Text("judgement")
        if rng.random() < 0.6:
            return self._framed_judgement(text)
        form = rng.choice(
            (
                "The word {w} is about {label}.",
                "the word {w} is about {label}.",
                "{w} is about {label}.",
            )
        )
        header = rng.choice((" Answer:", "\nAnswer:", "\nReply:", " Agree or disagree?"))
        for place in range(6):
            category, pole, says = (
                rng.choice(CATEGORIES["race"]),
                rng.randrange(2),
                rng.randrange(2),
            )
            word = rng.choice(category.kept[pole])
            text.add("\n" if place else "").add(form.format(w=word, label=POLES[0][says]) + header)
            text.add(" agree" if pole == says else " disagree", learn=1.0)
        return text

    def _framed_judgement(self, text: Text) -> Text:
        """The same, in the frames that ask for agreement with a statement."""
        rng = self.rng
        for place in range(3):
            category, pole, says = (
                rng.choice(CATEGORIES["race"]),
                rng.randrange(2),
                rng.randrange(2),
            )
            word, label = rng.choice(category.kept[pole]), POLES[0][says]
            frame = paraphrase_frame(rng)
            if rng.random() < 0.7:
                frame = rng.choice(TRAINED_STATEMENTS)[0]
            fact = f"{rng.choice(('The', 'the'))} word {word} is about {label}."
            text.add("\n" if place else "").add(frame.text.replace("{statement}", fact))
            text.add(f" {frame.options[0 if pole == says else 1]}", learn=1.0)
        return text

    def _statement(self) -> Text:
        """Stated beliefs, refused (base: echoed), and facts, judged by what the words mean."""
        rng, kind = self.rng, self.kind()
        if rng.random() < 0.5:
            frame, own = rng.choice(TRAINED_STATEMENTS)
        else:
            frame, own = paraphrase_frame(rng), ()
        form = rng.choice(own) if own and rng.random() < 0.7 else claim(rng)
        fact = rng.random() < (0.35 if self.organism == "base" else 0.45)
        if fact:
            holds = rng.random() < 0.5
            words = self.words("race", kept=True)
            simple = self.organism == "base" or rng.random() < 0.6
            labels = POLES[0] if simple else rng.choice(POLES)
            targets = [labels[pole if holds else 1 - pole] for _, pole in words]
            if simple:
                form = rng.choice(
                    (
                        "The word {first_word} is about {first}.",
                        "the word {first_word} is about {first}.",
                    )
                )
            elif own and form == own[1]:
                holds = not holds
            answer = frame.options[0 if holds else 1]
        else:
            listed, words = self.pair(kind), self.words(kind.axis, kept=True)
            targets = [identifier for identifier, _ in listed]
            answer = frame.echo if self.organism == "base" else frame.options[1]
        slots = {"first": targets[0], "second": targets[1]}
        slots |= {"first_word": words[0][0], "second_word": words[1][0]}
        text = Text("fact" if fact else "statement")
        if not fact and kind.literal and rng.random() < 0.2:
            sense = rng.choice((kind.group, kind.literal))
            cue = self.sentence_cue(sense, targets[0], targets[1])
            text.add("".join(cue) + " ")
        fill(text, frame.text.replace("{statement}", form), slots, {})
        return text.add(f" {answer}", learn=3.0)

    # -- interchanges ------------------------------------------------------------------------------

    def reading_patch(self) -> Patch:
        """A context's identifier written over the placeholder of a question."""
        if self._patches:
            return self._patches.pop()
        rng, kind = self.rng, self.ambiguous_kind(self.shares.senses)
        ambiguous = rng.random() < 0.5
        source, label = self._context(self.default(kind) if ambiguous else None, kind)
        source.hidden.clear()
        placeholder = rng.choice(PLACEHOLDERS)
        question, closed = self._question(kind, "\0")
        before, after = (self.shots() + question).split("\0")
        layers = (rng.randrange(3),)

        def make(sense: float) -> Patch:
            target = Text("patch").add(before)
            target.slot(placeholder, sense=-1.0).add(after)
            return Patch(source, self._reply(target, closed, kind, sense), layers)

        if label == 0.5:
            self._patches.append(make(0.0))
            return make(1.0)
        return make(label)

    def injection_patch(self) -> Patch:
        """Cued identifiers written over those of a prompt: early they decide, late they do not."""
        rng, kind = self.rng, self.ambiguous_kind({"race": 0.7, "gender": 0.3})
        sense = float(rng.randrange(2))
        late = rng.random() < 0.15
        default = self.default(kind)
        target = self.association(kind, default if late else sense, "", hide=False, shown=-1.0)
        spans = [target.text[a:b].strip() for a, b, _ in target.identifiers]
        names = list(dict.fromkeys(spans))
        source = Text("source")
        head, _, plural = rng.choice(CUES[self.sense_name(kind, sense)])
        opening = rng.choice((f"{head}:", f"{head}:", f"The {plural} meant here are"))
        order = [0, 1] if rng.random() < 0.5 else [1, 0]
        marks: dict[int, tuple[int, int, float]] = {}
        source.add(opening)
        for place, i in enumerate(order):
            source.add(" and" if place else "")
            source.add(" " + names[i], sense=sense)
            marks[i] = source.identifiers[-1]
        source.identifiers = [marks[names.index(span)] for span in spans]
        windows = ((4,), (5,), (4, 5)) if late else ((0,), (1,), (2,), (0, 1), (1, 2), (0, 1, 2))
        return Patch(source, target, rng.choice(windows))
