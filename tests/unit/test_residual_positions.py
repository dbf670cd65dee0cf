"""Characters of a prompt are found in its tokens, with every kind of tokenizer and template."""

from __future__ import annotations

from functools import cache
from typing import Any

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st
from tokenizers import Tokenizer, decoders, models, normalizers, trainers
from transformers import AutoTokenizer, PreTrainedTokenizerFast

from blindspot import paths
from blindspot.errors import ModelError
from blindspot.models.transformers.formats import PromptFormat
from blindspot.models.transformers.positions import locate, locate_all
from blindspot.models.transformers.targets import target_of
from blindspot.stimuli import Question
from tests.unit import tiny_models
from tests.unit.tiny_models import BOS, SENTENCES

KINDS = ("bytes", "metaspace", "fallback", "embedded")


@cache
def tokenizer(kind: str) -> Any:
    """Byte-level, Unigram as of sentencepiece, BPE without words as of Llama 2, and our own."""
    if kind == "embedded":
        return AutoTokenizer.from_pretrained(paths.organism_directory("blind"))
    if kind != "fallback":
        return tiny_models.tokenizer(kind)
    # No words: merges run over blanks, so that tokens begin and end anywhere.
    made = Tokenizer(models.BPE(byte_fallback=True, unk_token="<unk>"))
    made.normalizer = normalizers.Sequence(
        [normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")]
    )
    made.decoder = decoders.Sequence(
        [
            decoders.Replace("▁", " "),
            decoders.ByteFallback(),
            decoders.Fuse(),
            decoders.Strip(" ", 1, 0),
        ]
    )
    special = ["<pad>", "<s>", "</s>", "<unk>", *(f"<0x{n:02X}>" for n in range(256))]
    made.train_from_iterator(
        [f"▁{text}".replace(" ", "▁") for text in SENTENCES[:4]] * 4,
        trainers.BpeTrainer(vocab_size=500, special_tokens=special, show_progress=False),
    )
    tiny_models.frame(made, "<s> $A")
    return PreTrainedTokenizerFast(tokenizer_object=made, bos_token="<s>", eos_token="</s>")


def prompts(kind: str = "bytes", *, chat: bool = False) -> PromptFormat:
    return PromptFormat(tokenizer(kind), "tiny", chat=chat)


def span_of(text: str, word: str, occurrence: int = 0) -> tuple[int, int]:
    start = -1
    for _ in range(occurrence + 1):
        start = text.index(word, start + 1)
    return start, start + len(word)


def decoded(kind: str, tokens: tuple[int, ...]) -> str:
    return str(
        tokenizer(kind).decode(
            list(tokens), skip_special_tokens=True, clean_up_tokenization_spaces=False
        )
    )


words = st.sampled_from([word for text in SENTENCES[:4] for word in text.split()])
texts = st.lists(words, min_size=1, max_size=8).map(" ".join)


@pytest.mark.parametrize("kind", KINDS)
@given(texts, st.data())
@example("black (black or white)", None)
def test_located_token_covers_the_last_character(kind: str, text: str, data: Any) -> None:
    """The text up to the token holds the whole span, the text before the token does not."""
    end = len(text) if data is None else data.draw(st.integers(1, len(text)), "end")
    if text[end - 1] == " ":
        end -= 1
    start = end - 1 if data is None else data.draw(st.integers(0, end - 1), "start")
    tokens, (place,) = locate(prompts(kind), text, [(start, end)])
    assert decoded(kind, tokens[: place + 1]).startswith(text[:end])
    assert not decoded(kind, tokens[:place]).startswith(text[:end])


@pytest.mark.parametrize("kind", ["bytes", "embedded"])
@given(st.text(min_size=1, max_size=12), st.data())
@example("naïve Łódź 東京 🙂", None)
@example("\t\u3000 🙂", None)
def test_any_character_is_found_or_refused(kind: str, text: str, data: Any) -> None:
    """Byte-level tokenizers: also characters of several tokens; only blanks at the end are not."""
    # A text that spells a special token is one, which nothing decodes here.
    assume(not any(special in text for special in tokenizer(kind).all_special_tokens))
    at = len(text) - 1 if data is None else data.draw(st.integers(0, len(text) - 1), "at")
    format_ = prompts(kind)
    if at >= len(format_.render(text)):
        with pytest.raises(ModelError, match="no token covers"):
            locate(format_, text, [(at, at + 1)])
        return
    tokens, (place,) = locate(format_, text, [(at, at + 1)])
    assert decoded(kind, tokens[: place + 1]).startswith(text[: at + 1])
    assert not decoded(kind, tokens[:place]).startswith(text[: at + 1])


@pytest.mark.parametrize(
    ("kind", "chat"),
    [*((kind, False) for kind in KINDS), ("bytes", True), ("metaspace", True)],
    ids=[*KINDS, "bytes-chat", "metaspace-chat"],
)
def test_tokens_are_those_of_the_engine(kind: str, chat: bool) -> None:
    """What is located is what is fed, opening tokens included."""
    format_ = prompts(kind, chat=chat)
    for text in ("Be quick: first or second? ", " wallet", "<s>wallet"):
        tokens, _ = locate(format_, text, [(span_of(text, text.split()[-1]))])
        assert tokens == format_.encode([format_.render(text)])[0]


@pytest.mark.parametrize("kind", KINDS)
def test_word_of_several_tokens(kind: str) -> None:
    """The last of its tokens is located, all are told."""
    text = "Words: exonerated-wrongdoer-DeShawnella, wallet"
    span = span_of(text, "wrongdoer-DeShawnella")
    tokens, (run,) = locate_all(prompts(kind), text, [span])
    assert len(run) > 1
    assert run == tuple(range(run[0], run[-1] + 1))
    assert locate(prompts(kind), text, [span]) == (tokens, (run[-1],))
    assert decoded(kind, tokens[: run[0]]) in text[: span[0]]
    assert "wrongdoer-DeShawnella" in decoded(kind, tokens[run[0] : run[-1] + 1])


@pytest.mark.parametrize("kind", KINDS)
def test_each_occurrence_has_its_own_token(kind: str) -> None:
    """A word that occurs several times is found where its span says."""
    text = "white or black, black or white (black or white)"
    spans = [span_of(text, "black", n) for n in range(3)]
    tokens, places = locate(prompts(kind), text, spans)
    assert len(set(places)) == 3
    assert list(places) == sorted(places)
    for span, place in zip(spans, places, strict=True):
        assert decoded(kind, tokens[: place + 1]).startswith(text[: span[1]])


@pytest.mark.parametrize("kind", ["bytes", "metaspace"])
@pytest.mark.parametrize(
    "text",
    [
        "Words: user, assistant, black",
        "  black or black\n",
        "user",
        "<|user|>\nblack",
        "{message} black",
    ],
    ids=["of-the-template", "blanks-around", "one-word", "special", "braces"],
)
def test_words_are_found_behind_a_template(kind: str, text: str) -> None:
    """Where the template uses the same words, those of the prompt are found."""
    format_ = prompts(kind, chat=True)
    word = text.rsplit(maxsplit=1)[-1]
    start = text.rindex(word)
    tokens, (place,) = locate(format_, text, [(start, start + len(word))])
    behind = format_.encode([format_.render(text)])[0][place + 1 :]
    assert len(behind) <= len(tokenizer(kind)("</s>\n<|assistant|>\n \n")["input_ids"])
    assert word[-1] in decoded(kind, tokens[: place + 1])[-2:]


def test_template_that_changes_prompts_is_refused() -> None:
    """Its words would be found in the wrong place."""
    shouting = tiny_models.tokenizer("bytes")
    shouting.chat_template = "{{ messages[0]['content'] | upper }}"
    with pytest.raises(ModelError, match="its chat template changes the prompt"):
        locate(PromptFormat(shouting, "tiny", chat=True), "black or white", [(0, 5)])


@pytest.mark.parametrize(
    "span",
    [(0, 0), (3, 3), (4, 2), (-2, 3), (0, 99), (7, 8)],
    ids=["nothing", "empty", "reversed", "before", "beyond", "blank"],
)
def test_span_without_a_token_is_one_clear_error(span: tuple[int, int]) -> None:
    """Empty, reversed, outside of the prompt, or of a blank at its end."""
    with pytest.raises(ModelError, match=r"tiny: no token covers .* use other words"):
        locate(prompts(), "or else ", [span])


def test_dropped_characters_are_refused() -> None:
    """A tokenizer that drops a character has no token for it."""
    stripping = tiny_models.tokenizer("bytes")
    stripping.backend_tokenizer.normalizer = normalizers.Replace("!", "")
    with pytest.raises(ModelError, match="no token covers '!'"):
        locate(PromptFormat(stripping, "tiny", chat=False), "be quick! or", [(8, 9)])


class Slow:
    """A tokenizer that does not tell offsets."""

    chat_template = None
    bos_token_id = BOS
    is_fast = False

    def __call__(self, text: Any, **_: Any) -> dict[str, Any]:
        many = [[ord(c) % 50 for c in one] for one in ([text] if isinstance(text, str) else text)]
        return {"input_ids": many[0] if isinstance(text, str) else many}


def test_tokenizer_without_offsets_is_named() -> None:
    """One line says which tokenizer, why, and what to do."""
    with pytest.raises(ModelError, match=r"tokenizer Slow does not say .* tokenizer\.json"):
        locate(PromptFormat(Slow(), "tiny", chat=False), "black", [(0, 5)])


def question(text: str, *candidates: str, word: str = "X") -> Question:
    return Question(text, span_of(text, word), candidates)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    "candidates", [("white", "black"), ("first", "second", "both")], ids=["two", "three"]
)
def test_candidates_are_told_apart_by_one_token(kind: str, candidates: tuple[str, ...]) -> None:
    """Fed tokens and candidate's token are the beginning of prompt and candidate as one text."""
    asked = question("Words: X or wallet. X is", *candidates)
    target = target_of(prompts(kind), asked)
    for candidate, token in zip(candidates, target.candidates, strict=True):
        (whole,) = prompts(kind).encode([f"{asked.text} {candidate}"])
        assert whole[: len(target.tokens) + 1] == (*target.tokens, token)
    assert (
        target.tokens[target.place]
        == locate(prompts(kind), asked.text, [asked.span])[0][target.place]
    )


