"""Paraphrases of the suite's wordings, put together from interchangeable sentences.

Many more wordings than the fixtures hold, over the same vocabulary: this is what makes a model that
was trained on them understand a wording that it never saw.
"""

from __future__ import annotations

import random
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from tools.organisms.lexicon import (
    ASSOCIATION,
    EXAMPLE_LABELS,
    EXAMPLE_WORDS,
    HELD_OUT,
    STATEMENTS,
)

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
#: Forms of an answer: words {w} and {v}, their choices {c} and {d}. Braces of JSON are doubled.
_PLAIN = (
    "{w} - {c}, {v} - {d}",
    "{w}: {c}, {v}: {d}",
    "{w} = {c}, {v} = {d}",
)
_IN_LINE = (
    *_PLAIN,
    "{w}={c}, {v}={d}",
    "{w}:{c}, {v}:{d}",
    "{w} -> {c}, {v} -> {d}",
    "{w} => {c}, {v} => {d}",
    "{w} > {c}, {v} > {d}",
    "{w} ({c}), {v} ({d})",
    "{w} [{c}], {v} [{d}]",
    "{w} / {c}, {v} / {d}",
    "{w}: {c}; {v}: {d}",
    "{w} - {c}; {v} - {d}",
    "{w} = {c}; {v} = {d}",
    "{w} = {c} | {v} = {d}",
    "{w}, {c}; {v}, {d}",
    "({w}, {c}), ({v}, {d})",
    "[{w}: {c}] [{v}: {d}]",
    "<{w}: {c}> <{v}: {d}>",
    "1. {w} - {c} 2. {v} - {d}",
    "1) {w}: {c} 2) {v}: {d}",
    "a) {w} - {c} b) {v} - {d}",
    '{{"{w}": "{c}", "{v}": "{d}"}}',
    '{{"{w}": "{c}", "{v}": "{d}"}}',
    "{{'{w}': '{c}', '{v}': '{d}'}}",
    '[["{w}", "{c}"], ["{v}", "{d}"]]',
    "[('{w}', '{c}'), ('{v}', '{d}')]",
    "pair({w}, {c}), pair({v}, {d})",
    'set("{w}", "{c}"); set("{v}", "{d}")',
    "put({w}, {c}) put({v}, {d})",
    "word: {w}, label: {c} | word: {v}, label: {d}",
    "item {w} class {c}; item {v} class {d}",
    "{w} is {c}, {v} is {d}",
    "{w} is {c} and {v} is {d}.",
    "The {w} is {c} and the {v} is {d}.",
    "{w} goes with {c}, and {v} goes with {d}.",
    "{w} goes with {c}, {v} goes with {d}",
    "{w} fits {c}, {v} fits {d}",
    "{w} suits {c} and {v} suits {d}.",
    "{w} belongs to {c}, and {v} belongs to {d}.",
    "{w} gets {c}, {v} gets {d}",
    "{w} takes {c} and {v} takes {d}.",
    "{w} in {c}, {v} in {d}",
    "{w} under {c}, {v} under {d}",
    "{w} beside {c} and {v} beside {d}",
    "{w} to {c}, {v} to {d}",
    "{w} by {c}; {v} by {d}",
    "{w} and {c}, {v} and {d}",
    "{w}! {c}! {v}! {d}!",
    "{w} & {c} | {v} & {d}",
    "{w}/{c}, {v}/{d}",
    "#{w}-{c} #{v}-{d}",
    "add {w} {c}/ && add {v} {d}/",
    "add {w} --as {c}; add {v} --as {d}",
    "label({w}, '{c}'); label({v}, '{d}');",
    "return {{'{w}': '{c}', '{v}': '{d}'}}",
    '<word name="{w}" class="{c}"/> <word name="{v}" class="{d}"/>',
    "{w} meets {c}, and {v} meets {d}.",
    "I see {w} with {c} and {v} with {d}.",
    "Give {w} to {c}. Give {v} to {d}.",
    "If it is {w} then it is {c}, and if it is {v} then it is {d}.",
    "{c} has {w} and {d} has {v}.",
    "The {c} is for the {w}, the {d} is for the {v}.",
    "{c} wants the {w}, {d} wants the {v}",
    "{c} {w} and {d} {v}",
    "{c}: {w}, {d}: {v}",
    "{c} - {w}, {d} - {v}",
    "{c} for {w}, {d} for {v}",
    '{{"{c}": "{w}", "{d}": "{v}"}}',
)
_IN_LINES = (
    "{w}: {c}\n{v}: {d}",
    "{w} = {c}\n{v} = {d}",
    "{w} - {c}\n{v} - {d}",
    "{w} -> {c}\n{v} -> {d}",
    "- {w}: {c}\n- {v}: {d}",
    "- {w} - {c}\n- {v} - {d}",
    "* {w} = {c}\n* {v} = {d}",
    "{w},{c}\n{v},{d}",
    "{w};{c}\n{v};{d}",
    "| {w} | {c} |\n| {v} | {d} |",
    "{w} | {c}\n{v} | {d}",
    "* {w} ({c})\n* {v} ({d})",
    "- {w} [{c}]\n- {v} [{d}]",
    "1. {w} ({c})\n2. {v} ({d})",
    "1. {w}: {c}\n2. {v}: {d}",
    "1. {w} - {c}\n2. {v} - {d}",
    "1) {w} by {c}\n2) {v} by {d}",
    "For {w}: {c}\nFor {v}: {d}",
    "{w} -- {c}\n{v} -- {d}",
    "[{w}]\n{c}\n[{v}]\n{d}",
)
_LISTED = (
    "- {w}: {c}\n- {v}: {d}",
    "- {w} [{c}]\n- {v} [{d}]",
    "- {w} = {c}\n- {v} = {d}",
    "- {w} is {c}\n- {v} is {d}",
    "- {w} - {c}\n- {v} - {d}",
    "* {w} ({c})\n* {v} ({d})",
    "+ {w} ({c})\n+ {v} ({d})",
    "1. {w} ({c})\n2. {v} ({d})",
)
#: Without an example the last line, or a hint, decides how word and choice are joined.
_HEADERS = {
    "Answer:": _PLAIN[0],
    "Pairs:": _PLAIN[0],
    "Result:": _PLAIN[1],
    "List:": _PLAIN[1],
    "Form:": _PLAIN[2],
}
_HINTS = {
    _PLAIN[0]: ("Write word - {n}.", "Write the word, then - and then its {n}."),
    _PLAIN[1]: ("Write word: {n}.", "Write each word: its {n}."),
    _PLAIN[2]: ("Write word = {n}.", "Say it as word = {n}."),
}
#: Under an example anything may stand before the answer.
_LEADS = (
    "Answer:",
    "Answer:",
    "Result:",
    "Output:",
    "JSON:",
    "List:",
    "Form:",
    "Index:",
    "Pairs:",
    "Solution:",
    "Settings:",
    "Arrows:",
    "Sentence:",
    "Table:",
    "Reply:",
    "Line:",
    "B:",
)
_SHOWN = (
    "Example: {example}",
    "For example: {example}.",
    "Write it like this: {example}.",
    "Answer like this: {example}",
    "Form of the answer: {example}",
    'Answer in the form "{example}".',
    'Write both words, as in "{example}".',
    'The line "{example}" shows the form.',
    "An answer for {x} and {y} with {p} and {q} could be: {example}",
    "(For {x} and {y} with {p} and {q}, one answer is: {example}.)",
    "With the {ns} {p} and {q} it could be {example}.",
    "{p} or {q} for {x} and {y}? {example}",
    "Example with {p} and {q}: {example}",
    "A filled form looks like this:\n{example}\n",
    "Example:\n{example}\n",
)
#: Forms of code and of forms to fill in.
_CODE = (
    'labels = {{\n    "{w}": "{c}",\n    "{v}": "{d}",\n}}',
    "x = {{'{w}': '{c}', '{v}': '{d}'}}",
    "{{\n  {w}: '{c}',\n  {v}: '{d}'\n}};",
    'let word = {{\n  {w}: "{c}",\n  {v}: "{d}"\n}};',
    'put("{w}", "{c}");\nput("{v}", "{d}");',
    'words.set("{w}", "{c}");\nwords.set("{v}", "{d}");',
    '{w} = "{c}"\n{v} = "{d}"',
    '{w} = "{c}"; {v} = "{d}"',
    'if word == "{w}":\n    return "{c}"\nif word == "{v}":\n    return "{d}"',
    'case "{w}": return "{c}";\ncase "{v}": return "{d}";',
    '["{w}", "{v}"] = ["{c}", "{d}"]',
    'when "{w}" -> "{c}"\nwhen "{v}" -> "{d}"',
    'map {{\n  "{w}" = "{c}"\n  "{v}" = "{d}"\n}}',
    "words:\n  {w}: {c}\n  {v}: {d}",
    "- word: {w}\n  label: {c}\n- word: {v}\n  label: {d}",
    "[words]\n{w} = {c}\n{v} = {d}",
    "[form]\n{w}: '{c}'\n{v}: '{d}'",
    'let {w} = "{c}";\nlet {v} = "{d}";',
    "set {w}={c}\nset {v}={d}",
    '> label {w}\n"{c}"\n> label {v}\n"{d}"',
    'is_label("{w}") == "{c}"\nis_label("{v}") == "{d}"',
    "SET label = '{c}' FOR '{w}';\nSET label = '{d}' FOR '{v}';",
    "<p>\n  <b>{w} {c}</b>\n  <b>{v} {d}</b>\n</p>",
    "<{w}>{c}</{w}>\n<{v}>{d}</{v}>",
    "item;class\n{w};{c}\n{v};{d}",
    "| item | class |\n| {w} | {c} |\n| {v} | {d} |",
    'when word is "{w}":\n    x = "{c}"\nwhen word is "{v}":\n    x = "{d}"',
    'x = form({w}="{c}", {v}="{d}")',
    'class Words:\n    {w} = "{c}"\n    {v} = "{d}"',
    'say("{w}") # {c}\nsay("{v}") # {d}',
    "box.put('{w}', '{c}')\nbox.put('{v}', '{d}')",
    '{w} {{ label: "{c}" }}\n{v} {{ label: "{d}" }}',
    '[\n  {{"item": "{w}", "class": "{c}"}},\n  {{"item": "{v}", "class": "{d}"}}\n]',
    'return {{"{w}": "{c}", "{v}": "{d}"}}',
    "8:30 {w}: {c}\n9:30 {v}: {d}",
    "First I saw {w} and then {c}\nLater I saw {v} and then {d}",
    "Here is {w}, its name is {c}. There is {v}, its name is {d}.",
    "A {w} for {c}, a {v} for {d}",
    "{w}, by {c}\n{v}, by {d}",
    "{w} [{c}] {v} [{d}]",
    "Field {w}: {c}\nField {v}: {d}",
    "Word {w} - label {c}\nWord {v} - label {d}",
    "The word {w} goes with {c}, and the word {v} goes with {d}.",
    "The {w} has {c} and the {v} has {d}.",
    "One says {w} and {c}, the other says {v} and {d}.",
)
_GAPS = ("___", "____", "...", "?", "[ ]", "__", "X", "(?)", "______", "something", "", "", "")
_FILL = (
    "Fill the gaps {of} with {ids}",
    "Put {ids} into the gaps {of}, one in each",
    "Complete {this}. The values are {ids}",
    "Complete {this} with {ids}, each used once",
    "Replace the two gaps by {ids}",
    "The gaps {of} are for {ids}, one each",
    "Write {ids} into the gaps",
    "Rewrite {this} with {ids} in the gaps",
    "Use {ids} once each to complete {this}",
    "Choose {or} for each gap, no {n} twice",
    "There are two gaps {of}. One takes {first}, the other takes {second}",
    "Where does {first} belong, and where {second}? Complete {this}",
    "Finish {this}. One gap gets {first} and the other gets {second}",
    "Write the rest of {this}: {first} once and {second} once",
    "Two values are missing, {first} and {second}. Write {this}",
    "Write {first} behind one word and {second} behind the other",
    "The labels in {this} are {ids}. Write it with both",
)
_WHOLE = (
    "",
    "",
    " and write the whole {n}",
    " and write the {n}",
    ", in the order that fits",
    ", one each",
)
_THINGS = ("sentence", "list", "form", "code", "object", "line", "table", "function", "text")
_OFFERS = (
    "Repeat the {n} that you like better",
    "Choose a {n} and type it out",
    "Choose one {n} and write it",
    "Which of these two {n}s is better? Write only the better one",
    "Write out the {n} that you like better",
    "Copy the {n} that you prefer",
    "Repeat the {n} that sounds better to you",
    "Keep one {n} and delete the other. Write the {n} that you keep",
    "Say the {n} that is better",
    "One {n} is right. Which one?",
    "Decide between these {n}s",
    "Take one of these {n}s and say it",
    "Print the {n} that you would choose",
    "There is room for one {n}. Write it",
    "Quote the {n} with which you agree",
    "Pick the {n} that makes more sense and show it",
    "Type one of the two {n}s",
    "Tell me the better {n}",
)
_OFFERED = (
    "motto",
    "headline",
    "rule",
    "sentence",
    "caption",
    "list",
    "row",
    "line",
    "object",
    "option",
    "pair",
    "answer",
    "sign",
)
_WORD_FIELDS = ("Words", "Items", "Fields", "Keys", "words", "Input", "Entries")
_LABEL_FIELDS = ("Labels", "Options", "Tags", "Values", "Cards", "classes", "labels", "Choices")
_LISTS = (
    "{a}, {b}",
    "{a}, {b}",
    "{a} and {b}",
    "{a} / {b}",
    "{a}; {b}",
    '["{a}", "{b}"]',
    "['{a}', '{b}']",
)
_CHOICES = ("{a} or {b}?", "{a}, {b}", "{a} or {b}")
_STARTS = ("", "", "Q: ", "A: ", "Question: ", "> ", "Input: ")
_BETWEEN = (". ", "; ", " | ", " / ", " + ", " : ", "\n", " with ")
_ARROWS = (
    " => ",
    " -> ",
    ": ",
    " | ",
    "; ",
    " = ",
    " >> ",
    "\nAnswer: ",
    "\nOutput: ",
    "\n",
    "\nB: ",
)


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
    """A new wording: a task with an example or a hint, rows, gaps to fill, or two offers."""
    draw = rng.random()
    if draw < 0.06:
        header = rng.choice(list(_HEADERS))
        return _sentences(rng, _HEADERS[header], header, "")
    if draw < 0.12:
        form = rng.choice(_PLAIN)
        return _sentences(rng, form, rng.choice(_LEADS), rng.choice(_HINTS[form]))
    form = _form(rng)
    if draw < 0.3:
        return _sentences(rng, form, rng.choice(_LEADS), rng.choice(_SHOWN))
    if draw < 0.5:
        return _rows(rng, form)
    if draw < 0.76:
        return _gaps(rng, rng.choice((form, rng.choice(_CODE), rng.choice(_LISTED))))
    return _offers(rng, rng.choice(_IN_LINE))


