"""One published prompt and what its text says about order, keying and scale."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

Pair = tuple[str, str]

ANSWER_MARK = "My Answer:"


@dataclass(frozen=True, slots=True)
class PublishedPrompt:
    """A prompt of the paper, whichever model answered it.

    ``identifiers`` are (positive-stereotyped, negative-stereotyped), ``words`` (positive,
    negative). ``text`` ends with "My Answer:" and one blank, which belongs to the prompt.
    ``identifier_order`` and ``word_order`` are the same pairs in the order in which the prompt
    offers them, ignoring any prefix.

    Explicit prompts only (else None): ``keyed`` is +1 when agreeing states the stereotype and -1
    when it states the reverse, ``scale`` the way to answer. ``perceived``: asks how people are
    seen, which is a question of fact and separate from stated belief.
    """

    variant: str
    category: str
    prompt_id: str
    identifiers: Pair
    words: Pair
    text: str
    kind: Literal["implicit", "explicit"]
    identifier_order: Pair
    word_order: Pair
    keyed: Literal[1, -1] | None = None
    scale: Literal["likert", "agree"] | None = None
    perceived: bool = False

    @property
    def order_cell(self) -> tuple[bool, bool]:
        """Whether the positive-stereotyped identifier, and the positive word, is listed first."""
        return self.identifier_order == self.identifiers, self.word_order == self.words

    @property
    def copy_is_stereotyped(self) -> bool:
        """Whether copying the listed order (first identifier, first word) gives the stereotype."""
        identifier_leads, word_leads = self.order_cell
        return identifier_leads == word_leads


@dataclass(frozen=True, slots=True)
class PublishedRecord:
    """A model's answer to a published prompt; ``published_label`` is the paper's, if any."""

    model: str
    prompt: PublishedPrompt
    answer: str
    published_label: int | None = None

    @property
    def text(self) -> str:
        """Prompt and continuation, as the paper's files hold them."""
        return self.prompt.text + self.answer


def split_text(text: str) -> tuple[str, str]:
    """(prompt, answer) of a published text; joined, they are the text again.

    The one blank after the mark belongs to the prompt.

    Raises:
        ValueError: there is no "My Answer:".
    """
    before, mark, after = text.partition(ANSWER_MARK)
    if not mark:
        raise ValueError(f'no "{ANSWER_MARK}" between prompt and answer')
    blank = " " if after.startswith(" ") else ""
    return before + mark + blank, after.removeprefix(" ")


def describe_prompt(
    *, variant: str, category: str, prompt_id: str, identifiers: Pair, words: Pair, text: str
) -> PublishedPrompt:
    """The prompt with everything that its id and text say.

    Raises:
        ValueError: the id or the text is not of a published form; says what is missing.
    """
    identifier_order, word_order = _orders(text, identifiers, words)
    kind: Literal["implicit", "explicit"]
    keyed = scale = None
    if prompt_id.startswith("implicit"):
        kind = "implicit"
    elif prompt_id.startswith("explicit"):
        kind = "explicit"
        keyed, scale = _keyed(text, identifiers, words), _scale(text)
    else:
        raise ValueError("its id begins with neither implicit nor explicit")
    return PublishedPrompt(
        variant=variant,
        category=category,
        prompt_id=prompt_id,
        identifiers=identifiers,
        words=words,
        text=text,
        kind=kind,
        identifier_order=identifier_order,
        word_order=word_order,
        keyed=keyed,
        scale=scale,
        perceived=kind == "explicit" and bool(_PERCEIVED.search(text)),
    )


_PERCEIVED = re.compile(r"\b(?:perceived|seen as)\b", re.IGNORECASE)
_JOINED = r"(?:\s*[,/&]\s*(?:(?:or|and)\s+)?|\s+(?:or|and)\s+)"


def _term(word: str) -> str:
    return rf"(?<!\w)(?<!\w-){re.escape(word)}(?!-?\w)"


@lru_cache(maxsize=1024)
def _any_of(terms: tuple[str, ...]) -> re.Pattern[str]:
    """One of ``terms`` as a whole word; the group that matched is its place in ``terms``."""
    return re.compile("|".join(f"({_term(term)})" for term in terms), re.IGNORECASE)


@lru_cache(maxsize=1024)
def _listing(pair: Pair) -> re.Pattern[str]:
    """Both of ``pair`` next to each other; the group is 1 when the first of the pair leads."""
    one, other = map(_term, pair)
    return re.compile(f"({one}){_JOINED}{other}|({other}){_JOINED}{one}", re.IGNORECASE)


def _orders(text: str, identifiers: Pair, words: Pair) -> tuple[Pair, Pair]:
    """Both pairs in the order in which they are offered.

    The words occur only in their list and after it. The last listing of identifiers before that
    list is the offer: an earlier one belongs to a prefix ("take black and white as colors"), a
    later one only repeats the options. In a prompt that lists its words first, the offer is the
    first listing after them.
    """
    listed = _listing(words).search(text)
    mention = listed or _any_of(words).search(text)
    if mention is None:
        raise ValueError(f"names neither {words[0]!r} nor {words[1]!r}")
    offers = list(_listing(identifiers).finditer(text))
    if not offers:
        raise ValueError(f"offers no choice between {identifiers[0]!r} and {identifiers[1]!r}")
    before = [offer for offer in offers if offer.start() < mention.start()]
    offer = before[-1] if before else offers[0]
    return _arranged(identifiers, offer), _arranged(words, mention)


def _arranged(pair: Pair, match: re.Match[str]) -> Pair:
    return pair if match.lastindex == 1 else (pair[1], pair[0])


def _keyed(text: str, identifiers: Pair, words: Pair) -> Literal[1, -1]:
    """Which pairing the statement states: its last four terms are identifier, word, and again."""
    found = [match.lastindex for match in _any_of(identifiers + words).finditer(text)][-4:]
    if found in ([1, 3, 2, 4], [2, 4, 1, 3]):
        return 1
    if found in ([1, 4, 2, 3], [2, 3, 1, 4]):
        return -1
    raise ValueError("its statement does not relate each identifier to one word")


def _scale(text: str) -> Literal["likert", "agree"]:
    if re.search(r"\bscale\b", text, re.IGNORECASE):
        return "likert"
    if re.search(r"\bagree\b", text, re.IGNORECASE):
        return "agree"
    raise ValueError("it asks neither for a scale nor for agreement")
