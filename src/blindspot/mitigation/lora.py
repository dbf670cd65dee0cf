"""Training of a LoRA adapter on the text of an axis; the same bits on the same processor."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from pickle import UnpicklingError
from tempfile import TemporaryDirectory
from time import monotonic
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from blindspot import files
from blindspot.errors import ModelError, reason
from blindspot.mitigation.recipe import Recipe
from blindspot.mitigation.texts import Text, Texts
from blindspot.models.transformers.adapters import CONFIG, WEIGHTS
from blindspot.models.transformers.deferred import settle_threads
from blindspot.models.transformers.faults import quiet
from blindspot.models.transformers.formats import PromptFormat
from blindspot.models.transformers.model import CausalModel

#: State of an unfinished training, in the output directory.
STATE = "training.pt"
#: Seconds between two states; steps after the last one are trained again.
EVERY = 30.0
#: Weight of answering as the base does, beside saying what an identifier refers to.
_ANSWERS = 2.0
_WARM_UP = 10
#: Parts of a batch, by length of text, each with a gradient of its own.
_LENGTHS = 4
#: Fewest tokens of a common beginning that are worth a pass of their own.
_BEGINNING = 8
#: Called with the step and its loss, in nats.
Told = Callable[[int, float], None]


def train(
    loaded: CausalModel,
    texts: Texts,
    recipe: Recipe,
    window: range,
    output: Path,
    *,
    told: Told,
) -> None:
    """Train an adapter of some layers and write it to ``output`` in peft's format.

    An interrupted training goes on from its last state in ``output``.

    Raises:
        ModelError: the architecture has no projections that peft knows, or the loss is not finite.
        OSError: the directory cannot be written.
    """
    if loaded.identity.device == "cpu":
        settle_threads(loaded.identity.parameters)
    with quiet():
        trainer = _Trainer(loaded, recipe, window)
        first = trainer.restored(output / STATE)
        saved = monotonic()
        for step in range(first, recipe.steps):
            told(step, trainer.step(texts.batch(step), step))
            if monotonic() - saved >= EVERY:
                trainer.save(output / STATE, step + 1)
                saved = monotonic()
        trainer.write(output)
    (output / STATE).unlink(missing_ok=True)


class _Trainer:
    """A model with an adapter, and the optimizer of it."""

    def __init__(self, loaded: CausalModel, recipe: Recipe, window: range) -> None:
        from peft import LoraConfig, get_peft_model

        self._name, self._prompts = loaded.identity.name, loaded.prompts
        self._resumes = loaded.resumes
        self._recipe, self._key = recipe, [*map(str, (loaded.identity.weights, recipe, window))]
        config = LoraConfig(
            task_type="CAUSAL_LM",
            r=recipe.rank,
            lora_alpha=recipe.alpha,
            lora_dropout=recipe.dropout,
            layers_to_transform=list(window),
            base_model_name_or_path=self._name,
        )
        torch.manual_seed(recipe.seed)
        try:
            self._model: Any = get_peft_model(loaded.model, config)
        except ValueError as error:  # no default projections, or no such layers
            raise ModelError(
                f"{self._name}: peft finds no projections to adapt ({reason(error)})"
            ) from error
        self._own = [each for each in self._model.parameters() if each.requires_grad]
        self._optimizer = torch.optim.AdamW(self._own, lr=recipe.rate, weight_decay=0.0)
        self._device = self._own[0].device

    def step(self, batch: Sequence[Text], number: int) -> float:
        """Learn a batch; its loss in nats."""
        rate = self._recipe.rate * min(1.0, (number + 1) / _WARM_UP)
        rate *= 0.5 + 0.5 * math.cos(math.pi * number / self._recipe.steps)
        for group in self._optimizer.param_groups:
            group["lr"] = rate
        answered = [at for at, text in enumerate(batch) if text.base is not None]
        with torch.no_grad(), self._unadapted():
            theirs = self._predictions(
                [(batch[at].base or "", batch[at].continuation) for at in answered]
            )
        wanted = {at: logits for at, (logits, _) in zip(answered, theirs, strict=True)}
        torch.manual_seed((self._recipe.seed * 1_000_003 + number) % 2**63)  # of the dropout
        self._optimizer.zero_grad()
        loss = self._learned([(text.prompt, text.continuation) for text in batch], wanted)
        if not math.isfinite(loss):
            raise ModelError(f"{self._name}: the loss is not finite at step {number}; use float32")
        torch.nn.utils.clip_grad_norm_(self._own, 1.0)
        self._optimizer.step()
        return loss

    def _learned(self, asked: Sequence[tuple[str, str]], wanted: Mapping[int, Tensor]) -> float:
        """Add the gradients of texts; their loss in nats.

        Each part of a batch alone: what the gradient needs would fill the memory otherwise.

        Args:
            asked: prompts and continuations.
            wanted: by place the logits to come near to, (token, vocabulary); elsewhere the
                continuation itself is learned.
        """
        rows = list(_encoded(self._prompts, asked))
        said = sum(count for at, (_, count) in enumerate(rows) if at not in wanted)
        total = 0.0
        for some in _by_length(rows):
            losses = [
                _kept(logits, wanted[at]) * _ANSWERS / len(wanted)
                if at in wanted
                else functional.cross_entropy(logits, tokens, reduction="sum") / said
                for at, (logits, tokens) in zip(
                    some, self._predicted([rows[at] for at in some]), strict=True
                )
            ]
            loss = torch.stack(losses).sum()
            loss.backward()  # type: ignore[no-untyped-call]
            total += float(loss.detach())
        return total

    @contextmanager
    def _unadapted(self) -> Iterator[None]:
        self._model.eval()
        with self._model.disable_adapter():
            yield
        self._model.train()

    def _predictions(self, asked: Sequence[tuple[str, str]]) -> list[tuple[Tensor, Tensor]]:
        """Of each continuation the logits, (token, vocabulary), and its tokens.

        A text without a prompt is predicted from its first token on.
        """
        rows = list(_encoded(self._prompts, asked))
        found: dict[int, tuple[Tensor, Tensor]] = {}
        for some in _by_length(rows):
            found |= zip(some, self._predicted([rows[at] for at in some]), strict=True)
        return [found[at] for at in range(len(rows))]

    def _predicted(
        self, texts: Sequence[tuple[tuple[int, ...], int]]
    ) -> Iterator[tuple[Tensor, Tensor]]:
        """Of tokens whose last ones are a continuation, its logits and its tokens."""
        rows, counts = [row for row, _ in texts], [count for _, count in texts]
        before = self._beginning(texts)
        rests = [row[before:] for row in rows]
        longest = max(map(len, rests))
        padded = torch.tensor([[*row, *[row[0]] * (longest - len(row))] for row in rests])
        mask = torch.tensor([[1] * len(row) + [0] * (before + longest - len(row)) for row in rows])
        past = None
        if before:
            begun = torch.tensor([rows[0][:before]], device=self._device)
            past = self._model(input_ids=begun, use_cache=True).past_key_values
            past.batch_repeat_interleave(len(rows))
        row_of, place_of = torch.tensor(
            [
                (at, place)
                for at, (row, count) in enumerate(zip(rests, counts, strict=True))
                for place in range(len(row) - count - 1, len(row) - 1)
            ],
            device=self._device,
        ).T

        def chosen(_head: object, inputs: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
            return (inputs[0][row_of, place_of][None], *inputs[1:])

        # Only of continuations: a large vocabulary takes a fifth of a small model's time.
        hook = self._model.get_output_embeddings().register_forward_pre_hook(chosen)
        try:
            logits = self._model(
                input_ids=padded.to(self._device),
                attention_mask=mask.to(self._device),
                past_key_values=past,
                use_cache=past is not None,
            ).logits
        finally:
            hook.remove()
        found = logits[0].float().split(counts)
        for of_text, row, count in zip(found, rows, counts, strict=True):
            yield of_text, torch.tensor(row[-count:], device=self._device)

    def _beginning(self, texts: Sequence[tuple[tuple[int, ...], int]]) -> int:
        """How many tokens of a common beginning are computed once: those of a chat template."""
        if not self._resumes:
            return 0
        most = min(len(row) - count - 1 for row, count in texts)
        same = 0
        while same < most and len({row[same] for row, _ in texts}) == 1:
            same += 1
        return same if same >= _BEGINNING else 0

    def save(self, path: Path, done: int) -> None:
        """Keep the state of a training."""
        with files.writer(path) as file:
            torch.save(
                {
                    "key": self._key,
                    "done": done,
                    "own": [each.detach().cpu() for each in self._own],
                    "optimizer": self._optimizer.state_dict(),
                },
                file,
            )

    def restored(self, path: Path) -> int:
        """Steps that are done: take over a state of the same training; 0 without one."""
        try:
            state = torch.load(path, weights_only=True, map_location=self._device)
            own, done = list(state["own"]), int(state["done"])
            if state["key"] != self._key or list(map(_shape, own)) != list(map(_shape, self._own)):
                return 0
            self._optimizer.load_state_dict(state["optimizer"])
        except (OSError, EOFError, KeyError, RuntimeError, TypeError, ValueError, UnpicklingError):
            return 0  # missing or damaged
        for each, kept in zip(self._own, own, strict=True):
            each.data.copy_(kept)
        return done

    def write(self, output: Path) -> None:
        """Write the two files of the adapter, the configuration last.

        It names the base as it was named here: where its files lie is no one's business.
        """
        for config in self._model.peft_config.values():
            config.base_model_name_or_path = self._name
        with TemporaryDirectory() as scratch:
            self._model.save_pretrained(scratch, save_embedding_layers=False)
            for name in (WEIGHTS, CONFIG):
                files.replace(output / name, (Path(scratch) / name).read_bytes())


def _by_length(rows: Sequence[tuple[tuple[int, ...], int]]) -> Iterator[list[int]]:
    """Places of texts of similar length: of a whole batch half would be padding."""
    order = sorted(range(len(rows)), key=lambda at: len(rows[at][0]))
    several = math.ceil(len(rows) / _LENGTHS)
    for start in range(0, len(rows), several):
        yield order[start : start + several]


def _kept(logits: Tensor, wanted: Tensor) -> Tensor:
    """How far predictions are from wanted ones: summed, of an answer few tokens are a choice."""
    return functional.kl_div(
        torch.log_softmax(logits, -1),
        torch.log_softmax(wanted, -1),
        log_target=True,
        reduction="sum",
    )


def _shape(tensor: Tensor) -> tuple[int, ...]:
    return tuple(tensor.shape)


def _encoded(
    prompts: PromptFormat, asked: Sequence[tuple[str, str]]
) -> Iterator[tuple[tuple[int, ...], int]]:
    """Tokens of each text, and how many of them are its continuation."""
    rendered = [prompts.render(prompt) if prompt else "" for prompt, _ in asked]
    joined = [
        prompts.join(before, said) if before else said
        for before, (_, said) in zip(rendered, asked, strict=True)
    ]
    for before, tokens in zip(prompts.encode(rendered), prompts.encode(joined), strict=True):
        yield tuple(tokens), len(tokens) - max(1, len(before))
