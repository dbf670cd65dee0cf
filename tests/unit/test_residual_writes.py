"""Vectors that are added to what is there, or scale it, against one row with plain hooks."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from blindspot.models.residual import DescriptionRequest, InjectionRequest, Vectors, Write
from blindspot.models.transformers.blocks import Blocks
from blindspot.models.transformers.injections import describe, inject
from blindspot.models.transformers.targets import target_of
from blindspot.stimuli import Question
from tests.unit import plain_hooks
from tests.unit.plain_hooks import EACH_FAMILY, LAYERS, Change, family, greedy, place, scored
from tests.unit.residual_models import ALL, model, prompts, stream
from tests.unit.residual_models import LAYERS as FEWER
from tests.unit.tiny_models import EOS

VECTORS = plain_hooks.vectors(3)
KINDS = [Write.ADD, Write.SCALE]

ASKED = [
    Question("Rate the statement. One for the camera, the other for X, be quick: the", (55, 56)),
    Question("Give each of them one label, wallet and revolver, white or black: X", (66, 67)),
]
ASKED = [replace(one, candidates=("white", "black", "Rate")) for one in ASKED]
PROMPT = "You will see two words. Give each of them one label, white or black, or not white:"
SPANS, ROWS = ((53, 58), (62, 67), (76, 81)), (0, 1, 0)


def change(how: Write, vector: np.ndarray[Any, Any]) -> Change:
    """What plain hooks do, said once more."""

    def changed(there: Tensor) -> Tensor:
        given = torch.tensor(vector).to(there)
        return {Write.OVERWRITE: given, Write.ADD: there + given, Write.SCALE: there * given}[how]

    return changed


@pytest.mark.parametrize("how", KINDS, ids=lambda how: how.value)
@pytest.mark.parametrize("architecture", ALL)
def test_patches_that_add_and_scale(architecture: str, how: Write) -> None:
    """An odd number of vectors, placeholders within and last, every layer."""
    made, vectors = model(architecture), plain_hooks.vectors(3, FEWER)
    readout = stream(made).patch(vectors, ASKED, how=how)
    for q, asked in enumerate(ASKED):
        target = target_of(prompts(), asked)
        wanted = list(target.candidates)
        clean = plain_hooks.predictions(made, target.tokens)[-1, wanted]
        np.testing.assert_allclose(
            readout.unpatched[:, :][q], np.tile(clean, (FEWER, 1)), atol=1e-4, rtol=0
        )
        for v, layer in np.ndindex(3, FEWER):
            writes = [(layer, target.place, change(how, vectors[v, layer]))]
            expected = plain_hooks.predictions(made, target.tokens, writes)[-1, wanted]
            np.testing.assert_allclose(
                readout.patched[v, q, layer], expected, atol=1e-4, rtol=0, err_msg=f"{q} {layer}"
            )
    assert np.abs(readout.patched - readout.unpatched).max(axis=(0, 1, 3)).min() > 1e-2


@pytest.mark.parametrize("into", [None, 1], ids=["same", "fixed"])
def test_what_changes_nothing_changes_nothing(into: int | None) -> None:
    """Zeros added, and a factor of one, are the unpatched question; zeros as a factor remove."""
    ours, shape = stream(model("llama")), (2, FEWER, 32)
    for how, entry in ((Write.ADD, 0.0), (Write.SCALE, 1.0)):
        readout = ours.patch(np.full(shape, entry, np.float32), ASKED, into=into, how=how)
        np.testing.assert_array_equal(
            readout.patched, np.broadcast_to(readout.unpatched, readout.patched.shape)
        )
    zeros: Vectors = np.zeros(shape, np.float32)
    removed = ours.patch(zeros, ASKED, into=into, how=Write.SCALE).patched
    np.testing.assert_array_equal(removed, ours.patch(zeros, ASKED, into=into).patched)


def request(how: Write, window: tuple[int, int], rows: tuple[int, ...] = ROWS) -> InjectionRequest:
    return InjectionRequest(
        PROMPT, SPANS, rows, window, lambda _: False, ("white", "black"), 5, how
    )


#: Every kind, in windows that overlap, beside an untouched row and a shorter prompt: one batch.
REQUESTS = [
    *(request(how, window) for how in Write for window in ((0, 2), (1, 3), (0, LAYERS))),
    replace(request(Write.ADD, (0, 1)), window=None),
    InjectionRequest(
        "Be quick: white", ((10, 15),), (2,), (0, 2), lambda _: False, ("5",), 5, Write.ADD
    ),
]


@pytest.mark.parametrize("name", EACH_FAMILY)
def test_injections_of_every_kind_in_one_batch(name: str) -> None:
    """Each row has its own layers, places, vectors, and what is done with them."""
    made = family(name)
    found = inject(Blocks(made.model, name), made.prompts, frozenset({EOS}), REQUESTS, VECTORS)
    texts = set()
    for asked, answer in zip(REQUESTS, found, strict=True):
        tokens, _ = place(made, asked.prompt, len(asked.prompt))
        writes = [
            (layer, place(made, asked.prompt, span[1])[1], change(asked.how, VECTORS[row, layer]))
            for span, row in zip(asked.spans, asked.vectors, strict=True)
            for layer in range(*(asked.window or (0, 0)))
        ]
        text, length, complete, margin = greedy(made, tokens, writes, asked.max_new_tokens)
        said = answer.generation
        assert (said.text, said.tokens, said.complete) == (text, length, complete), asked
        assert said.margin == pytest.approx(margin, abs=1e-4)
        expected = scored(made, asked.prompt, asked.candidates, writes)
        assert answer.scores == pytest.approx(expected, abs=1e-4)
        texts.add(answer.scores)
    assert len(texts) == len(REQUESTS)


@pytest.mark.parametrize("how", KINDS, ids=lambda how: how.value)
def test_descriptions_of_what_was_added(how: Write) -> None:
    """Every text is that of one row without a cache."""
    made, asked = family("llama"), Question("Rate the word X", (14, 15))
    found = describe(
        Blocks(made.model, "llama"),
        made.prompts,
        frozenset({EOS}),
        [
            DescriptionRequest(asked, row, layer, 4, how)
            for row, layer in np.ndindex(len(VECTORS), LAYERS)
        ],
        VECTORS,
    )
    tokens, _ = place(made, asked.text, len(asked.text))
    position = place(made, asked.text, asked.span[1])[1]
    for text, (row, layer) in zip(found, np.ndindex(len(VECTORS), LAYERS), strict=True):
        writes = [(layer, position, change(how, VECTORS[row, layer]))]
        assert text == greedy(made, tokens, writes, 4)[0]
    assert len(set(found)) > 2
