"""The errors that a user can cause, each with one clear line as its message.

::

    BlindspotError                 base of all; str(error) is one line: what, where, and the remedy
    ├── StimulusError (ValueError)     a TOML file of an axis, wording or gate cannot be used
    ├── ModelError (OSError)           a model cannot be found, read or run
    │   └── SilentError                    it answered at first: the run is incomplete, exit code 11
    ├── PublishedFileError (ValueError) a result file of the paper is truncated or of another shape
    ├── BaselineError (ValueError)     a baseline cannot be read, or must not be written
    ├── ReportError (ValueError)       a report cannot be read, or is not one
    ├── ExchangeError (ValueError)     prompts cannot be exported, or answers imported
    ├── SearchError (ValueError)       a search can compare nothing, or a case cannot be promoted
    └── StoreError (OSError)           the answer store cannot be opened or written

The pytest plugin turns any other of them into one line and exit code 4 (usage). With ``-v`` the
traceback of the library's exception follows.
"""

from __future__ import annotations

import re
import unicodedata
from traceback import format_exception

#: Joiners decide how letters of some scripts are written, and move nothing.
_JOINERS = frozenset("\u200c\u200d")
#: Text that a CI runner would run as a command: at the start of a line (a table may wrap there), or
#: in the older form anywhere.
_COMMAND = re.compile(r"(?<!\S):(?=:)|(?<=##)\[")
#: Tokens of the hub, of GitHub and of vendors; names and passwords in addresses; keys in queries.
#: A name such as ``hf_checkpoints`` is no token.
_SECRET = re.compile(
    r"\b(?:(?:hf|gh[a-z])_[a-z0-9]{16,}|(?:github_pat_|sk-(?:[a-z]+-)*)\w{20,})"
    r"|(?<=://)[^/\s@]+(?=@)"
    r"|(?<=[?&])(?:[a-z]+_)*(?:token|key|password|secret|auth)=[^&\s]+",
    re.IGNORECASE,
)


class BlindspotError(Exception):
    """Base of all errors that blindspot raises on purpose."""

    def __str__(self) -> str:  # OSError would render its errno instead of the sentence
        return line(" ".join(map(str, self.args)))


class StimulusError(BlindspotError, ValueError):
    """A TOML file of axes, wordings or gates is wrong: names the file, the key and the remedy."""


class ModelError(BlindspotError, OSError):
    """A model, its tokenizer or its weights cannot be found, read or run."""


class SilentError(ModelError):
    """A model stopped answering where a run cannot go on without it: the run is incomplete."""


class PublishedFileError(BlindspotError, ValueError):
    """A result file of the paper is truncated, empty or of another shape."""


class BaselineError(BlindspotError, ValueError):
    """A baseline cannot be read, or must not be written with these options."""


class ReportError(BlindspotError, ValueError):
    """A report.json is missing, broken, of another version or no report; or cannot be written."""


class ExchangeError(BlindspotError, ValueError):
    """Prompts cannot be exported; or answers are missing, foreign, or of another set of prompts."""


class SearchError(BlindspotError, ValueError):
    """A search has nothing to ask or no numbers to compare, or a case cannot be promoted."""


class StoreError(BlindspotError, OSError):
    """The answer store cannot be opened or written."""


class DismissalError(BaseException):
    """The run was abandoned; the message says why.

    Not an `Exception`: a backend that retries all errors must not retry this.
    """


def explained(error: BlindspotError, verbose: int = 0) -> str:
    """The line of an error; ``verbose``: above the traceback of its cause, if there is one."""
    said = str(error)
    if verbose < 1 or error.__cause__ is None:
        return said
    trace = "".join(format_exception(error.__cause__)).splitlines()
    return "\n".join([said, *map(line, trace)])


def line(text: object, limit: int = 0) -> str:
    r"""The text as one line that is safe to print, cut to ``limit`` characters if that is above 0.

    Characters that would end the line, color it, reorder it or vanish are escaped, such as ``\n``,
    ``\x1b`` or ``\u202e``. Letters of any script stay. The line contains no command for a CI
    runner, and ``***`` in place of a secret.
    """
    said = _SECRET.sub("***", str(text))
    if not said.isprintable():
        said = "".join(map(_shape, said))
    said = _COMMAND.sub(lambda found: f"\\x{ord(found[0]):02x}", said)
    return f"{said[: limit - 1]}…" if 0 < limit < len(said) else said


def reason(error: BaseException) -> str:
    """The first line of a library's message, safe to print and cut; or the name of its class."""
    return line((str(error).strip() or type(error).__name__).splitlines()[0], 200)


def has_secret(text: str) -> bool:
    """Whether a token or a password is in the text, by its looks."""
    return _SECRET.search(text) is not None


def _shape(character: str) -> str:
    if character.isprintable() or character in _JOINERS or unicodedata.category(character) == "Zs":
        return character
    return character.encode("unicode_escape").decode("ascii")
