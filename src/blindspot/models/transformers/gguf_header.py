"""The header of a GGUF file, checked before any weight is read. No torch.

The format: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md. The reader of the ``gguf``
package makes objects of each token of the vocabulary: 5 to 30 seconds, four times for one model.
Here texts of arrays are skipped: below half a second for 262,000 tokens.
"""

from __future__ import annotations

import hashlib
import mmap
import re
import struct
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from math import prod
from pathlib import Path
from typing import Any

from blindspot.errors import ModelError
from blindspot.models.transformers.refusals import check_pulled

#: Struct formats of values by their type in the file; 8 is a text, 9 an array.
_NUMBERS = {0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "?", 10: "Q", 11: "q"}
_NUMBERS[12] = "d"
_TEXT, _ARRAY = 8, 9
_VERSIONS = (2, 3)
#: Longer arrays are the vocabulary's: they are counted and skipped.
_SHORT = 1024
#: Dimensions of a tensor; ggml knows four.
_DIMENSIONS = 8
_ALIGNMENT = 32
#: Types of tensors that are plain numbers, by ggml's names, and torch's for them.
FLOATS = {"F32": "float32", "F16": "float16", "BF16": "bfloat16"}
_PART = re.compile(r"-(\d{5})-of-(\d{5})\.gguf$")
#: Architectures of files that are parts of a model, or no causal model.
_OTHERS = ("clip", "bert", "nomic-bert", "jina-bert-v2", "t5", "t5encoder", "wavtokenizer-dec")
_SHOWN = 100


@dataclass(frozen=True, slots=True)
class GgufTensor:
    """A tensor of the file. ``shape``: as torch has it; ``start``: of its bytes in the file."""

    name: str
    shape: tuple[int, ...]
    kind: str
    start: int
    bytes: int


@dataclass(frozen=True, slots=True)
class Value:
    """A value of the header; ``kind``: its type in the file. Long arrays have only a length."""

    value: Any
    kind: tuple[int, ...]
    length: int = 1


@dataclass(frozen=True, slots=True)
class GgufHeader:
    """What a GGUF file says of its model. ``tokenizer``: digest of its vocabulary, hexadecimal."""

    path: Path
    values: Mapping[str, Value]
    tensors: tuple[GgufTensor, ...]
    tokenizer: str

    def value(self, key: str) -> Any:
        """A value of the header, None if it has none."""
        found = self.values.get(key)
        return None if found is None else found.value

    @property
    def architecture(self) -> str:
        """The model's architecture, by ggml's name."""
        return str(self.value("general.architecture"))

    @property
    def quantization(self) -> str:
        """The quantisation as names of files have it, such as ``q4_k_m``; "" for plain numbers."""
        import gguf

        sizes: Counter[str] = Counter()
        for tensor in self.tensors:
            if tensor.kind not in FLOATS:
                sizes[tensor.kind] += prod(tensor.shape)
        if not sizes:
            return ""
        try:
            stated = gguf.LlamaFileType(self.value("general.file_type")).name
        except ValueError:
            stated = ""
        stated = stated.removeprefix("MOSTLY_")
        true = stated.startswith(tuple(sizes))
        return (stated if true else sizes.most_common(1)[0][0]).lower()

    @property
    def ends(self) -> list[int]:
        """Ids of the tokens that end a text or a turn."""
        keys = ("eos_token_id", "eot_token_id", "eom_token_id")
        found = (self.value(f"tokenizer.ggml.{key}") for key in keys)
        return [token for token in found if isinstance(token, int)]


def find_gguf(name: str, directory: Path) -> Path | None:
    """The GGUF file of a directory, None if it has none.

    Raises:
        ModelError: it has several.
    """
    files = sorted(path for path in directory.glob("*.gguf") if path.is_file())
    if not files:
        return None
    _check_whole(name, files[0])
    if len(files) > 1:
        raise ModelError(
            f"{name} holds {len(files)} GGUF files ({files[0].name[:_SHOWN]}, ...): name the one "
            "to test"
        )
    return files[0]


def open_gguf(name: str, path: Path) -> GgufHeader:
    """Read and check the header of a GGUF file.

    Raises:
        ModelError: it cannot be read, is one part of several or no causal model, or the ``gguf``
        package is missing.
    """
    _check_whole(name, path)
    for package in ("gguf", "accelerate"):
        if find_spec(package) is None:
            raise ModelError(
                f"{name} is a GGUF file, which takes the {package} package to read: "
                "pip install 'pytest-blindspot[gguf]'"
            )
    check_pulled(name, path)
    with path.open("rb") as file:
        if file.read(4) != b"GGUF":
            raise ModelError(f"{name}: {path.name} is not a GGUF file; download it again")
        try:
            with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
                header = _Parser(data, path).header()
        except (struct.error, ValueError, OverflowError, MemoryError) as error:
            said = f" ({error})" if isinstance(error, _FormatError) else ""
            raise ModelError(
                f"{name}: {path.name} is corrupt or cut short{said}; copy or download it again"
            ) from error
    _check_model(name, header)
    return header


def _check_whole(name: str, path: Path) -> None:
    part = _PART.search(path.name)
    if part and int(part[2]) > 1:
        raise ModelError(
            f"{name}: {path.name} is one of {int(part[2])} parts; join them with "
            "llama-gguf-split --merge, and name the result"
        )


