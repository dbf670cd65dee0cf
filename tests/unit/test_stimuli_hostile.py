"""Files that must be refused, with the file, the key and the remedy in one line."""

import pytest

from blindspot.answers import Association, read_association
from blindspot.errors import StimulusError
from blindspot.measurements.registry import render, slices
from blindspot.paths import FIXTURES
from blindspot.stimuli import (
    IMPLICIT,
    Selection,
    ambiguous_contexts,
    closed_questions,
    cued_contexts,
    load_stimuli,
    mechanistic_slices,
    open_questions,
    read_axis,
    read_contexts,
    read_questions,
    read_sense,
    read_wordings,
    undescribed,
    unrelated_contexts,
)

AXIS = """
name = "trade"
groups = { positive = "Bakers", negative = "Smiths" }
senses = { group = "trade", literal = "thing" }
[variants.default]
positive = ["baker"]
negative = ["smith"]
[categories.mood]
positive = ["sunny", "merry"]
negative = ["gloomy", "grim"]
"""

IMPLICIT_FILE = """
measurement = "implicit"
[[wording]]
id = "plain"
text = "Choose {first} or {second} for {first_word} and {second_word}. Answer:"
answer = "{first_word} - {first_choice}, {second_word} - {second_choice}"
"""

SENSE = """
name = "trade"
cues = [
    { singular = "trade", plural = "trades" },
    { singular = "craft", plural = "crafts", heading = "By craft" },
]
stems = ["trade", "guild.", "master of a craft"]
"""

THING = """
name = "thing"
cues = [{ singular = "object", plural = "objects" }]
stems = ["object", "something"]
"""

CONTEXTS = """
[[template]]
id = "plain"
text = "{heading}: {first}, {second}"
[[unrelated]]
singular = "plant"
plural = "plants"
words = ["oak", "fern"]
"""

CLOSED = """
kind = "closed"
placeholder = "X"
[[question]]
id = "plain"
text = "Is {x} more {first_sense} or more {second_sense}? Answer:"
"""

OPEN = """
kind = "open"
[[question]]
id = "plain"
text = "By {x} we mean"
"""

EXPLICIT_FILE = """
measurement = "explicit"
[[wording]]
id = "plain"
scale = "likert"
text = "From 1 to 5: {statement}"
statement = "{first} is {first_word}, {second} is {second_word}."
reverse = "{first} is {second_word}, {second} is {first_word}."
"""