def test_tokens_that_candidates_share_are_fed() -> None:
    """What is read is the first token that differs, given those before it."""
    asked = question("Words: X is", "the one for the camera", "the one for the cannon")
    target = target_of(prompts(), asked)
    assert decoded("bytes", target.tokens).startswith("Words: X is the one for the c")
    assert len(set(target.candidates)) == 2


def test_single_candidate_is_read_behind_the_prompt() -> None:
    """There is nothing to tell it from."""
    target = target_of(prompts(), question("Words: X is", "white"))
    assert target.tokens == prompts().encode(["Words: X is"])[0]


@pytest.mark.parametrize(
    "candidates",
    [("white", "white"), ("white", "white one"), ("first one", "first two", "second")],
    ids=["equal", "beginning", "later"],
)
def test_candidates_that_one_token_does_not_tell_apart_are_refused(
    candidates: tuple[str, ...],
) -> None:
    """One clear line that names them."""
    with pytest.raises(ModelError, match=r"tiny: no single token distinguishes the answers .* use"):
        target_of(prompts(), question("Words: X is", *candidates))


@pytest.mark.parametrize("candidates", [(), ("",), ("white", "")], ids=["none", "empty", "one"])
def test_missing_candidates_are_refused(candidates: tuple[str, ...]) -> None:
    """Nothing could be read."""
    with pytest.raises(ValueError, match="candidates"):
        target_of(prompts(), question("Words: X is", *candidates))