def _check_model(name: str, header: GgufHeader) -> None:
    kind = header.value("general.type")
    if kind not in {None, "model"} or header.architecture in _OTHERS:
        what = kind if kind not in {None, "model"} else header.architecture
        raise ModelError(f"{name}: the GGUF file is of kind {what}; name that of a causal model")
    if (header.value("split.count") or 1) > 1:
        raise ModelError(
            f"{name} is one of {header.value('split.count')} parts; join them with "
            "llama-gguf-split --merge, and name the result"
        )
    if "tokenizer.ggml.tokens" not in header.values:
        raise ModelError(
            f"{name}: the GGUF file has no vocabulary; convert the model again with its tokenizer"
        )
    if not header.tensors:
        raise ModelError(f"{name}: the GGUF file has no weights; name the one with the model")
    import gguf
    import numpy as np

    for kind in sorted({tensor.kind for tensor in header.tensors}):
        quantised = gguf.GGMLQuantizationType[kind]
        block = np.zeros((1, gguf.GGML_QUANT_SIZES[quantised][1]), np.uint8)
        try:
            if kind not in FLOATS:
                gguf.dequantize(block, quantised)
        except NotImplementedError:
            raise ModelError(
                f"{name} is quantised ({kind.lower()}), which the gguf package cannot compute; use "
                "a file of another quantisation, or the safetensors checkpoint"
            ) from None


class _FormatError(ValueError):
    """What is wrong with a file, as a phrase."""


class _Parser:
    """Reads a header from its beginning."""

    def __init__(self, data: mmap.mmap, path: Path) -> None:
        self._data, self._path, self._at = data, path, 4

    def header(self) -> GgufHeader:
        version, tensors, values = self._take("<IQQ")
        if version not in _VERSIONS:
            raise _FormatError(f"version {version} of the format; 2 and 3 are known")
        found: dict[str, Value] = {}
        vocabulary = hashlib.sha256()
        for _ in range(values):
            start = self._at
            key = self._text()
            if key in found:
                raise _FormatError(f"{key[:_SHOWN]} comes twice")
            found[key] = self._value(self._take("<I")[0])
            if key.startswith("tokenizer.") and "chat_template" not in key:
                vocabulary.update(self._data[start : self._at])
        if not isinstance(getattr(found.get("general.architecture"), "value", None), str):
            raise _FormatError("it names no architecture")
        for key, kind in (("general.type", str), ("split.count", int)):
            if key in found and type(found[key].value) is not kind:
                raise _FormatError(f"its {key} is not of type {kind.__name__}")
        listed = [self._tensor() for _ in range(tensors)]
        stated = found.get("general.alignment")
        alignment = stated.value if stated else _ALIGNMENT
        if type(alignment) is not int or alignment < 1:
            raise _FormatError("its alignment is not a number")
        start = -(-self._at // alignment) * alignment
        placed = tuple(
            GgufTensor(one.name, one.shape, one.kind, start + one.start, one.bytes)
            for one in listed
        )
        missing = max((one.start + one.bytes for one in placed), default=0) - len(self._data)
        if missing > 0:
            raise _FormatError(f"{missing} bytes are missing")
        if len({one.name for one in placed}) != len(placed):
            raise _FormatError("a tensor comes twice")
        return GgufHeader(self._path, found, placed, vocabulary.hexdigest())

    def _take(self, form: str) -> tuple[Any, ...]:
        found = struct.unpack_from(form, self._data, self._at)
        self._at += struct.calcsize(form)
        return found

    def _skip(self, count: int) -> int:
        """Move on; returns where that began."""
        start = self._at
        if count > len(self._data) - start:
            raise _FormatError("it ends within its header")
        self._at += count
        return start

    def _text(self) -> str:
        (length,) = self._take("<Q")
        start = self._skip(length)
        return self._data[start : self._at].decode("utf-8")

    def _value(self, kind: int) -> Value:
        if kind in _NUMBERS:
            return Value(self._take("<" + _NUMBERS[kind])[0], (kind,))
        if kind == _TEXT:
            return Value(self._text(), (kind,))
        if kind != _ARRAY:
            raise _FormatError(f"a value of type {kind}")
        inner, count = self._take("<IQ")
        if inner in _NUMBERS:
            start = self._skip(count * struct.calcsize("<" + _NUMBERS[inner]))
            if count > _SHORT:
                return Value(None, (kind, inner), count)
            read = struct.unpack_from(f"<{count}{_NUMBERS[inner]}", self._data, start)
            return Value(list(read), (kind, inner), count)
        if inner != _TEXT:
            raise _FormatError(f"an array of type {inner}")
        data, at, end = self._data, self._at, len(self._data)
        for _ in range(count):
            at += 8 + struct.unpack_from("<Q", data, at)[0]
            if at > end:
                raise _FormatError("it ends within its vocabulary")
        self._at = at
        return Value(None, (kind, inner), count)

    def _tensor(self) -> GgufTensor:
        import gguf

        name = self._text()
        (dimensions,) = self._take("<I")
        if dimensions > _DIMENSIONS:
            raise _FormatError(f"{name[:_SHOWN]} has {dimensions} dimensions")
        shape = tuple(reversed(self._take(f"<{dimensions}Q")))
        number, start = self._take("<IQ")
        try:
            kind = gguf.GGMLQuantizationType(number)
        except ValueError:
            raise _FormatError(
                f"{name[:_SHOWN]} is of a type, {number}, that is not known"
            ) from None
        block, size = gguf.GGML_QUANT_SIZES[kind]
        if not shape or shape[-1] % block:
            raise _FormatError(f"{name[:_SHOWN]} is not of whole blocks")
        return GgufTensor(name, shape, kind.name, start, prod(shape) // block * size)