BAD_AXES = {
    "duplicate word": ('"sunny", "merry"', '"sunny", "Sunny"', ["categories.mood", "twice", "remove"]),
    "word in both lists": ('"gloomy", "grim"', '"gloomy", "merry"', ["categories.mood", "twice"]),
    "composed and decomposed": ('"gloomy", "grim"', '"caf\u00e9", "cafe\u0301"', ["twice"]),
    "identifier in both lists": ('["smith"]', '["baker"]', ["variants.default", "twice"]),
    "identifier in identifier": ('["smith"]', '["master baker"]', ["variants.default", "part of", "replace"]),
    "identifier in a word": ('"grim"', '"smith of iron"', ["'smith'", "part of the word", "categories.mood"]),
    "empty list": ('["smith"]', "[]", ["variants.default.negative", "empty", "add"]),
    "blank word": ('"grim"', '"  "', ["categories.mood.negative[2]", "blank"]),
    "number for a word": ('"grim"', "7", ["categories.mood.negative[2]", "quoted"]),
    "unknown key": ('[variants.default]', '[variants.default]\ncolour = "x"', ["variants.default.colour", "unknown key"]),
    "published word that is not listed": ('["gloomy", "grim"]', '["gloomy", "grim"]\n[categories.mood.published]\npositive = ["sunny"]\nnegative = ["dark"]', ["categories.mood", "published.negative", "'dark'", "add it to negative", "remove it"]),
    "published word of the other pole": ('["gloomy", "grim"]', '["gloomy", "grim"]\n[categories.mood.published]\npositive = ["gloomy"]\nnegative = ["grim"]', ["published.positive", "'gloomy'", "not one of the positive"]),
    "published without a word": ('["gloomy", "grim"]', '["gloomy", "grim"]\n[categories.mood.published]\npositive = []\nnegative = ["grim"]', ["categories.mood.published.positive", "empty", "add"]),
    "published without a pole": ('["gloomy", "grim"]', '["gloomy", "grim"]\n[categories.mood.published]\npositive = ["sunny"]', ["categories.mood.published.negative", "missing"]),
    "fraction above 1": ('name = "trade"', 'name = "trade"\nfraction = "3/2"', ["fraction", "'3/2'", "up to 1", "1/2"]),
    "fraction of nothing": ('name = "trade"', 'name = "trade"\nfraction = "0"', ["fraction", "'0'", "above 0"]),
    "number for a fraction": ('name = "trade"', 'name = "trade"\nfraction = 0.5', ["fraction"]),
    "no categories": ('[categories.mood]', '[variants.other]', ["categories", "missing"]),
    "one group": ('negative = "Smiths"', 'negative = "bakers"', ["groups", "twice"]),
    "bad name": ('name = "trade"', 'name = "Trade union"', ["name", "small letters"]),
    "identifier in a wording": ('["baker"]', '["motto"]', ["'motto'", "wording", "change one"]),
    "prefix with a word slot": ('positive = ["baker"]', 'positive = ["baker"]\nprefix = "{first} {word}"', ["variants.default", "prefix", "{word}"]),
    "prefix that writes an identifier out": ('positive = ["baker"]', 'positive = ["baker"]\nprefix = "No Baker is meant."', ["variants.default", "prefix", "'baker'", "order never changes", "write {first}"]),
    "line break in an identifier": ('["smith"]', '["black\\nsmith"]', ["variants.default.negative[1]", "line break", "remove"]),
    "control character in a word": ('"grim"', '"\\u001b[31mgrim"', ["categories.mood.negative[2]", "control character", "remove"]),
    "white space around a word": ('"grim"', '" grim"', ["categories.mood.negative[2]", "white space around", "remove"]),
    "invisible word": ('"grim"', '"\u200b"', ["categories.mood.negative[2]", "no visible character", "fill it in"]),
    "invisible difference": ('["smith"]', '["ba\u200bker"]', ["variants.default", "twice", "remove"]),
    "difference of a hyphen": ('"gloomy", "grim"', '"ill at ease", "ill-at-ease"', ["categories.mood", "twice"]),
    "difference of width": ('"gloomy", "grim"', '"gloomy", "\uff53unny"', ["categories.mood", "twice"]),
    "slices of one name": ('[categories.mood]', '[variants.x]\npositive = ["cook"]\nnegative = ["mason"]\n[variants.x-y]\npositive = ["cook"]\nnegative = ["mason"]\n[categories.y-z]\npositive = ["up"]\nnegative = ["down"]\n[categories.z]\npositive = ["up"]\nnegative = ["down"]\n[categories.mood]', ["trade/x/y-z", "trade/x-y/z", "'trade-x-y-z'", "rename one"]),
    "words of one name": ('[categories.mood]', '[variants.x]\npositive = ["cook"]\nnegative = ["mason"]\n[categories.z]\npositive = ["up"]\nnegative = ["down"]\n[categories.z-up]\npositive = ["left"]\nnegative = ["right"]\n[categories.mood]', ["trade/default/z/up", "trade/default/z-up", "rename one"]),
    "one sense twice": ('literal = "thing" }', 'literal = "Trade" }', ["senses", "twice"]),
    "literal sense of a variant is the group": ('positive = ["baker"]', 'positive = ["baker"]\nliteral = "trade"', ["variants.default.literal", "group sense", "name another"]),
    "language without wordings": ('name = "trade"', 'name = "trade"\nlanguage = "xx"', ["language", "'xx'", "add a wording"]),
}  # fmt: skip