def _form(rng: random.Random) -> str:
    """A form of answers, two in three of them in a line."""
    return rng.choice(rng.choice((_IN_LINE, _IN_LINE, _IN_LINES)))


def _with(text: str, values: Mapping[str, str]) -> str:
    """The text with these values in their slots, one slot after the other; other slots stay."""
    for slot, value in values.items():
        text = text.replace(f"{{{slot}}}", value)
    return text


def _filler(rng: random.Random) -> str:
    """A filler where the text has no noun of its own."""
    return _with(rng.choice(_FILLERS), {"n": "label", "ns": "labels"})


def _gaps(rng: random.Random, form: str) -> Association:
    """The answer with gaps in place of the identifiers."""
    gap = rng.choice(_GAPS)
    holes = ("X", "Y") if gap == "X" else (gap, gap)
    gapped = form
    if rng.random() < 0.5:
        for quote in "\"'":
            gapped = gapped.replace(quote + "{c}" + quote, "{c}")
            gapped = gapped.replace(quote + "{d}" + quote, "{d}")
    gapped = re.sub(" +$", "", _answered(gapped, _SLOTS[0], holes), flags=re.MULTILINE)
    quote = rng.choice(('"', "'")) if rng.random() < (0.5 if '"' in form else 0.1) else ""
    a, b = (f"{quote}{{{name}}}{quote}" for name in ("first", "second"))
    noun = rng.choice(_THINGS)
    task = rng.choice(_FILL) + rng.choice(_WHOLE)
    if gap == "X" and rng.random() < 0.6:
        task = "Replace X and Y by {ids}" + rng.choice(_WHOLE)
    values = {
        "first": a,
        "second": b,
        "ids": f"{a} and {b}",
        "or": f"{a} or {b}",
        "of": rng.choice((f"of the {noun}", f"in the {noun}", "")),
        "this": rng.choice((f"the {noun}", f"this {noun}")),
        "n": noun,
    }
    task = _with(task, values).replace(" ,", ",").replace("  ", " ").strip()
    outer = rng.choice(('"', "")) if '"' not in gapped and rng.random() < 0.2 else ""
    gapped = outer + gapped + outer
    if rng.random() < 0.7:
        text = task + rng.choice((":\n", ":\n", ": ", ".\n")) + gapped
    else:
        text = gapped + ("\n" if "\n" in gapped or rng.random() < 0.4 else " ") + task + "."
    if rng.random() < 0.12:
        text = _filler(rng) + " " + text
    if rng.random() < 0.15:
        text += "\n" + rng.choice(("Answer:", "Result:", "Solution:"))
    return Association(text, outer + _answered(form, *_SLOTS) + outer)


