"""The files of a checkpoint, checked before any weight is read.

transformers answers a broken directory with a traceback, or worse, with random weights. Here each
defect of a directory is reported in one sentence with a remedy.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from math import prod
from pathlib import Path, PurePosixPath
from typing import Any

from blindspot.errors import ModelError, reason
from blindspot.files import content
from blindspot.models.transformers import quantization, refusals
from blindspot.models.transformers.gguf_header import (
    FLOATS,
    GgufHeader,
    find_gguf,
    open_gguf,
)
from blindspot.models.transformers.location import Located

#: An index of 100,000 tensors takes 10 MB.
LARGEST = 128 * 2**20
WEIGHTS = "model.safetensors"
INDEX = "model.safetensors.index.json"

#: Any of these is enough for transformers to build a tokenizer.
_TOKENIZERS = ("tokenizer.json", "tokenizer.model", "vocab.json", "vocab.txt", "spiece.model")
_TOKENIZER_FILES = (
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
    "*.model",
    "*.tiktoken",
    "tekken.json",
    "vocab.*",
    "merges.txt",
)
#: Types of safetensors files in which a model can run, by torch's names.
_DTYPES = {"F32": "float32", "BF16": "bfloat16", "F16": "float16"}
_PICKLED = ("*.bin", "*.pt", "*.pth", "*.ckpt")
#: Parts of a model that never process text.
OTHER_SENSES = re.compile(r"(^|[._])(vision|visual|audio|image|multi_modal)")
#: Characters of a file's name that are shown.
_SHOWN = 100
#: Endings of class names that transformers loads as causal language models.
_CAUSAL = ("CausalLM", "LMHead", "ForConditionalGeneration", "ForImageTextToText")


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A directory with a readable ``config.json``, whole safetensors files and a tokenizer.

    Or a GGUF file, which holds all of it: then ``header`` is its own, and ``config`` has only what
    the file says of the kind of model and of the ends of a text. ``sizes``: entries of each tensor
    of ``weights``, by its name.
    """

    name: str
    directory: Path
    revision: str
    config: dict[str, Any]
    weights: tuple[Path, ...]
    sizes: Mapping[str, int]
    dtype: str
    header: GgufHeader | None = None

    @property
    def root(self) -> Path:
        """Where paths begin in digests; a GGUF file is its own: its name says nothing of it."""
        return self.header.path if self.header else self.directory

    @property
    def quantization(self) -> str:
        """The quantisation of its weights, "" for none."""
        return self.header.quantization if self.header else quantization.quantization(self.config)

    @property
    def parameters(self) -> int:
        """Entries of all tensors."""
        return sum(self.sizes.values())

    @property
    def architecture(self) -> str:
        """Class name of the model as the checkpoint states it, "" if it does not."""
        return self.header.architecture if self.header else _architecture(self.config)


def open_checkpoint(located: Located) -> Checkpoint:
    """Check everything that the files alone can show, without torch.

    Raises:
        ModelError: a file is missing, truncated or unreadable, or this is not a causal language
        model.
    """
    name, directory = located.name, located.directory
    file = located.file
    if not file and not any((directory / weights).is_file() for weights in (WEIGHTS, INDEX)):
        file = find_gguf(name, directory)
    if file:
        return _of_header(located, open_gguf(name, file))
    config = _config(name, directory)
    _check_kind(name, config)
    settings = directory / "tokenizer_config.json"
    refusals.check_places(
        name, directory, config, read_json(name, settings) if settings.is_file() else {}
    )
    weights = _weight_files(name, directory)
    tensors = {key: tensor for path in weights for key, tensor in _tensors(name, path)}
    sizes = {key: quantization.entries(config, key, *found) for key, found in tensors.items()}
    types: Counter[str] = Counter()
    for size, kind in tensors.values():
        types[kind] += size
    refusals.check_numbers(name, config, sizes)
    quantization.check_quantization(name, config, types)
    if not any((directory / file).is_file() for file in _TOKENIZERS) and not any(
        directory.glob("*.tiktoken")
    ):
        if (directory / "tekken.json").is_file():
            raise ModelError(
                f"{name} has its tokenizer only as tekken.json, which transformers reads by "
                "mistral_common alone; save it as tokenizer.json, or use a release that has one"
            )
        raise ModelError(
            f"{name} has no tokenizer ({', '.join(_TOKENIZERS[:3])} ...): copy the tokenizer files "
            "of the model it was trained from into the directory"
        )
    for path in (*tokenizer_files_in(directory), directory / "generation_config.json"):
        if path.is_file() and path.stat().st_size > LARGEST:  # it would be digested
            raise ModelError(
                f"{name}: {path.name} is larger than {LARGEST // 2**20} MiB; export it again"
            )
    dtype = _DTYPES[max(_DTYPES, key=types.__getitem__)]
    return Checkpoint(name, directory, located.revision, config, weights, sizes, dtype)