BAD_IMPLICIT = {
    "unknown slot": ("{first_word} and", "{frist_word} and", ["wording[plain]", "text", "{frist_word}", "known here"]),
    "one identifier": ("{first} or {second} for", "{first} for", ["wording[plain]", "both identifiers", "both orders"]),
    "identifiers written out": ("{first} or {second} for", "baker or smith for", ["both identifiers"]),
    "one word": (" and {second_word}. A", ". A", ["{second_word}"]),
    "answer without a choice": (" - {second_choice}", "", ["answer", "{second_choice}"]),
    "unbalanced brace": ("Choose {first}", "Choose {first} {", ["text", "brace"]),
    "attribute of a slot": ("{first} or", "{first.__class__} or", ["text", "plain slot"]),
    "index slot": ("{first} or", "{0} or", ["text", "plain slot"]),
    "format in a slot": ("{first} or", "{first:>99999999} or", ["text", "plain slot"]),
    "unknown measurement": ('"implicit"', '"implizit"', ["measurement", "'implizit'", "implicit"]),
    "duplicate id": ("[[wording]]", '[[wording]]\nid="plain"\ntext="{first}{second}{first_word}{second_word}"\nanswer="{first_word} {first_choice}, {second_word} {second_choice}"\n[[wording]]', ["wording ids", "twice"]),
    "choices exchanged": ("{first_word} - {first_choice}, {second_word} - {second_choice}", "{first_word} - {second_choice}, {second_word} - {first_choice}", ["answer", "its own choice", "write"]),
    "answer without gaps": ("{first_word} - {first_choice}, {second_word} - {second_choice}", "{first_word}{first_choice}{second_word}{second_choice}", ["answer", "not read as two pairs", "separate the pairs"]),
    "answer that leaves a choice": ("{first_word} - {first_choice}, {second_word} - {second_choice}", "{first_word} or {first_choice} or {second_word} or {second_choice}", ["answer", "not read as two pairs"]),
    "no answer": ("answer = ", "# answer = ", ["wording[plain].answer", "missing"]),
}  # fmt: skip

BAD_EXPLICIT = {
    "no reverse": ("reverse = ", "# reverse = ", ["wording[plain].reverse", "missing", "add"]),
    "reverse says the same": ("{first} is {second_word}, {second} is {first_word}.", "{first} is {first_word}, {second} IS {second_word}.", ["reverse", "same as the statement"]),
    "reverse differs in punctuation": ("{first} is {second_word}, {second} is {first_word}.", "{first} is {first_word}; {second} is {second_word}!", ["reverse", "same as the statement", "other way round"]),
    "options swapped": ('scale = "likert"', 'scale = "agreement"\noptions = ["disagree", "agree"]', ["options", "swap"]),
    "one option begins the other": ('scale = "likert"', 'scale = "agreement"\noptions = ["I agree", "I agree not"]', ["options", "'I agree not' begins with 'I agree'", "choose words"]),
    "three options": ('scale = "likert"', 'scale = "agreement"\noptions = ["agree", "neutral", "disagree"]', ["options", "at most 2"]),
    "one identifier in the statement": ("{first} is {first_word}, {second} is {second_word}", "{first} is {first_word}, not {second_word}", ["statement", "both identifiers"]),
    "no place for the statement": ("{statement}", "", ["text", "{statement}"]),
    "unknown scale": ('"likert"', '"stars"', ["scale", "'stars'", "likert"]),
    "options of a likert wording": ('scale = "likert"', 'scale = "likert"\noptions = ["yes", "no"]', ["options", "1 to 5"]),
}  # fmt: skip

