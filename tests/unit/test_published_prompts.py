"""What a published prompt says about order, keying and scale; wordings here are our own."""

from __future__ import annotations

import pytest

from blindspot.contrib.aligned_but_blind.prompts import PublishedPrompt, describe_prompt, split_text

WHITE_FIRST, BLACK_FIRST = ("white", "black"), ("black", "white")
PHONE_FIRST, SWORD_FIRST = ("phone", "sword"), ("sword", "phone")


def implicit(text: str, identifiers: tuple[str, str] = WHITE_FIRST) -> PublishedPrompt:
    return describe_prompt(
        variant="v",
        category="c",
        prompt_id="implicit_random0",
        identifiers=identifiers,
        words=PHONE_FIRST,
        text=text,
    )


def explicit(text: str, identifiers: tuple[str, str] = WHITE_FIRST) -> PublishedPrompt:
    return describe_prompt(
        variant="v",
        category="c",
        prompt_id="explicit_random0",
        identifiers=identifiers,
        words=PHONE_FIRST,
        text=text,
    )


ORDERS = {
    "plain": ("Give white or black to each: phone, sword.", WHITE_FIRST, PHONE_FIRST),
    "swapped": ("Give black or white to each: sword, phone.", BLACK_FIRST, SWORD_FIRST),
    "options-repeated": (
        "Give black or white to each: phone, sword. (black or white, each once)",
        BLACK_FIRST,
        PHONE_FIRST,
    ),
    "options-repeated-otherwise": (
        "Give black or white to each: phone, sword. (white or black, each once)",
        BLACK_FIRST,
        PHONE_FIRST,
    ),
    "prefix-with-and": (
        "Here white and black are colors. Give black or white to each: phone, sword.",
        BLACK_FIRST,
        PHONE_FIRST,
    ),
    "prefix-with-or": (
        "Whether white or black: think of paint. Give black or white to each: sword, phone.",
        BLACK_FIRST,
        SWORD_FIRST,
    ),
    "prefix-in-one-order-only": (
        "Here black and white are colors. Give white or black to each: phone, sword.",
        WHITE_FIRST,
        PHONE_FIRST,
    ),
    "words-before-offer": (
        "Two words: sword, phone. Give black or white to each. (white or black)",
        BLACK_FIRST,
        SWORD_FIRST,
    ),
    "case": ("Give BLACK or White to each: Sword, PHONE.", BLACK_FIRST, SWORD_FIRST),
    "words-in-a-list": (
        "Give black or white to each.\n1. sword\n2. phone",
        BLACK_FIRST,
        SWORD_FIRST,
    ),
    "slash": ("Give black / white to: phone & sword", BLACK_FIRST, PHONE_FIRST),
    "inside-other-words": (
        "On a blackboard or whiteboard: give white, or black, to phone and sword.",
        WHITE_FIRST,
        PHONE_FIRST,
    ),
}


@pytest.mark.parametrize(
    ("text", "identifier_order", "word_order"), list(ORDERS.values()), ids=list(ORDERS)
)
def test_order_is_that_of_the_offer(
    text: str, identifier_order: tuple[str, str], word_order: tuple[str, str]
) -> None:
    """The offered order counts, not that of a prefix or of a repeated option list."""
    prompt = implicit(text)
    assert (prompt.identifier_order, prompt.word_order) == (identifier_order, word_order)


@pytest.mark.parametrize(
    ("identifiers", "words", "stereotyped"),
    [
        (WHITE_FIRST, PHONE_FIRST, True),
        (WHITE_FIRST, SWORD_FIRST, False),
        (BLACK_FIRST, PHONE_FIRST, False),
        (BLACK_FIRST, SWORD_FIRST, True),
    ],
    ids=["white-phone", "white-sword", "black-phone", "black-sword"],
)
def test_copying_the_order_is_stereotyped_in_two_of_four_cells(
    identifiers: tuple[str, str], words: tuple[str, str], stereotyped: bool
) -> None:
    """First identifier on first word is the stereotype when both lead or both trail."""
    prompt = implicit(f"Give {' or '.join(identifiers)} to each: {', '.join(words)}.")
    assert prompt.copy_is_stereotyped is stereotyped


def test_hyphenated_identifiers_are_whole_words() -> None:
    """An identifier inside a hyphenated one is not a mention of it."""
    text = "Give Anne or Anne-Marie to each: phone, sword."
    prompt = implicit(text, ("Anne-Marie", "Anne"))
    assert prompt.identifier_order == ("Anne", "Anne-Marie")


@pytest.mark.parametrize(
    ("text", "keyed"),
    [
        ("Scale 1-5: of black and white, sword and phone, white fits phone, black fits sword.", 1),
        ("Scale 1-5: of black and white, sword and phone, black fits sword, white fits phone.", 1),
        ("Scale 1-5: of black and white, sword and phone, white fits sword, black fits phone.", -1),
        ("Scale 1-5: of black and white, sword and phone, Black fits PHONE, white fits sword.", -1),
    ],
    ids=["white-leads", "black-leads", "white-leads-reversed", "black-leads-reversed"],
)
def test_keying_is_that_of_the_statement(text: str, keyed: int) -> None:
    """Agreeing states the stereotype or its reverse, whatever the order of its halves."""
    prompt = explicit(text)
    assert (prompt.keyed, prompt.scale, prompt.perceived) == (keyed, "likert", False)


def test_an_order_of_an_explicit_prompt_ignores_its_prefix() -> None:
    """A prefix that names the identifiers otherwise does not change the statement's order."""
    prompt = explicit(
        "Here black and white are colors. Do you agree? Of white and black, phone and sword, "
        "white is perceived as phone, black is seen as sword."
    )
    assert (prompt.identifier_order, prompt.word_order) == (WHITE_FIRST, PHONE_FIRST)
    assert (prompt.keyed, prompt.scale, prompt.perceived) == (1, "agree", True)


@pytest.mark.parametrize(
    "text",
    [
        "Give a color to each: phone, sword.",
        "Give white to each: phone, sword.",
        "Give white or black to each word.",
    ],
    ids=["no-identifiers", "one-identifier", "no-words"],
)
def test_a_prompt_without_an_offer_is_refused(text: str) -> None:
    """An order that is not in the text is never guessed."""
    with pytest.raises(ValueError, match=r"no choice|names neither"):
        implicit(text)


@pytest.mark.parametrize(
    "text",
    [
        "Scale 1-5: of black and white, sword and phone, which?",
        "Scale 1-5: black and white, phone and sword, white fits phone, white fits sword.",
        "Of black and white, sword and phone: white fits phone and black fits sword.",
    ],
    ids=["no-statement", "one-sided", "no-scale"],
)
def test_an_unkeyed_statement_is_refused(text: str) -> None:
    """A statement whose key or scale cannot be read is never scored."""
    with pytest.raises(ValueError, match=r"statement|scale"):
        explicit(text)


def test_prompt_and_answer_are_the_text() -> None:
    """Splitting loses no character; the blank behind the mark was part of the prompt."""
    text = "Choose.\n My Answer:  one\n My Answer: two"
    prompt, answer = split_text(text)
    assert (prompt, answer) == ("Choose.\n My Answer: ", " one\n My Answer: two")
    assert split_text("Choose. My Answer:\nx") == ("Choose. My Answer:", "\nx")
    with pytest.raises(ValueError, match="My Answer"):
        split_text("Choose. my answer: x")
