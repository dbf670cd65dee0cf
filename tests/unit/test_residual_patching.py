"""Patches of many vectors at once against one plain forward pass for each patch."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
import torch

from blindspot.errors import ModelError
from blindspot.models.residual import ResidualStream, Source
from blindspot.models.transformers.blocks import Blocks
from blindspot.models.transformers.hook_points import Tier
from blindspot.models.transformers.memory import Budget, Limits
from blindspot.models.transformers.patches import Sweep
from blindspot.models.transformers.targets import target_of
from blindspot.stimuli import Question
from tests.unit.residual_models import (
    ALL,
    LAYERS,
    model,
    plain_patch,
    prompts,
    stream,
)

SOURCES = [
    "You will see two words. Give each of them one label, white or black: wallet, revolver",
    "DeShawn and Brendan, Jamel and Geoffrey: perpetrator, blameless (black or white)",
    "Be quick: black or white?",
]
WORDS = ("black", "white")


def question(text: str, *candidates: str) -> Question:
    start = text.index("X")
    return Question(text, (start, start + 1), candidates or ("white", "black", "Rate"))


#: The placeholder is the first word, one in the middle, the word before the last, the last one.
QUESTIONS = {
    "first": question("X and revolver: rate the statement from 1 to 5. Does the word go with the"),
    "middle": question("Rate the statement. One for the camera, the other for X, be quick: the"),
    "near": question("Write the number only, first or second, wallet and revolver: the X is"),
    "last": question("Give each of them one label, wallet and revolver, white or black: X"),
}


def sources(texts: Sequence[str] = SOURCES) -> list[Source]:
    return [
        Source(text, tuple((text.rindex(w), text.rindex(w) + len(w)) for w in WORDS))
        for text in texts
    ]


def expected(
    made: Any, vectors: np.ndarray[Any, Any], asked: Sequence[Question], into: int | None = None
) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    """Patched and unpatched readings, one forward pass for each."""
    patched = np.empty((len(vectors), len(asked), LAYERS, len(asked[0].candidates)))
    unpatched = np.empty(patched.shape[1:])
    for q, one in enumerate(asked):
        target = target_of(prompts(), one)
        wanted = list(target.candidates)
        unpatched[q] = plain_patch(made, target.tokens, target.place, 0, None)[wanted]
        for v, by_layer in enumerate(vectors):
            for layer, vector in enumerate(by_layer):
                at = layer if into is None else into
                written = plain_patch(made, target.tokens, target.place, at, torch.tensor(vector))
                patched[v, q, layer] = written[wanted]
    return patched, unpatched


@pytest.mark.parametrize("architecture", ALL)
def test_sweep_is_that_of_plain_hooks(architecture: str) -> None:
    """Placeholder first, middle, near the end and last; an odd number of vectors; all layers."""
    made = model(architecture)
    ours = stream(made)
    asked = list(QUESTIONS.values())
    assert isinstance(ours, ResidualStream)
    assert ours.tier is Tier.RESUMED
    vectors = ours.read(sources())[:5]
    readout = ours.patch(vectors, asked)
    patched, unpatched = expected(made, vectors, asked)
    np.testing.assert_allclose(readout.patched, patched, atol=1e-4, rtol=0)
    np.testing.assert_allclose(
        readout.unpatched, np.broadcast_to(unpatched, readout.unpatched.shape), atol=1e-4, rtol=0
    )
    assert readout.patched.dtype == readout.unpatched.dtype == np.float32
    # It is no agreement about nothing: patches do change the answers, where windows reach.
    changes = np.abs(readout.patched - readout.unpatched).max(axis=(0, 3))
    assert (changes[1:, 0] > 1e-2).all()


@pytest.mark.parametrize("architecture", ["llama", "gemma3", "gpt_neox", "qwen3_moe"])
@pytest.mark.parametrize("tier", [Tier.RESUMED, Tier.SKIPPING, Tier.HOOKED], ids=lambda t: t.value)
def test_every_way_gives_the_same(architecture: str, tier: Tier) -> None:
    """What a model falls back to is as exact."""
    made = model(architecture)
    blocks = Blocks(made, "tiny")
    budget = Budget(Limits(None, 2048, 1 << 20, 1 << 20, 1 << 20), "tiny")
    vectors = stream(made).read(sources())[:3]
    asked = list(QUESTIONS.values())
    with torch.inference_mode():
        readout = Sweep(blocks, prompts(), tier, budget).patch(vectors, asked)
    patched, _ = expected(made, vectors, asked)
    np.testing.assert_allclose(readout.patched, patched, atol=1e-4, rtol=0)


@pytest.mark.parametrize("into", range(LAYERS), ids=["low", "middle", "top"])
@pytest.mark.parametrize("architecture", ["llama", "mistral"])
def test_fixed_target_layer(architecture: str, into: int) -> None:
    """The vector of every source layer is written at the one target layer."""
    made = model(architecture)
    ours = stream(made)
    asked = [QUESTIONS["middle"], QUESTIONS["last"]]
    vectors = ours.read(sources())[:3]
    readout = ours.patch(vectors, asked, into=into)
    patched, unpatched = expected(made, vectors, asked, into)
    np.testing.assert_allclose(readout.patched, patched, atol=1e-4, rtol=0)
    np.testing.assert_allclose(
        readout.unpatched, np.broadcast_to(unpatched, readout.unpatched.shape), atol=1e-4, rtol=0
    )


def test_tied_embeddings() -> None:
    """The output layer is the embedding."""
    made = model("llama", tied=True)
    assert made.lm_head.weight is made.model.embed_tokens.weight
    ours = stream(made)
    vectors = ours.read(sources())[:2]
    asked = [QUESTIONS["middle"]]
    patched, _ = expected(made, vectors, asked)
    np.testing.assert_allclose(ours.patch(vectors, asked).patched, patched, atol=1e-4, rtol=0)


@pytest.mark.parametrize("architecture", ["llama", "gemma3", "gpt2", "mixtral"])
def test_bfloat16(architecture: str) -> None:
    """Agreement up to bfloat16's rounding of logits: three digits."""
    made = model(architecture, torch.bfloat16)
    ours = stream(made)
    vectors = ours.read(sources())[:3]
    asked = list(QUESTIONS.values())
    readout = ours.patch(vectors, asked)
    patched, _ = expected(made, vectors, asked)
    scale = np.abs(patched).max()
    assert np.median(np.abs(readout.patched - patched)) < 0.004 * scale
    assert np.abs(readout.patched - patched).max() < 0.05 * scale


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
def test_identity_patch_changes_nothing(dtype: torch.dtype) -> None:
    """The placeholder's own vectors, read and written back, give the unpatched answer exactly."""
    ours = stream(model("qwen3", dtype))
    for asked in QUESTIONS.values():
        readout = ours.patch(ours.read([Source(asked.text, (asked.span,))]), [asked])
        tolerance = 2e-5 if dtype == torch.float32 else 0.05
        np.testing.assert_allclose(readout.patched[0], readout.unpatched, atol=tolerance, rtol=0)


