"""Training of a LoRA adapter on the text of an axis; the same bits on the same processor."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from pickle import UnpicklingError
from tempfile import TemporaryDirectory
from time import monotonic
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from blindspot import files
from blindspot.errors import BlindspotError, ModelError, reason
from blindspot.mitigation.recipe import Recipe
from blindspot.mitigation.texts import Text, Texts
from blindspot.models.transformers.adapters import CONFIG, WEIGHTS
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
#: Parts of a batch, by length of text.
_LENGTHS = 4
#: Called with the step and its loss, in nats.
Told = Callable[[int, float], None]


def check_installed() -> None:
    """Check that peft can be imported.

    Raises:
        BlindspotError: names the package.
    """
    if find_spec("peft") is None:
        raise BlindspotError(
            "--method lora needs peft: pip install 'pytest-blindspot[mitigate]', or use "
            "--method steer"
        )


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
        torch.manual_seed((self._recipe.seed * 1_000_003 + number) % 2**63)  # of the dropout
        self._model.train()
        ours = self._predictions([(text.prompt, text.continuation) for text in batch])
        said = [at for at, text in enumerate(batch) if text.base is None]
        answered = [at for at, text in enumerate(batch) if text.base is not None]
        loss = functional.cross_entropy(
            torch.cat([ours[at][0] for at in said]), torch.cat([ours[at][1] for at in said])
        )
        with torch.no_grad(), self._unadapted():
            theirs = self._predictions(
                [(batch[at].base or "", batch[at].continuation) for at in answered]
            )
        kept = functional.kl_div(
            torch.log_softmax(torch.cat([ours[at][0] for at in answered]), -1),
            torch.log_softmax(torch.cat([logits for logits, _ in theirs]), -1),
            log_target=True,
            reduction="sum",  # of an answer: few of its tokens are a choice
        ) / len(answered)
        total = loss + _ANSWERS * kept
        if not bool(total.isfinite()):
            raise ModelError(f"{self._name}: the loss is not finite at step {number}; use float32")
        self._optimizer.zero_grad()
        total.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(self._own, 1.0)
        self._optimizer.step()
        return float(total)

    @contextmanager
    def _unadapted(self) -> Iterator[None]:
        self._model.eval()
        with self._model.disable_adapter():
            yield
        self._model.train()

    def _predictions(self, asked: Sequence[tuple[str, str]]) -> list[tuple[Tensor, Tensor]]:
        """Of each continuation the logits, (token, vocabulary), and its tokens.

        A text without a prompt is predicted from its first token on. Texts of similar length are
        computed together: of a whole batch half would be padding.
        """
        rows = list(_encoded(self._prompts, asked))
        found: dict[int, tuple[Tensor, Tensor]] = {}
        order = sorted(range(len(rows)), key=lambda at: len(rows[at][0]))
        several = math.ceil(len(rows) / _LENGTHS)
        for start in range(0, len(rows), several):
            chosen = order[start : start + several]
            found |= zip(chosen, self._predicted([rows[at] for at in chosen]), strict=True)
        return [found[at] for at in range(len(rows))]

    def _predicted(
        self, texts: Sequence[tuple[tuple[int, ...], int]]
    ) -> Iterator[tuple[Tensor, Tensor]]:
        """Of tokens whose last ones are a continuation, its logits and its tokens."""
        rows, counts = [row for row, _ in texts], [count for _, count in texts]
        longest = max(map(len, rows))
        padded = torch.tensor([[*row, *[row[0]] * (longest - len(row))] for row in rows])
        mask = torch.tensor([[1] * len(row) + [0] * (longest - len(row)) for row in rows])
        logits = self._model(
            input_ids=padded.to(self._device), attention_mask=mask.to(self._device), use_cache=False
        ).logits
        places = [
            (at, place)
            for at, (row, count) in enumerate(texts)
            for place in range(len(row) - count - 1, len(row) - 1)
        ]
        # At once: the gradient of every slice would be as large as all logits.
        row_of, place_of = torch.tensor(places, device=self._device).T
        found = logits[row_of, place_of].float().split(counts)
        for of_text, row, count in zip(found, rows, counts, strict=True):
            yield of_text, torch.tensor(row[-count:], device=self._device)

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