def _of_header(located: Located, header: GgufHeader) -> Checkpoint:
    """The checkpoint that a GGUF file is."""
    sizes = {tensor.name: prod(tensor.shape) for tensor in header.tensors}
    types: Counter[str] = Counter()
    for tensor in header.tensors:
        types[FLOATS.get(tensor.kind, "float32")] += sizes[tensor.name]
    config = {"model_type": header.architecture, "eos_token_id": header.ends}
    return Checkpoint(
        located.name,
        header.path.parent,
        located.revision,
        config,
        (header.path,),
        sizes,
        types.most_common(1)[0][0],
        header,
    )


def tokenizer_files(checkpoint: Checkpoint) -> list[Path]:
    """All files that decide how text becomes tokens, by name; the chat template is not one."""
    if checkpoint.header:
        return [checkpoint.header.path]
    return tokenizer_files_in(checkpoint.directory)


def tokenizer_files_in(directory: Path) -> list[Path]:
    """The same of a directory, which need not hold a model."""
    found = {path for glob in _TOKENIZER_FILES for path in directory.glob(glob)}
    return sorted(path for path in found if path.is_file())


def check_architecture(checkpoint: Checkpoint, *, trust_remote_code: bool) -> None:
    """Check that the installed transformers has code for this model, or may run the model's own.

    Raises:
        ModelError: it has none.
    """
    from transformers import __version__
    from transformers.models.auto.configuration_auto import CONFIG_MAPPING_NAMES
    from transformers.models.auto.modeling_auto import MODEL_FOR_CAUSAL_LM_MAPPING_NAMES

    name, config = checkpoint.name, checkpoint.config
    kind = config.get("model_type")
    if kind in MODEL_FOR_CAUSAL_LM_MAPPING_NAMES:
        return
    if kind in CONFIG_MAPPING_NAMES:
        raise ModelError(f"{name} is a {checkpoint.architecture or kind}, not a causal model")
    if not config.get("auto_map"):
        said = f"model type {kind!r}" if kind else "a config.json without model_type"
        raise ModelError(
            f"{name} has {said}, which transformers {__version__} does not know; upgrade it"
        )
    if not trust_remote_code:
        raise ModelError(
            f"{name} brings its own code; read it, then allow it with --trust-remote-code"
        )


def own_code(checkpoint: Checkpoint) -> list[Path]:
    """The Python files that a model brings, at any depth; a GGUF file brings none.

    Raises:
        ModelError: it also takes code from elsewhere.
    """
    if checkpoint.header:
        return []
    directory = checkpoint.directory
    names = ("config.json", "tokenizer_config.json", "generation_config.json")
    files = {n: directory / n for n in names if (directory / n).is_file()}
    refusals.check_code(
        checkpoint.name, {n: read_json(checkpoint.name, path) for n, path in files.items()}
    )
    return sorted(path for path in directory.rglob("*.py") if path.is_file())


def read_json(name: str, path: Path) -> dict[str, Any]:
    """A JSON object of a checkpoint.

    Raises:
        ModelError: not readable, not JSON, or not an object.
    """
    try:
        data = json.loads(content(path, LARGEST).decode("utf-8"))
        json.dumps(data, ensure_ascii=False).encode()  # a lone surrogate has no digest
    except (OSError, ValueError, RecursionError) as error:
        said = reason(error)
        raise ModelError(f"{name}: {path.name} cannot be read ({said}); export it again") from None
    if not isinstance(data, dict):
        raise ModelError(f"{name}: {path.name} is not a JSON object; export it again")
    return data