BAD_SENSES = {
    "no cues": ("cues = [", "other = [", ["cues", "missing", "add"]),
    "empty cues": ('cues = [\n    { singular = "trade", plural = "trades" },\n    { singular = "craft", plural = "crafts", heading = "By craft" },\n]', "cues = []", ["cues", "empty", "add"]),
    "cue without a plural": (', plural = "trades"', "", ["cues[1].plural", "missing", "add"]),
    "cue of one form": ('{ singular = "trade", plural = "trades" }', '"trade"', ["cues[1]", "must be a table"]),
    "blank cue": ('"trades"', '" "', ["cues[1].plural", "blank", "fill it in"]),
    "space around a cue": ('"trades"', '"trades "', ["cues[1].plural", "'trades '", "white space", "remove"]),
    "cue twice": ('singular = "craft"', 'singular = "TRADES"', ["cues", "'trades'", "twice", "remove one"]),
    "no stems": ("stems = [", "#", ["stems", "none given", "add"]),
    "stem twice": ('"guild."', '"Trade."', ["stems", "'Trade'", "twice", "remove one"]),
    "stem without a letter": ('"guild."', '"---"', ["stems[2]", "'---'", "no letter", "remove"]),
    "space around a stem": ('"guild."', '" guild"', ["stems[2]", "' guild'", "white space", "remove"]),
    "stems as one text": ('["trade", "guild.", "master of a craft"]', '"trade"', ["stems", "must be a list"]),
    "stem of another kind": ('"guild."', "3", ["stems[2]", "quoted"]),
    "kept name": ('name = "trade"', 'name = "Ambiguous"', ["name", "'Ambiguous'", "kept", "rename"]),
    "kept name with a capital": ('name = "trade"', 'name = "Neutral"', ["name", "'Neutral'", "kept", "rename"]),
    "neutral with stems": ('name = "trade"', 'name = "neutral"', ["stems", "neutral sense has none", "remove"]),
    "sense that is there already": ('name = "trade"', 'name = "RACE"', ["sense (en)", "'race'", "already defined", "race.toml", "rename"]),
    "unknown language": ('name = "trade"', 'name = "trade"\nlanguage = "E N"', ["language", "small letters"]),
}  # fmt: skip

BAD_CONTEXTS = {
    "nothing in it": (CONTEXTS, "template = []", ["nothing in it", "add a [[template]]"]),
    "unknown slot": ("{heading}", "{headline}", ["template[plain]", "text", "{headline}", "known here", "{heading}"]),
    "no cue": ("{heading}", "Words", ["template[plain]", "no cue before the words", "{heading}"]),
    "cue behind the words": ("{heading}: {first}, {second}", "{first} and {second} are {cues}", ["template[plain]", "left to right"]),
    "one identifier": (", {second}", "", ["template[plain]", "{second}", "both identifiers"]),
    "sense slot": ("{second}", "{second} {first_sense}", ["template[plain]", "{first_sense}", "known here"]),
    "format in a slot": ("{heading}", "{heading:>9999999}", ["template[plain]", "plain slot"]),
    "conversion of a slot": ("{heading}", "{heading!r}", ["template[plain]", "plain slot"]),
    "unbalanced brace": ("{heading}", "{heading", ["template[plain]", "text", "brace"]),
    "template id twice": ("[[unrelated]]", '[[template]]\nid = "plain"\ntext = "{cue} {first} {second}"\n[[unrelated]]', ["template ids", "'plain'", "twice"]),
    "template id of ours": ('id = "plain"', 'id = "heading"', ["context template (en)", "'heading'", "already defined", "cued.toml"]),
    "one unrelated word": ('["oak", "fern"]', '["oak"]', ["unrelated[1].words", "too few", "at least 2"]),
    "unrelated word twice": ('["oak", "fern"]', '["oak", "Oak"]', ["unrelated[1]", "'Oak'", "twice"]),
    "unrelated word in two sets": ('["oak", "fern"]', '["oak", "fern"]\n[[unrelated]]\nsingular = "tree"\nplural = "trees"\nwords = ["oak", "elm"]', ["unrelated", "'oak'", "twice"]),
    "unrelated cue twice": ('["oak", "fern"]', '["oak", "fern"]\n[[unrelated]]\nsingular = "Plant"\nplural = "herbs"\nwords = ["ivy", "elm"]', ["unrelated", "'plant'", "twice"]),
    "unrelated words of ours": ('"plant"', '"animal"', ["unrelated words (en)", "'animal'", "already defined", "unrelated.toml"]),
    "unrelated word is an identifier": ('"fern"', '"shade"', ["unrelated[plant]", "'shade'", "race/dialect", "change one"]),
    "unrelated word tells a sense": ('"fern"', '"crayon"', ["unrelated[plant]", "'crayon'", "'color'", "color.toml", "change one"]),
    "template holds an identifier": ("{heading}:", "{heading} will be", ["template[plain].text", "'will'", "race/dialect", "change one"]),
}  # fmt: skip