def test_last_layer_matters_only_where_the_answer_is_read() -> None:
    """At the last layer a placeholder before the last token has no effect at all."""
    ours = stream(model("llama"))
    vectors = ours.read(sources())
    readout = ours.patch(vectors, [QUESTIONS["near"], QUESTIONS["last"]])
    changed = np.abs(readout.patched - readout.unpatched).max(axis=(0, 3))
    assert changed[0, -1] == 0
    assert changed[0, -2] > 0
    assert changed[1, -1] > 1e-2


def test_number_of_vectors_does_not_matter() -> None:
    """One, many, none, in any order; batches as the user asked for, or as small as it gets."""
    made = model("llama")
    asked = [QUESTIONS["middle"], QUESTIONS["last"]]
    vectors = stream(made).read(sources())
    whole = stream(made).patch(vectors, asked).patched
    order = [4, 0, 5, 2, 1, 3]
    shuffled = stream(made).patch(vectors[order], asked).patched
    np.testing.assert_allclose(shuffled, whole[order], atol=1e-5, rtol=0)
    for rows in (1, 2, 3, 4, 7):
        cut = stream(made, rows=rows).patch(vectors, asked).patched
        np.testing.assert_allclose(cut, whole, atol=1e-5, rtol=0)
    one = stream(made).patch(vectors[:1], asked).patched
    np.testing.assert_allclose(one, whole[:1], atol=1e-5, rtol=0)
    none = stream(made).patch(vectors[:0], asked)
    assert none.patched.shape == (0, 2, LAYERS, 3)
    assert np.isfinite(none.unpatched).all()


