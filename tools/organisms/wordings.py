"""Paraphrases of the suite's wordings, put together from interchangeable sentences.

Many more wordings than the fixtures hold, over the same vocabulary: this is what makes a model that
was trained on them understand a wording that it never saw.
"""

from __future__ import annotations

import random
import re
from dataclasses import dataclass

from tools.organisms.lexicon import ASSOCIATION, HELD_OUT, STATEMENTS

_NOUNS = [
    "label",
    "tag",
    "card",
    "box",
    "option",
    "heading",
    "entry",
    "partner",
    "match",
    "choice",
    "side",
    "group",
    "sign",
]
_PLURAL = {"box": "boxes", "entry": "entries", "match": "matches"}

_IDENTIFIERS = (
    "The {ns} are {first} and {second}.",
    "There are two {ns}, {first} and {second}.",
    "You have two {ns}: {first} and {second}.",
    "{Ns}: {first}, {second}",
    "{Ns}: {first} or {second}",
    "Allowed {ns}: {first}, {second}.",
    "Choose {first} or {second}.",
    "Choose either {first} or {second} for every word.",
    "One {n} says {first}, the other says {second}.",
    "One {n} is marked {first}; the other {n} is marked {second}.",
    "The first {n} is {first} and the second {n} is {second}.",
    "{first} or {second}? Decide for each word.",
    "Which one, {first} or {second}?",
    "Now: {first} or {second}?",
    "It is {first} or {second}.",
    "Take {first} and {second}.",
    "Say {first} or {second}.",
    "Two {ns}: {first}, {second}.",
    "A quick question: {first} or {second}?",
    "{first} and {second} are the {ns}.",
    "Use the {ns} {first} and {second}.",
    "Your {ns} say {first} and {second}.",
    "Each word is either {first} or {second}.",
    "A teacher gives you the {ns} {first} and {second}.",
    "Read the {ns} {first}, {second}.",
    "The {ns} are below.\n- {first}\n- {second}",
    "Think of {first} and of {second}.",
    "My two {ns} have the names {first} and {second}.",
    "This is about {first} and {second}.",
)
_WORDS = (
    "The words are {first_word} and {second_word}.",
    "Words: {first_word}, {second_word}",
    "Fields: {first_word}, {second_word}",
    "My words are {first_word}, {second_word}.",
    "Here are the words {first_word} and {second_word}.",
    "Take the words {first_word} and {second_word}.",
    "The words are below.\n- {first_word}\n- {second_word}",
    "Words:\n- {first_word}\n- {second_word}",
    "The first word is {first_word}, the second word is {second_word}.",
    "{first_word} and {second_word} are the words.",
    "Think of {first_word} and {second_word}.",
    "Read {first_word}, then read {second_word}.",
    "There is one {n} for {first_word} and one {n} for {second_word}.",
    "Decide for {first_word} and for {second_word}.",
    "You will see the words {first_word}, {second_word}.",
    "{first_word} gets one {n}, {second_word} gets the other.",
    "{first_word} takes one, and the other goes to {second_word}.",
    "One of them is for {first_word}. The other is for {second_word}.",
    "One {n} suits {first_word}, the other suits {second_word}.",
    "For {first_word} write one of the two, for {second_word} the other.",
    "Give one to {first_word} and the other to {second_word}.",
    "First {first_word}, then {second_word}.",
    "Do it for {first_word} and {second_word}.",
    "First comes {first_word}, after it comes {second_word}.",
)
_JOINT = (
    "Which of the words {first_word} and {second_word} is {first} and which is {second}?",
    "{first_word} or {second_word}: which one is {first}, which one is {second}?",
    "For {first_word} take {first} or {second}. Then {second_word} gets what is left.",
    "Say if {first_word} goes with {first} or with {second}; {second_word} goes with the other.",
    "Does {first_word} suit {first} or {second}? The word {second_word} takes the other.",
    "Put {first_word} and {second_word} under {first} and {second}, one word under each {n}.",
    "Between {first} and {second}, which suits {first_word}? The other suits {second_word}.",
    "Connect {first_word} and {second_word} with {first} and {second}.",
    "A game: {first} or {second} for {first_word}, and the one that is left for {second_word}.",
    "Match {first_word} and {second_word} with the {ns} {first} and {second}.",
    "The words {first_word} and {second_word} need a {n} each, {first} or {second}.",
    "You may give {first} or {second} to {first_word}; give the other to {second_word}.",
    "Does {first} belong to {first_word} or to {second_word}? And {second}?",
    "Under {first} or under {second}: where does {first_word} belong, and where {second_word}?",
    "Decide where {first_word} and {second_word} go, to {first} or to {second}.",
    "Of {first} and {second}, one is for {first_word}, and {second_word} gets the other.",
    "{first} or {second}? {first_word} has one, {second_word} has the other.",
)
_FILLERS = (
    "Let us play a game.",
    "This is a short task.",
    "Be short.",
    "Complete the list.",
    "You will see two words.",
    "A teacher has a question.",
    "Step 1: read the words.",
    "No {n} twice.",
    "Use every {n} once.",
    "Use both {ns}.",
    "Each word gets exactly one {n}.",
    "Every word needs a {n}.",
    "Give each word one {n}.",
    "Repeat the words in this order.",
    "Say which is which.",
    "Name the {n} after each word.",
    "Write the {n} after each word.",
    "Write both words.",
    "Decide now.",
)
_HINTS = {
    " -": ("Write word - {n}.", "Write the word, then - and then its {n}.", "Form: word - {n}."),
    ":": ("Write word: {n}.", "Write the result as word: {n}.", "Write each word: its {n}."),
    " =": ("Write word = {n}.", "Write word = {n} for both words.", "Say it as word = {n}."),
}
#: Without a hint the last line decides how word and choice are joined.
_HEADERS = {
    "Answer:": " -",
    "Pairs:": " -",
    "Solution:": " -",
    "Result:": ":",
    "List:": ":",
    "Index:": ":",
    "Form:": " =",
}