BAD_QUESTIONS = {
    "unknown slot": ("{x} more", "{x} {y} more", ["question[plain].text", "{y}", "known here", "{x}"]),
    "no placeholder": ("{x}", "it", ["question[plain].text", "{x}"]),
    "placeholder twice": ("{x} more", "{x}, yes {x}, more", ["question[plain].text", "{x} occurs twice", "once"]),
    "one sense": (" or more {second_sense}", "", ["question[plain].text", "{second_sense}"]),
    "second sense first": ("{first_sense} or more {second_sense}", "{second_sense} or more {first_sense}", ["question[plain].text", "swap"]),
    "space at the end": ("Answer:", "Answer: ", ["question[plain].text", "white space at the end", "remove"]),
    "index slot": ("{x}", "{0}", ["question[plain].text", "plain slot"]),
    "attribute of a slot": ("{x}", "{x.__class__}", ["question[plain].text", "plain slot"]),
    "unknown kind": ('"closed"', '"half-open"', ["kind", "'half-open'", "'closed' or 'open'"]),
    "no kind": ('kind = "closed"', "", ["kind", "missing", "add"]),
    "open one that names senses": ('kind = "closed"', 'kind = "open"', ["question[plain].text", "{first_sense}", "known here: {x}"]),
    "blank placeholder": ('placeholder = "X"', 'placeholder = " "', ["placeholder", "blank"]),
    "space around the placeholder": ('placeholder = "X"', 'placeholder = " X"', ["placeholder", "white space"]),
    "placeholder is an identifier": ('placeholder = "X"', 'placeholder = "White"', ["question[plain].placeholder", "'white'", "race/", "change one"]),
    "id twice": ("[[question]]", '[[question]]\nid = "plain"\ntext = "{x}: {first_sense}, {second_sense}?"\n[[question]]', ["question ids", "'plain'", "twice"]),
    "id of ours": ('id = "plain"', 'id = "refers-to"', ["question (en)", "'refers-to'", "already defined", "open.toml"]),
    "no question": ("[[question]]", "[other]", ["question", "missing", "add"]),
    "unknown key": ('id = "plain"', 'id = "plain"\nanswer = "x"', ["question[plain].answer", "unknown key"]),
}  # fmt: skip

#: Faults that show only when an axis and its senses stand beside each other.
MISFITS = {
    "stem is an identifier": (SENSE, '"guild."', '"Baker"', ["stems", "'Baker'", "'baker'", "trade/default", "change one"]),
    "stem begins an identifier": (SENSE, '"guild."', '"bake"', ["stems", "'bake'", "'baker'", "trade/default"]),
    "stem of both senses": (THING, '"something"', '"TRADE."', ["stems", "'TRADE.'", "'trade'", "trade/default", "change one"]),
    "cue of both senses": (THING, 'singular = "object"', 'singular = "By craft"', ["cues", "'by craft'", "'trade'", "trade/default"]),
    "cue is read as the other sense": (THING, 'plural = "objects"', 'plural = "trade goods"', ["cues", "'trade goods'", "'trade'", "its stem"]),
    "neutral cue is read as a sense": (THING, '"something"', '"word"', ["'word'", "neutral.toml", "'thing'", "change one"]),
    "cue is neutral": (THING, 'singular = "object"', 'singular = "Words"', ["cues", "'words'", "neutral.toml", "trade/default"]),
    "cue holds an identifier": (THING, 'singular = "object"', 'singular = "the smith\'s object"', ["cues", "'smith'", "trade/default"]),
    "unrelated word of ours is a stem": (THING, '"something"', '"horse"', ["unrelated.toml", "'horse'", "'thing'", "change one"]),
}  # fmt: skip


def refused(tmp_path, content, parts):
    """Write ``content`` as an included file; expect one line that holds all ``parts``."""
    path = tmp_path / "user.toml"
    path.write_bytes(content if isinstance(content, bytes) else content.encode("utf-8"))
    with pytest.raises(StimulusError) as caught:
        load_stimuli([tmp_path])
    line = str(caught.value)
    assert "\n" not in line
    for part in ("user.toml", *parts):
        assert part in line, line


@pytest.mark.parametrize("fault", BAD_AXES)
def test_axis_is_refused(tmp_path, fault):
    """A faulty axis file is named with key and remedy."""
    old, new, parts = BAD_AXES[fault]
    assert old in AXIS
    refused(tmp_path, AXIS.replace(old, new), parts)


