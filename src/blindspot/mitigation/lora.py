"""Training of a LoRA adapter on the text of an axis; the same bits on the same processor."""

from __future__ import annotations

import json
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
from blindspot.mitigation.tree import PrefixTree
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
#: Most tokens of a pass, unless one text has more: what a gradient needs fills the memory.
_TOKENS = 512
#: Largest KL divergence, nats a token, of a text in a tree from the text alone; rounding is below.
_ROUNDING = 0.01
#: Batches whose longest texts are tried in a tree, and how many of these.
_TRIED = 8, 4
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
        trainer.check([text for number in range(_TRIED[0]) for text in texts.batch(number)])
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
        self._joined = 0  # most tokens of a text that shares a tree
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
        for tree in self._trees(rows):
            losses = [
                _apart(logits, wanted[at]) * _ANSWERS / len(wanted)
                if at in wanted
                else functional.cross_entropy(logits, tokens, reduction="sum") / said
                for at, (logits, tokens) in self._predicted(tree)
            ]
            loss = torch.stack(losses).sum()
            loss.backward()  # type: ignore[no-untyped-call]
            total += float(loss.detach())
        return total

    @contextmanager
    def _unadapted(self) -> Iterator[None]:
        self._model.eval()
        try:
            with self._model.disable_adapter():
                yield
        finally:
            self._model.train()

    def _predictions(self, asked: Sequence[tuple[str, str]]) -> list[tuple[Tensor, Tensor]]:
        """Of each continuation the logits, (token, vocabulary), and its tokens.

        A text without a prompt is predicted from its first token on.
        """
        rows = list(_encoded(self._prompts, asked))
        found = dict(one for tree in self._trees(rows) for one in self._predicted(tree))
        return [found[at] for at in range(len(rows))]

    def _trees(self, rows: Sequence[tuple[tuple[int, ...], int]]) -> Iterator[PrefixTree]:
        """Texts as trees, in their order: neighbors often begin alike."""
        tree = PrefixTree()
        for at, (row, count) in enumerate(rows):
            alone = max(len(row), tree.length) > self._joined
            if tree.texts and (alone or len(tree) + tree.added(row) > _TOKENS):
                yield tree
                tree = PrefixTree()
            tree.add(at, row, count)
        if tree.texts:
            yield tree

    def _predicted(self, tree: PrefixTree) -> Iterator[tuple[int, tuple[Tensor, Tensor]]]:
        """The number of each text, the logits of its continuation, and its tokens.

        (token, vocabulary) float32 and (token,) int64, on the device of the model.
        """
        places = torch.tensor(tree.predicting, device=self._device)

        def chosen(_head: object, inputs: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
            return (inputs[0][:, places], *inputs[1:])

        # Only of continuations: a large vocabulary takes a fifth of a small model's time.
        hook = self._model.get_output_embeddings().register_forward_pre_hook(chosen)
        try:
            logits = self._model(
                input_ids=torch.tensor([tree.tokens], device=self._device),
                position_ids=torch.tensor([tree.positions], device=self._device),
                attention_mask=tree.mask(self._model.dtype, self._device),
                use_cache=False,
            ).logits
        finally:
            hook.remove()
        split = logits[0].float().split(tree.counts)
        for at, of_text, said in zip(tree.texts, split, tree.continuations, strict=True):
            yield at, (of_text, torch.tensor(said, device=self._device))

    def check(self, texts: Sequence[Text]) -> None:
        """Find out whether the model predicts texts of a tree as it predicts them alone.

        The longest ones are tried: an attention window that is shorter, a state, or positions that
        the model counts by itself show there. Otherwise, and where a text is longer than these,
        texts are computed one by one.
        """
        asked = [(before, text.continuation) for text in texts for before in _read(text)]
        rows = sorted(_encoded(self._prompts, asked), key=lambda row: -len(row[0]))[: _TRIED[1]]
        tree, trees = PrefixTree(), list(self._trees(rows))
        for at, (row, count) in enumerate(rows):
            tree.add(at, row, count)
        with torch.no_grad(), self._unadapted():
            alone = dict(one for each in trees for one in self._predicted(each))
            try:
                joined = list(self._predicted(tree))
            except (IndexError, RuntimeError, TypeError, ValueError):
                return  # BLOOM and Falcon, for example, want a mask of two dimensions
        apart = [float(_apart(found, alone[at][0])) / len(found) for at, (found, _) in joined]
        if max(apart) <= _ROUNDING:
            self._joined = tree.length

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
            files.replace(output / WEIGHTS, Path(scratch, WEIGHTS).read_bytes())
            written = json.loads(Path(scratch, CONFIG).read_text("utf-8"))
        written["target_modules"] = sorted(written["target_modules"])  # peft keeps a set
        files.replace(output / CONFIG, json.dumps(written, indent=2, sort_keys=True) + "\n")


def _read(text: Text) -> Iterator[str]:
    """The prompts of a text: the model's and the base's."""
    yield text.prompt
    if text.base is not None:
        yield text.base


def _apart(logits: Tensor, wanted: Tensor) -> Tensor:
    """KL divergence of predictions from wanted ones, summed: of an answer few tokens are a choice.

    Both (token, vocabulary); a scalar in nats.
    """
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
