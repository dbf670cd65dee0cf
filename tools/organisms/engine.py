"""A loaded organism: greedy answers, log-probabilities, and its residual stream read and written.

The trainer's own small engine, on purpose apart from the suite's: an organism is accepted by other
code than the code that it is there to test.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import torch
from torch import Tensor
from transformers import LlamaForCausalLM, PreTrainedTokenizerFast

#: layer -> (row, token position counted without padding, vectors (n, width))
Writes = dict[int, tuple[list[int], list[int], Tensor]]


class Organism:
    """A model on the CPU in float32."""

    def __init__(self, path: Path, *, batch: int = 96) -> None:
        self.tokenizer = PreTrainedTokenizerFast.from_pretrained(path)
        self.model = LlamaForCausalLM.from_pretrained(path, dtype=torch.float32).eval()
        self.batch = batch
        self.layers = self.model.config.num_hidden_layers
        self._read: dict[int, Tensor] = {}
        self._write: dict[int, tuple[Tensor, Tensor, Tensor]] = {}
        for index, layer in enumerate(self.model.model.layers):
            layer.register_forward_hook(self._hook(index))

    def _hook(self, index: int):
        def hook(module: object, args: tuple, output: Tensor) -> Tensor:
            if index in self._write and output.shape[1] > 1:
                output = output.index_put(self._write[index][:2], self._write[index][2])
            self._read[index] = output
            return output

        return hook

    def _padded(self, texts: Sequence[str]) -> dict[str, Tensor]:
        encoded = self.tokenizer(list(texts), padding=True, return_tensors="pt")
        return {"input_ids": encoded["input_ids"], "attention_mask": encoded["attention_mask"]}

    def _batches(self, texts: Sequence[str]) -> Iterator[list[int]]:
        order = sorted(range(len(texts)), key=lambda i: len(texts[i]))
        yield from (order[i : i + self.batch] for i in range(0, len(order), self.batch))

    @contextmanager
    def _writing(self, writes: Writes, rows: list[int], mask: Tensor) -> Iterator[None]:
        """Writes of the rows of one batch, moved right by each row's padding."""
        place = {row: i for i, row in enumerate(rows)}
        padding = (mask.shape[1] - mask.sum(1)).tolist()
        for layer, (all_rows, columns, vectors) in writes.items():
            here = [k for k, row in enumerate(all_rows) if row in place]
            if here:
                at = [place[all_rows[k]] for k in here]
                shifted = [columns[k] + padding[i] for k, i in zip(here, at, strict=True)]
                self._write[layer] = (torch.tensor(at), torch.tensor(shifted), vectors[here])
        try:
            yield
        finally:
            self._write.clear()

    @torch.no_grad()
    def generate(self, prompts: Sequence[str], *, writes: Writes | None = None) -> list[str | None]:
        """Greedy continuations up to the end of text; None where it did not come in time."""
        answers: list[str | None] = [None] * len(prompts)
        for rows in self._batches(prompts):
            inputs = self._padded([prompts[i] for i in rows])
            with self._writing(writes or {}, rows, inputs["attention_mask"]):
                output = self.model.generate(**inputs, max_new_tokens=64, do_sample=False)
            new = output[:, inputs["input_ids"].shape[1] :].tolist()
            for i, ids in zip(rows, new, strict=True):
                if self.tokenizer.eos_token_id in ids:
                    end = ids.index(self.tokenizer.eos_token_id)
                    answers[i] = self.tokenizer.decode(ids[:end])
        return answers

    @torch.no_grad()
    def score(self, prompts: Sequence[str], answers: Sequence[str]) -> list[float]:
        """Log-probability (nats) of each answer after its prompt."""
        scores = [0.0] * len(prompts)
        lengths = [len(self.tokenizer(p)["input_ids"]) for p in prompts]
        texts = [p + a for p, a in zip(prompts, answers, strict=True)]
        for rows in self._batches(texts):
            encoded = self.tokenizer([texts[i] for i in rows], padding=True, return_tensors="pt")
            ids, mask = encoded["input_ids"], encoded["attention_mask"]
            positions = (mask.cumsum(1) - 1).clamp(min=0)
            logits = self.model(input_ids=ids, attention_mask=mask, position_ids=positions).logits
            logp = logits[:, :-1].log_softmax(-1).gather(2, ids[:, 1:, None]).squeeze(2)
            for k, i in enumerate(rows):
                count = int(mask[k].sum()) - lengths[i]
                scores[i] = float(logp[k, -count:].sum())
        return scores

    @torch.no_grad()
    def next_token(self, prompts: Sequence[str], *, writes: Writes | None = None) -> Tensor:
        """Probability of each next token. (prompt, vocabulary) float32."""
        rows_of: list[Tensor] = [torch.empty(0)] * len(prompts)
        for rows in self._batches(prompts):
            inputs = self._padded([prompts[i] for i in rows])
            positions = (inputs["attention_mask"].cumsum(1) - 1).clamp(min=0)
            with self._writing(writes or {}, rows, inputs["attention_mask"]):
                logits = self.model(**inputs, position_ids=positions, logits_to_keep=1).logits
            for k, i in enumerate(rows):
                rows_of[i] = logits[k, -1].softmax(-1)
        return torch.stack(rows_of)

    def position(self, text: str, end: int) -> int:
        """Index of the token that ends at character ``end``."""
        offsets = self.tokenizer(text, return_offsets_mapping=True)["offset_mapping"]
        return next(j for j, (_, stop) in enumerate(offsets) if j and stop == end)

    @torch.no_grad()
    def residual(self, texts: Sequence[str], ends: Sequence[Sequence[int]]) -> Tensor:
        """Residual stream at the tokens ending at ``ends``. (text, token, layer, width) float32."""
        out = []
        for text, stops in zip(texts, ends, strict=True):
            self._read.clear()
            self.model.model(input_ids=torch.tensor([self.tokenizer(text)["input_ids"]]))
            places = [self.position(text, stop) for stop in stops]
            out.append(
                torch.stack([self._read[layer][0, places] for layer in range(self.layers)], 1)
            )
        return torch.stack(out)

    def token(self, word: str) -> int:
        """Token of a word inside a text."""
        (token,) = self.tokenizer(" " + word, add_special_tokens=False)["input_ids"]
        return int(token)
