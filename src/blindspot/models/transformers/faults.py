"""Library errors about a user's files or machine, as one line; our own bugs keep their traceback.

Libraries have no single exception class for a file that they cannot use: a wrong number in
config.json makes transformers raise any of a dozen. What separates them from bugs of ours is where
they are raised: in the library, or here.
"""

from __future__ import annotations

import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout

from blindspot.errors import ModelError

#: Caused by the machine, or by a model that it cannot run: memory, a missing kernel.
MACHINE = (ImportError, MemoryError, OSError, RuntimeError)
#: Anything that a library raises while reading a user's files.
FILES = (Exception,)
#: Characters of a library's own message that are shown.
_SHOWN = 300
_OURS = __name__.partition(".")[0] + "."


@contextmanager
def explained(
    name: str, what: str, remedy: str = "", kinds: tuple[type[Exception], ...] = FILES
) -> Iterator[None]:
    """Turn library exceptions within the block into one line, with the exception as its cause.

    Args:
        name: of the model.
        what: the library could not do.
        remedy: what the user can do.
        kinds: exceptions that the user can fix; others pass, as do all that our own code raises.

    Raises:
        ModelError: with the model, the library's message and the remedy.
    """
    try:
        yield
    except ModelError:
        raise
    except kinds as error:
        if is_ours(error):
            raise
        lines = [line.strip() for line in str(error).splitlines() if line.strip()]
        said = " ".join(lines[: 2 if lines[0].endswith(":") else 1] if lines else [repr(error)])
        if isinstance(error, KeyError):  # contains only the key
            said += " is missing or not known; check its files, or upgrade transformers"
        raise ModelError(f"{name} {what}: {said[:_SHOWN]}{remedy}") from error


def is_ours(error: Exception) -> bool:
    """Whether code of this package raised it, not a library or a model."""
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    return trace is not None and str(trace.tb_frame.f_globals.get("__name__")).startswith(_OURS)


def is_bug(error: Exception) -> bool:
    """Whether it is a bug in our code, for any model."""
    return isinstance(error, (AttributeError, NameError, TypeError)) and is_ours(error)


@contextmanager
def quiet() -> Iterator[None]:
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