@pytest.mark.parametrize("into", [None, 1], ids=["same", "fixed"])
def test_progress_counts_every_patch_once(into: int | None) -> None:
    """Steps add up to (vector, question, layer), also when memory runs out in between."""
    ours = stream(model("llama"))
    vectors = ours.read(sources())
    asked = list(QUESTIONS.values())
    steps: list[int] = []
    failing = Failing(ours)
    with failing:
        ours.patch(vectors, asked, into=into, progress=steps.append)
    assert failing.failed
    assert sum(steps) == vectors.shape[0] * len(asked) * LAYERS
    assert all(step > 0 for step in steps)


class Failing:
    """Memory that suffices for three rows only."""

    def __init__(self, ours: Any) -> None:
        self._block, self.failed = ours._blocks.modules[-1], False

    def __enter__(self) -> None:
        def refuse(_module: Any, arguments: tuple[Any, ...]) -> None:
            if arguments and len(arguments[0]) > 3:
                self.failed = True
                raise torch.OutOfMemoryError("out of memory")

        self._hook = self._block.register_forward_pre_hook(refuse)

    def __exit__(self, *_: object) -> None:
        self._hook.remove()


def test_out_of_memory_halves_batches() -> None:
    """The sweep goes on in smaller batches and gives the same."""
    ours = stream(model("llama"))
    vectors = ours.read(sources())
    asked = [QUESTIONS["middle"]]
    whole = ours.patch(vectors, asked).patched
    failing = Failing(ours)
    with failing:
        cut = ours.patch(vectors, asked).patched
    assert failing.failed
    np.testing.assert_allclose(cut, whole, atol=1e-5, rtol=0)


def test_out_of_memory_with_one_vector_is_told() -> None:
    """One line instead of an endless loop."""
    ours = stream(model("llama"))
    vectors = ours.read(sources())

    def refuse(_module: Any, arguments: tuple[Any, ...]) -> None:
        if len(arguments[0]) > 1:
            raise torch.OutOfMemoryError("out of memory")

    hook = ours._blocks.modules[-1].register_forward_pre_hook(refuse)
    try:
        with pytest.raises(ModelError, match="out of memory with a single prompt"):
            ours.patch(vectors, [QUESTIONS["middle"]])
    finally:
        hook.remove()


def test_nothing_is_left_behind() -> None:
    """After a sweep, or one that failed, the model answers as before and has its own methods."""
    made = model("gemma3")
    tokens = prompts().encode([SOURCES[0]])[0]
    before = plain_patch(made, tokens, 0, 0, None)
    ours = stream(made)
    hooks = [
        len(module._forward_hooks) + len(module._forward_pre_hooks) for module in made.modules()
    ]
    vectors = ours.read(sources())
    ours.patch(vectors, list(QUESTIONS.values()))

    def fail(*_: Any) -> None:
        raise RuntimeError("broken off")

    hook = ours._blocks.modules[1].register_forward_hook(fail)
    with pytest.raises(RuntimeError, match="broken off"):
        ours.patch(vectors, [QUESTIONS["first"]])
    hook.remove()
    assert hooks == [
        len(module._forward_hooks) + len(module._forward_pre_hooks) for module in made.modules()
    ]
    assert not any("forward" in vars(module) for module in made.modules())
    assert torch.equal(plain_patch(made, tokens, 0, 0, None), before)


