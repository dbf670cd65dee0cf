"""From a model's name to a model that answers, or to one clear error message.

torch and transformers are imported with the first model.
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

from blindspot import ranks
from blindspot.errors import ModelError
from blindspot.models.base import Identity
from blindspot.models.options import ModelOptions, check_model_args
from blindspot.models.transformers import loaded, placement
from blindspot.models.transformers.checkpoint import (
    Checkpoint,
    check_architecture,
    open_checkpoint,
    own_code,
    read_json,
    tokenizer_files,
)
from blindspot.models.transformers.digests import Stamp, files_digest, stamps
from blindspot.models.transformers.facts import Facts, facts_key, recall, remember
from blindspot.models.transformers.faults import MACHINE, explained, quiet
from blindspot.models.transformers.location import locate
from blindspot.models.transformers.refusals import check_undone, quantization

if TYPE_CHECKING:
    from blindspot.models.transformers.formats import PromptFormat
    from blindspot.models.transformers.model import CausalModel

#: Bump when the answers of the same model to the same prompt may change.
ENGINE_VERSION = 3

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
    prepared = _prepare(options)

    import torch

    from blindspot.models.transformers.model import CausalModel

    name = options.name
    torch.manual_seed(options.seed)
    placed = not {"device_map", ranks.PLAN} & options.model_args.keys()
    with quiet(), explained(name, "cannot be loaded"):
        model, notes = _from_pretrained(prepared, options)
        if stamps(prepared.checkpoint.weights) != prepared.stamps:
            raise ModelError(f"{name}: its weights were overwritten while being read; run again")
        if placed:
            model.to(prepared.device)
    notes += loaded.untied(name, model)
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
            notes=notes,
        )


def identify(options: ModelOptions) -> Identity:
    """The identity that the loaded model will have, without loading its weights.

    Uses the cached facts about these files instead of transformers, and does not import torch on a
    machine without an accelerator.

    Raises:
        ModelError: as ``load``, as far as the files tell.
    """
    if options.trust_remote_code:  # the files do not determine what code does
        return _prepare(options).identity
    device, checkpoint = _open(options)
    facts = recall(facts_key(checkpoint, chat=options.apply_chat_template))
    if facts is None:
        return _prepare(options).identity
    return _identity(options, checkpoint, facts, device)


@dataclass(frozen=True, slots=True)
class _Prepared:
    """Everything about a model but its weights."""

    checkpoint: Checkpoint
    prompts: PromptFormat
    ends: frozenset[int]
    device: str
    identity: Identity
    stamps: list[Stamp]


def _open(options: ModelOptions) -> tuple[str, Checkpoint]:
    """The device and the files of the model."""
    options.rows()
    check_model_args(options.model_args)
    ranks.check(ranks.PLAN in options.model_args)
    device = placement.device(options)
    with explained(options.name, "cannot be read", kinds=(OSError,)):
        located = locate(options.name, options.revision, code=options.trust_remote_code)
        checkpoint = open_checkpoint(located)
    if options.trust_remote_code:
        own_code(checkpoint)  # refused before it runs
    if "device_map" not in options.model_args:
        check_undone(options.name, checkpoint.config, device)
    return device, checkpoint


def _prepare(options: ModelOptions) -> _Prepared:
    name = options.name
    device, checkpoint = _open(options)
    key = facts_key(checkpoint, chat=options.apply_chat_template)
    placement.import_torch()
    with quiet(), explained(name, "cannot be read"):
        check_architecture(checkpoint, trust_remote_code=options.trust_remote_code)
        from blindspot.models.transformers.formats import PromptFormat, check_tokenizer, end_tokens

        _check_config(checkpoint, options)
        tokenizer = _tokenizer(checkpoint, options)
        loaded.check_tokenizer_files(checkpoint, tokenizer)
        check_tokenizer(tokenizer, name)
        prompts = PromptFormat(tokenizer, name, chat=options.apply_chat_template)
    generation = checkpoint.directory / "generation_config.json"
    ends = end_tokens(
        tokenizer,
        checkpoint.config,
        read_json(name, generation) if generation.is_file() else {},
    )
    facts = Facts(ends, prompts.template, prompts.template_digest())
    unchanged = key == facts_key(checkpoint, chat=options.apply_chat_template)
    if unchanged and not options.trust_remote_code:
        remember(key, facts)
    seen = stamps(checkpoint.weights)
    identity = _identity(options, checkpoint, facts, device)
    return _Prepared(checkpoint, prompts, ends, device, identity, seen)


def _identity(options: ModelOptions, checkpoint: Checkpoint, facts: Facts, device: str) -> Identity:
    method = quantization(checkpoint.config)
    return Identity(
        name=options.name,
        weights=_weights_digest(checkpoint, facts.ends, code=options.trust_remote_code),
        tokenizer=files_digest(tokenizer_files(checkpoint), root=checkpoint.directory),
        dtype="/".join(filter(None, [method, placement.dtype(options, checkpoint, device)])),
        template=facts.template_digest,
        template_text=facts.template,
        revision=checkpoint.revision,
        architecture=checkpoint.architecture,
        parameters=checkpoint.parameters,
        device=str(options.model_args.get("device_map") or device),
        backend=_backend(options),
        versions={package: version(package) for package in _VERSIONED},
    )


def _from_pretrained(prepared: _Prepared, options: ModelOptions) -> tuple[Any, list[str]]:
    """The model, and notes on how it was loaded."""
    import torch
    from transformers import AutoModelForCausalLM
    from transformers.distributed import DistributedConfig

    checkpoint = prepared.checkpoint
    arguments: dict[str, Any] = dict(options.model_args)
    if ranks.PLAN in arguments:
        plan = DistributedConfig(tp_plan=arguments.pop(ranks.PLAN))
        arguments["distributed_config"] = plan
    with loaded.resolved() as files:
        model, report = AutoModelForCausalLM.from_pretrained(
            checkpoint.directory,
            dtype=getattr(torch, prepared.identity.dtype.rpartition("/")[2]),
            use_safetensors=True,
            trust_remote_code=options.trust_remote_code,
            local_files_only=not options.trust_remote_code,
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
    loaded.check_quantised(checkpoint, model)
    return model, loaded.unused(checkpoint, loaded.names(report.get("unexpected_keys")))


def _check_config(checkpoint: Checkpoint, options: ModelOptions) -> None:
    from transformers import AutoConfig

    with explained(
        checkpoint.name, "has a config.json that cannot be used", "; fix it, or export it again"
    ):
        AutoConfig.from_pretrained(
            checkpoint.directory,
            trust_remote_code=options.trust_remote_code,
            local_files_only=not options.trust_remote_code,
        )


def _tokenizer(checkpoint: Checkpoint, options: ModelOptions) -> Any:
    from transformers import AutoTokenizer

    with explained(
        checkpoint.name, "has a tokenizer that cannot be read", "; copy or export its files again"
    ):
        return AutoTokenizer.from_pretrained(
            checkpoint.directory,
            trust_remote_code=options.trust_remote_code,
            local_files_only=not options.trust_remote_code,
        )


def _weights_digest(checkpoint: Checkpoint, ends: frozenset[int], *, code: bool) -> str:
    config = {k: v for k, v in checkpoint.config.items() if k not in _UNIMPORTANT}
    files = [*checkpoint.weights, *(own_code(checkpoint) if code else [])]
    more = {"config": config, "ends": sorted(ends)}
    return files_digest(files, more, root=checkpoint.directory)


def _backend(options: ModelOptions) -> str:
    arguments = {k: v for k, v in sorted(options.model_args.items()) if k not in _PLACES}
    told = "".join(f" {name}={value}" for name, value in arguments.items())
    return f"transformers engine-{ENGINE_VERSION}{told}"
