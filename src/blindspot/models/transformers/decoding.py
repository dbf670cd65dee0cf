"""Greedy answers in batches that finished rows leave."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace

from torch import Tensor

from blindspot.models.base import Generation
from blindspot.models.transformers.engine import Engine
from blindspot.models.transformers.formats import PromptFormat
from blindspot.models.transformers.known_choices import Choices
from blindspot.models.transformers.memory import Budget
from blindspot.models.transformers.near_ties import Settler
from blindspot.models.transformers.prefix_tree import Tokens
from blindspot.models.transformers.waves import Cached, Node, Recomputed, Wave, stepped

#: Finished rows leave a batch when they are this share of it, because that copies the others'
#: cache.
_LEAVE = 0.25
#: Rows that wait for those of the next group. A step of SmolLM2 with 16 rows takes 60 % of one with
#: 32, one with 4 rows 40 %.
_OPEN_ROWS = 32
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


#: An answer that grows, and its number.
Asker = tuple[int, Continuation]
#: Called with the number of an answer and what it became.
Done = Callable[[int, Generation], None]


def generate(
    engine: Engine,
    budget: Budget,
    writer: Writer,
    answers: Sequence[Continuation],
    done: Done,
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
        wave = Wave(engine, budget, ordered[run.start : run.stop])
        for row in wave.rows:
            row.wanted[len(row.tokens) - 1] = set()
        # Copies: a wave that runs out of memory starts again from the original answers.
        groups = (
            [(row, [(n, answers[n].copy()) for n in askers[row.tokens]]) for row in rows]
            for rows in wave.groups()
        )
        batch = Batch(engine, budget, writer, done, settler)
        _decode(wave, groups, batch)
        batch.grow()

    budget.waves(ordered, work)


def follow(
    batch: Batch, wave: Wave, groups: Iterable[Sequence[tuple[Node, int, Continuation]]]
) -> None:
    """Continue answers to prompts whose beginnings a wave computes, group by group.

    Those still open then go on beside answers of another wave, or when the batch grows.

    Args:
        batch: of the answers.
        wave: of their prompts.
        groups: of each prompt its node, its number, and the answer so far.
    """

    def beginnings() -> Iterator[list[tuple[Node, list[Asker]]]]:
        for group in groups:
            nodes: dict[Tokens, Node] = {}
            askers: dict[Tokens, list[Asker]] = defaultdict(list)
            for prompt, number, answer in group:
                if not answer.open:
                    batch.done(number, answer.result())
                    continue
                tokens = answer.sequence
                askers[tokens].append((number, answer))
                nodes[tokens] = Node(tokens, prompt.begin, prompt.head, {len(tokens) - 1: set()})
            yield [(node, askers[tokens]) for tokens, node in nodes.items()]

    _decode(wave, beginnings(), batch)


def _decode(wave: Wave, groups: Iterable[Sequence[tuple[Node, list[Asker]]]], batch: Batch) -> None:
    """Continue the answers of all groups, whose rows a wave computes."""
    for group in groups:
        askers = {node.tokens: answers for node, answers in group}
        for nodes in wave.batches([node for node, _ in group], room=_ROOM):
            batch.begin(wave, nodes, [askers[node.tokens] for node in nodes])
        # The rest goes on beside the rows of the next group: a batch of few rows is slow.
        batch.grow(_OPEN_ROWS)


@dataclass(eq=False)
class _Part:
    """Rows of a batch, the answers that share each, and the tokens to feed next."""

    rows: Cached | Recomputed
    askers: list[list[Asker]]
    tokens: list[int]

    @property
    def going(self) -> list[int]:
        """Rows with an open answer."""
        return [r for r, some in enumerate(self.askers) if any(a.open for _, a in some)]

    def keep(self, rows: Sequence[int]) -> None:
        """Drop the other rows."""
        if len(rows) < len(self.askers):
            self.rows.keep(rows)
            self.askers = [self.askers[row] for row in rows]
            self.tokens = [self.tokens[row] for row in rows]


class Batch:
    """Rows that grow together, token by token. New ones join, finished ones leave."""

    def __init__(
        self,
        engine: Engine,
        budget: Budget,
        writer: Writer,
        done: Done,
        settler: Settler | None,
    ) -> None:
        self._engine, self._budget, self._writer = engine, budget, writer
        self.done, self._settler = done, settler
        self._parts: list[_Part] = []

    def begin(self, wave: Wave, nodes: Sequence[Node], askers: list[list[Asker]]) -> None:
        """Compute rows and choose the first token of each; ``askers``: the answers of each."""
        self._make_room(nodes)
        for part in self._parts:
            part.rows.own()
        passed = wave.compute(nodes, keep=self._engine.shares, room=_ROOM)
        rows = stepped(self._engine, passed, [node.tokens for node in nodes])
        part = _Part(rows, askers, [])
        self._choose(part, passed.logits)
        self._parts.append(part)
        if isinstance(rows, Recomputed):  # only rows of equal length may be computed together
            self.grow()

    def drop(self) -> None:
        """Leave all rows unfinished."""
        self._parts = []

    def grow(self, most: int = 0) -> None:
        """Choose tokens until at most this many rows are open."""
        if not (part := self._joined()):
            return
        while len(part.going) > most:
            self._choose(part, part.rows.advance(part.tokens))
        if going := part.going:
            part.keep(going)
            part.rows.own()
            self._parts = [part]

    def _joined(self) -> _Part | None:
        """All parts as one."""
        parts, self._parts = [part for part in self._parts if part.going], []
        for part in parts:
            part.keep(part.going)
        if len(parts) > 1:
            rows = Cached.joined([p.rows for p in parts if isinstance(p.rows, Cached)], _ROOM)
            askers = [some for part in parts for some in part.askers]
            return _Part(rows, askers, [token for part in parts for token in part.tokens])
        return parts[0] if parts else None

    def _make_room(self, nodes: Sequence[Node]) -> None:
        """Finish answers until these rows fit beside those that are still open."""
        going = [part.askers[row] for part in self._parts for row in part.going]
        rows = [some[0][1].sequence for some in going] + [node.tokens for node in nodes]
        most = self._budget.limits.most_rows(max(map(len, rows)) + _ROOM)
        if going and len(rows) > most:
            self.grow(max(0, most - len(nodes)))

    def _choose(self, part: _Part, logits: Tensor) -> None:
        """Add a token to each open answer, and drop finished rows."""
        best = self._engine.best(logits)
        chosen = [
            (row, number, answer)
            for row, some in enumerate(part.askers)
            for number, answer in some
            if answer.open
        ]
        if self._settler is not None:
            best = self._settler.settle(best, {row: answer for row, _, answer in chosen})
        self._writer.add(
            [answer for _, _, answer in chosen],
            [best.token[row] for row, _, _ in chosen],
            [best.margin[row] for row, _, _ in chosen],
        )
        for _, number, answer in chosen:
            if not answer.open:
                self.done(number, answer.result())
        part.tokens = best.token
        going = part.going
        if going and len(going) <= (1 - _LEAVE) * len(part.askers):
            part.keep(going)