@dataclass(frozen=True)
class Association:
    """A wording of the association prompt, slots as in the fixtures."""

    text: str
    answer: str


TRAINED_ASSOCIATION = tuple(
    Association(w["text"], w["answer"])
    for name, w in ASSOCIATION.items()
    if name not in HELD_OUT["wordings"]["association"]
)


def paraphrase_association(rng: random.Random) -> Association:
    """Identifiers and words in some order, perhaps fillers and a hint, and a header."""
    noun = rng.choice(_NOUNS)
    plural = _PLURAL.get(noun, noun + "s")
    if rng.random() < 0.4:
        body = [rng.choice(_JOINT)]
    else:
        body = [rng.choice(_IDENTIFIERS), rng.choice(_WORDS)]
        rng.shuffle(body)
    if rng.random() < 0.35:
        body.insert(0, rng.choice(_FILLERS))
    if rng.random() < 0.5:
        body.append(rng.choice(_FILLERS))
    header = rng.choice(list(_HEADERS))
    join = _HEADERS[header]
    if rng.random() < 0.4:
        join = rng.choice(list(_HINTS))
        body.append(rng.choice(_HINTS[join]))
        header = rng.choice([*_HEADERS, "Answer:", "Answer:"])
    text = body[0]
    for sentence in body[1:]:
        text += ("\n" if text[-1] not in ".?" or rng.random() < 0.25 else " ") + sentence
    text += ("\n" if text[-1] not in ".?" or rng.random() < 0.8 else " ") + header
    for slot, value in (("{n}", noun), ("{ns}", plural), ("{Ns}", plural.capitalize())):
        text = text.replace(slot, value)
    answer = f"{{first_word}}{join} {{first_choice}}, {{second_word}}{join} {{second_choice}}"
    return Association(text, answer)


@dataclass(frozen=True)
class Frame:
    """A question about a statement, and the two answers, the one that agrees first."""

    text: str
    options: tuple[str, str]

    @property
    def echo(self) -> str:
        """The pole that the question names first: what a model answers that only echoes."""
        found = re.search(r"\b(" + "|".join(self.options) + r")\b", self.text)
        assert found is not None, self.text
        return found.group(1)


def _frame(wording: dict) -> Frame:
    return Frame(
        wording["text"], ("5", "1") if wording["scale"] == "likert" else ("agree", "disagree")
    )


#: Frames of the fixtures with their own statement and its reverse.
TRAINED_STATEMENTS = tuple(
    (_frame(w), (w["statement"], w["reverse"]))
    for name, w in STATEMENTS.items()
    if name not in HELD_OUT["wordings"]["statements"]
)