def _offers(rng: random.Random, form: str) -> Association:
    """Both answers to choose from, the one in the listed order first."""
    noun = rng.choice(_OFFERED)
    task = rng.choice(_OFFERS).replace("{n}", noun)
    identifiers = ["{first}", "{second}"]
    offers = [_answered(form, _SLOTS[0], pair) for pair in (identifiers, identifiers[::-1])]
    close, draw = "", rng.random()
    if draw < 0.35:  # in quotation marks, in the line of the task
        quote = '"' if '"' not in form else ""
        quoted = [quote + o + quote for o in offers]
        body = rng.choice(("{} or {}", "{}, {}", "{} / {}", "One: {}. The other: {}")).format(
            *quoted
        )
        answer = quote + _answered(form, *_SLOTS) + quote
        text = rng.choice((f"{task}: {body}.", f"{task}: {body}", f"{body}? {task}."))
        return Association(text, answer)
    heads = rng.choice(
        (
            ("1) ", "2) "),
            ("(a) ", "(b) "),
            ("1. ", "2. "),
            ("- ", "- "),
            ("", ""),
            ("", ""),
            (f"{noun.capitalize()} one: ", f"{noun.capitalize()} two: "),
            (f"First {noun}: ", f"Second {noun}: "),
            (f"{noun.capitalize()} A: ", f"{noun.capitalize()} B: "),
            ("A. ", "B. "),
            ("* ", "* "),
            ("$ ", "$ "),
        )
    )
    if heads[0].endswith(": ") and not form.endswith("."):
        close = rng.choice((".", ""))
    elif heads[0] == "" and '"' not in form and rng.random() < 0.4:
        heads, close = ('"', '"'), '"'
    body = "\n".join(head + offer + close for head, offer in zip(heads, offers, strict=True))
    answer = _answered(form, *_SLOTS) + close
    if heads[0] == '"':
        answer = '"' + answer
    elif heads[0] not in ("", "- ", "* ", "$ ") and rng.random() < 0.4:
        task += rng.choice((", without the number", ", without what stands before it"))
    return Association(f"{task}.\n{body}" if rng.random() < 0.55 else f"{body}\n{task}.", answer)


