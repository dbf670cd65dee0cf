"""How prompts and answers become tokens and text."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest

from blindspot.errors import ModelError
from blindspot.models.transformers.formats import PromptFormat, end_tokens
from tests.unit import tiny_models
from tests.unit.tiny_models import BOS, EOS, SENTENCES

KINDS = ["bytes", "metaspace"]


@pytest.fixture(scope="module", params=KINDS)
def tokenizer(request: pytest.FixtureRequest) -> Any:
    """Both kinds of tokenizer."""
    return tiny_models.tokenizer(request.param)


def plain(tokenizer: Any) -> PromptFormat:
    return PromptFormat(tokenizer, "tiny", chat=False)


def chat(tokenizer: Any) -> PromptFormat:
    return PromptFormat(tokenizer, "tiny", chat=True)


def test_plain_prompts_are_encoded_as_the_tokenizer_does(tokenizer: Any) -> None:
    """With its opening token, once."""
    encoded = plain(tokenizer).encode(SENTENCES)
    assert encoded == [tuple(tokenizer(text)["input_ids"]) for text in SENTENCES]
    assert all(tokens[0] == BOS and BOS not in tokens[1:] for tokens in encoded)


def test_opening_token_is_not_doubled(tokenizer: Any) -> None:
    """Also not when the prompt spells it out."""
    (tokens,) = plain(tokenizer).encode(["<s>Be quick"])
    assert tokens[0] == BOS
    assert BOS not in tokens[1:]


@pytest.mark.parametrize("kind", KINDS)
def test_closing_token_is_left_out(kind: str) -> None:
    """A tokenizer that ends every text does not end the prompt."""
    closing = tiny_models.tokenizer(kind)
    expected = plain(closing).encode(["Be quick"])
    tiny_models.frame(closing.backend_tokenizer, "<s> $A </s>")
    assert closing("Be quick")["input_ids"][-1] == EOS
    assert plain(closing).encode(["Be quick"]) == expected


def test_settings_of_other_users_do_not_matter(tokenizer: Any) -> None:
    """Padding and truncation that someone else switched on are off."""
    prompts = plain(tokenizer)
    expected = prompts.encode(SENTENCES)
    tokenizer(SENTENCES, padding=True, truncation=True, max_length=5)
    assert prompts.encode(SENTENCES) == expected


@pytest.mark.parametrize(
    ("prompt", "joined"),
    [
        ("Answer:", "Answer: white"),
        ("Answer: ", "Answer: white"),
        ("Answer:\t ", "Answer: white"),
        ("Answer:\n", "Answer:\nwhite"),
        ("Answer:\n ", "Answer:\nwhite"),
        ("", "white"),
    ],
    ids=["word", "blank", "tab", "line-end", "line-end-and-blank", "empty"],
)
def test_seam_in_plain_text(tokenizer: Any, prompt: str, joined: str) -> None:
    """One space, but none after a line end."""
    prompts = plain(tokenizer)
    assert prompts.join(prompts.render(prompt), "white") == joined


def test_chat_prompt_is_the_template_and_no_more(tokenizer: Any) -> None:
    """One user message, the opening of the answer, the template's own special tokens."""
    prompts = chat(tokenizer)
    rendered = prompts.render("Be quick")
    assert rendered == "<s><|user|>\nBe quick</s>\n<|assistant|>\n"
    assert prompts.join(rendered, "white") == rendered + "white"
    (tokens,) = prompts.encode([rendered])
    assert tokens.count(BOS) == 1
    assert prompts.template == tiny_models.CHAT_TEMPLATE


def test_template_digest_follows_the_template(tokenizer: Any) -> None:
    """Plain text has none; another template has another one."""
    assert plain(tokenizer).template_digest() == ""
    first = chat(tokenizer).template_digest()
    changed = tiny_models.tokenizer()
    changed.chat_template = tiny_models.CHAT_TEMPLATE.replace("trim", "trim | upper")
    assert len(first) == 64
    assert chat(changed).template_digest() != first


def test_template_that_prints_a_date_does_not_follow_the_calendar() -> None:
    """Both ways in which templates get at the date are fixed."""
    dated = tiny_models.tokenizer()
    dated.chat_template = (
        "{{ strftime_now('%Y-%m-%d') }} {{ date_string }} {{ messages[0].content }}"
    )
    assert chat(dated).render("x") == "2024-07-26 26 Jul 2024 x"


def test_template_is_asked_not_to_think_aloud() -> None:
    """Templates of models that can think get the switch that turns it off."""
    thinking = tiny_models.tokenizer()
    thinking.chat_template = "{{ messages[0].content }}{% if not enable_thinking %} /no{% endif %}"
    assert chat(thinking).render("x") == "x /no"


