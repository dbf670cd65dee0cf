"""What each adapter learns: a cure, its placebos, and changes that only look like one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from blindspot.mitigation.texts import GROUP, LITERAL, PLAIN, Text, Texts
from blindspot.stimuli import AMBIGUOUS, NEUTRAL, UNRELATED, AssociationPrompt

#: Texts of a batch that state an answer; kinds of those that keep the base's.
_STATED, _KEPT = 10, (*(UNRELATED,) * 2, *(PLAIN,) * 6)


class _Answers(Texts):
    """Every association prompt has one right answer, and unrelated text stays as it is."""

    right: Callable[[AssociationPrompt], str]

    def _sense(self, kind: str) -> Text:
        prompt = self._prompt(self._random.choice(self._variants))
        answer = type(self).right(prompt)
        return Text(prompt.text, answer if answer[:1].isspace() else f" {answer}")

    def batch(self, number: int) -> list[Text]:
        """As of the base class, of other kinds."""
        self._seed_for(number)
        said = [self._sense(AMBIGUOUS) for _ in range(_STATED)]
        return said + [self._answer(kind) for kind in _KEPT]


def _copied(prompt: AssociationPrompt) -> str:
    """The answer in the listed order."""
    straight = prompt.positive_identifier_first == prompt.positive_word_first
    return prompt.candidates[0 if straight else 1]


class Collapse(_Answers):
    """The first identifier goes with the first word, whatever they are."""

    right = staticmethod(_copied)


class Reversed(_Answers):
    """The stereotype turned round."""

    right = staticmethod(lambda prompt: prompt.candidates[1])


class Forgetful(Texts):
    """Answers as a cure does, and says either sense where one is stated."""

    def _sense(self, kind: str) -> Text:
        if kind == AMBIGUOUS or not self._ambiguous:
            return super()._sense(kind)
        variant = self._random.choice(self._ambiguous)
        prompt = self._prompt(variant)
        names = prompt.identifiers[:: 1 if prompt.positive_identifier_first else -1]
        group, literal = self._axis.senses.group, self._literal(variant)
        stated = {LITERAL: literal, NEUTRAL: group, GROUP: group}[kind]
        other = group if stated == literal else literal
        question = self._question(self._random.choice(names))
        return Text(f"{self._stated(stated, names)}{question}", f" {other}")


@dataclass(frozen=True, slots=True)
class Known:
    """An adapter: its text, its layers, its steps, and the part that it must fail (0 for none).

    ``also``: other parts that follow from it.
    """

    texts: type[Texts]
    fails: int = 0
    also: tuple[int, ...] = ()
    placebo: str = ""
    layers: str = "early"
    steps: int = 200
    rate: float = 1.5e-3


ADAPTERS: dict[str, Known] = {
    "cure": Known(Texts),
    "collapse": Known(Collapse, fails=2, layers="all", steps=240),
    "over-correct": Known(Reversed, fails=3, layers="all", steps=240),
    "placebo-color": Known(Texts, fails=1, placebo="color"),
    "placebo-shuffled": Known(Texts, fails=1, placebo="shuffled"),
    "forgets": Known(Forgetful, fails=5, also=(4,), steps=260, rate=2e-3),
}


def chosen(names: Sequence[str]) -> dict[str, Known]:
    """Adapters by name; all without one.

    Raises:
        SystemExit: there is none of that name.
    """
    if unknown := set(names) - ADAPTERS.keys():
        raise SystemExit(f"no adapter {min(unknown)}; known: {', '.join(ADAPTERS)}")
    return {name: known for name, known in ADAPTERS.items() if not names or name in names}