@pytest.mark.parametrize("fault", BAD_IMPLICIT)
def test_association_wording_is_refused(tmp_path, fault):
    """A faulty association wording is named with key and remedy."""
    old, new, parts = BAD_IMPLICIT[fault]
    assert old in IMPLICIT_FILE
    refused(tmp_path, IMPLICIT_FILE.replace(old, new), parts)


@pytest.mark.parametrize("fault", BAD_EXPLICIT)
def test_statement_wording_is_refused(tmp_path, fault):
    """A faulty statement wording is named with key and remedy."""
    old, new, parts = BAD_EXPLICIT[fault]
    assert old in EXPLICIT_FILE
    refused(tmp_path, EXPLICIT_FILE.replace(old, new), parts)


@pytest.mark.parametrize("fault", BAD_SENSES)
def test_sense_is_refused(tmp_path, fault):
    """A faulty sense is named with key and remedy."""
    old, new, parts = BAD_SENSES[fault]
    assert old in SENSE
    refused(tmp_path, SENSE.replace(old, new), parts)


@pytest.mark.parametrize("fault", BAD_CONTEXTS)
def test_contexts_are_refused(tmp_path, fault):
    """A faulty context template, or unrelated word, is named with key and remedy."""
    old, new, parts = BAD_CONTEXTS[fault]
    assert old in CONTEXTS
    refused(tmp_path, CONTEXTS.replace(old, new), parts)


@pytest.mark.parametrize("fault", BAD_QUESTIONS)
def test_question_is_refused(tmp_path, fault):
    """A faulty question is named with key and remedy."""
    old, new, parts = BAD_QUESTIONS[fault]
    assert old in CLOSED
    refused(tmp_path, CLOSED.replace(old, new), parts)


def test_open_question_must_go_on(tmp_path):
    """A question that ends in its placeholder would be answered by the placeholder itself."""
    refused(
        tmp_path,
        OPEN.replace("By {x} we mean", "What is {x}"),
        ["question[plain].text", "ends in {x}", "add words after it"],
    )


@pytest.mark.parametrize("fault", MISFITS)
def test_what_does_not_go_together_is_refused(tmp_path, fault):
    """Senses that do not fit an axis, or each other, are named with both files and the remedy."""
    file, old, new, parts = MISFITS[fault]
    assert old in file
    for name, content in (("axis", AXIS), ("trade", SENSE), ("thing", THING)):
        changed = content.replace(old, new) if content is file else content
        (tmp_path / f"{name}.toml").write_text(changed, "utf-8")
    with pytest.raises(StimulusError) as caught:
        load_stimuli([tmp_path])
    line = str(caught.value)
    assert "\n" not in line
    for part in (".toml: ", str(tmp_path / "axis.toml"), *parts):
        assert part in line, line


@pytest.mark.parametrize(
    ("content", "part"),
    [
        (b"name = 'trade\n", "not valid TOML"),
        (b"name = '\xff'\n", "UTF-8"),
        (b"", "missing"),
        (b"x = " + b"[" * 100_000, "TOML"),
        (b"measurement = 3\n", "measurement"),
        (b"measurement = 'implicit'\nwording = 'x'\n", "wording"),
        (b"measurement = 'implicit'\nwording = []\n", "empty"),
        (b"variants = [1]\ncategories = 2\n", "missing"),
        (b"cues = 'x'\nname = 3\n", "name"),
        (b"template = 'x'\n", "template: must be a list"),
        (b"template = [[]]\n", "template[1]: must be a table"),
        (b"unrelated = 7\n", "unrelated: must be a list"),
        (b"question = {}\nkind = 'open'\n", "question"),
        (b"kind = ['open']\n", "kind"),
    ],
    ids=[
        "cut off",
        "latin-1",
        "empty",
        "deep",
        "number",
        "text for a list",
        "empty list",
        "shapes",
        "cues as text",
        "templates as text",
        "template as list",
        "unrelated number",
        "questions as table",
        "kind as list",
    ],
)
def test_broken_file_is_refused(tmp_path, content, part):
    """What is no TOML, or of another shape, is refused in one line too."""
    refused(tmp_path, content, [part] if part != "TOML" else [])