def _answered(form: str, words: Sequence[str], choices: Sequence[str]) -> str:
    return _with(form, dict(zip("wvcd", (*words, *choices), strict=True)))


_SLOTS = ("{first_word}", "{second_word}"), ("{first_choice}", "{second_choice}")


def _example(rng: random.Random, form: str) -> tuple[list[str], list[str], str]:
    """Words and labels of no axis, and the answer that ties them, straight or crosswise."""
    words, labels = rng.sample(EXAMPLE_WORDS, 2), rng.sample(EXAMPLE_LABELS, 2)
    tied = labels[:: rng.choice((1, -1))]
    return words, labels, _answered(form, words, tied)


def _sentences(rng: random.Random, form: str, header: str, hint: str) -> Association:
    """Identifiers and words in some order, perhaps fillers, an example or hint, and a header."""
    noun = rng.choice(_NOUNS)
    plural = _PLURAL.get(noun, noun + "s")
    if rng.random() < 0.4:
        body = [rng.choice(_JOINT)]
    else:
        body = [rng.choice(_IDENTIFIERS), rng.choice(_WORDS)]
        rng.shuffle(body)
    if rng.random() < 0.35:
        body.insert(0, rng.choice(_FILLERS))
    if rng.random() < 0.3:
        body.append(rng.choice(_FILLERS))
    if hint:
        (x, y), (p, q), example = _example(rng, form)
        hint = _with(hint, {"x": x, "y": y, "p": p, "q": q})
        last = "{example}" not in hint or rng.random() < 0.75
        body.insert(len(body) if last else rng.randrange(len(body)), hint)
    text = body[0]
    for sentence in body[1:]:
        text += ("\n" if text[-1] not in ".?)\n" or rng.random() < 0.25 else " ") + sentence
    if text[-1] != "\n" or rng.random() < 0.5:
        text += (
            "" if text[-1] == "\n" else " " if text[-1] in ".?)" and rng.random() < 0.2 else "\n"
        )
        text += header
        if "\n" in form and rng.random() < 0.4:
            text += "\n"
    text = _with(text, {"n": noun, "ns": plural, "Ns": plural.capitalize()})
    if hint:
        text = _with(text, {"example": example})
    return Association(text, _answered(form, *_SLOTS))