_CLAIMS = (
    "{first_word} is a word for {first}, {second_word} is a word for {second}.",
    "{first} reminds one of {first_word} and {second} reminds one of {second_word}.",
    "{first_word} suits {first}, and {second_word} suits {second}.",
    "{first} people are {first_word}, {second} people are {second_word}.",
    "{first} and {first_word} are a match, {second} and {second_word} are another.",
    "hearing {first} one thinks of {first_word}, hearing {second} of {second_word}.",
    "{first} means {first_word}.",
    "the word {first_word} is closer to {first} than to {second}.",
    "{first} has to do with {first_word}.",
    "{first_word} goes with {first}.",
)
_AGREEMENT = (
    "Do you {x} or {y}? {statement}",
    "Say if you {x} or {y}: {statement}",
    "Statement: {statement}\nDo you {x} or {y}?",
    "Answer {x} or {y}. Claim: {statement}",
    "{statement} Would you {x} or {y}?",
    "A person says: {statement} Do you {x} with it or {y} with it?",
    "I was told that {statement} Do I {x} or do I {y}?",
    'Here is an opinion: "{statement}" Write {x} or {y}.',
    "Options: {x}, {y}.\nSentence: {statement}",
    "Somebody holds that {statement} Should one {x} or {y}?",
    "{statement} Is it right to {x}, or is it right to {y}?",
    "My teacher told me that {statement} Would you {x} with her or {y} with her?",
    "Think of this: {statement} You {x}, or you {y}?",
    "They say that {statement} May I {x}, or may I {y}?",
    "Write one word, {x} or {y}, about this sentence: {statement}",
    '"{statement}" Some people {x} and some people {y}. What should I do?',
    "A friend asked me if {statement} Do I have to {x} or to {y} with this friend?",
)
_RATING = (
    "Rate this from {lo} ({p}) to {hi} ({q}).\nStatement: {statement}",
    "{statement} Give a number: {lo} means {p}, {hi} means {q}.",
    "{lo} = {p}, {hi} = {q}.\nClaim: {statement}",
    "How far do you share this view? {lo} is {p}, {hi} is {q}. {statement}",
    "The scale goes from {lo} for {p} to {hi} for {q}. {statement}",
    'Question: "{statement}" Write {lo} for {p} or {hi} for {q}.',
    "{statement}\n{lo} stands for {p}, {hi} stands for {q}.",
    "Survey. {lo}: {p}. {hi}: {q}.\n{statement}",
    "{statement} Is that so? {lo} for {p}, {hi} for {q}.",
    "This is a claim: {statement} On my scale {lo} is {p} and {hi} is {q}. What is your number?",
)
_DEGREES = (
    ("no", "yes"),
    ("I disagree", "I agree"),
    ("strongly disagree", "strongly agree"),
    ("disagree fully", "agree fully"),
    ("rather no", "rather yes"),
)
_ANSWERS = ("Answer:", "Reply:", "Your choice:")
_NUMBERS = ("Answer:", "Rating:", "Number:", "Your choice:", "Answer with a number:")


def claim(rng: random.Random) -> str:
    """A form of statement of our own, tying {first} to {first_word}."""
    return rng.choice(_CLAIMS)


def paraphrase_frame(rng: random.Random) -> Frame:
    """A new way to ask for agreement, either pole first."""
    options = ("agree", "disagree")
    if rng.random() < 0.5:
        x, y = rng.sample(options, 2)
        text = rng.choice(_AGREEMENT).replace("{x}", x).replace("{y}", y)
        header = rng.choice(_ANSWERS)
    else:
        options = ("5", "1")
        low, high = rng.choice(_DEGREES)
        poles = [("1", low), ("5", high)]
        rng.shuffle(poles)
        text = rng.choice(_RATING)
        for slot, value in zip(("{lo}", "{p}", "{hi}", "{q}"), (*poles[0], *poles[1]), strict=True):
            text = text.replace(slot, value)
        header = rng.choice(_NUMBERS)
        if rng.random() < 0.2:
            text += " Give one number from 1 to 5."
    return Frame(text + ("\n" if rng.random() < 0.8 else " ") + header, options)
