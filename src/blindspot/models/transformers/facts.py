"""Facts about a checkpoint's files that only transformers can tell, cached for later runs.

A run that finds all answers in the store then needs neither it nor torch. The facts depend on the
content of the files and on library versions, which are the cache key.
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version

from blindspot import __version__
from blindspot.models.transformers.checkpoint import INDEX, Checkpoint
from blindspot.models.transformers.digests import files_digest, json_digest
from blindspot.models.transformers.notes import Notes

#: Bump when facts about the same files may change.
_FACTS_VERSION = 1
_LIBRARIES = ("transformers", "tokenizers", "sentencepiece", "tiktoken", "jinja2", "gguf")
#: Every file but weights and code may affect tokenization and the end of a text.
_READ = (".json", ".jinja", ".model", ".tiktoken", ".txt")
_MORE_TEMPLATES = "additional_chat_templates"
_REMEMBERED = 500


@dataclass(frozen=True, slots=True)
class Facts:
    """Facts about a checkpoint that transformers can read.

    ``ends``: ids of the tokens that end a text; ``template``: the chat template, "" in plain text,
    and ``template_digest`` of it and of a rendered message.
    """

    ends: frozenset[int]
    template: str
    template_digest: str


def facts_key(checkpoint: Checkpoint, *, chat: bool) -> str:
    """Digest of everything that decides the facts."""
    root = checkpoint.root
    if checkpoint.header:  # nothing beside it is read
        files = [root]
    else:
        found = [path for path in root.iterdir() if path.suffix in _READ]
        found += (root / _MORE_TEMPLATES).glob("*.jinja")
        files = [path for path in sorted(found) if path.name != INDEX and path.is_file()]
    return json_digest(
        {
            "versions": [_FACTS_VERSION, __version__, *map(_version, _LIBRARIES)],
            "chat": chat,
            "files": files_digest(files, root=root),
        }
    )


def recall(key: str) -> Facts | None:
    """The facts cached under this key."""
    match Notes("facts.json", _REMEMBERED).read().get(key):
        case [list(ends), str(template), str(digest)] if all(type(end) is int for end in ends):
            return Facts(frozenset(ends), template, digest)
    return None


def remember(key: str, facts: Facts) -> None:
    """Cache facts for the next run."""
    if recall(key) != facts:
        value = [sorted(facts.ends), facts.template, facts.template_digest]
        Notes("facts.json", _REMEMBERED).keep(key, value)


def _version(library: str) -> str:
    try:
        return version(library)
    except PackageNotFoundError:
        return ""
