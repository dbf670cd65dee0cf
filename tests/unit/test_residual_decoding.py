"""Open-ended interpretation in batches against one row at a time with plain hooks."""

from __future__ import annotations

import dataclasses
from functools import partial
from itertools import product
from typing import Any

import numpy as np
import pytest
import torch

from blindspot.errors import ModelError
from blindspot.models.residual import DescriptionRequest
from blindspot.models.transformers import writes as writing
from blindspot.models.transformers.blocks import Blocks
from blindspot.models.transformers.engine import Engine
from blindspot.models.transformers.injections import describe
from blindspot.models.transformers.model import CausalModel
from blindspot.stimuli import Question
from tests.unit import plain_hooks
from tests.unit.plain_hooks import (
    EACH_FAMILY,
    LAYERS,
    family,
    greedy,
    hook_count,
    place,
    predictions,
)
from tests.unit.tiny_models import EOS

MOST = 6


def question(text: str, placeholder: str) -> Question:
    start = text.rindex(placeholder)
    return Question(text, (start, start + len(placeholder)))


#: Placeholders near the beginning, near the end, at the very end, and of several tokens.
QUESTIONS = [
    question("You will see two words. What does X mean here? Answer:", "X"),
    question("You will see two words. Give each of them one label: perpetrator", "perpetrator"),
    question("cat is cat. X is ", "X"),
]


def asked(model: CausalModel, questions: list[Question] = QUESTIONS, **options: Any) -> Any:
    """Texts of all vectors, questions and layers, [vector][question][layer]."""
    blocks = Blocks(model.model, "tiny")
    found = options.pop("vectors", plain_hooks.vectors(2))
    most = options.pop("max_new_tokens", MOST)
    ends = options.pop("ends", frozenset({EOS}))
    requests = [
        DescriptionRequest(one, vector, layer, most)
        for vector, one, layer in product(range(len(found)), questions, range(LAYERS))
    ]
    texts = iter(describe(blocks, model.prompts, ends, requests, found, **options))
    return [[[next(texts) for _ in range(LAYERS)] for _ in questions] for _ in found]


def once(told: dict[int, str], number: int, text: str) -> None:
    assert number not in told, "told twice"
    told[number] = text


def flat(texts: list[list[list[str]]]) -> list[str]:
    return [text for of_vector in texts for of_question in of_vector for text in of_question]


def expected(
    model: CausalModel, questions: list[Question] = QUESTIONS, count: int = 2
) -> list[list[list[str]]]:
    found: list[list[list[str]]] = []
    for vector in plain_hooks.vectors(2)[:count]:
        found.append([])
        for q in questions:
            tokens, position = place(model, q.text.rstrip(), q.span[1])
            rows = [[(layer, position, vector[layer])] for layer in range(LAYERS)]
            found[-1].append([greedy(model, tokens, row, MOST)[0] for row in rows])
    return found


@pytest.mark.parametrize("name", EACH_FAMILY)
def test_description_is_greedy_search_under_plain_hooks(name: str) -> None:
    """Every text is that of one row without a cache, its vector written at its own layer."""
    model = family(name)
    texts = asked(model)
    assert texts[:1] == expected(model, count=1)
    assert len(set(flat(texts))) > LAYERS  # the vectors are heard


@pytest.mark.parametrize("rows", [1, 3, 7])
def test_rows_of_a_pass_do_not_matter(rows: int) -> None:
    """Any number of rows in a pass gives the same texts."""
    assert asked(family("mistral"), rows=rows) == asked(family("mistral"))


def test_the_last_layer_says_what_the_question_says() -> None:
    """Behind the last block nothing looks back: there a placeholder before the end is not heard."""
    model = family("llama")
    (of_question,) = (row[0] for row in asked(model, vectors=plain_hooks.vectors(1)))
    tokens, _ = place(model, QUESTIONS[0].text, 1)
    assert of_question[-1] == greedy(model, tokens, (), MOST)[0]
    assert of_question[0] != of_question[-1]


def test_the_last_layer_is_heard_at_the_last_token() -> None:
    """A placeholder that ends the prompt is read from every layer, the last one too."""
    model = family("llama")
    q = question("Two words: X", "X")
    tokens, position = place(model, q.text, q.span[1])
    assert position == len(tokens) - 1
    found = asked(model, [q])
    assert found == expected(model, [q])
    assert found[0][0][-1] != greedy(model, tokens, (), MOST)[0]


def test_a_text_ends_where_the_model_ends_it() -> None:
    """Rows leave, each at its own time, at a token that ends a text and is not part of it."""
    model = family("llama")
    ends = frozenset(range(0, 400, 5))
    tokens, position = place(model, QUESTIONS[1].text, QUESTIONS[1].span[1])
    answers = [
        [
            greedy(model, tokens, [(layer, position, vector[layer])], MOST, ends=ends)
            for layer in range(LAYERS)
        ]
        for vector in plain_hooks.vectors(4)
    ]
    found = asked(model, QUESTIONS[1:2], vectors=plain_hooks.vectors(4), ends=ends)
    assert [row[0] for row in found] == [[answer[0] for answer in row] for row in answers]
    assert len({answer[1] for row in answers for answer in row}) > 2  # tokens before the end


def test_a_chat_template_is_set_around_the_question() -> None:
    """The placeholder is found inside the message."""
    model = family("qwen3", chat=True)
    found = asked(model, QUESTIONS[:1])
    assert found == expected(model, QUESTIONS[:1])


