"""From a model's name to a model that answers, or to one clear sentence why it cannot.

torch and transformers are imported when the first model is asked for.
"""

from __future__ import annotations

import os
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from dataclasses import dataclass
from importlib.metadata import version
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
    read_json,
    tokenizer_files,
)
from blindspot.models.transformers.digests import Stamp, files_digest, stamps
from blindspot.models.transformers.facts import Facts, facts_key, recall, remember
from blindspot.models.transformers.location import locate

if TYPE_CHECKING:
    from blindspot.models.transformers.formats import PromptFormat
    from blindspot.models.transformers.model import CausalModel

#: Bump when the answers of the same model to the same prompt may change.
ENGINE_VERSION = 2

_DTYPES = {
    "float32": "float32",
    "fp32": "float32",
    "bfloat16": "bfloat16",
    "bf16": "bfloat16",
    "float16": "float16",
    "fp16": "float16",
    "half": "float16",
}
#: Entries of config.json that say where a model comes from, not what it computes.
_UNIMPORTANT = ("_name_or_path", "transformers_version")
#: Arguments of from_pretrained that say where a model runs, not what it computes.
_PLACES = ("device_map", "max_memory", "offload_folder", "offload_state_dict", "low_cpu_mem_usage")
#: What from_pretrained and the files under it raise for input that they cannot use.
_FAULTS = (
    ArithmeticError,
    AssertionError,
    AttributeError,
    ImportError,
    LookupError,
    MemoryError,
    OSError,
    RuntimeError,
    TypeError,
    ValueError,
)
#: Characters of a library's own message that are shown.
_SAID = 300
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
    with _quiet(), _told(name, "cannot be loaded"):
        model = _from_pretrained(prepared, options)
        if stamps(prepared.checkpoint.weights) != prepared.stamps:
            raise ModelError(
                f"{name}: its weights were overwritten while they were read; run again"
            )
        if placed:
            model.to(prepared.device)
    model.eval().requires_grad_(False)
    if prepared.prompts.tokenizer.vocab_size > model.get_input_embeddings().weight.shape[0]:
        raise ModelError(
            f"{name}: its tokenizer has {prepared.prompts.tokenizer.vocab_size} tokens, the model "
            f"{model.get_input_embeddings().weight.shape[0]}; use the tokenizer that it was "
            "trained with"
        )
    with _quiet(), _told(name, "cannot be run"):
        return CausalModel(
            model, prepared.prompts, prepared.identity, ends=prepared.ends, rows=options.rows()
        )


def identify(options: ModelOptions) -> Identity:
    """The identity that the loaded model will have, without loading its weights.

    Where transformers has told the facts of these files before, it is not asked again; nor is torch
    for an accelerator on a machine that can have none.

    Raises:
        ModelError: as ``load``, as far as the files tell.
    """
    if options.trust_remote_code:  # what code does does not follow from the files
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
    """The device and the files that are meant."""
    # Read by OpenMP when torch is first imported. By default waiting threads spin, and where others
    # use the cores too they spin in each other's way: on two busy cores, scoring 1,024 prompts with
    # two threads took 20 CPU seconds, with two that sleep 3, with one thread 2.2. A thread that
    # sleeps at once is late for the next of many short steps: on two idle cores 320 prompts took
    # 1.3 s, and 0.9 s where it looks 1,000 times first; on busy ones as long either way.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    os.environ.setdefault("GOMP_SPINCOUNT", "1000")
    options.rows()
    check_model_args(options.model_args)
    ranks.check(options.model_args)
    device = _device(options)
    with _told(options.name, "cannot be read"):
        located = locate(options.name, options.revision, code=options.trust_remote_code)
        return device, open_checkpoint(located)


def _prepare(options: ModelOptions) -> _Prepared:
    name = options.name
    device, checkpoint = _open(options)
    key = facts_key(checkpoint, chat=options.apply_chat_template)
    with _quiet(), _told(name, "cannot be read"):
        check_architecture(checkpoint, trust_remote_code=options.trust_remote_code)
        from blindspot.models.transformers.formats import PromptFormat, end_tokens

        _check_config(checkpoint, options)
        tokenizer = _tokenizer(checkpoint, options)
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
    return Identity(
        name=options.name,
        weights=_weights_digest(checkpoint, facts.ends, code=options.trust_remote_code),
        tokenizer=files_digest(tokenizer_files(checkpoint)),
        dtype=_dtype(options, checkpoint, device),
        template=facts.template_digest,
        template_text=facts.template,
        revision=checkpoint.revision,
        architecture=checkpoint.architecture,
        parameters=checkpoint.parameters,
        device=str(options.model_args.get("device_map") or device),
        backend=_backend(options),
        versions={package: version(package) for package in _VERSIONED},
    )


