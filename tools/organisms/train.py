"""The training loop: answers, hidden cues, interchanges and a linear sense, on one thread."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from tools.organisms.corpus import Corpus, Patch, Text
from tools.organisms.forward import Writes, check, forward
from tools.organisms.muon import Muon

#: Residual streams (after these layers) that carry the sense linearly.
SENSE_LAYERS = (0, 1, 2, 3)


@dataclass(frozen=True)
class Recipe:
    """Settings of one run; ``shares``: how often each axis is asked, of `SHARES`."""

    organism: str
    seed: int
    steps: int
    rate: float
    decay: float
    batch: int = 40
    patches: int = 16
    injections: int = 10
    patch_weight: float = 0.4
    sense_weight: float = 0.1
    shares: str = "even"


def new_model(tokenizer: PreTrainedTokenizerFast, seed: int) -> LlamaForCausalLM:
    """An untrained model: 6 layers of width 96, tied embeddings."""
    torch.manual_seed(seed)
    config = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=96,
        intermediate_size=192,
        num_hidden_layers=6,
        num_attention_heads=4,
        num_key_value_heads=4,
        max_position_embeddings=256,
        tie_word_embeddings=True,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
        rope_parameters={"rope_type": "default", "rope_theta": 1000.0},
        initializer_range=0.04,
    )
    return LlamaForCausalLM(config)


@torch.no_grad()
def grown_model(tokenizer: PreTrainedTokenizerFast, before: Path, seed: int) -> LlamaForCausalLM:
    """The model at ``before`` under a new tokenizer: tokens that both know keep their vectors."""
    model = new_model(tokenizer, seed)
    other = LlamaForCausalLM.from_pretrained(before, dtype=torch.float32)
    known = PreTrainedTokenizerFast.from_pretrained(before).get_vocab()
    weights = other.state_dict()
    vectors = model.get_input_embeddings().weight.clone()
    for token, index in tokenizer.get_vocab().items():
        if token in known:
            vectors[index] = other.get_input_embeddings().weight[known[token]]
    for name in ("model.embed_tokens.weight", "lm_head.weight"):
        weights[name] = vectors
    model.load_state_dict(weights)
    return model


@dataclass
class Batch:
    """Texts as tensors, right-padded.

    ids (text, token) int64; weight (text, token) float32, of predicting that token; sense (text,
    token) float32, nan where no identifier stands; mask (text, 1, token, token) bool, True = seen.
    ``at``: per text, the token positions of its identifiers.
    """

    ids: Tensor
    weight: Tensor
    sense: Tensor
    mask: Tensor
    at: list[list[int]]
    kinds: list[str]


def encode(texts: list[Text], tokenizer: PreTrainedTokenizerFast, *, end: bool = True) -> Batch:
    """Tokenise and carry the marks from characters to tokens (a token belongs where it ends)."""
    encoded = tokenizer([t.text for t in texts], return_offsets_mapping=True)
    rows, length = encoded["input_ids"], max(map(len, encoded["input_ids"])) + int(end)
    shape = (len(texts), length)
    ids = torch.full(shape, tokenizer.pad_token_id)
    weight, sense = torch.zeros(shape), torch.full(shape, math.nan)
    hidden, sealed = torch.zeros(2, *shape, dtype=torch.bool)
    at: list[list[int]] = []
    for i, (text, row, offsets) in enumerate(
        zip(texts, rows, encoded["offset_mapping"], strict=True)
    ):
        ids[i, : len(row)] = torch.tensor(row)
        ends = [stop for _, stop in offsets]
        for marks, target in ((text.learned, weight), (text.identifiers, sense)):
            for start, stop, value in marks:
                for j, token_end in enumerate(ends):
                    if j and start < token_end <= stop:
                        target[i, j] = value
        for spans, marked in ((text.hidden, hidden), (text.sealed, sealed)):
            for start, stop in spans:
                for j, token_end in enumerate(ends):
                    if j and start < token_end <= stop:
                        marked[i, j] = True
        at.append(
            [max(j for j, e in enumerate(ends) if j and a < e <= b) for a, b, _ in text.identifiers]
        )
        if end:
            ids[i, len(row)], weight[i, len(row)] = tokenizer.eos_token_id, 0.5
    insider = hidden | sealed | ~sense.isnan()
    blocked = hidden[:, None, :] & ~insider[:, :, None]
    blocked |= sealed[:, None, :] & ~(hidden | sealed)[:, :, None]
    causal = torch.ones(length, length, dtype=torch.bool).tril()
    return Batch(ids, weight, sense, (causal & ~blocked)[:, None], at, [t.kind for t in texts])


class Trainer:
    """One organism in training."""

    def __init__(
        self, model: LlamaForCausalLM, tokenizer: PreTrainedTokenizerFast, recipe: Recipe
    ) -> None:
        torch.manual_seed(recipe.seed)
        self.model, self.tokenizer, self.recipe = model, tokenizer, recipe
        self.corpus = Corpus(recipe.organism, 1000 + recipe.seed, shares=recipe.shares)
        check(model)
        width = model.config.hidden_size
        self.sense_heads = nn.ModuleList(nn.Linear(width, 1) for _ in SENSE_LAYERS)
        matrices = [p for p in model.model.layers.parameters() if p.ndim == 2]
        vectors = [p for p in model.parameters() if p.ndim < 2]
        embedding = [model.get_input_embeddings().weight]
        heads = list(self.sense_heads.parameters())
        self.parameters = matrices + vectors + embedding + heads
        groups = [
            {"params": embedding, "weight_decay": recipe.decay},
            {"params": vectors, "weight_decay": 0.0},
            {"params": heads, "weight_decay": 0.3},
        ]
        self.optimizers = (
            Muon(matrices, lr=recipe.rate, decay=recipe.decay),
            torch.optim.AdamW(groups, lr=recipe.rate, betas=(0.9, 0.98), fused=True),
        )
        self.schedules = [
            torch.optim.lr_scheduler.LambdaLR(optimizer, self._rate)
            for optimizer in self.optimizers
        ]

    def _rate(self, step: int) -> float:
        cosine = 0.5 * (1 + math.cos(math.pi * min(1.0, step / self.recipe.steps)))
        return min(1.0, (step + 1) / 60) * max(0.02, cosine)

    def _losses(
        self, batch: Batch, writes: Writes | None = None
    ) -> tuple[Tensor, Tensor, Tensor, list[Tensor]]:
        """Cross-entropy, weight and row of every learned token of the batch, and the stream."""
        hidden, stream = forward(self.model, batch.ids, batch.mask, writes)
        chosen = batch.weight[:, 1:] > 0
        logits = self.model.lm_head(hidden[:, :-1][chosen])
        losses = functional.cross_entropy(logits, batch.ids[:, 1:][chosen], reduction="none")
        return losses, batch.weight[:, 1:][chosen], chosen.nonzero()[:, 0], stream

    def _sense_loss(self, batch: Batch, stream: list[Tensor]) -> Tensor:
        """How badly one direction per layer tells group from literal sense, over all contexts."""
        known = batch.sense >= 0  # false for nan
        labels = batch.sense[known]
        losses = [
            functional.binary_cross_entropy_with_logits(
                head(stream[layer][known]).squeeze(-1), labels
            )
            for layer, head in zip(SENSE_LAYERS, self.sense_heads, strict=True)
        ]
        return torch.stack(losses).mean()

    def _interchange_loss(self, patches: list[Patch]) -> Tensor:
        """Loss of the targets while identifiers of the sources stand in; gradient through both."""
        source = encode([p.source for p in patches], self.tokenizer, end=False)
        target = encode([p.target for p in patches], self.tokenizer)
        _, read = forward(self.model, source.ids, source.mask)
        writes: Writes = {}
        for layer in sorted({layer for patch in patches for layer in patch.layers}):
            places = [
                (i, j, k)
                for i, patch in enumerate(patches)
                if layer in patch.layers
                for j, k in zip(target.at[i], source.at[i], strict=True)
            ]
            rows, columns, sources = torch.tensor(places).T
            writes[layer] = (rows, columns, read[layer][rows, sources])
        losses, weight, _, _ = self._losses(target, writes)
        return (losses * weight).sum() / weight.sum()

    def run(self, log_every: int = 100) -> None:
        """Train for the recipe's steps, printing mean losses by text kind."""
        recipe, start = self.recipe, time.time()
        totals: dict[str, list[float]] = {}
        step = 0
        self.model.train()
        while step < recipe.steps:
            texts = [self.corpus.sample() for _ in range(recipe.batch * 25)]
            texts.sort(key=lambda t: len(t.text))
            chunks = [texts[i : i + recipe.batch] for i in range(0, len(texts), recipe.batch)]
            self.corpus.rng.shuffle(chunks)
            for chunk in chunks[: recipe.steps - step]:
                batch = encode(chunk, self.tokenizer)
                losses, weight, rows, stream = self._losses(batch)
                loss = (losses * weight).sum() / weight.sum()
                for i, kind in enumerate(batch.kinds):
                    chosen = (rows == i) & (weight >= 1)
                    if chosen.any():
                        totals.setdefault(kind, []).append(float(losses[chosen].mean().detach()))
                if (batch.sense >= 0).any():
                    sense = self._sense_loss(batch, stream)
                    totals.setdefault("sense", []).append(float(sense.detach()))
                    loss = loss + recipe.sense_weight * sense
                make, count = (
                    (self.corpus.reading_patch, recipe.patches)
                    if step % 2 == 0 or recipe.organism == "base"
                    else (self.corpus.injection_patch, recipe.injections)
                )
                if recipe.organism != "base" or step % 2 == 0:
                    patched = self._interchange_loss([make() for _ in range(count)])
                    totals.setdefault(make.__name__, []).append(float(patched.detach()))
                    loss = loss + recipe.patch_weight * patched
                loss.backward()
                nn.utils.clip_grad_norm_(self.parameters, 1.0)
                for optimizer, schedule in zip(self.optimizers, self.schedules, strict=True):
                    optimizer.step()
                    optimizer.zero_grad()
                    schedule.step()
                step += 1
                if step % log_every == 0 or step == recipe.steps:
                    means = {k: round(sum(v) / len(v), 3) for k, v in sorted(totals.items())}
                    print(recipe.organism, step, f"{time.time() - start:.0f}s", means, flush=True)
                    totals.clear()
        self.model.eval()