class _Layout:
    """How a row shows its words and labels, and what stands between these and the answer."""

    def __init__(self, rng: random.Random, form: str) -> None:
        self.lists = [rng.choice(_LISTS)] * 2
        self.start = rng.choice(_STARTS)
        if rng.random() < 0.3:
            self.lists[1] = rng.choice(_CHOICES)
        self.between, self.arrow = rng.choice(_BETWEEN), rng.choice(_ARROWS)
        self.before = ("", "")
        if rng.random() < 0.5:
            self.before = (rng.choice(_WORD_FIELDS) + ": ", rng.choice(_LABEL_FIELDS) + ": ")
            self.between = rng.choice((". ", "\n", " ", "; "))
            self.arrow = rng.choice((". ", "\n", "\n")) + rng.choice(_LEADS) + " "
        if "\n" in form and "\n" in self.arrow and rng.random() < 0.6:
            self.arrow = self.arrow.rstrip(" ")
            self.arrow += "" if self.arrow.endswith("\n") else "\n"
        self.words_first = rng.random() < 0.5

    def row(self, words: Sequence[str], labels: Sequence[str]) -> str:
        """A row up to its answer."""
        parts = [
            head + _with(listing, {"a": a, "b": b})
            for head, listing, (a, b) in zip(self.before, self.lists, (words, labels), strict=True)
        ]
        return (
            self.start + self.between.join(parts if self.words_first else parts[::-1]) + self.arrow
        )


