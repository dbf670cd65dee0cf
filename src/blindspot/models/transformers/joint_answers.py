"""Greedy answers and the log-probabilities of candidates, both from one pass over each prompt."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from blindspot.models.base import Generation
from blindspot.models.transformers.decoding import Answer, Writer
from blindspot.models.transformers.engine import Engine, Pass
from blindspot.models.transformers.known_choices import Choices
from blindspot.models.transformers.memory import Budget
from blindspot.models.transformers.prefix_tree import Tokens
from blindspot.models.transformers.steps import Cached, Recomputed, stepped
from blindspot.models.transformers.waves import Node, Wave

#: Finished rows leave a batch when they are this share of it: leaving copies the others' cache.
_LEAVE = 0.25
#: Cache slots beyond what is computed that an answer is expected to fill.
_ROOM = 16


@dataclass(eq=False)
class MarkedAnswer(Answer):
    """An answer to a prompt in which some tokens are written over.

    ``marked``: the prompt with marks, which the engine reads; ``prompt``: its tokens, for the text.
    """

    marked: Tokens = ()

    @property
    def sequence(self) -> Tokens:
        return (*self.marked, *self.tokens)


class LateWriter(Writer):
    """Reads the text of an answer when it is finished, where nothing looks at it before."""

    def add(
        self, answers: Sequence[Answer], tokens: Sequence[int], margins: Sequence[float]
    ) -> None:
        finished = []
        for answer, token, margin in zip(answers, tokens, margins, strict=True):
            answer.margin = min(answer.margin, margin)
            if token in self._ends:
                answer.complete = True
            else:
                answer.tokens.append(token)
            if not answer.open:
                finished.append(answer)
        texts = self._prompts.decode([a.prompt for a in finished], [a.tokens for a in finished])
        for answer, text in zip(finished, texts, strict=True):
            answer.text = text


@dataclass(frozen=True, eq=False)
class Task:
    """A prompt to be answered, and complete answers to be scored.

    ``texts``: prompt and candidate as one sequence, one per candidate; ``start``: the first token
    that is scored, the same for all.
    """

    answer: MarkedAnswer
    texts: tuple[Tokens, ...]
    start: int

    @property
    def follows(self) -> bool:
        """Whether the candidates begin where the answer does; else the tokenizer joins the two."""
        return bool(self.texts) and self.texts[0][: self.start] == self.answer.marked

    @property
    def extent(self) -> Tokens:
        """All tokens that it takes to score."""
        return (*self.answer.marked, *(token for t in self.texts for token in t[self.start :]))


@dataclass(frozen=True, slots=True)
class _Prediction:
    """Log-probability (nats) of each target asked for, and the greedy choice."""

    targets: dict[int, float]
    token: int
    margin: float


#: A prediction's place: the node that computes it and the token after which it is made.
_Place = tuple[Node, int]


def perform(
    engine: Engine,
    budget: Budget,
    writer: Writer,
    tasks: Sequence[Task],
    done: Callable[[int, Generation, tuple[float, ...]], None],
) -> None:
    """Finish all tasks; ``done(number, generation, log-probabilities)`` for each.

    ``done`` may come again, unchanged, where memory ran out in between.
    """
    askers: dict[Tokens, list[int]] = defaultdict(list)
    for number, task in enumerate(tasks):
        askers[task.extent].append(number)
    ordered = sorted(askers)

    def work(run: range) -> None:
        numbers = [n for extent in ordered[run.start : run.stop] for n in askers[extent]]
        table = _Table(engine, budget, writer, [tasks[n] for n in numbers])
        table.compute()
        for at, number in enumerate(numbers):
            done(number, table.answers[at].result(), table.scores(at))

    budget.waves(ordered, work)


class _Table:
    """Tasks of one wave."""

    def __init__(
        self, engine: Engine, budget: Budget, writer: Writer, tasks: Sequence[Task]
    ) -> None:
        self._engine, self._writer, self._tasks = engine, writer, tasks
        # Copies: a wave that finds no memory starts again from the answers as they were.
        self.answers: list[Answer] = [task.answer.copy() for task in tasks]
        fed = {text[:-1] for task in tasks for text in task.texts}  # the last token is predicted
        sequences = sorted(fed | {task.answer.marked for task in tasks})
        self._wave = Wave(engine, budget, sequences)
        self._rows = dict(zip(sequences, self._wave.rows, strict=True))
        self._found: dict[_Place, _Prediction] = {}
        self._scored: list[list[list[_Place]]] = []
        #: By task, until its greedy choices are followed: where each choice is, by those before it.
        self._along: dict[int, dict[Tokens, _Place]] = {}
        self._askers: dict[Node, list[int]] = defaultdict(list)
        for number, task in enumerate(tasks):
            self._ask(number, task)

    def compute(self) -> None:
        """Score all candidates and finish all answers."""
        self._wave.compute_heads(self._read)
        rows = [row for row in self._wave.rows if row.wanted]
        for batch in self._wave.batches(rows, room=_ROOM):
            passed = self._wave.compute(batch, self._read, keep=self._engine.shares, room=_ROOM)
            self._go_on(batch, passed)
        self._follow(list(self._along))
        self._go_back()

    def scores(self, number: int) -> tuple[float, ...]:
        """Log-probability (nats) of each candidate of a task."""
        task = self._tasks[number]
        return tuple(
            math.fsum(
                self._found[place].targets[target]
                for place, target in zip(path, text[task.start :], strict=True)
            )
            for text, path in zip(task.texts, self._scored[number], strict=True)
        )

    def _ask(self, number: int, task: Task) -> None:
        """Note what must be predicted for a task."""
        along: dict[Tokens, _Place] = {}
        paths = []
        follows = task.follows
        for text in task.texts:
            path = self._path(number, text[:-1], task.start - 1)
            for at, (node, place) in enumerate(path, task.start):
                node.wanted[place].add(text[at])
                if follows:
                    along.setdefault(text[task.start : at], (node, place))
            paths.append(path)
        if not follows:
            prompt = task.answer.marked
            (along[()],) = self._path(number, prompt, len(prompt) - 1)
        self._scored.append(paths)
        self._along[number] = along

    def _path(self, number: int, sequence: Tokens, first: int) -> list[_Place]:
        """Places of a task's predictions after the tokens of a sequence, from ``first`` on."""
        row = self._rows[sequence]
        self._askers[row].append(number)
        path: list[_Place] = []
        end = len(sequence)
        for node in self._wave.chain(row):
            places = range(max(node.begin, first), end)
            for place in places:
                node.wanted.setdefault(place, set())
            path[:0] = [(node, place) for place in places]
            end = min(end, node.begin)
        return path

    def _read(self, logits: Tensor, places: list[_Place]) -> None:
        asked = [sorted(node.wanted[token]) for node, token in places]
        found = _predictions(self._engine, logits, asked)
        self._found.update(zip(places, found, strict=True))

    def _follow(self, numbers: Sequence[int]) -> None:
        """Add the greedy choices that are predicted along the candidates to these answers."""
        followed: list[tuple[Answer, Choices]] = []
        for number in numbers:
            chosen: list[_Prediction] = []
            before: Tokens = ()
            along = self._along[number]
            while (place := along.get(before)) is not None:
                if place not in self._found:
                    break  # a later batch makes this prediction
                chosen.append(self._found[place])
                before = (*before, chosen[-1].token)
            else:
                del self._along[number]
                choices = Choices(tuple(p.token for p in chosen), tuple(p.margin for p in chosen))
                followed.append((self.answers[number], choices))
        self._writer.replay([a for a, _ in followed], [choices for _, choices in followed])

    def _go_on(self, batch: Sequence[Node], passed: Pass) -> None:
        """Finish the answers that have so far gone along one of these rows to its end."""
        askers = {n for row in batch for n in self._askers[row] if n in self._along}
        self._follow(sorted(askers))
        at = {row.tokens: number for number, row in enumerate(batch)}
        groups: dict[Tokens, list[Answer]] = defaultdict(list)
        for answer in (self.answers[n] for n in sorted(askers) if n not in self._along):
            if answer.open and answer.sequence[:-1] in at:
                groups[answer.sequence].append(answer)
        if groups:
            rows = stepped(self._engine, passed, [row.tokens for row in batch])
            rows.keep([at[sequence[:-1]] for sequence in groups])
            logits = rows.advance([sequence[-1] for sequence in groups])
            finish(self._engine, self._writer, rows, list(groups.values()), logits)

    def _go_back(self) -> None:
        """Finish the answers that have left the candidates, from their prompts on."""
        groups: dict[Tokens, list[Answer]] = defaultdict(list)
        nodes: dict[Tokens, Node] = {}
        for task, answer in zip(self._tasks, self.answers, strict=True):
            if answer.open:
                sequence, prompt = answer.sequence, self._rows[task.answer.marked]
                groups[sequence].append(answer)
                wanted: dict[int, set[int]] = {len(sequence) - 1: set()}
                nodes[sequence] = Node(sequence, prompt.begin, prompt.head, wanted)
        for batch in self._wave.batches(list(nodes.values()), room=_ROOM):
            passed = self._wave.compute(batch, keep=self._engine.shares, room=_ROOM)
            rows = stepped(self._engine, passed, [row.tokens for row in batch])
            asking = [groups[row.tokens] for row in batch]
            finish(self._engine, self._writer, rows, asking, passed.logits)


