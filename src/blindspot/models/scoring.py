"""Log-probabilities of complete answers, each shared part computed once."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import takewhile

import torch
from torch import Tensor

from blindspot.models.engine import Best, Engine
from blindspot.models.known import Choices
from blindspot.models.memory import Budget
from blindspot.models.prefixes import Tokens
from blindspot.models.sharing import Node, Wave
from blindspot.models.stepping import Cached


@dataclass(frozen=True, slots=True)
class Question:
    """A prompt and its complete answers as tokens.

    ``texts``: prompt and answer as one sequence, one per candidate. ``start``: first token that is
    scored, the same for all candidates. ``prompt``: tokens of the prompt alone.
    """

    prompt: Tokens
    texts: tuple[Tokens, ...]
    start: int


@dataclass(frozen=True, slots=True)
class _Reading:
    """A prediction: log-probability (nats) of each target asked for, and the greedy choice."""

    targets: dict[int, float]
    token: int
    margin: float
    doubtful: bool


#: Greedy choices looked for after a candidate that is the greedy answer: whether it ends there.
_AHEAD = 2
#: A prediction: the node that computes it and the token after which it is made.
_Place = tuple[Node, int]
#: The predictions of a candidate's tokens.
_Path = list[_Place]
#: Called with a question's number, its log-probabilities and the greedy choices that were met.
Done = Callable[[int, tuple[float, ...], Choices], None]


def score(
    engine: Engine,
    budget: Budget,
    questions: Sequence[Question],
    done: Done,
    ends: frozenset[int] = frozenset(),
) -> None:
    """Score all questions.

    Args:
        engine: runs the passes.
        budget: their limits.
        questions: in any order.
        done: takes the results, once per question.
        ends: tokens that end a text; nothing is looked for behind them.
    """
    askers: dict[Tokens, list[tuple[int, int]]] = defaultdict(list)
    for number, question in enumerate(questions):
        for candidate, text in enumerate(question.texts):
            askers[text[:-1]].append((number, candidate))  # the last token is predicted, never fed
    ordered = sorted(askers)
    readings: dict[int, dict[int, list[_Reading]]] = defaultdict(dict)
    beyond: dict[tuple[int, int], list[_Reading]] = {}

    def work(run: range) -> None:
        wave = Wave(engine, budget, ordered[run.start : run.stop])
        asked = {
            row: [_ask(wave, row, questions[n], c) for n, c in askers[row.tokens]]
            for row in wave.rows
        }
        found, ahead = _read(engine, wave, asked, ends)
        for row, paths in asked.items():
            for (number, candidate), (path, _) in zip(askers[row.tokens], paths, strict=True):
                readings[number][candidate] = [found[place] for place in path]
                beyond[number, candidate] = ahead.get(row, [])
                question = questions[number]
                if len(readings[number]) < len(question.texts):
                    continue
                answers = [readings[number][c] for c in range(len(question.texts))]
                later = [beyond.pop((number, c)) for c in range(len(question.texts))]
                choices = _choices(question, answers, later)
                done(number, _log_probabilities(question, answers), choices)
                del readings[number]

    budget.waves(ordered, work)


def _ask(wave: Wave, row: Node, question: Question, candidate: int) -> tuple[_Path, int]:
    """Note what must be read for a candidate; its path and last token."""
    text = question.texts[candidate]
    path: _Path = []
    end = len(text) - 1
    for node in wave.chain(row):
        begin = max(node.begin, question.start - 1)
        for place in range(begin, end):
            node.wanted.setdefault(place, set()).add(text[place + 1])
        path[:0] = [(node, place) for place in range(begin, end)]
        end = min(begin, end)
    return path, text[-1]


def _read(
    engine: Engine, wave: Wave, asked: Mapping[Node, list[tuple[_Path, int]]], ends: frozenset[int]
) -> tuple[dict[_Place, _Reading], dict[Node, list[_Reading]]]:
    """Compute a wave: what was read, and greedy choices beyond the end of candidates, by row."""
    found: dict[_Place, _Reading] = {}
    ahead: dict[Node, list[_Reading]] = {}

    def reader(logits: Tensor, places: list[_Place]) -> None:
        targets = [sorted(node.wanted[place]) for node, place in places]
        found.update(zip(places, _readings(engine, logits, targets), strict=True))

    def greedy_end(row: Node) -> int | None:
        """Last token of a candidate of this row that is the greedy answer, None without one."""
        for path, last in asked[row]:
            followed = [*row.tokens[path[0][1] + 1 :], last]
            if all(found[p].token == t for p, t in zip(path, followed, strict=True)):
                return last
        return None

    wave.compute_heads(reader)
    # A row that is a shared beginning itself has been read; it is wanted to look ahead only.
    rows = [
        row for row in wave.rows if row.wanted or (engine.shares and greedy_end(row) is not None)
    ]
    for batch in wave.batches(rows, room=_AHEAD):
        passed = wave.compute(batch, reader, keep=engine.shares, room=_AHEAD)
        if passed.cache is not None:
            end = {n: last for n, row in enumerate(batch) if (last := greedy_end(row)) is not None}
            beyond = _look_ahead(engine, Cached(engine, passed), end, ends) if end else {}
            ahead.update((batch[n], readings) for n, readings in beyond.items())
    return found, ahead


def _look_ahead(
    engine: Engine, rows: Cached, end: Mapping[int, int], ends: frozenset[int]
) -> dict[int, list[_Reading]]:
    """Greedy choices behind the candidates that are the greedy answers.

    Args:
        engine: runs the steps.
        rows: of the pass.
        end: last token of the candidate, by row.
        ends: tokens that end a text.
    """
    found: dict[int, list[_Reading]] = {row: [] for row in end}
    going, tokens = list(end), list(end.values())
    rows.keep(going)
    for _ in range(_AHEAD):
        best = engine.best(rows.advance(tokens))
        for row, reading in zip(going, _chosen(best, [{} for _ in going]), strict=True):
            found[row].append(reading)
        kept = [n for n, token in enumerate(best.token) if token not in ends]
        if not kept:
            break
        if len(kept) < len(going):
            rows.keep(kept)
        going, tokens = [going[n] for n in kept], [best.token[n] for n in kept]
    return found


def _readings(engine: Engine, logits: Tensor, asked: Sequence[Sequence[int]]) -> list[_Reading]:
    """Log-probabilities of the targets and greedy choices. ``logits`` (reads, vocabulary)."""
    rows = torch.tensor([row for row, targets in enumerate(asked) for _ in targets])
    columns = torch.tensor([target for targets in asked for target in targets])
    rows, columns = rows.to(logits.device), columns.to(logits.device)
    values = (logits[rows, columns] - logits.logsumexp(-1)[rows]).cpu()
    if not bool(torch.isfinite(values).all()):
        raise engine.not_finite()
    best = engine.best(logits)
    remaining = iter(values.tolist())
    return _chosen(best, [{target: next(remaining) for target in targets} for targets in asked])


def _chosen(best: Best, targets: Sequence[dict[int, float]]) -> list[_Reading]:
    return list(map(_Reading, targets, best.token, best.margin, best.doubtful))


def _log_probabilities(
    question: Question, answers: Sequence[Sequence[_Reading]]
) -> tuple[float, ...]:
    return tuple(
        math.fsum(
            reading.targets[target]
            for reading, target in zip(answer, text[question.start :], strict=True)
        )
        for text, answer in zip(question.texts, answers, strict=True)
    )


def _choices(
    question: Question,
    answers: Sequence[Sequence[_Reading]],
    beyond: Sequence[Sequence[_Reading]],
) -> Choices:
    """The greedy continuation of the prompt, as far as it runs along candidates and beyond.

    It ends before a choice that is doubtful.
    """
    if question.start != len(question.prompt):
        return Choices()  # an answer's first token reaches into the prompt
    chosen: list[_Reading] = []
    along = list(range(len(answers)))
    while along:
        chosen.append(answers[along[0]][len(chosen)])
        token = chosen[-1].token
        place = question.start + len(chosen) - 1
        along = [c for c in along if question.texts[c][place] == token]
        ended = [c for c in along if len(answers[c]) == len(chosen)]
        if ended and len(ended) == len(along):
            chosen += beyond[ended[0]]
            break
        along = [c for c in along if c not in ended]
    chosen = list(takewhile(lambda reading: not reading.doubtful, chosen))
    return Choices(tuple(r.token for r in chosen), tuple(r.margin for r in chosen))