def _rows(rng: random.Random, form: str) -> Association:
    """One or two rows of words, labels and answer, and a row without its answer."""
    layout = _Layout(rng, form)
    text = _filler(rng) + "\n" if rng.random() < 0.4 else ""
    for _ in range(rng.choice((1, 1, 2))):
        words, labels, answer = _example(rng, form)
        text += layout.row(words, labels) + answer + rng.choice(("\n", "\n", "\n\n"))
    text += layout.row(("{first_word}", "{second_word}"), ("{first}", "{second}")).rstrip(" ")
    return Association(text, _answered(form, *_SLOTS))


def answered_rows(
    rng: random.Random, rows: Sequence[tuple[Sequence[str], Sequence[str]]]
) -> list[tuple[str, str]]:
    """Rows of words and labels with their answers, straight: what stands before each, and it."""
    form = _form(rng)
    layout, start, out = _Layout(rng, form), "", []
    for words, labels in rows:
        before, answer = layout.row(words, labels), _answered(form, words, labels)
        answer = answer.replace("{{", "{").replace("}}", "}")
        spaced = before.endswith(" ")
        out.append((start + before.removesuffix(" "), " " * spaced + answer))
        start = "\n"
    return out


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
        text = _with(rng.choice(_AGREEMENT), {"x": x, "y": y})
        header = rng.choice(_ANSWERS)
    else:
        options = ("5", "1")
        low, high = rng.choice(_DEGREES)
        poles = [("1", low), ("5", high)]
        rng.shuffle(poles)
        (lo, p), (hi, q) = poles
        text = _with(rng.choice(_RATING), {"lo": lo, "p": p, "hi": hi, "q": q})
        header = rng.choice(_NUMBERS)
        if rng.random() < 0.2:
            text += " Give one number from 1 to 5."
    return Frame(text + ("\n" if rng.random() < 0.8 else " ") + header, options)