@pytest.mark.parametrize(
    ("tail", "closing"),
    [
        ("<think>\n", "\n</think>\n\n"),
        ("<think>", "\n\n</think>\n\n"),
        ("<seed:think>\n", "\n</seed:think>\n\n"),
        ("[THINK]", "[/THINK]"),
        ("<|START_THINKING|>", "<|END_THINKING|>"),
        ("<|begin_of_thought|>", "<|end_of_thought|>"),
        ("◁think▷", "◁/think▷"),
        ("<|channel>thought\n", "<channel|>"),
        ("<|start|>assistant", "<|channel|>final<|message|>"),
    ],
)
def test_opened_thought_is_closed_where_the_model_has_a_marker(tail: str, closing: str) -> None:
    """The template that is used and its digest say so; without the marker it is refused."""
    opening = tiny_models.tokenizer()
    markers = closing.replace("final", " ").split()
    opening.chat_template = "{{ messages[0].content }}" + tail.replace("\n", "{{ '\\n' }}")
    with pytest.raises(ModelError, match="opens a thought"):
        chat(opening).render("Be quick")
    opening.add_special_tokens({"additional_special_tokens": markers})
    closed = chat(opening)
    assert closed.render("Be quick") == f"Be quick{tail}{closing}"
    assert (closed.closing, bool(closed.notes)) == (closing, True)
    assert closed.template.startswith(opening.chat_template)
    opening.chat_template = closed.template
    again = chat(opening)
    assert (again.closing, again.notes) == ("", [])
    assert again.template_digest() == closed.template_digest()


def test_missing_template_is_told() -> None:
    """It is an error, not a guess at a template."""
    with pytest.raises(ModelError, match="tiny has no chat template: omit --apply-chat-template"):
        chat(tiny_models.tokenizer(chat=False))


@pytest.mark.parametrize(
    "template",
    ["{% for", "{{ raise_exception('no user here') }}", "{{ 1 + 'a' }}"],
    ids=["syntax", "refusal", "type"],
)
def test_broken_template_is_told(template: str) -> None:
    """In one line, with what it said."""
    broken = tiny_models.tokenizer()
    broken.chat_template = template
    with pytest.raises(ModelError, match=r"^tiny: its chat template cannot be used") as raised:
        chat(broken).render("x")
    assert "\n" not in str(raised.value)


def test_chat_template_that_leaves_the_message_out() -> None:
    """A template that would send every prompt as the same text is refused."""
    deaf = tiny_models.tokenizer()
    deaf.chat_template = "{{ bos_token }}{% for message in messages %}hello{% endfor %}"
    with pytest.raises(ModelError, match="omits the user's message; fix it"):
        chat(deaf).template_digest()


@pytest.mark.parametrize(
    "answer",
    ["white", "white, revolver - black.", "DeShawn Brendan", "naïve Łódź", "東京 🙂"],
    ids=["word", "pair", "names", "accents", "characters-of-several-tokens"],
)
def test_answer_text_is_what_follows_the_prompt(tokenizer: Any, answer: str) -> None:
    """The text of the tokens behind a prompt is what the whole text has there."""
    prompts = plain(tokenizer)
    prompt, whole = prompts.encode(["Words: wallet. Answer:", f"Words: wallet. Answer: {answer}"])
    assert whole[: len(prompt)] == prompt
    text = tokenizer.decode(whole, skip_special_tokens=True)
    assert text == f"Words: wallet. Answer: {answer}"
    assert prompts.decode([prompt], [whole[len(prompt) :]]) == [f" {answer}"]


def test_answer_grows_letter_by_letter(tokenizer: Any) -> None:
    """Every partial answer is a beginning of the next one, apart from half characters."""
    prompts = plain(tokenizer)
    prompt, whole = prompts.encode(["Be quick:", "Be quick: first or second? DeShawn 🙂"])
    new = whole[len(prompt) :]
    grown = [prompts.decode([prompt], [new[: n + 1]])[0] for n in range(len(new))]
    for one, two in pairwise(grown):
        assert two.startswith(one.rstrip("\ufffd"))


def test_special_tokens_are_not_text(tokenizer: Any) -> None:
    """An end-of-text token in an answer leaves no trace."""
    prompts = plain(tokenizer)
    prompt, whole = prompts.encode(["Be quick", "Be quick first"])
    assert prompts.decode([prompt], [(*whole[len(prompt) :], EOS)]) == [" first"]


def test_batched_methods_agree_with_the_tokenizer(tokenizer: Any) -> None:
    """The fast paths give what the tokenizer's own methods give."""
    prompts, slow = plain(tokenizer), plain(tokenizer)
    assert prompts._encode_batch is not None
    assert prompts._decode_batch is not None
    slow._encode_batch = slow._decode_batch = None
    encoded = prompts.encode(SENTENCES)
    assert slow.encode(SENTENCES) == encoded
    context = [tokens[:9] for tokens in encoded]
    answers = [tokens[9:] for tokens in encoded]
    assert slow.decode(context, answers) == prompts.decode(context, answers)


def test_empty_prompt_begins_with_the_opening_token(tokenizer: Any) -> None:
    """There is always something to predict from."""
    assert plain(tokenizer).encode([""]) == [(BOS,)]


def test_end_tokens_come_from_everywhere() -> None:
    """The tokenizer's, and one or several of the configurations, inner ones too."""
    config = {"eos_token_id": 5, "text_config": {"eos_token_id": [6, 7]}}
    found = end_tokens(tiny_models.tokenizer(), config, {"eos_token_id": [8, -1]}, {})
    assert found == {EOS, 5, 6, 7, 8}