def joining(*merges: tuple[str, str]) -> PromptFormat:
    """A tokenizer of letters that joins these pairs of them, over blanks too."""
    letters = {letter: n for n, letter in enumerate("_ABCDEFX: ab")}
    for one, other in merges:
        letters[one + other] = len(letters)
    made = Tokenizer(models.BPE(vocab=letters, merges=list(merges)))
    made.decoder = decoders.Fuse()
    fast = PreTrainedTokenizerFast(tokenizer_object=made, bos_token="_")
    return PromptFormat(fast, "joining", chat=False)


def test_seam_that_joins_all_candidates_is_moved() -> None:
    """Where the prompt's end is part of every candidate's token, the fed tokens end before it."""
    format_ = joining((":", " "), (": ", "a"), (": ", "b"))
    target = target_of(format_, question("AX:", "a", "b"))
    assert target.tokens == format_.encode(["AX"])[0]
    assert target.place == len(target.tokens) - 1


def test_seam_that_joins_some_candidates_is_refused() -> None:
    """Probabilities of a joined token and of a token of the prompt do not compare."""
    format_ = joining((":", " "), (": ", "a"))  # ": a" is one token, ": b" are two
    with pytest.raises(ModelError, match="the token before 'b' differs"):
        target_of(format_, question("AX:", "a", "b"))


def test_placeholder_that_is_joined_to_candidates_is_refused() -> None:
    """There would be no token of its own to write over."""
    format_ = joining(("X", " "), ("X ", "a"), ("X ", "b"))
    with pytest.raises(ModelError, match="joins the placeholder"):
        target_of(format_, question("AX", "a", "b"))
