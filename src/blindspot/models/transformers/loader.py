"""From a model's name to a model that answers, or to one clear error message.

torch and transformers are imported with the first model.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from blindspot import ranks
from blindspot.errors import ModelError
from blindspot.models.base import Identity
from blindspot.models.options import ModelOptions, check_model_args
from blindspot.models.transformers import accelerators
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

_DTYPES = {
    "float32": "float32",
    "fp32": "float32",
    "bfloat16": "bfloat16",
    "bf16": "bfloat16",
    "float16": "float16",
    "fp16": "float16",
    "half": "float16",
}
#: Entries of config.json about the origin of a model, not about what it computes.
_UNIMPORTANT = ("_name_or_path", "transformers_version")
#: Arguments of from_pretrained about where a model runs, not about what it computes.
_PLACES = ("device_map", "max_memory", "offload_folder", "offload_state_dict", "low_cpu_mem_usage")
#: Names of tensors that never belong in the files of a complete model: adapters, lost
#: quantisations.
_UNMERGED = re.compile(r"lora_|\.base_layer\.|adapter|(^|[._])(scales?|zeros|absmax|quant_map)$")
#: Parts of a model that never process text.
_OTHER_SENSES = re.compile(r"(^|[._])(vision|visual|audio|image|multi_modal)")
#: Share of all weights that a model may leave unused.
_UNUSED = 0.01
#: Read by OpenMP when torch is first imported. By default waiting threads spin, and on busy cores
#: they spin in each other's way: scoring 1,024 prompts on two busy cores took 20 CPU seconds with
#: two threads, 3 with two that sleep, 2.2 with one. A thread that sleeps at once is late for the
#: next of many short steps: on two idle cores 320 prompts took 1.3 s, and 0.9 s where it looks
#: 1,000 times first; on busy ones as long either way.
_OPENMP = {"OMP_WAIT_POLICY": "PASSIVE", "GOMP_SPINCOUNT": "1000"}
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
    notes += _untied(name, model)
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


def import_torch() -> None:
    """Import torch with threads that soon sleep; restores the environment afterwards."""
    added = (
        {} if "torch" in sys.modules else {k: v for k, v in _OPENMP.items() if k not in os.environ}
    )
    os.environ.update(added)
    try:
        import torch  # noqa: F401
    finally:
        for name in added:
            del os.environ[name]


def _open(options: ModelOptions) -> tuple[str, Checkpoint]:
    """The device and the files of the model."""
    options.rows()
    check_model_args(options.model_args)
    ranks.check(ranks.PLAN in options.model_args)
    device = _device(options)
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
    import_torch()
    with quiet(), explained(name, "cannot be read"):
        check_architecture(checkpoint, trust_remote_code=options.trust_remote_code)
        from blindspot.models.transformers.formats import PromptFormat, check_tokenizer, end_tokens

        _check_config(checkpoint, options)
        tokenizer = _tokenizer(checkpoint, options)
        _check_tokenizer_files(checkpoint, tokenizer)
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
        dtype="/".join(filter(None, [method, _dtype(options, checkpoint, device)])),
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
    with _resolved() as files:
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
    _check_digested(options.name, files, checkpoint.weights)
    for kind in ("missing_keys", "mismatched_keys"):
        # transformers would initialize these randomly and continue.
        if lost := _names(report.get(kind)):
            raise ModelError(
                f"{options.name}: weights missing or of the wrong shape: {len(lost)}, first "
                f"{lost[0]}; the checkpoint does not fit its config.json, export it again"
            )
    _check_quantised(checkpoint, model)
    return model, _unused(checkpoint, _names(report.get("unexpected_keys")))


def _names(keys: Iterable[Any] | None) -> list[str]:
    return sorted(str(key[0] if isinstance(key, tuple) else key) for key in keys or ())


@contextmanager
def _resolved() -> Iterator[list[str]]:
    """The files of weights that transformers finds while it loads a model within."""
    from transformers import modeling_utils

    name, found = "_get_resolved_checkpoint_files", []
    real = getattr(modeling_utils, name, None)
    if real is None:
        raise ModelError(
            f"transformers {version('transformers')} does not say which weights it loads; they "
            "could differ from the digested ones; install an older release of it"
        )

    def noted(*arguments: Any, **named: Any) -> Any:
        result = real(*arguments, **named)
        found.append(result[0] or [])
        return result

    files: list[str] = []
    setattr(modeling_utils, name, noted)
    try:
        yield files
    finally:
        setattr(modeling_utils, name, real)
        files += [str(path) for paths in found for path in paths]


def _check_digested(name: str, files: Iterable[str], digested: Iterable[Path]) -> None:
    """Check that transformers loaded the weights behind the identity of the model.

    Raises:
        ModelError: another file was loaded, or one was not.
    """
    loaded, known = ({Path(path).resolve() for path in paths} for paths in (files, digested))
    if loaded != known:
        other = min(loaded ^ known)
        raise ModelError(
            f"{name}: transformers {version('transformers')} does not load the weights that were "
            f"digested ({other.name} is not among both); keep model.safetensors or the files of "
            "its index, and nothing beside them"
        )


def _check_tokenizer_files(checkpoint: Checkpoint, tokenizer: Any) -> None:
    """Refuse a tokenizer that was read from files that are not digested.

    Raises:
        ModelError: names the file.
    """
    digested = {path.resolve() for path in tokenizer_files(checkpoint)}
    for key, value in {**vars(tokenizer), **tokenizer.init_kwargs}.items():
        if key.endswith("_file") and isinstance(value, str) and "chat_template" not in key:
            path = Path(value)
            if path.is_file() and path.resolve() not in digested:
                raise ModelError(
                    f"{checkpoint.name}: its tokenizer reads {path.name} ({key}); give the file "
                    "its usual name, and remove the entry from tokenizer_config.json"
                )


def _check_quantised(checkpoint: Checkpoint, model: Any) -> None:
    """Refuse a model that is not quantised as its config.json says.

    Raises:
        ModelError: names the quantisation.
    """
    method = quantization(checkpoint.config)
    used = getattr(getattr(model, "hf_quantizer", None), "quantization_config", None)
    if method and (used is None or getattr(used, "dequantize", False)):
        raise ModelError(
            f"{checkpoint.name} is quantised ({method}), which transformers "
            f"{version('transformers')} does not compute here; use another device, or the "
            "model that it was quantised from"
        )


def _unused(checkpoint: Checkpoint, names: list[str]) -> list[str]:
    """A note on tensors of the files that the model does not use.

    Raises:
        ModelError: they belong to an adapter or a quantisation, or are many: another model was
        trained.
    """
    heard = [name for name in names if not _OTHER_SENSES.search(name)]
    unmerged = [name for name in heard if _UNMERGED.search(name)]
    count = sum(checkpoint.sizes.get(name, 0) for name in heard)
    share = count / max(1, checkpoint.parameters)
    what = f"{checkpoint.name}: {len(names)} tensors are in its files and not in the model, first "
    if unmerged or share > _UNUSED:
        first = (unmerged or heard)[0]
        raise ModelError(
            f"{what}{first} ({share:.1%} of all weights); export the whole model again, merged, "
            "with the config.json that it was trained with"
        )
    return [f"{what}{names[0]}; they are ignored"] if names else []


def _untied(name: str, model: Any) -> list[str]:
    """A note on a separate output layer although config.json ties it to the embedding."""
    output = model.get_output_embeddings()
    tied = getattr(model.config, "tie_word_embeddings", False)
    if not tied or output is None or output.weight.device.type == "meta":
        return []
    if output.weight is model.get_input_embeddings().weight:
        return []
    return [f"{name}: config.json ties the output layer to the embedding, its files do not"]


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


def _device(options: ModelOptions) -> str:
    wanted = options.device
    if "device_map" in options.model_args and wanted != "auto":
        raise ModelError(
            f"--device {wanted} and device_map exclude each other; use only one of them"
        )
    if wanted == "cpu" or (wanted == "auto" and not accelerators.possible()):
        return "cpu"
    import_torch()
    import torch

    if wanted == "auto":
        if torch.cuda.is_available():
            return "cuda"
        return "mps" if torch.backends.mps.is_available() else "cpu"
    try:
        kind = torch.device(wanted).type
    except RuntimeError:
        raise ModelError(f"--device {wanted}: unknown; use cpu, cuda, cuda:1 or mps") from None
    seen = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    if not seen.get(kind, True):
        raise ModelError(f"--device {wanted}: torch {torch.__version__} sees none; use cpu")
    return wanted


def _dtype(options: ModelOptions, checkpoint: Checkpoint, device: str) -> str:
    if options.dtype != "auto":
        if options.dtype not in _DTYPES:
            raise ModelError(f"--dtype {options.dtype}: use auto, float32, bfloat16 or float16")
        return _DTYPES[options.dtype]
    if device == "cpu":
        return "float32"
    config = checkpoint.config
    inner = config.get("text_config")
    for place in (config, inner if isinstance(inner, dict) else {}):
        stated = place.get("dtype") or place.get("torch_dtype")
        if stated in _DTYPES.values():
            return str(stated)
    return checkpoint.dtype


def _weights_digest(checkpoint: Checkpoint, ends: frozenset[int], *, code: bool) -> str:
    config = {k: v for k, v in checkpoint.config.items() if k not in _UNIMPORTANT}
    files = [*checkpoint.weights, *(own_code(checkpoint) if code else [])]
    more = {"config": config, "ends": sorted(ends)}
    return files_digest(files, more, root=checkpoint.directory)


def _backend(options: ModelOptions) -> str:
    arguments = {k: v for k, v in sorted(options.model_args.items()) if k not in _PLACES}
    told = "".join(f" {name}={value}" for name, value in arguments.items())
    return f"transformers engine-{ENGINE_VERSION}{told}"