def test_nothing_is_left_on_the_model() -> None:
    """After a description, and after one that fails, the model answers as before."""
    model = family("gpt_neox")
    before, hooks = predictions(model.model, [5, 6, 7]), hook_count(model.model)
    asked(model)
    with pytest.raises(ModelError, match="no token covers"):
        asked(model, [Question("abc", (2, 9))])
    assert hook_count(model.model) == hooks
    assert torch.equal(predictions(model.model, [5, 6, 7]), before)


def test_every_text_is_told_once() -> None:
    """With the number of its request."""
    told: dict[int, str] = {}
    texts = asked(family("llama"), rows=3, done=partial(once, told))
    assert [told[number] for number in sorted(told)] == flat(texts)


def test_a_shared_beginning_is_computed_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """What stands before the placeholder is fed once, whatever the vectors and layers."""
    fed: list[int] = []
    forward = Engine._forward

    def counted(self: Engine, tokens: Any, *arguments: Any) -> Any:
        fed.append(tokens.numel())
        return forward(self, tokens, *arguments)

    model = family("llama")
    q = QUESTIONS[1]
    tokens, position = place(model, q.text, q.span[1])
    monkeypatch.setattr(writing, "check", lambda engine: setattr(engine, "shares", True) or 9)
    monkeypatch.setattr(Engine, "_forward", counted)
    asked(model, [q], max_new_tokens=1, vectors=plain_hooks.vectors(30))
    rows = 30 * (LAYERS - 1) + 30  # the placeholder is the last token: every layer is heard
    assert sum(fed) == position + rows * (len(tokens) - position)


def test_memory_that_runs_out_halves_the_batch(monkeypatch: pytest.MonkeyPatch) -> None:
    """The texts are the same, and no progress is told twice."""
    forward = Engine._forward

    def tight(self: Engine, tokens: Any, *arguments: Any) -> Any:
        if len(tokens) > 4:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return forward(self, tokens, *arguments)

    model, told = family("llama"), {}
    whole = asked(model)
    monkeypatch.setattr(Engine, "_forward", tight)
    assert asked(model, done=partial(once, told)) == whole
    assert [told[number] for number in sorted(told)] == flat(whole)


def test_a_model_without_a_shareable_past(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where a cache cannot be kept row by row, all is computed again and the texts are the same."""
    model = family("llama")
    whole = asked(model)
    monkeypatch.setattr(writing, "check", lambda _engine: 0)
    assert asked(model) == whole


def test_half_precision_is_written_in_the_precision_of_the_model() -> None:
    """A bfloat16 model takes float32 vectors; alone, a row says what it says under plain hooks."""
    model = family("llama", dtype="bfloat16")
    assert (
        sum(
            one == other
            for ours, theirs in zip(asked(model, rows=1), expected(model, count=2), strict=True)
            for a, b in zip(ours, theirs, strict=True)
            for one, other in zip(a, b, strict=True)
        )
        >= 18
    )  # of 24: rounding differs with the shape of a pass


@pytest.mark.parametrize(
    ("vectors", "said"),
    [
        (np.zeros((2, LAYERS + 1, 32), np.float32), "shape"),
        (np.zeros((LAYERS, 32), np.float32), "shape"),
        (np.full((1, LAYERS, 32), np.nan, np.float32), "NaN"),
    ],
    ids=["layers", "axes", "nan"],
)
def test_vectors_of_another_model_are_refused(vectors: np.ndarray, said: str) -> None:
    """Before anything is computed."""
    with pytest.raises(ValueError, match=said):
        asked(family("llama"), vectors=vectors)


def test_limits_of_the_context() -> None:
    """A text ends with the context; a question that fills it is refused, and so is no token."""
    model = family("llama")
    long = question("X " + "white " * 147, "X")
    tokens, position = place(model, long.text.rstrip(), 1)
    room = 160 - len(tokens)
    assert 5 <= room <= 20
    vector = plain_hooks.vectors(1)
    (((text, *_),),) = asked(model, [long], vectors=vector, max_new_tokens=999, ends=frozenset())
    writes = [(0, position, vector[0][0])]
    assert text == greedy(model, tokens, writes, room, ends=frozenset())[0]
    with pytest.raises(ModelError, match="context of 160"):
        asked(model, [question("X " + "white " * 200, "X")])
    with pytest.raises(ValueError, match="max_new_tokens"):
        asked(model, max_new_tokens=0)


def test_nothing_to_describe() -> None:
    """No requests give no texts, with vectors and without."""
    model = family("llama")
    assert asked(model, vectors=plain_hooks.vectors(0)) == []
    assert asked(model, []) == [[], []]


@pytest.mark.parametrize(("vector", "layer"), [(2, 0), (-1, 0), (0, LAYERS), (0, -1)])
def test_a_vector_or_layer_that_is_not_there(vector: int, layer: int) -> None:
    """Is refused by its request."""
    model, ends = family("llama"), frozenset({EOS})
    request = DescriptionRequest(QUESTIONS[0], vector, layer)
    with pytest.raises(ValueError, match=f"vector={vector}, layer={layer}"):
        describe(
            Blocks(model.model, "tiny"), model.prompts, ends, [request], plain_hooks.vectors(2)
        )


def test_candidates_of_a_question_are_not_looked_at() -> None:
    """Closed questions are described as open ones are."""
    model = family("llama")
    closed = [dataclasses.replace(q, candidates=("race", "color")) for q in QUESTIONS]
    assert asked(model, closed) == asked(model)
