"""What transformers has loaded, checked against the files behind the identity of a model."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import Any

from blindspot.errors import ModelError
from blindspot.models.transformers.checkpoint import (
    OTHER_SENSES,
    Checkpoint,
    tokenizer_files,
)

#: Names of tensors that never belong in the files of a complete model: adapters, lost
#: quantisations.
_UNMERGED = re.compile(r"lora_|\.base_layer\.|adapter|(^|[._])(scales?|zeros|absmax|quant_map)$")
#: Share of all weights that a model may leave unused.
_UNUSED = 0.01


def names(keys: Iterable[Any] | None) -> list[str]:
    """Names of tensors that transformers reports, sorted."""
    return sorted(str(key[0] if isinstance(key, tuple) else key) for key in keys or ())


@contextmanager
def replaced(module: Any, names: dict[str, Any]) -> Iterator[None]:
    """Other objects by names of a module within."""
    real = {name: getattr(module, name) for name in names}
    vars(module).update(names)
    try:
        yield
    finally:
        vars(module).update(real)


@contextmanager
def resolved() -> Iterator[set[Path]]:
    """The files of weights that transformers finds while it loads a model within."""
    from transformers import modeling_utils

    name = "_get_resolved_checkpoint_files"
    real = getattr(modeling_utils, name, None)
    if real is None:
        raise ModelError(
            f"transformers {version('transformers')} does not say which weights it loads; they "
            "could differ from the digested ones; install an older release of it"
        )

    files: set[Path] = set()

    def noted(*arguments: Any, **named: Any) -> Any:
        result = real(*arguments, **named)
        files.update(Path(path).resolve() for path in result[0] or ())
        return result

    with replaced(modeling_utils, {name: noted}):
        yield files


def check_digested(name: str, files: set[Path], digested: Iterable[Path]) -> None:
    """Check that transformers loaded the weights behind the identity of the model.

    Raises:
        ModelError: another file was loaded, or one was not.
    """
    known = {path.resolve() for path in digested}
    if files != known:
        other = min(files ^ known)
        raise ModelError(
            f"{name}: transformers {version('transformers')} does not load the weights that were "
            f"digested ({other.name} is not among both); keep model.safetensors or the files of "
            "its index, and nothing beside them"
        )


def check_tokenizer_files(checkpoint: Checkpoint, tokenizer: Any) -> None:
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


def check_quantised(checkpoint: Checkpoint, model: Any) -> None:
    """Refuse a model that is not quantised as its config.json says.

    Raises:
        ModelError: names the quantisation.
    """
    method = checkpoint.quantization
    used = getattr(getattr(model, "hf_quantizer", None), "quantization_config", None)
    if method and (used is None or getattr(used, "dequantize", False)):
        raise ModelError(
            f"{checkpoint.name} is quantised ({method}), which transformers "
            f"{version('transformers')} does not compute here; use another device, or the "
            "model that it was quantised from"
        )


def unused(checkpoint: Checkpoint, names: list[str]) -> list[str]:
    """A note on tensors of the files that the model does not use.

    Raises:
        ModelError: they belong to an adapter or a quantisation, or are many: another model was
        trained.
    """
    heard = [name for name in names if not OTHER_SENSES.search(name)]
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


def check_tied(name: str, model: Any) -> None:
    """Refuse a separate output layer where config.json ties it to the embedding.

    Versions of transformers differ in which of the two they take.

    Raises:
        ModelError: says how to settle it.
    """
    output = model.get_output_embeddings()
    tied = getattr(model.config, "tie_word_embeddings", False)
    if not tied or output is None or output.weight.device.type == "meta":
        return
    if output.weight is not model.get_input_embeddings().weight:
        raise ModelError(
            f"{name}: config.json ties the output layer to the embedding (tie_word_embeddings), "
            "but its files hold another one; remove either of the two"
        )
