"""Greedy answers in batches that finished rows leave."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

from blindspot.models.base import Generation
from blindspot.models.transformers.engine import Engine, Pass
from blindspot.models.transformers.formats import PromptFormat
from blindspot.models.transformers.known_choices import Choices
from blindspot.models.transformers.memory import Budget
from blindspot.models.transformers.near_ties import Settler
from blindspot.models.transformers.prefix_tree import Tokens
from blindspot.models.transformers.waves import Node, Wave, stepped

#: Finished rows leave a batch when they are this share of it, because that copies the others'
#: cache.
_LEAVE = 0.25
#: Cache slots beyond the prompt that a row is expected to fill.
_ROOM = 16


@dataclass(eq=False)
class Continuation:
    """A greedy continuation of a prompt as it grows.

    ``is_complete``: checks the text after each token, None to continue to the ``limit`` of tokens.
    ``marked``: what the engine reads instead of the prompt if vectors overwrite parts of it.
    """

    prompt: Tokens
    is_complete: Callable[[str], bool] | None
    limit: int
    marked: Tokens = ()
    tokens: list[int] = field(default_factory=list)
    margin: float = math.inf
    text: str = ""
    complete: bool = False

    @property
    def sequence(self) -> Tokens:
        """Prompt and answer so far, as the engine reads them."""
        return (*(self.marked or self.prompt), *self.tokens)

    @property
    def open(self) -> bool:
        """Whether it needs another token."""
        return not self.complete and len(self.tokens) < self.limit

    def copy(self) -> Continuation:
        """An answer that grows on its own."""
        return replace(self, tokens=list(self.tokens))

    def result(self) -> Generation:
        """The finished answer; a token that ends the text is not counted."""
        return Generation(self.text, len(self.tokens), self.complete, self.margin)


class Writer:
    """Adds tokens to answers and sees when they are complete."""

    def __init__(self, prompts: PromptFormat, ends: frozenset[int]) -> None:
        self._prompts, self._ends = prompts, ends

    def add(
        self, answers: Sequence[Continuation], tokens: Sequence[int], margins: Sequence[float]
    ) -> None:
        """Add one greedy choice to each of these open answers."""
        looked_at = []
        for answer, token, margin in zip(answers, tokens, margins, strict=True):
            answer.margin = min(answer.margin, margin)
            ended = token in self._ends
            if ended:
                answer.complete = True
            else:
                answer.tokens.append(token)
            watched = answer.is_complete is not None
            if not ended if watched else not answer.open:
                looked_at.append(answer)
        texts = self._prompts.decode([a.prompt for a in looked_at], [a.tokens for a in looked_at])
        for answer, text in zip(looked_at, texts, strict=True):
            answer.text = text
            if answer.is_complete is not None:
                answer.complete = bool(answer.is_complete(text))

    def replay(self, answers: Sequence[Continuation], known: Sequence[Choices]) -> None:
        """Add the choices that are already known."""
        step = 0
        going = [(a, c) for a, c in zip(answers, known, strict=True)]
        while going := [(a, c) for a, c in going if a.open and step < len(c.tokens)]:
            self.add(
                [a for a, _ in going],
                [c.tokens[step] for _, c in going],
                [c.margins[step] for _, c in going],
            )
            step += 1


def generate(
    engine: Engine,
    budget: Budget,
    writer: Writer,
    answers: Sequence[Continuation],
    done: Callable[[int, Generation], None],
    settler: Settler | None = None,
) -> None:
    """Finish all answers; ``done(number, generation)`` for each.

    ``done`` may be called again, unchanged, if memory ran out in between. ``settler`` decides
    near-ties; without one the batch does.
    """
    askers: dict[Tokens, list[int]] = defaultdict(list)
    for number, answer in enumerate(answers):
        if answer.open:
            askers[answer.sequence].append(number)
        else:
            done(number, answer.result())
    ordered = sorted(askers)

    def work(run: range) -> None:
        # Copies: a wave that runs out of memory starts again from the original answers.
        groups = {
            tokens: [(n, answers[n].copy()) for n in askers[tokens]]
            for tokens in ordered[run.start : run.stop]
        }
        wave = Wave(engine, budget, list(groups))
        for row in wave.rows:
            row.wanted[len(row.tokens) - 1] = set()
        for rows in wave.groups():
            for batch in wave.batches(rows, room=_ROOM):
                passed = wave.compute(batch, keep=engine.shares, room=_ROOM)
                asked = [groups[row.tokens] for row in batch]
                _decode(engine, writer, batch, passed, asked, settler, done)

    budget.waves(ordered, work)


def follow(
    engine: Engine,
    writer: Writer,
    wave: Wave,
    begun: Sequence[tuple[Node, int, Continuation]],
    done: Callable[[int, Generation], None],
    settler: Settler | None = None,
) -> None:
    """Finish answers to prompts whose beginnings a wave has computed.

    ``begun``: of each the node of its prompt, its number, and the answer so far.
    """
    nodes: dict[Tokens, Node] = {}
    askers: dict[Tokens, list[tuple[int, Continuation]]] = defaultdict(list)
    for prompt, number, answer in begun:
        if not answer.open:
            done(number, answer.result())
            continue
        tokens = answer.sequence
        askers[tokens].append((number, answer))
        nodes[tokens] = Node(tokens, prompt.begin, prompt.head, {len(tokens) - 1: set()})
    for batch in wave.batches(list(nodes.values()), room=_ROOM):
        passed = wave.compute(batch, keep=engine.shares, room=_ROOM)
        _decode(engine, writer, batch, passed, [askers[n.tokens] for n in batch], settler, done)


def _decode(
    engine: Engine,
    writer: Writer,
    batch: Sequence[Node],
    passed: Pass,
    groups: list[list[tuple[int, Continuation]]],
    settler: Settler | None,
    done: Callable[[int, Generation], None],
) -> None:
    """Choose tokens until every answer of the batch is finished. A group shares its row."""
    rows = stepped(engine, passed, [node.tokens for node in batch])
    logits = passed.logits
    while True:
        best = engine.best(logits)
        open_answers = [
            (row, number, answer)
            for row, group in enumerate(groups)
            for number, answer in group
            if answer.open
        ]
        if settler is not None:
            best = settler.settle(best, {row: answer for row, _, answer in open_answers})
        writer.add(
            [answer for _, _, answer in open_answers],
            [best.token[row] for row, _, _ in open_answers],
            [best.margin[row] for row, _, _ in open_answers],
        )
        for _, number, answer in open_answers:
            if not answer.open:
                done(number, answer.result())
        tokens = best.token
        going = [r for r, group in enumerate(groups) if any(a.open for _, a in group)]
        if not going:
            return
        if len(going) <= (1 - _LEAVE) * len(groups):
            rows.keep(going)
            groups, tokens = [groups[r] for r in going], [tokens[r] for r in going]
        logits = rows.advance(tokens)