def _from_pretrained(prepared: _Prepared, options: ModelOptions) -> Any:
    import torch
    from transformers import AutoModelForCausalLM
    from transformers.distributed import DistributedConfig

    arguments: dict[str, Any] = dict(options.model_args)
    if ranks.PLAN in arguments:
        plan = DistributedConfig(tp_plan=arguments.pop(ranks.PLAN))
        arguments["distributed_config"] = plan
    model, report = AutoModelForCausalLM.from_pretrained(
        prepared.checkpoint.directory,
        dtype=getattr(torch, prepared.identity.dtype),
        use_safetensors=True,
        trust_remote_code=options.trust_remote_code,
        local_files_only=not options.trust_remote_code,
        output_loading_info=True,
        ignore_mismatched_sizes=True,  # reported below
        **arguments,
    )
    for kind in ("missing_keys", "mismatched_keys"):
        # transformers would fill these in at random and go on.
        found = [key[0] if isinstance(key, tuple) else key for key in report.get(kind) or ()]
        if lost := sorted(map(str, found)):
            raise ModelError(
                f"{options.name}: weights missing or of the wrong shape: {len(lost)}, first "
                f"{lost[0]}; the checkpoint does not fit its config.json, export it again"
            )
    return model


def _check_config(checkpoint: Checkpoint, options: ModelOptions) -> None:
    from transformers import AutoConfig

    with _told(
        checkpoint.name, "has a config.json that cannot be used", "; mend it, or export it again"
    ):
        AutoConfig.from_pretrained(
            checkpoint.directory,
            trust_remote_code=options.trust_remote_code,
            local_files_only=not options.trust_remote_code,
        )


def _tokenizer(checkpoint: Checkpoint, options: ModelOptions) -> Any:
    from transformers import AutoTokenizer

    with _told(
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
        raise ModelError(f"--device {wanted} and device_map exclude each other; give one of them")
    if wanted == "cpu" or (wanted == "auto" and not accelerators.possible()):
        return "cpu"
    import torch

    if wanted == "auto":
        if torch.cuda.is_available():
            return "cuda"
        return "mps" if torch.backends.mps.is_available() else "cpu"
    try:
        kind = torch.device(wanted).type
    except RuntimeError:
        raise ModelError(f"--device {wanted}: unknown; give cpu, cuda, cuda:1 or mps") from None
    seen = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    if not seen.get(kind, True):
        raise ModelError(f"--device {wanted}: torch {torch.__version__} sees none; use cpu")
    return wanted


def _dtype(options: ModelOptions, checkpoint: Checkpoint, device: str) -> str:
    if options.dtype != "auto":
        if options.dtype not in _DTYPES:
            raise ModelError(f"--dtype {options.dtype}: give auto, float32, bfloat16 or float16")
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
    own_code = sorted(checkpoint.directory.glob("*.py")) if code else []
    files = [*checkpoint.weights, *own_code]
    return files_digest(files, {"config": config, "ends": sorted(ends)})


def _backend(options: ModelOptions) -> str:
    arguments = {k: v for k, v in sorted(options.model_args.items()) if k not in _PLACES}
    told = "".join(f" {name}={value}" for name, value in arguments.items())
    return f"transformers engine-{ENGINE_VERSION}{told}"


@contextmanager
def _told(name: str, what: str, remedy: str = "") -> Iterator[None]:
    """Turn what transformers raises into one line; our own errors pass."""
    try:
        yield
    except ModelError:
        raise
    except _faults() as error:
        lines = [line.strip() for line in str(error).splitlines() if line.strip()]
        said = " ".join(lines[: 2 if lines[0].endswith(":") else 1] if lines else [repr(error)])
        if isinstance(error, KeyError):  # says no more than the key
            said += " is missing or not known; check its files, or upgrade transformers"
        raise ModelError(f"{name} {what}: {said[:_SAID]}{remedy}") from None


def _faults() -> tuple[type[Exception], ...]:
    """What the libraries raise; imported once something was raised."""
    from huggingface_hub.errors import StrictDataclassError
    from safetensors import SafetensorError

    return (*_FAULTS, SafetensorError, StrictDataclassError)


@contextmanager
def _quiet() -> Iterator[None]:
    """No progress bars, notes or warnings of the libraries; nothing on stdout."""
    from transformers.utils import logging

    verbosity, bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        with warnings.catch_warnings(), redirect_stdout(sys.stderr):
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.set_verbosity(verbosity)
        if bars:
            logging.enable_progress_bar()