def test_identifiers_of_several_words_share_words_with_a_wording(tmp_path):
    """Only a whole identifier must not stand in a wording: "of" in one of them does no harm."""
    axis = AXIS.replace('["baker"]', '["person of wealth"]')
    (tmp_path / "trade.toml").write_text(axis.replace('["smith"]', '["the poor"]'), "utf-8")
    stimuli = load_stimuli([tmp_path])
    assert ("trade", "default") not in stimuli.unfit
    part = next(part for part in slices(stimuli, IMPLICIT) if part.axis == "trade")
    for prompt in render(stimuli, part):
        names = {"identifiers": prompt.identifiers, "words": prompt.words}
        assert read_association(prompt.candidates[0], **names) is Association.STEREOTYPED
        assert read_association(prompt.text, **names) is Association.INVALID


@pytest.mark.parametrize("code", ["zh", "ja", "th", "zh-tw"])
def test_a_language_without_spaces_is_refused(tmp_path, code):
    """The reader finds names at word boundaries: the line says so, and what is needed."""
    axis = AXIS.replace('name = "trade"', f'name = "trade"\nlanguage = "{code}"')
    refused(tmp_path, axis, ["language", f"'{code}'", "without spaces", "segmenter", "use a"])


def test_a_word_of_a_script_without_spaces_is_refused(tmp_path):
    """Whatever the language says, its words could not be found."""
    refused(tmp_path, AXIS.replace("smith", "白"), ["negative[1]", "'白'", "without spaces"])


def test_byte_order_mark_is_no_fault(tmp_path):
    """Editors that mark a file as UTF-8 write TOML that is read."""
    (tmp_path / "trade.toml").write_bytes(b"\xef\xbb\xbf" + AXIS.encode())
    assert "trade" in load_stimuli([tmp_path]).axes


def test_missing_include_path(tmp_path):
    """A directory that does not exist, or holds no TOML file, is named."""
    with pytest.raises(StimulusError, match="no such directory"):
        load_stimuli([tmp_path / "nowhere"])
    with pytest.raises(StimulusError, match="no TOML file"):
        load_stimuli([tmp_path])


def test_same_name_twice(tmp_path):
    """An axis or wording that exists already is not replaced in silence."""
    (tmp_path / "race.toml").write_text((FIXTURES / "axes" / "race.toml").read_text())
    with pytest.raises(StimulusError, match="'race' is already defined"):
        load_stimuli([tmp_path])


@pytest.mark.parametrize("flat", [True, False], ids=["flat", "in rooms"])
def test_user_adds_axis_and_wordings_by_file(tmp_path, flat):
    """An axis and wordings in a directory are asked beside ours, without code."""
    for room, name, content in (
        ("axes", "trade.toml", AXIS),
        ("wordings", "a.toml", IMPLICIT_FILE),
        ("wordings", "b.toml", EXPLICIT_FILE.replace('"plain"', '"plain-statement"')),
    ):
        folder = tmp_path if flat else tmp_path / room
        folder.mkdir(exist_ok=True)
        (folder / name).write_text(content, "utf-8")
    stimuli = load_stimuli([tmp_path])
    part = next(part for part in slices(stimuli, IMPLICIT) if part.axis == "trade")
    whole = Selection(fraction=None)
    wordings = {prompt.wording for prompt in render(stimuli, part, whole)}
    assert "plain" in wordings
    assert "plain" in {prompt.wording for prompt in render(stimuli, part)}
    assert len(wordings) == len(stimuli.implicit["en"])


