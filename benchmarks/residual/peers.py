"""The same work by TransformerLens, nnsight and pyvene, as their own documentation writes it.

Each is optional; one that is not installed is told so and left out.
"""

# ruff: noqa: PLC0415 (each is imported where it is there)
from __future__ import annotations

import copy
import os
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, redirect_stdout
from importlib.metadata import PackageNotFoundError, version
from io import StringIO
from itertools import groupby
from typing import Any

import numpy as np
import torch
from torch import Tensor

from benchmarks.harness.equality import Answers
from benchmarks.residual.subjects import Subject
from benchmarks.residual.work import Job, Work, candidates_of

os.environ.setdefault("HF_HUB_OFFLINE", "1")  # none of them is to look for a model of this name


class Peer:
    """Somebody's library, wrapped around a model of its own with the subject's weights."""

    #: Of the distribution, and for people.
    package: str
    name: str
    #: What it saves where a batch is patched at one layer.
    saving = ""
    #: Whether it continues a batch of patched prompts.
    generates_batches = True

    def __init__(self, subject: Subject) -> None:
        self.subject = subject

    @torch.inference_mode()
    def one_by_one(self, work: Work, jobs: Sequence[int]) -> Answers:
        """One run a job, as documentation and the paper's code do it."""
        chosen = [work.jobs[number] for number in jobs]
        with _quiet():
            if not work.new:
                logits = [self.logits(work, job) for job in chosen]
                return _values(logits, chosen)
            written = [self.generate(work, job) for job in chosen]
        return Answers(
            texts=[work.text(job, ids) for job, ids in zip(chosen, written, strict=True)]
        )

    @torch.inference_mode()
    def by_layer(self, work: Work, jobs: Sequence[int]) -> Answers:
        """One run a question and layer, a row a vector, with whatever saves work."""
        chosen = [(work.jobs[number], place) for place, number in enumerate(jobs)]
        chosen.sort(key=lambda one: (one[0].tokens, one[0].window, one[1]))
        rows: list[Any] = [None] * len(chosen)
        with _quiet():
            for (_, window), group in groupby(
                chosen, key=lambda one: (one[0].tokens, one[0].window)
            ):
                batch, places = zip(*group, strict=True)
                vectors = torch.stack([work.vectors[j.places[0][1], window[0]] for j in batch])
                done = (self.batch_generate if work.new else self.batch_logits)(
                    work, batch[0], vectors
                )
                for place, row in zip(places, done, strict=True):
                    rows[place] = row
        ordered = [work.jobs[number] for number in jobs]
        if not work.new:
            return _values(rows, ordered)
        return Answers(
            texts=[work.text(j, row.tolist()) for j, row in zip(ordered, rows, strict=True)]
        )

    def logits(self, work: Work, job: Job) -> Tensor:
        """Logits after the last token of a patched prompt, (vocabulary,)."""
        raise NotImplementedError

    def generate(self, work: Work, job: Job) -> list[int]:
        """Tokens after a patched prompt."""
        raise NotImplementedError

    def batch_logits(self, work: Work, job: Job, vectors: Tensor) -> Tensor:
        """The same for many vectors, (row, width), at the job's place: (row, vocabulary)."""
        raise NotImplementedError

    def batch_generate(self, work: Work, job: Job, vectors: Tensor) -> Tensor:
        """Tokens after the prompt, (row, token)."""
        raise NotImplementedError


