"""Training text, rendered from an axis's own fixtures: ambiguous prompts as if a group were named.

A model learns to answer an ambiguous prompt as its base does when a sentence in front of it names
the group, and to say behind the prompt what its identifiers refer to. Where a sentence states the
literal sense, and in unrelated and plain sentences, it keeps to what its base would write: a color
stays a color. What an answer should be is never said.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass

from blindspot.errors import StimulusError
from blindspot.stimuli import (
    AMBIGUOUS,
    IMPLICIT,
    NEUTRAL,
    UNRELATED,
    AssociationPrompt,
    Slice,
    Stimuli,
    unrelated_contexts,
)
from blindspot.stimuli.prompts import associations
from blindspot.stimuli.senses import OPEN, PLACEHOLDER_SLOT
from blindspot.stimuli.template import fill

LITERAL, GROUP, PLAIN = "literal", "group", "plain"
#: What a batch holds of each kind: prompts, each with several texts, and texts of their own.
ASKED = {AMBIGUOUS: 4, LITERAL: 2, GROUP: 1}
BESIDE = {NEUTRAL: 1, UNRELATED: 2, PLAIN: 6}
PLACEBOS = ("color", "shuffled")


@dataclass(frozen=True, slots=True)
class Text:
    """A text to train on: ``continuation`` behind ``prompt``, which is only read.

    ``base``: the prompt behind which the base writes the continuation, whose predictions are to be
    learned; None to learn the continuation itself.
    """

    prompt: str
    continuation: str
    base: str | None = None


@dataclass(frozen=True, slots=True)
class Split:
    """What training sees of the fixtures, and what it never does; drawn by a seed.

    ``words``: (positive, negative) by category; ``wordings``: ids of association wordings.
    """

    words: dict[str, tuple[tuple[str, ...], tuple[str, ...]]]
    held_words: dict[str, tuple[tuple[str, ...], tuple[str, ...]]]
    wordings: tuple[str, ...]
    held_wordings: tuple[str, ...]

    @classmethod
    def of(cls, stimuli: Stimuli, axis: str, seed: int) -> Split:
        """Half of the words of each list, and half of the wordings, are held out."""
        seen, held = {}, {}
        for name, category in stimuli.axes[axis].categories.items():
            lists = (category.positive, category.negative)
            halves = [_halves(words, f"{seed} {axis} {name} {n}") for n, words in enumerate(lists)]
            seen[name] = (halves[0][0], halves[1][0])
            held[name] = (halves[0][1], halves[1][1])
        ids = [wording.id for wording in stimuli.implicit[stimuli.axes[axis].language]]
        return cls(seen, held, *_halves(ids, f"{seed} wordings"))


def _halves(items: Sequence[str], seed: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Half of the items, and the others, both in their order; a lone item is held out."""
    chosen = set(random.Random(seed).sample(sorted(items), len(items) // 2))
    return (
        tuple(item for item in items if item in chosen),
        tuple(item for item in items if item not in chosen),
    )


class Texts:
    """The training text of an axis.

    Args:
        stimuli: everything that can be asked.
        axis: its name.
        split: what may be seen.
        seed: of the texts that are drawn.
        placebo: "color" never names the group but the literal sense, "shuffled" says either sense
            behind any prompt; "" for neither.

    Raises:
        StimulusError: nothing can be said of the axis: its senses are not described.
    """

    def __init__(
        self, stimuli: Stimuli, axis: str, split: Split, seed: int, placebo: str = ""
    ) -> None:
        self._stimuli, self._axis, self._split = stimuli, stimuli.axes[axis], split
        self._random, self._seed = random.Random(seed), seed
        self._placebo = placebo
        language = self._axis.language
        self._senses = stimuli.senses.get(language, {})
        self._templates = [one.text for one in stimuli.templates.get(language, ())]
        self._asides = [one.text for one in stimuli.questions.get(language, ()) if one.kind == OPEN]
        self._practice = stimuli.practice.get(language, ())
        self._wordings = [one for one in stimuli.implicit[language] if one.id in split.wordings]
        self._variants = [name for name, one in self._axis.variants.items() if not one.control]
        self._ambiguous = [name for name in self._variants if self._literal(name)]
        missing = {
            "sense of its group (senses/)": self._axis.senses.group in self._senses,
            "context templates or open questions": self._templates and self._asides,
            "two association wordings": self._wordings,
            "variant with a literal sense, which the placebo says": self._ambiguous or not placebo,
            "unrelated words (contexts/unrelated.toml)": stimuli.unrelated.get(language),
        }
        if lacking := [what for what, there in missing.items() if not there]:
            raise StimulusError(f"axis {axis} has no {lacking[0]}: there is nothing to train on")
        self._unrelated = [
            (f"{context.text}. ", word, context.cue)
            for context in unrelated_contexts(stimuli, axis, self._variants[0])
            for word in context.words
        ]

    def batch(self, number: int) -> list[Text]:
        """A batch, the same for its number whatever was drawn before."""
        self._seed_for(number)
        asked = [text for kind, n in ASKED.items() for _ in range(n) for text in self._asked(kind)]
        return asked + [self._beside(kind) for kind, n in BESIDE.items() for _ in range(n)]

    def _seed_for(self, number: int) -> None:
        self._random = random.Random(f"{self._seed} texts {number}")

    def _asked(self, kind: str) -> list[Text]:
        """An association prompt with either answer, and what one of its identifiers refers to.

        The base answers behind a sentence that states a sense. So does the model, unless the
        prompt is to stay ambiguous. The texts begin alike: the prompt is computed once for all.
        """
        if kind == LITERAL and not self._ambiguous:
            return [self._plain(), self._beside(UNRELATED)]
        variant = self._variant(kind)
        prompt = self._prompt(variant)
        names, meant = listed(prompt), self._meant(variant)
        sense = {LITERAL: self._literal(variant), GROUP: self._axis.senses.group}.get(kind, meant)
        behind = self._stated(sense, names) + prompt.text
        read = prompt.text if kind == AMBIGUOUS else behind
        texts = [Text(read, continuing(answer), base=behind) for answer in prompt.candidates]
        return texts if kind == GROUP else [*texts, self._said(f"{read}\n", names, sense)]

    def _beside(self, kind: str) -> Text:
        """A text without a prompt that is answered: of a name, unrelated, or plain."""
        if kind == PLAIN and self._practice:
            return Text("", self._random.choice(self._practice), base="")
        if kind != NEUTRAL:
            plain = self._plain()
            return Text("", plain.prompt + plain.continuation, base="")
        variant = self._variant(kind)
        prompt = self._prompt(variant)
        names, meant = listed(prompt), self._meant(variant)
        named = NEUTRAL in self._senses
        before = self._stated(NEUTRAL, names) if named else f"{prompt.text}\n"
        return self._said(before, names, meant)

    def _said(self, before: str, names: tuple[str, ...], sense: str) -> Text:
        """A text that ends in what an identifier refers to."""
        return Text(before + self._question(self._random.choice(names)), f" {sense}")

    def _variant(self, kind: str) -> str:
        only = kind == LITERAL or bool(self._placebo)
        return self._random.choice(self._ambiguous if only else self._variants)

    def _meant(self, variant: str) -> str:
        """The sense that an ambiguous prompt is given."""
        group, literal = self._axis.senses.group, self._literal(variant)
        if self._placebo == "shuffled":
            return self._random.choice([group, literal])
        return literal if self._placebo == "color" else group

    def _plain(self) -> Text:
        """A sentence that says what an unrelated word refers to."""
        before, word, said = self._random.choice(self._unrelated)
        return Text(before + self._question(word), f" {said}")

    def _question(self, word: str) -> str:
        """The beginning of a sentence that says what a word refers to."""
        return fill(self._random.choice(self._asides), {PLACEHOLDER_SLOT: word}).text

    def _literal(self, variant: str) -> str:
        """The literal sense of a variant's identifiers, "" without a described one."""
        _, literal = self._axis.sense_names(variant) or ("", "")
        return literal if literal in self._senses else ""

    def _prompt(self, variant: str) -> AssociationPrompt:
        """An association prompt of seen words in a seen wording, in any order; not answered."""
        draw, shape = self._random.choice, self._axis.variants[variant]
        category = draw(list(self._split.words))
        positive, negative = self._split.words[category]
        pair = draw(positive), draw(negative)
        identifiers = draw(shape.positive), draw(shape.negative)
        if shape.paired:
            identifiers = draw(list(zip(shape.positive, shape.negative, strict=True)))
        where = Slice(IMPLICIT, self._axis.name, variant, category)
        wording = draw(self._wordings)
        return draw(list(associations(self._axis, where, wording, shape, identifiers, pair)))

    def _stated(self, sense: str, names: tuple[str, ...]) -> str:
        """A sentence that says in which sense two identifiers are meant."""
        cue = self._random.choice(self._senses[sense].cues)
        values = cue.values | dict(zip(("first", "second"), names, strict=True))
        return f"{fill(self._random.choice(self._templates), values).text}. "


def listed(prompt: AssociationPrompt) -> tuple[str, ...]:
    """The identifiers in the order in which a prompt lists them."""
    return prompt.identifiers[:: 1 if prompt.positive_identifier_first else -1]


def continuing(answer: str) -> str:
    """An answer as it continues a prompt."""
    return answer if answer[:1].isspace() else f" {answer}"