def _config(name: str, directory: Path) -> dict[str, Any]:
    if (directory / "config.json").is_file():
        return read_json(name, directory / "config.json")
    files = sorted(path.name for path in directory.iterdir())
    if not files:
        raise ModelError(f"{name} is an empty directory; name one that contains a model")
    if (directory / "adapter_config.json").is_file():
        raise ModelError(f"{name} is an adapter; merge it into its base model and save the result")
    raise ModelError(f"{name} has no config.json; name the directory of a transformers model")


def _architecture(config: dict[str, Any]) -> str:
    stated = config.get("architectures") or [""]
    return str(stated if isinstance(stated, str) else stated[0])


def _check_kind(name: str, config: dict[str, Any]) -> None:
    listed = config.get("architectures") or [""]
    if not isinstance(listed, (str, list)) or not all(isinstance(one, str) for one in listed):
        raise ModelError(f"{name}: architectures in config.json are not names; export it again")
    stated = _architecture(config)
    if config.get("is_encoder_decoder"):
        kind = stated or config.get("model_type")
        raise ModelError(f"{name} is an encoder-decoder ({kind}); use a causal model")
    if stated and not config.get("auto_map") and not any(part in stated for part in _CAUSAL):
        raise ModelError(f"{name} is a {stated}, not a causal language model")


def _weight_files(name: str, directory: Path) -> tuple[Path, ...]:
    """The files that transformers will load, in the order of their names."""
    if (directory / WEIGHTS).is_file():
        return (directory / WEIGHTS,)
    if not (directory / INDEX).is_file():
        pickled = sorted(path.name for glob in _PICKLED for path in directory.glob(glob))
        if pickled:
            raise ModelError(
                f"{name} has only pickled weights ({pickled[0]}), which can run code when read; "
                "convert it once with save_pretrained to safetensors"
            )
        others = sorted(path.name for path in directory.glob("*.safetensors"))
        found = f", only {others[0]}" if others else ""
        raise ModelError(f"{name} has no weights: no {WEIGHTS} and no {INDEX}{found}")
    shards = read_json(name, directory / INDEX).get("weight_map")
    if not isinstance(shards, dict) or not shards:
        raise ModelError(f"{name}: {INDEX} has no weight_map; export the model again")
    files = sorted(set(map(str, shards.values())))
    outside = [file for file in files if not _is_inside(file)]
    if outside:
        raise ModelError(
            f"{name}: {INDEX} names a file outside the model's directory, "
            f"{outside[0][:_SHOWN]}; export the model again"
        )
    missing = [file for file in files if not _is_file(directory / file)]
    if missing:
        raise ModelError(
            f"{name}: {len(missing)} of {len(files)} weight files missing, first "
            f"{missing[0][:_SHOWN]}; copy or download it again"
        )
    return tuple(directory / file for file in files)


def _is_inside(file: str) -> bool:
    """Whether the path of a file is relative and goes down only."""
    return not PurePosixPath(file).is_absolute() and not {"..", "\\"} & {*PurePosixPath(file).parts}


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except (OSError, ValueError):  # a name that no file can have
        return False


def tensor_shapes(name: str, path: Path) -> dict[str, tuple[int, ...]]:
    """Shapes of the tensors in a safetensors file, which must be complete.

    Raises:
        ModelError: names the file and the remedy.
    """
    return {key: tuple(part.get_shape()) for key, part in _slices(name, path)}


def _tensors(name: str, path: Path) -> Iterator[tuple[str, tuple[int, str]]]:
    """Name, size and type of the tensors in a safetensors file, which must be complete."""
    for key, part in _slices(name, path):
        yield key, (prod(part.get_shape()), part.get_dtype())


def _slices(name: str, path: Path) -> Iterator[tuple[str, Any]]:
    from safetensors import SafetensorError, safe_open

    try:
        refusals.check_pulled(name, path)
        with safe_open(path, framework="numpy") as tensors:
            for key in tensors.keys():  # noqa: SIM118 (not a dictionary)
                yield key, tensors.get_slice(key)
    except (SafetensorError, OSError) as error:
        raise ModelError(
            f"{name}: {path.name} is corrupt or cut short ({reason(error)}); copy or download it "
            "again"
        ) from error