class TransformerLens(Peer):
    """HookedTransformer, the class that the paper used; from 4.0 on its successor."""

    package, name = "transformer-lens", "TransformerLens"
    saving = ", start_at_layer"
    generates_batches = False

    def __init__(self, subject: Subject) -> None:
        super().__init__(subject)
        self._legacy = int(version(self.package).split(".")[0]) < 4
        with _quiet():
            self._model = _hooked(subject.model) if self._legacy else _bridge(subject)

    def _hooks(self, work: Work, job: Job) -> list[Any]:
        def overwrite(hidden: Tensor, hook: Any) -> Tensor:
            layer = int(hook.name.split(".")[1])
            for position, number in job.places:
                hidden[:, position] = work.vectors[number, layer]
            return hidden

        return [(_resid_post(layer), overwrite) for layer in range(*job.window)]

    def logits(self, work: Work, job: Job) -> Tensor:
        ids = torch.tensor([job.tokens])
        found: Tensor = self._model.run_with_hooks(ids, fwd_hooks=self._hooks(work, job))
        return found[0, -1]

    def generate(self, work: Work, job: Job) -> list[int]:
        # With the cache a hook that writes at a position raises IndexError: hence without, as in
        # the paper's code.
        ids = torch.tensor([job.tokens])
        with self._model.hooks(fwd_hooks=self._hooks(work, job)):
            found = self._model.generate(
                ids,
                max_new_tokens=work.new,
                do_sample=False,
                use_past_kv_cache=False,
                prepend_bos=False,
                eos_token_id=self.subject.ends[0],
                return_type="tokens",
                verbose=False,
            )
        tokens: list[int] = found[0, len(job.tokens) :].tolist()
        return tokens

    def batch_logits(self, work: Work, job: Job, vectors: Tensor) -> Tensor:
        ids, layer, place = torch.tensor([job.tokens]), job.window[0], job.places[0][0]
        _, cache = self._model.run_with_cache(ids, names_filter=_resid_post(layer))
        hidden = cache[_resid_post(layer)].repeat(len(vectors), 1, 1)
        hidden[:, place] = vectors
        if self._legacy:
            found: Tensor = self._model(hidden, start_at_layer=layer + 1)[:, -1]
            return found
        # The successor's start_at_layer runs the first blocks all the same.
        hooks = [(_resid_post(layer), lambda _hidden, hook: hidden)]
        rows = ids.expand(len(vectors), -1)
        found = self._model.run_with_hooks(rows, fwd_hooks=hooks)
        return found[:, -1]


class Nnsight(Peer):
    """Traces of a transformers model."""

    package, name = "nnsight", "nnsight"
    saving = ", skip"

    def __init__(self, subject: Subject) -> None:
        super().__init__(subject)
        from nnsight.modeling.transformers import TransformersModel

        self._model = TransformersModel(
            copy.deepcopy(subject.model),
            task="text-generation",
            tokenizer=subject.causal.tokenizer,
        )

    def logits(self, work: Work, job: Job) -> Tensor:
        model, ids, vectors = self._model, torch.tensor([job.tokens]), work.vectors
        with model.trace(ids):
            for layer in range(*job.window):
                for position, number in job.places:
                    model.model.layers[layer].output[0, position] = vectors[number, layer]
            found = model.output.logits[0].save()
        return found[-1]

    def generate(self, work: Work, job: Job) -> list[int]:
        model, ids, vectors = self._model, torch.tensor([job.tokens]), work.vectors
        with model.generate(ids, max_new_tokens=work.new, do_sample=False) as tracer:
            for layer in range(*job.window):
                for position, number in job.places:
                    model.model.layers[layer].output[0, position] = vectors[number, layer]
            found = tracer.result.save()
        tokens: list[int] = found[0, len(job.tokens) :].tolist()
        return tokens

    def batch_logits(self, work: Work, job: Job, vectors: Tensor) -> Tensor:
        model, ids = self._model, torch.tensor([job.tokens])
        last, place = job.window[0], job.places[0][0]
        with model.trace(ids):
            clean = model.model.layers[last].output.save()
        hidden = clean.repeat(len(vectors), 1, 1)
        hidden[:, place] = vectors
        with model.trace(ids.expand(len(vectors), -1), logits_to_keep=1):
            for layer in range(last):
                model.model.layers[layer].skip(model.model.layers[layer].input)
            model.model.layers[last].skip(hidden)
            found = model.output.logits.save()
        return found[:, -1]

    def batch_generate(self, work: Work, job: Job, vectors: Tensor) -> Tensor:
        model, ids, place = self._model, torch.tensor([job.tokens]), job.places[0][0]
        rows = ids.expand(len(vectors), -1)
        with model.generate(rows, max_new_tokens=work.new, do_sample=False) as tracer:
            model.model.layers[job.window[0]].output[:, place] = vectors
            found = tracer.result.save()
        return found[:, len(job.tokens) :]


