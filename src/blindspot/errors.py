"""The errors that a user can cause, each with one clear line as its message.

::

    BlindspotError                 base of all; str(error) is one line: what, where, and the remedy
    ├── StimulusError (ValueError)     a TOML file of an axis, wording or gate cannot be used
    ├── ModelError (OSError)           a model cannot be found, read or run
    ├── PublishedFileError (ValueError) a result file of the paper is truncated or of another shape
    ├── BaselineError (ValueError)     a baseline cannot be read, or must not be written
    ├── ReportError (ValueError)       a report cannot be read, or is none
    ├── SearchError (ValueError)       a search can compare nothing, or a case cannot be promoted
    └── StoreError (OSError)           the answer store cannot be opened or written

The pytest plugin turns any of them into one line and exit code 4 (usage); none is ever shown with a
traceback.
"""

from __future__ import annotations


class BlindspotError(Exception):
    """Base of all errors that blindspot raises on purpose."""

    def __str__(self) -> str:  # OSError would render its errno instead of the sentence
        return " ".join(str(part) for part in self.args)


class StimulusError(BlindspotError, ValueError):
    """A TOML file of axes, wordings or gates is wrong: names the file, the key and the remedy."""


class ModelError(BlindspotError, OSError):
    """A model, its tokenizer or its weights cannot be found, read or run."""


class PublishedFileError(BlindspotError, ValueError):
    """A result file of the paper is truncated, empty or of another shape."""


class BaselineError(BlindspotError, ValueError):
    """A baseline cannot be read, or must not be written with these options."""


class ReportError(BlindspotError, ValueError):
    """A report.json is missing, broken, of another version or no report; or cannot be written."""


class SearchError(BlindspotError, ValueError):
    """A search has nothing to ask or no numbers to compare, or a case cannot be promoted."""


class StoreError(BlindspotError, OSError):
    """The answer store cannot be opened or written."""
