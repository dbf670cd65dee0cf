"""The prompts of a run, found by collecting its tests; nothing is asked."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Generator, Sequence
from typing import Any

import pytest

from blindspot.errors import ExchangeError, line
from blindspot.models.answered.file import Exported, following
from blindspot.models.base import Generation, GenerationRequest, Identity, Scored, ScoreRequest
from blindspot.run.ask import answer_key
from blindspot.run.plan import plan_of
from blindspot.run.work import MAX_NEW_TOKENS
from blindspot.session.session import Session
from blindspot.session.tests import CASES

#: The name of the model that is never asked.
_NOBODY = "nobody-yet"
#: Characters of an id: as many as no two of millions of prompts share.
_ID = 20


class _Nobody:
    """A model that offers what answers from elsewhere can have, and is never asked."""

    identity = Identity(_NOBODY, "", "", "")

    def generate(self, requests: Sequence[GenerationRequest]) -> list[Generation]:
        raise NotImplementedError

    def score(self, requests: Sequence[ScoreRequest]) -> list[Scored]:
        raise NotImplementedError


class _Planner:
    """A plugin that notes what the selected tests ask."""

    def __init__(self, *, chat: bool) -> None:
        self._chat = chat
        self.found: dict[str, Exported] = {}

    def pytest_blindspot_model(self, name: str) -> Any:
        """Give the model of this command."""
        return _Nobody() if name == _NOBODY else None

    @pytest.hookimpl(wrapper=True)
    def pytest_collection_finish(self, session: pytest.Session) -> Generator[None, None, None]:
        """Note the prompts, after the gates of the selected tests are known."""
        yield
        cases = session.config.stash.get(CASES, None) or {}
        mine = next(
            found
            for plugin in session.config.pluginmanager.get_plugins()
            if isinstance(found := getattr(plugin, "session", None), Session)
        )
        plan = plan_of(cases.values(), mine.inputs.source, mine.inputs.assays, again=False)
        for part, prompts in plan.prompts.items():
            for prompt in prompts:
                name = answer_key(prompt).hex()[:_ID]
                self.found[name] = Exported(
                    name,
                    f"{part.measurement}/{part.id}",
                    prompt.text,
                    tuple(following(prompt.text, c, chat=self._chat) for c in prompt.candidates),
                    MAX_NEW_TOKENS,
                )


def _fault(said: str) -> str:
    """What pytest says is wrong, on one line."""
    told = [text for text in said.splitlines() if text.strip()] or ["it says nothing"]
    for mark in (": error: ", "ERROR: "):  # of an unknown option; of everything else
        if found := [text.partition(mark)[2] for text in told if mark in text]:
            return found[0]
    return told[-1]


def planned(arguments: Sequence[str], *, chat: bool) -> list[Exported]:
    """The distinct prompts that ``pytest --model NAME`` with these arguments asks.

    ``chat``: whether they will be messages, which no space separates from an answer.

    Raises:
        ExchangeError: pytest refuses them, or they select no prompt.
    """
    planner, said = _Planner(chat=chat), io.StringIO()
    # No test runs, and pytest would warn that what was imported cannot be rewritten.
    ours = ["--assert=plain", "-p", "no:cacheprovider", "--collect-only", "-q"]
    with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
        code = pytest.main(
            [*ours, "--model", _NOBODY, *arguments],
            plugins=[planner],
        )
    if code not in (pytest.ExitCode.OK, pytest.ExitCode.NO_TESTS_COLLECTED):
        raise ExchangeError(f"pytest: {line(_fault(said.getvalue()), 500)}")
    if not planner.found:
        raise ExchangeError(
            "the selected tests ask no prompt; select tests of implicit or explicit bias (-k, -m), "
            "in a checkout or with --pyargs blindspot.suite, and omit -n"
        )
    return list(planner.found.values())