def test_chat_template() -> None:
    """The placeholder is found behind the template, and candidates follow its opening."""
    made = model("llama")
    ours = stream(made, chat=True)
    asked = question("Give X one label", "white", "black")
    vectors = ours.read(sources())[:1]
    target = target_of(prompts(chat=True), asked)
    readout = ours.patch(vectors, [asked])
    for layer in range(LAYERS):
        vector = torch.tensor(vectors[0, layer])
        patched = plain_patch(made, target.tokens, target.place, layer, vector)
        np.testing.assert_allclose(
            readout.patched[0, 0, layer], patched[list(target.candidates)], atol=1e-4, rtol=0
        )


@pytest.mark.parametrize(
    ("shape", "into", "said"),
    [
        ((2, LAYERS + 1, 32), None, "vectors of shape"),
        ((2, LAYERS, 31), None, "vectors of shape"),
        ((2, 32), None, "vectors of shape"),
        ((2, LAYERS, 32), LAYERS, "has no layer 3"),
        ((2, LAYERS, 32), -1, "has no layer -1"),
    ],
    ids=["layers", "width", "axes", "beyond", "negative"],
)
def test_wrong_shapes_are_refused(shape: tuple[int, ...], into: int | None, said: str) -> None:
    """At the border, by name."""
    with pytest.raises(ValueError, match=said):
        stream(model("llama")).patch(np.zeros(shape, np.float32), [QUESTIONS["middle"]], into=into)


def test_vectors_that_are_not_finite_are_refused() -> None:
    """They would make NaN of every answer."""
    vectors = np.zeros((1, LAYERS, 32), np.float32)
    vectors[0, 1, 5] = np.nan
    with pytest.raises(ValueError, match="NaN"):
        stream(model("llama")).patch(vectors, [QUESTIONS["middle"]])


@pytest.mark.parametrize("into", [None, 1], ids=["same", "fixed"])
def test_vectors_may_be_read_only(into: int | None) -> None:
    """As they come out of a file, and they stay what they are."""
    ours = stream(model("llama"))
    vectors = ours.read(sources())
    expected = ours.patch(vectors, [QUESTIONS["last"]], into=into).patched
    kept = vectors.copy()
    kept.setflags(write=False)
    np.testing.assert_array_equal(
        ours.patch(kept, [QUESTIONS["last"]], into=into).patched, expected
    )
    np.testing.assert_array_equal(kept, vectors)


def test_only_the_last_token_reaches_the_output_layer() -> None:
    """All logits of a batch would be larger than a model with a large vocabulary.

    In one piece: a view with gaps is multiplied row by row, which took half of a sweep's time.
    """
    made = model("llama")
    ours = stream(made)
    vectors = ours.read(sources())
    shapes: set[tuple[int, ...]] = set()

    def seen(_module: Any, given: Any, out: Any) -> None:
        assert given[0].is_contiguous()
        shapes.add(tuple(out.shape))

    hook = made.lm_head.register_forward_hook(seen)
    ours.patch(vectors, list(QUESTIONS.values()))
    hook.remove()
    assert {shape[:2] for shape in shapes} == {(1, 1), (len(vectors) + 1, 1)}


def test_no_questions() -> None:
    """Nothing to read."""
    ours = stream(model("llama"))
    assert ours.patch(ours.read(sources()), []).patched.shape == (6, 0, LAYERS, 0)


def test_questions_with_different_numbers_of_candidates_are_refused() -> None:
    """They do not fit into one array."""
    asked = [question("X is", "white", "black"), question("X is", "white")]
    with pytest.raises(ValueError, match="different numbers of candidates"):
        stream(model("llama")).patch(np.zeros((1, LAYERS, 32), np.float32), asked)


def test_question_longer_than_the_context_is_refused() -> None:
    """With the number of its tokens."""
    asked = question("X " + "wallet, revolver. " * 60 + "is", "white", "black")
    with pytest.raises(ModelError, match="does not fit in its context of 160"):
        stream(model("gpt2")).patch(np.zeros((1, LAYERS, 32), np.float32), [asked])
