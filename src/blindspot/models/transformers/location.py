"""From the name of a model to its directory: bundled, local, or from the hub."""

from __future__ import annotations

import errno
import os
import re
from dataclasses import dataclass
from difflib import get_close_matches
from functools import partial
from pathlib import Path

from blindspot import paths
from blindspot.errors import ModelError, reason

#: Files fetched from the hub: never pickled weights, and code only if it is allowed.
_WANTED = ["model*.safetensors", "model.safetensors.index.json", "*.json", "*.jinja", "*.txt"]
_WANTED += ["*.model", "*.tiktoken"]
_UNWANTED = ["*/*", "optimizer*", "training_args*"]
_GGUF = ".gguf"
#: Characters of a name that are shown.
_SHOWN = 100
#: Raised for a cache that this user may only read.
_READ_ONLY = (errno.EACCES, errno.EPERM, errno.EROFS)
_HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]*(/[A-Za-z0-9][\w.-]*)?")


@dataclass(frozen=True, slots=True)
class Located:
    """The directory of a model, or its GGUF file in it.

    ``revision``: commit of a hub snapshot, otherwise "".
    """

    name: str
    directory: Path
    revision: str = ""
    file: Path | None = None


def locate(name: str, revision: str | None = None, *, code: bool = False) -> Located:
    """Find, or fetch from the hub, the directory or the file of a model.

    Args:
        name: ``organism:NAME``, a directory, a GGUF file, or a hub id.
        revision: branch, tag or commit; of a hub id only.
        code: fetch the Python files of a hub repository too.

    Raises:
        ModelError: there is no such model, or the hub does not provide it.
    """
    if name.startswith(paths.ORGANISM_PREFIX):
        found = _organism(name)
    else:
        try:
            directory = Path(name).expanduser()
            is_directory, is_file = directory.is_dir(), directory.is_file()
        except (OSError, RuntimeError, ValueError) as error:  # no such user, or no such name
            why = getattr(error, "strerror", None) or str(error)
            raise ModelError(
                f"{name[:_SHOWN]}: cannot be examined ({why}); check the path"
            ) from error
        if is_directory:
            found = Located(name, directory)
        elif is_file and directory.suffix == _GGUF:
            found = Located(name, directory.parent, file=directory)
        elif is_file:
            raise ModelError(f"{name} is a file; name the directory of the model")
        elif name.endswith(_GGUF):
            raise ModelError(f"{name}: no such file; check the path")
        elif _looks_like_path(name):
            raise ModelError(f"{name}: {_remedy(name)}")
        else:
            return _from_hub(name, revision, code=code)
    if revision is not None:
        raise ModelError(f"--revision {revision} needs a hub id, but {name} is on this machine")
    return found


def _organism(name: str) -> Located:
    wanted = name.removeprefix(paths.ORGANISM_PREFIX)
    known = paths.organism_names()
    if wanted not in known:
        listed = ", ".join(paths.ORGANISM_PREFIX + n for n in known) or "none"
        raise ModelError(f"{name}: no such bundled model; available: {listed}")
    return Located(name, paths.organism_directory(wanted))


def _remedy(name: str) -> str:
    if "://" in name:
        return "an address is not a model; name a directory, or a hub id (org/name)"
    bundled = [paths.ORGANISM_PREFIX + one for one in paths.organism_names()]
    if meant := get_close_matches(name[:_SHOWN], bundled, 1, cutoff=0.7):
        return f"no such directory; did you mean {meant[0]}?"
    return "no such directory; check the path"


def _looks_like_path(name: str) -> bool:
    return bool(
        name.startswith((".", "~", "/", "\\"))
        or name.endswith(("/", os.sep))
        or not _HUB_ID.fullmatch(name)
    )


def _from_hub(name: str, revision: str | None, *, code: bool) -> Located:
    from huggingface_hub import errors, snapshot_download

    at = f"{name}@{revision}" if revision else name
    fault = None
    fetch = partial(
        snapshot_download,
        name,
        revision=revision,
        allow_patterns=[*_WANTED, "*.py"] if code else _WANTED,
        ignore_patterns=_UNWANTED,
    )
    try:
        try:
            directory = fetch()
        except OSError as error:
            if error.errno not in _READ_ONLY:
                raise
            try:  # a shared cache: use what is there
                directory = fetch(local_files_only=True)
            except errors.LocalEntryNotFoundError:
                raise ModelError(
                    f"{at}: the hub cache cannot be written ({error.strerror}) and does not hold "
                    "the model; set HF_HOME to a directory of yours"
                ) from error
    except errors.GatedRepoError:
        fault = (
            f"{at} is gated: accept its terms on its page of the hub and log in "
            "(hf auth login, or set HF_TOKEN)"
        )
    except errors.RepositoryNotFoundError:
        fault = (
            f"{name}: neither a directory here nor a public model on the hub; check the name, "
            "and log in (hf auth login) if it is private"
        )
    except (errors.RevisionNotFoundError, errors.RevisionResolutionError):
        fault = f"{name} has no revision {revision}; check --revision"
    except errors.HFValidationError:
        fault = f"{name}: neither a directory here nor a valid hub id"
    except (errors.LocalEntryNotFoundError, errors.OfflineModeIsEnabled):
        fault = (
            f"{at}: no such directory here, not in the hub cache, and the hub cannot be reached; "
            "name a local directory, or go online and unset HF_HUB_OFFLINE"
        )
    except (errors.HfHubHTTPError, errors.HTTPError, OSError) as error:
        fault = f"{at}: fetching it from the hub failed ({reason(error)}); try again"
    if fault is not None:
        raise ModelError(fault)
    return Located(name, Path(directory), Path(directory).name)
