"""Load as a plugin, ``-p tests.unit.killed_judging``: the worker that judges first is killed."""

import os
import signal
from pathlib import Path

from blindspot.session import execution


def pytest_configure(config):
    """Put the kill where a worker has all answers and makes the record."""
    made = execution.build_record
    if not hasattr(config, "workerinput"):
        return

    def killed(*arguments, **named):
        try:
            Path(os.environ["KILLED_JUDGING"]).touch(exist_ok=False)
        except FileExistsError:
            return made(*arguments, **named)
        return os.kill(os.getpid(), signal.SIGKILL)

    execution.build_record = killed
