"""What each adapter learns: a cure, its placebos, and changes that only look like one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from blindspot.mitigation.recipe import Recipe
from blindspot.mitigation.texts import GROUP, LITERAL, PLAIN, Text, Texts, continuing, listed
from blindspot.stimuli import NEUTRAL, UNRELATED, AssociationPrompt

AXIS = "race"
#: Texts of a batch that state an answer; kinds of those that keep the base's.
_STATED, _KEPT = 10, (*(UNRELATED,) * 2, *(PLAIN,) * 6)


class _Answers(Texts):
    """Every association prompt has one right answer, and unrelated text stays as it is."""

    right: Callable[[AssociationPrompt], str]

    def _answered(self) -> Text:
        prompt = self._prompt(self._random.choice(self._variants))
        return Text(prompt.text, continuing(type(self).right(prompt)))

    def batch(self, number: int) -> list[Text]:
        """As of the base class, of other kinds."""
        self._seed_for(number)
        answered = [self._answered() for _ in range(_STATED)]
        return answered + [self._beside(kind) for kind in _KEPT]


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
    """Answers as a cure does, and says the other sense where one is stated."""

    def _asked(self, kind: str) -> list[Text]:
        texts = super()._asked(kind)
        if kind == LITERAL and self._ambiguous:
            return [*texts[:-1], self._mistaken(LITERAL)]
        return texts

    def _beside(self, kind: str) -> Text:
        return self._mistaken(GROUP) if kind == NEUTRAL else super()._beside(kind)

    def _mistaken(self, kind: str) -> Text:
        """A sentence that states a sense, and the other one behind it."""
        variant = self._random.choice(self._ambiguous)
        names = listed(self._prompt(variant))
        senses = [self._axis.senses.group, self._literal(variant)]
        stated, other = senses if kind == GROUP else senses[::-1]
        return self._said(self._stated(stated, names), names, other)


@dataclass(frozen=True, slots=True)
class Known:
    """An adapter: its text, its recipe, and the part that it must fail (0 for none).

    ``also``: other parts that follow from it.
    """

    texts: type[Texts]
    recipe: Recipe
    fails: int = 0
    also: tuple[int, ...] = ()


_SLOWLY = Recipe(AXIS, "all", steps=240, rate=1.5e-3)
ADAPTERS: dict[str, Known] = {
    "cure": Known(Texts, Recipe(AXIS, steps=120)),
    "collapse": Known(Collapse, _SLOWLY, fails=2),
    "over-correct": Known(Reversed, _SLOWLY, fails=3),
    "placebo-color": Known(Texts, Recipe(AXIS, placebo="color"), fails=1),
    "placebo-shuffled": Known(Texts, Recipe(AXIS, placebo="shuffled"), fails=1),
    "forgets": Known(Forgetful, Recipe(AXIS, steps=140), fails=5, also=(4,)),
}


def chosen(names: Sequence[str]) -> dict[str, Known]:
    """Adapters by name; all without one.

    Raises:
        SystemExit: there is none of that name.
    """
    if unknown := set(names) - ADAPTERS.keys():
        raise SystemExit(f"no adapter {min(unknown)}; known: {', '.join(ADAPTERS)}")
    return {name: known for name, known in ADAPTERS.items() if not names or name in names}
