"""Vectors read in padded batches against one prompt at a time."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import pytest
import torch

from blindspot.errors import ModelError
from blindspot.models.residual import Source, Vectors
from blindspot.models.transformers.positions import locate
from tests.unit.residual_models import ALL, LAYERS, model, plain_vectors, prompts, stream

#: Of different lengths, some longer than the windows; equal ones; one that begins another.
TEXTS = [
    "You will see two words. Give each of them one label, white or black: wallet, revolver",
    "You will see two words. Give each of them one label, white or black: wallet, cannon and more",
    "You will see two words. Give each of them one label, black or white (black or white). ",
    "Be quick: black or white?",
    "Be quick: black or white",
    "black or white",
    "naïve Łódź 東京 🙂: white, black 🙂",
    "Be quick: black or white?",
]


def sources(texts: list[str] = TEXTS) -> list[Source]:
    """Both words of each text, the earlier one second."""
    made = []
    for text in texts:
        spans = [(text.rindex(word), text.rindex(word) + 5) for word in ("black", "white")]
        made.append(Source(text, tuple(sorted(spans, reverse=True))))
    return made


def expected(made: Any, asked: list[Source], *, chat: bool = False) -> Vectors:
    """(vector, layer, width): whole prompts, one at a time, not padded."""
    found = []
    for source in asked:
        tokens, places = locate(prompts(chat=chat), source.text, source.spans)
        found += [plain_vectors(made, tokens, place).numpy() for place in places]
    return np.stack(found)


def relative(one: Vectors, other: Vectors) -> float:
    """Largest difference as a share of the largest entry."""
    return float(np.abs(one - other).max() / np.abs(other).max())


@pytest.mark.parametrize("architecture", ALL)
def test_vectors_are_those_of_single_prompts(architecture: str) -> None:
    """Padding, cutting, shared beginnings and equal prompts change nothing; sources in order."""
    made = model(architecture)
    vectors = stream(made).read(sources())
    assert vectors.shape == (2 * len(TEXTS), LAYERS, 32)
    assert vectors.dtype == np.float32
    assert relative(vectors, expected(made, sources())) < 1e-5


@pytest.mark.parametrize("rows", [1, 2, 4])
def test_smaller_batches_read_the_same(rows: int) -> None:
    """Passes hold so many rows at most; the stream itself goes on as before."""
    made = model("llama")
    ours, held = stream(made), []
    hook = made.register_forward_pre_hook(
        lambda _m, _a, given: held.append(len(given["input_ids"])), with_kwargs=True
    )
    vectors = ours.in_batches(rows).read(sources())
    few, held[:] = list(held), []
    ours.read(sources())
    hook.remove()
    assert max(few) <= rows < max(held)
    assert relative(vectors, expected(made, sources())) < 1e-5


@pytest.mark.parametrize("architecture", ["llama", "gemma3", "gpt2"])
def test_bfloat16(architecture: str) -> None:
    """The vectors of single prompts, up to some units of rounding."""
    made = model(architecture, torch.bfloat16)
    assert relative(stream(made).read(sources()), expected(made, sources())) < 0.03


def test_model_that_must_not_be_padded() -> None:
    """Only prompts of equal length share a batch."""
    made = model("llama")
    ours = stream(made)
    ours._engine.shares = False
    assert relative(ours.read(sources()), expected(made, sources())) < 1e-5


def test_chat_template() -> None:
    """Words are found and read behind the template's opening."""
    made = model("llama")
    vectors = stream(made, chat=True).read(sources())
    assert relative(vectors, expected(made, sources(), chat=True)) < 1e-5


@pytest.mark.parametrize("rows", [1, 2, 3], ids=["one", "two", "three"])
def test_batches_do_not_matter(rows: int) -> None:
    """Nor does the order of the sources."""
    made = model("mistral")
    whole = stream(made).read(sources())
    cut = stream(made, rows=rows).read(sources()[::-1])
    back = cut.reshape(len(TEXTS), 2, LAYERS, 32)[::-1].reshape(whole.shape)
    assert relative(back, whole) < 1e-5


@contextmanager
def counted(made: Any) -> Iterator[list[int]]:
    """Tokens of each pass through the first block."""
    seen: list[int] = []
    hook = made.model.layers[0].register_forward_hook(
        lambda _m, _a, out: seen.append(out.shape[0] * out.shape[1])
    )
    try:
        yield seen
    finally:
        hook.remove()


def test_equal_prompts_are_computed_once() -> None:
    """As often as they are asked."""
    made = model("llama")
    ours = stream(made)
    with counted(made) as once:
        one = ours.read(sources(TEXTS[:1]))
    with counted(made) as often:
        many = ours.read(sources(TEXTS[:1] * 7))
    assert sum(often) == sum(once)
    np.testing.assert_array_equal(many, np.tile(one, (7, 1, 1)))


def test_prompts_are_cut_behind_the_last_word() -> None:
    """What follows costs nothing, and prompts that differ there only are one."""
    made = model("llama")
    ours = stream(made)
    text = "Be quick: black"
    endings = ["", " or white?", ", first or second, wallet or revolver: one for the camera"]
    asked = [Source(text + ending, ((10, 15),)) for ending in endings]
    with counted(made) as seen:
        vectors = ours.read(asked)
    assert sum(seen) == len(locate(prompts(), text, [(10, 15)])[0])
    assert relative(vectors, expected(made, asked)) < 1e-5


def test_sources_without_spans() -> None:
    """They have no vectors; no sources have none."""
    ours = stream(model("llama"))
    assert ours.read([]).shape == (0, LAYERS, 32)
    assert ours.read([Source("Be quick", ())]).shape == (0, LAYERS, 32)


def test_progress_counts_every_source_once() -> None:
    """Steps add up to the number of sources, also when memory runs out in between."""
    made = model("llama")
    ours = stream(made)
    whole = ours.read(sources())
    failed, steps = [], []

    def refuse(_module: Any, arguments: tuple[Any, ...]) -> None:
        if len(arguments[0]) > 1:
            failed.append(True)
            raise torch.OutOfMemoryError("out of memory")

    hook = made.model.layers[-1].register_forward_pre_hook(refuse)
    try:
        vectors = ours.read(sources(), progress=steps.append)
    finally:
        hook.remove()
    assert failed
    assert sum(steps) == len(TEXTS)
    assert relative(vectors, whole) < 1e-5


def test_word_that_no_token_covers_is_told() -> None:
    """By the error of the place, before anything is computed."""
    with pytest.raises(ModelError, match="no token covers"):
        stream(model("llama")).read([Source("Be quick", ((0, 2),)), Source("Be ", ((2, 3),))])


def test_prompt_longer_than_the_context_is_refused() -> None:
    """If the word lies beyond it; a long ending does not matter."""
    ours = stream(model("gpt2"))
    long = "wallet, revolver. " * 60
    assert ours.read([Source("black " + long, ((0, 5),))]).shape == (1, LAYERS, 32)
    with pytest.raises(ModelError, match="does not fit in its context of 160"):
        ours.read([Source(long + "black", ((len(long), len(long) + 5),))])


def test_vectors_that_are_not_finite_are_told() -> None:
    """Damaged weights of one token are seen when it is read."""
    made = copy.deepcopy(model("llama"))
    ours = stream(made)
    tokens, _ = locate(prompts(), "Be quick: black", [(10, 15)])
    with torch.no_grad():
        made.model.embed_tokens.weight[tokens[1]] = float("nan")
    with pytest.raises(ModelError, match="non-finite numbers"):
        ours.read([Source("Be quick: black", ((10, 15),))])