class Pyvene(Peer):
    """Interventions on a model of its own: a call deletes every hook that a model has."""

    package, name = "pyvene", "pyvene"

    def __init__(self, subject: Subject) -> None:
        super().__init__(subject)
        self._model = copy.deepcopy(subject.model)
        self._made: dict[tuple[tuple[int, int], int], Any] = {}
        with _quiet():
            import pyvene  # noqa: F401

    def _intervenable(self, job: Job) -> Any:
        """Interventions at the outputs of a window's blocks; wrapped once for each window."""
        import pyvene

        key = (job.window, len(job.places))
        if key not in self._made:
            places = [
                {
                    "layer": layer,
                    "component": "block_output",
                    "unit": "pos",
                    "max_number_of_units": len(job.places),
                }
                for layer in range(*job.window)
            ]
            config = pyvene.IntervenableConfig(
                places, intervention_types=pyvene.VanillaIntervention
            )
            self._made[key] = pyvene.IntervenableModel(config, model=self._model)
        return self._made[key]

    def _arguments(self, work: Work, job: Job, rows: Tensor | None = None) -> dict[str, Any]:
        """What is written where; ``rows`` (row, width) in place of the job's own vectors."""
        made, positions = self._intervenable(job), [position for position, _ in job.places]
        given = {}
        for key, layer in zip(made.interventions, range(*job.window), strict=True):
            own = torch.stack([work.vectors[number, layer] for _, number in job.places])[None]
            given[key] = own if rows is None else rows[:, None]
        count = 1 if rows is None else len(rows)
        where = [[positions] * count for _ in given]
        ids = torch.tensor([job.tokens]).expand(count, -1)
        return {
            "base": {"input_ids": ids, "attention_mask": torch.ones_like(ids)},
            "source_representations": given,
            "unit_locations": {"sources->base": (where, where)},
        }

    def logits(self, work: Work, job: Job) -> Tensor:
        _, found = self._intervenable(job)(**self._arguments(work, job))
        return found.logits[0, -1]

    def generate(self, work: Work, job: Job) -> list[int]:
        tokens: list[int] = self._generated(work, job)[0].tolist()
        return tokens

    def batch_logits(self, work: Work, job: Job, vectors: Tensor) -> Tensor:
        _, found = self._intervenable(job)(**self._arguments(work, job, vectors))
        return found.logits[:, -1]

    def batch_generate(self, work: Work, job: Job, vectors: Tensor) -> Tensor:
        return self._generated(work, job, vectors)

    def _generated(self, work: Work, job: Job, rows: Tensor | None = None) -> Tensor:
        _, found = self._intervenable(job).generate(
            **self._arguments(work, job, rows),
            intervene_on_prompt=True,
            max_new_tokens=work.new,
            do_sample=False,
        )
        return found[:, len(job.tokens) :]


PEERS: tuple[type[Peer], ...] = (TransformerLens, Nnsight, Pyvene)


def installed(peer: type[Peer]) -> str | None:
    """Its version, None where it is not installed."""
    try:
        return version(peer.package)
    except PackageNotFoundError:
        return None


def _values(logits: Sequence[Tensor], jobs: Sequence[Job]) -> Answers:
    rows = [candidates_of(row[None], job)[0] for row, job in zip(logits, jobs, strict=True)]
    return Answers(values=np.array(rows, np.float32))


def _resid_post(layer: int) -> str:
    return f"blocks.{layer}.hook_resid_post"


def _hooked(model: Any) -> Any:
    """A HookedTransformer with a Llama's weights, processed as its from_pretrained does."""
    from transformer_lens import HookedTransformer, HookedTransformerConfig
    from transformer_lens.pretrained.weight_conversions import convert_llama_weights

    config = model.config
    heads, groups = config.num_attention_heads, config.num_key_value_heads
    width = config.head_dim or config.hidden_size // heads
    settings = HookedTransformerConfig(
        d_model=config.hidden_size,
        d_head=width,
        n_heads=heads,
        n_key_value_heads=groups if groups != heads else None,
        d_mlp=config.intermediate_size,
        n_layers=config.num_hidden_layers,
        n_ctx=config.max_position_embeddings,
        eps=config.rms_norm_eps,
        d_vocab=config.vocab_size,
        act_fn=config.hidden_act,
        normalization_type="RMS",
        positional_embedding_type="rotary",
        rotary_adjacent_pairs=False,
        rotary_dim=width,
        rotary_base=config.rope_parameters["rope_theta"],
        final_rms=True,
        gated_mlp=True,
        device="cpu",
        dtype=torch.float32,
        default_prepend_bos=False,
        original_architecture="LlamaForCausalLM",
    )
    hooked = HookedTransformer(settings)
    hooked.load_and_process_state_dict(convert_llama_weights(model, settings))
    return hooked.eval().requires_grad_(False)


def _bridge(subject: Subject) -> Any:
    from transformer_lens.model_bridge import TransformerBridge

    return TransformerBridge.boot_transformers(
        subject.name,
        hf_model=copy.deepcopy(subject.model),
        tokenizer=subject.causal.tokenizer,
        device="cpu",
    )


@contextmanager
def _quiet() -> Iterator[None]:
    """Nothing on stdout, no notes of deprecation."""
    with warnings.catch_warnings(), redirect_stdout(StringIO()):
        warnings.simplefilter("ignore")
        yield