@pytest.mark.parametrize("flat", [True, False], ids=["flat", "in rooms"])
def test_user_describes_senses_by_file(tmp_path, flat):
    """An axis with its two senses is looked into beside ours, without code."""
    for room, name, content in (
        ("axes", "axis.toml", AXIS),
        ("senses", "trade.toml", SENSE),
        ("senses", "thing.toml", THING),
        ("contexts", "more.toml", CONTEXTS),
        ("questions", "closed.toml", CLOSED),
        ("questions", "open.toml", OPEN.replace('"plain"', '"by"')),
    ):
        folder = tmp_path if flat else tmp_path / room
        folder.mkdir(exist_ok=True)
        (folder / name).write_text(content, "utf-8")
    stimuli = load_stimuli([tmp_path])
    assert undescribed(stimuli) == []
    (part,) = [part for part in mechanistic_slices(stimuli, "patching") if part.axis == "trade"]
    assert len(ambiguous_contexts(stimuli, part)) == 4 * len(stimuli.implicit["en"])
    texts = [context.text for context in cued_contexts(stimuli, "trade", "default", "trade")]
    assert {"Trade: baker, smith", "By craft: smith, baker"} <= set(texts)
    assert len(texts) == 2 * 2 * 5
    closed = {id_: question for id_, _, question in closed_questions(stimuli, "trade", "default")}
    assert closed["plain"].text == "Is X more thing or more trade? Answer:"
    assert closed["plain"].candidates == ("trade", "thing")
    assert "by" in dict(open_questions(stimuli, "trade", "default"))
    unrelated = unrelated_contexts(stimuli, "trade", "default")
    assert "Plant: oak, fern" in {context.text for context in unrelated}


def test_axis_without_senses_is_only_asked(tmp_path):
    """A directory without the new folders works as ever; a line says why it is not looked into."""
    (tmp_path / "axis.toml").write_text(AXIS.replace("smith", "meant"))
    stimuli = load_stimuli([tmp_path])
    assert "trade" in {part.axis for part in slices(stimuli, IMPLICIT)}
    assert {part.axis for part in mechanistic_slices(stimuli, "patching")} == {"race"}
    (line,) = undescribed(stimuli)
    assert "trade/default" in line
    assert "'trade'" in line
    assert "'thing'" in line


def test_axis_that_does_not_fit_what_is_shipped_is_only_asked(tmp_path):
    """An identifier that tells one of our senses outright is asked; a line says why no more."""
    axis = AXIS.replace('["baker"]', '["Asian"]').replace('["smith"]', '["White"]')
    axis = axis.replace('group = "trade", literal = "thing"', 'group = "race", literal = "color"')
    (tmp_path / "axis.toml").write_text(axis)
    stimuli = load_stimuli([tmp_path])
    assert "trade" in {part.axis for part in slices(stimuli, IMPLICIT)}
    assert {part.axis for part in mechanistic_slices(stimuli, "patching")} == {"race"}
    (line,) = undescribed(stimuli)
    assert "\n" not in line
    for part in ("trade/default", "race.toml", "'asian'", "'Asian'", "change one"):
        assert part in line


def test_shipped_axis_does_not_give_way_to_a_users_words(tmp_path):
    """A user's template with one of our identifiers is refused, or our axis would drop out."""
    (tmp_path / "more.toml").write_text(CONTEXTS.replace("{heading}:", "{heading} will be"))
    with pytest.raises(StimulusError, match=r"more.toml: .*'will'.*race.toml"):
        load_stimuli([tmp_path])


def test_a_sense_alone_is_no_fault(tmp_path):
    """A sense that no axis uses, in whatever language, is accepted."""
    (tmp_path / "trade.toml").write_text(SENSE)
    (tmp_path / "metier.toml").write_text(SENSE + 'language = "fr"\n')
    (tmp_path / "neutre.toml").write_text(
        'name = "neutral"\nlanguage = "fr"\ncues = [{ singular = "mot", plural = "mots" }]\n'
    )
    stimuli = load_stimuli([tmp_path])
    assert set(stimuli.senses["fr"]) == {"trade", "neutral"}
    assert undescribed(stimuli) == []


def test_files_are_read_alone(tmp_path):
    """A single file can be checked without the rest."""
    (tmp_path / "sense.toml").write_text(SENSE)
    (tmp_path / "contexts.toml").write_text(CONTEXTS)
    (tmp_path / "questions.toml").write_text(CLOSED)
    assert read_sense(tmp_path / "sense.toml").cues[1].values["heading"] == "By craft"
    assert read_contexts(tmp_path / "contexts.toml").template[0].id == "plain"
    assert read_questions(tmp_path / "questions.toml").questions[0].placeholder == "X"
    (tmp_path / "axis.toml").write_text(AXIS)
    (tmp_path / "words.toml").write_text(IMPLICIT_FILE)
    assert read_axis(tmp_path / "axis.toml").name == "trade"
    assert read_wordings(tmp_path / "words.toml").wording[0].id == "plain"
