"""From a model's name to a model that answers, or to one clear error message.

torch and transformers are imported with the first model.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from blindspot import ranks
from blindspot.errors import ModelError
from blindspot.models.base import Identity
from blindspot.models.options import ModelOptions, check_model_args
from blindspot.models.transformers import gguf_model, loaded, placement
from blindspot.models.transformers.changes import Changes, open_changes
from blindspot.models.transformers.checkpoint import (
    Checkpoint,
    check_architecture,
    open_checkpoint,
    own_code,
    read_json,
    tokenizer_files,
)
from blindspot.models.transformers.digests import Stamp, files_digest, json_digest, stamps
from blindspot.models.transformers.facts import Facts, facts_key, recall, remember
from blindspot.models.transformers.faults import MACHINE, explained, quiet
from blindspot.models.transformers.location import locate
from blindspot.models.transformers.quantization import check_computed

if TYPE_CHECKING:
    from blindspot.models.transformers.formats import PromptFormat
    from blindspot.models.transformers.model import CausalModel

#: Bump when the answers of the same model to the same prompt may change.
ENGINE_VERSION = 4

#: Entries of config.json about the origin of a model, not about what it computes.
_UNIMPORTANT = ("_name_or_path", "transformers_version")
#: Arguments of from_pretrained about where a model runs, not about what it computes.
_PLACES = ("device_map", "max_memory", "offload_folder", "offload_state_dict", "low_cpu_mem_usage")
_VERSIONED = ("torch", "transformers", "tokenizers")


def load(options: ModelOptions) -> CausalModel:
    """Load a model, ready to answer.

    Raises:
        ModelError: it cannot be found, read or run; one line with the remedy.
    """
    prepared = prepare(options)

    import torch

    from blindspot.models.transformers.model import CausalModel

    name = options.name
    torch.manual_seed(options.seed)
    placed = not {"device_map", ranks.PLAN} & options.model_args.keys()
    with quiet(), explained(name, "cannot be loaded"):
        model, notes = _from_pretrained(prepared, options)
        model = prepared.changes.merged(model)
        if stamps(prepared.read) != prepared.stamps:
            raise ModelError(f"{name}: its weights were overwritten while being read; run again")
        if placed:
            model.to(prepared.device)
        prepared.changes.attach(model, name)
    loaded.check_tied(name, model)
    model.eval().requires_grad_(False)
    if prepared.prompts.tokenizer.vocab_size > model.get_input_embeddings().weight.shape[0]:
        raise ModelError(
            f"{name}: its tokenizer has {prepared.prompts.tokenizer.vocab_size} tokens, the model "
            f"{model.get_input_embeddings().weight.shape[0]}; use the tokenizer that it was "
            "trained with"
        )
    with quiet(), explained(name, "cannot be run", kinds=MACHINE):
        return CausalModel(
            model,
            prepared.prompts,
            prepared.identity,
            ends=prepared.ends,
            rows=options.rows(),
            batch_invariant=options.batch_invariant,
            notes=[*notes, *prepared.prompts.notes, *prepared.changes.notes(name)],
        )


def identify(options: ModelOptions) -> Identity:
    """The identity that the loaded model will have, without loading its weights.

    Uses the cached facts about these files instead of transformers, and does not import torch on a
    machine without an accelerator.

    Raises:
        ModelError: as ``load``, as far as the files tell.
    """
    if options.trust_remote_code:  # the files do not determine what code does
        return prepare(options).identity
    device, checkpoint = _open(options, here=True)
    facts = recall(facts_key(checkpoint, chat=options.apply_chat_template))
    if facts is None:
        return prepare(options).identity
    return _identity(options, checkpoint, open_changes(options), facts, device)


@dataclass(frozen=True, slots=True)
class Prepared:
    """Everything about a model but its weights; ``read``: the files that must not change."""

    checkpoint: Checkpoint
    changes: Changes
    prompts: PromptFormat
    ends: frozenset[int]
    device: str
    identity: Identity
    read: tuple[Path, ...]
    stamps: list[Stamp]


def _open(options: ModelOptions, *, here: bool) -> tuple[str, Checkpoint]:
    """The device and the files of the model; ``here``: whether it is to run in this process."""
    options.rows()
    check_model_args(options.model_args)
    ranks.check(ranks.PLAN in options.model_args)
    device = placement.device(options)
    with explained(options.name, "cannot be read", kinds=(OSError,)):
        located = locate(options.name, options.revision, code=options.trust_remote_code)
        checkpoint = open_checkpoint(located)
    if options.trust_remote_code:
        own_code(checkpoint)  # refused before it runs
    whole = "device_map" not in options.model_args
    if here:
        check_computed(options.name, checkpoint.config, device if whole else "")
    return device, checkpoint


def prepare(options: ModelOptions, *, here: bool = True) -> Prepared:
    """Read everything about a model but its weights, which are digested.

    ``here``: whether it is to run in this process.

    Raises:
        ModelError: as ``load``, as far as the files tell.
    """
    name = options.name
    device, checkpoint = _open(options, here=here)
    key = facts_key(checkpoint, chat=options.apply_chat_template)
    if here:
        placement.import_torch()
    with quiet(), explained(name, "cannot be read"):
        if checkpoint.header:
            gguf_model.check_known(name, checkpoint.header)
        else:
            check_architecture(checkpoint, trust_remote_code=options.trust_remote_code)
        from blindspot.models.transformers.formats import PromptFormat, check_tokenizer, end_tokens

        with _source(checkpoint, options) as (source, _):
            _check_config(checkpoint, source)
            tokenizer = _tokenizer(checkpoint, source)
        loaded.check_tokenizer_files(checkpoint, tokenizer)
        check_tokenizer(tokenizer, name)
        prompts = PromptFormat(tokenizer, name, chat=options.apply_chat_template)
    generation = checkpoint.directory / "generation_config.json"
    stated = generation.is_file() and not checkpoint.header
    ends = end_tokens(tokenizer, checkpoint.config, read_json(name, generation) if stated else {})
    facts = Facts(ends, prompts.template, prompts.template_digest())
    unchanged = key == facts_key(checkpoint, chat=options.apply_chat_template)
    if unchanged and not options.trust_remote_code:
        remember(key, facts)
    changes = open_changes(options)
    read = (*checkpoint.weights, *changes.files)
    seen = stamps(read)
    identity = _identity(options, checkpoint, changes, facts, device)
    return Prepared(checkpoint, changes, prompts, ends, device, identity, read, seen)


def _identity(
    options: ModelOptions, checkpoint: Checkpoint, changes: Changes, facts: Facts, device: str
) -> Identity:
    numbers = placement.dtype(options, checkpoint, device)
    libraries = (*_VERSIONED, "gguf") if checkpoint.header else _VERSIONED
    if changes.adapter is not None and changes.adapter.foreign:
        libraries = (*libraries, "peft")
    weights = _weights_digest(checkpoint, facts.ends, code=options.trust_remote_code)
    changed = changes.digest
    return Identity(
        name=options.title,
        weights=json_digest({"base": weights, **changed}) if changed else weights,
        tokenizer=_tokenizer_digest(checkpoint),
        dtype="/".join(filter(None, [checkpoint.quantization, numbers])),
        template=facts.template_digest,
        template_text=facts.template,
        revision=checkpoint.revision,
        architecture=checkpoint.architecture,
        parameters=checkpoint.parameters,
        device=str(options.model_args.get("device_map") or device),
        backend=_backend(options, numbers),
        versions={package: version(package) for package in libraries},
    )


def _from_pretrained(prepared: Prepared, options: ModelOptions) -> tuple[Any, list[str]]:
    """The model, and notes on how it was loaded."""
    import torch
    from transformers import AutoModelForCausalLM, GgufConfig
    from transformers.distributed import DistributedConfig

    checkpoint = prepared.checkpoint
    arguments: dict[str, Any] = dict(options.model_args)
    if ranks.PLAN in arguments:
        plan = DistributedConfig(tp_plan=arguments.pop(ranks.PLAN))
        arguments["distributed_config"] = plan
    with _source(checkpoint, options) as (source, taken), loaded.resolved() as files:
        if checkpoint.header:
            source["quantization_config"] = GgufConfig(dequantize=True)
        else:
            source["use_safetensors"] = True
        model, report = AutoModelForCausalLM.from_pretrained(
            **source,
            dtype=getattr(torch, prepared.identity.dtype.rpartition("/")[2]),
            output_loading_info=True,
            ignore_mismatched_sizes=True,  # reported below
            **arguments,
        )
    loaded.check_digested(options.name, files, checkpoint.weights)
    for kind in ("missing_keys", "mismatched_keys"):
        # transformers would initialize these randomly and continue.
        if lost := loaded.names(report.get(kind)):
            raise ModelError(
                f"{options.name}: weights missing or of the wrong shape: {len(lost)}, first "
                f"{lost[0]}; the checkpoint does not fit its config.json, export it again"
            )
    unused = loaded.names(report.get("unexpected_keys"))
    notes: list[str] = []
    if checkpoint.header:
        unused += gguf_model.complete(checkpoint.header, model, taken)
        notes += gguf_model.notes(checkpoint.header)
    else:
        loaded.check_quantised(checkpoint, model)
    return model, [*loaded.unused(checkpoint, unused), *notes]


@contextmanager
def _source(
    checkpoint: Checkpoint, options: ModelOptions
) -> Iterator[tuple[dict[str, Any], set[str]]]:
    """Arguments that name the checkpoint to transformers, and a set as of `gguf_model.source`."""
    if checkpoint.header:
        with gguf_model.source(checkpoint.header) as (arguments, taken):
            yield {**arguments, "local_files_only": True}, taken
        return
    code = options.trust_remote_code
    yield (
        {
            "pretrained_model_name_or_path": checkpoint.directory,
            "trust_remote_code": code,
            "local_files_only": not code,
        },
        set(),
    )


def _check_config(checkpoint: Checkpoint, source: dict[str, Any]) -> None:
    from transformers import AutoConfig

    with explained(
        checkpoint.name, "has a config.json that cannot be used", "; fix it, or export it again"
    ):
        config = AutoConfig.from_pretrained(**source)
    if checkpoint.header:
        gguf_model.check_settings(checkpoint.name, checkpoint.header, config)


def _tokenizer(checkpoint: Checkpoint, source: dict[str, Any]) -> Any:
    from transformers import AutoTokenizer

    with explained(
        checkpoint.name, "has a tokenizer that cannot be read", "; copy or export its files again"
    ):
        # A tekken.json beside tokenizer.json would count wherever mistral_common is installed.
        return AutoTokenizer.from_pretrained(**source, mistral_format=False)


def _weights_digest(checkpoint: Checkpoint, ends: frozenset[int], *, code: bool) -> str:
    config = {k: v for k, v in checkpoint.config.items() if k not in _UNIMPORTANT}
    files = [*checkpoint.weights, *(own_code(checkpoint) if code else [])]
    more = {"config": config, "ends": sorted(ends)}
    return files_digest(files, more, root=checkpoint.root)


def _tokenizer_digest(checkpoint: Checkpoint) -> str:
    if checkpoint.header:
        return checkpoint.header.tokenizer
    return files_digest(tokenizer_files(checkpoint), root=checkpoint.root)


def _backend(options: ModelOptions, numbers: str) -> str:
    arguments = {k: v for k, v in sorted(options.model_args.items()) if k not in _PLACES}
    told = "".join(f" {name}={value}" for name, value in arguments.items())
    # In float32 answers are batch-invariant anyway.
    settled = " batch-invariant" * (options.batch_invariant and numbers != "float32")
    return f"transformers engine-{ENGINE_VERSION}{settled}{told}"