def _predictions(
    engine: Engine, logits: Tensor, asked: Sequence[Sequence[int]]
) -> list[_Prediction]:
    """Log-probabilities of the targets and greedy choices. ``logits`` (reads, vocabulary)."""
    rows = torch.tensor([row for row, targets in enumerate(asked) for _ in targets])
    columns = torch.tensor([target for targets in asked for target in targets])
    rows, columns = rows.long().to(logits.device), columns.long().to(logits.device)
    values = (logits[rows, columns] - logits.logsumexp(-1)[rows]).cpu()
    if not bool(torch.isfinite(values).all()):
        raise engine.not_finite()
    best = engine.best(logits)
    remaining = iter(values.tolist())
    return [
        _Prediction({target: next(remaining) for target in targets}, token, margin)
        for targets, token, margin in zip(asked, best.token, best.margin, strict=True)
    ]


def finish(
    engine: Engine,
    writer: Writer,
    rows: Cached | Recomputed,
    groups: Sequence[list[Answer]],
    logits: Tensor,
) -> None:
    """Choose tokens until every answer is finished.

    Args:
        engine: chooses.
        writer: adds the tokens.
        rows: one per group, its newest token computed.
        groups: answers that share a row.
        logits: (group, vocabulary) after the newest token.
    """
    groups = list(groups)
    while True:
        best = engine.best(logits)
        growing = [(row, a) for row, group in enumerate(groups) for a in group if a.open]
        writer.add(
            [answer for _, answer in growing],
            [best.token[row] for row, _ in growing],
            [best.margin[row] for row, _ in growing],
        )
        tokens = best.token
        going = [row for row, group in enumerate(groups) if any(a.open for a in group)]
        if not going:
            return
        if len(going) <= (1 - _LEAVE) * len(groups):
            rows.keep(going)
            groups, tokens = [groups[row] for row in going], [tokens[row] for row in going]
        logits = rows.advance(tokens)
