"""What of a served model lies on this machine: its tokenizer always, its weights if possible."""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from pathlib import Path

from blindspot.errors import ModelError
from blindspot.models.base import UNKNOWN
from blindspot.models.options import ModelOptions
from blindspot.models.served.introduction import Introduction
from blindspot.models.served.settings import ServerSettings
from blindspot.models.transformers.checkpoint import read_json, tokenizer_files_in
from blindspot.models.transformers.digests import files_digest, json_digest, text_digest
from blindspot.models.transformers.faults import explained, quiet
from blindspot.models.transformers.formats import PromptFormat, check_tokenizer, end_tokens
from blindspot.models.transformers.loader import prepare
from blindspot.models.transformers.location import locate

_CONFIGS = ("config.json", "generation_config.json")
#: What a directory has that holds a model or an adapter; of any other nothing is read.
_MODELS = ("config.json", "adapter_config.json")


@dataclass(frozen=True, slots=True)
class Local:
    """The files of a served model, read.

    Attributes:
        prompts: its tokenizer and template.
        ends: ids of the tokens that end a text.
        weights: digest of their content, or `UNKNOWN` and what tells them from others.
        tokenizer: digest of its files.
        template: digest of the chat template, "" in plain text.
        template_text: the template itself.
        dtype: what its weights are quantised to, "" for plain numbers or if nobody knows.
        architecture: as its files state it, "" if they are not here.
        parameters: how many, 0 if its weights are not here.
    """

    prompts: PromptFormat
    ends: frozenset[int]
    weights: str
    tokenizer: str
    template: str
    template_text: str
    dtype: str = ""
    architecture: str = ""
    parameters: int = 0


def read_local(settings: ServerSettings, introduction: Introduction, otherwise: str) -> Local:
    """Read the files that were named, or else those that the server names.

    Args:
        settings: of the served model.
        introduction: what the server says it serves.
        otherwise: tells the weights from all others if nobody can read them.

    Raises:
        ModelError: they cannot be read, or there is no tokenizer.
    """
    file = _readable(settings, introduction.file)
    found = _named(settings, file, otherwise)
    return replace(found, weights=_adapted(found.weights, settings, introduction, otherwise))


def _named(settings: ServerSettings, file: Path | None, otherwise: str) -> Local:
    """The checkpoint or tokenizer that was named, or the file of the server."""
    if settings.weights:
        found = _of_checkpoint(settings, settings.weights)
        if file is None or _is_in(file, settings.weights):
            return found
        both = [found.weights, _digest(file)]  # one checkpoint can be converted in many ways
        return replace(found, weights=json_digest(both))
    if settings.tokenizer:
        weights = _digest(file) if file else UNKNOWN + text_digest(otherwise)
        return _of_tokenizer(settings, weights)
    if file is not None:
        return _of_checkpoint(settings, str(file))
    raise ModelError(
        f"{settings.name}: prompts are sent as tokens, for which its tokenizer is needed; add to "
        "--model-args weights=DIR, the checkpoint that is served, or at least tokenizer=DIR"
    )


@dataclass(frozen=True, slots=True)
class Weights:
    """What is known of weights; ``digest``: as `Local.weights`."""

    digest: str
    dtype: str = ""
    architecture: str = ""
    parameters: int = 0


def read_weights(settings: ServerSettings, introduction: Introduction, otherwise: str) -> Weights:
    """The same as `read_local` for a model whose prompts are not tokenized here."""
    if settings.weights:
        found = read_local(settings, introduction, otherwise)
        return Weights(found.weights, found.dtype, found.architecture, found.parameters)
    file = _readable(settings, introduction.file)
    digest = _digest(file) if file else UNKNOWN + text_digest(otherwise)
    return Weights(_adapted(digest, settings, introduction, otherwise))


def _adapted(
    weights: str, settings: ServerSettings, introduction: Introduction, otherwise: str
) -> str:
    """The digest of weights and of the adapter that the server applies to them."""
    if not introduction.adapter or weights.startswith(UNKNOWN):
        return weights
    adapter = _readable(settings, introduction.adapter)
    if adapter is None:
        return UNKNOWN + text_digest(otherwise)
    return json_digest([weights, _digest(adapter)])


def _of_checkpoint(settings: ServerSettings, name: str) -> Local:
    options = ModelOptions(name, device="cpu", apply_chat_template=settings.chat_template)
    prepared = prepare(options, here=False)
    identity = prepared.identity
    return Local(
        prompts=prepared.prompts,
        ends=prepared.ends,
        weights=identity.weights,
        tokenizer=identity.tokenizer,
        template=identity.template,
        template_text=identity.template_text,
        dtype=prepared.checkpoint.quantization,
        architecture=identity.architecture,
        parameters=identity.parameters,
    )


def _of_tokenizer(settings: ServerSettings, weights: str) -> Local:
    """A tokenizer without its model."""
    directory = Path(settings.tokenizer).expanduser()
    name = f"{settings.name}: tokenizer={settings.tokenizer}"
    if not directory.is_dir() or not (files := tokenizer_files_in(directory)):
        raise ModelError(f"{name}: no directory with a tokenizer; name the one of the model")
    with quiet(), explained(name, "cannot be read", "; copy or export its files again"):
        from transformers import AutoTokenizer

        tokenizer = AutoTokenizer.from_pretrained(
            directory, local_files_only=True, trust_remote_code=False, mistral_format=False
        )
    check_tokenizer(tokenizer, name)
    configs = [directory / each for each in _CONFIGS if (directory / each).is_file()]
    prompts = PromptFormat(tokenizer, settings.name, chat=settings.chat_template)
    return Local(
        prompts=prompts,
        ends=end_tokens(tokenizer, *(read_json(name, path) for path in configs)),
        weights=weights,
        tokenizer=files_digest(files, root=directory),
        template=prompts.template_digest(),
        template_text=prompts.template,
    )


def _readable(settings: ServerSettings, served: str) -> Path | None:
    """The file or directory of a model that a server names, if it is here and can be read."""
    try:
        path = Path(served)
        if settings.is_here and path.is_absolute() and os.access(path, os.R_OK):
            whole = path.is_file() or any((path / name).is_file() for name in _MODELS)
            return path.resolve() if whole else None
    except (OSError, ValueError):
        pass
    return None


def _is_in(file: Path, weights: str) -> bool:
    """Whether a file is the checkpoint that was named, or a part of it."""
    located = locate(weights)
    return file.is_relative_to((located.file or located.directory).resolve())


def _digest(path: Path) -> str:
    files = [path] if path.is_file() else sorted(each for each in path.rglob("*") if each.is_file())
    return files_digest(files, root=path)
