"""Log-probabilities of complete answers, with shared parts computed once."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import takewhile

from torch import Tensor

from blindspot.models.base import Scored
from blindspot.models.transformers.engine import Engine
from blindspot.models.transformers.known_choices import Choices
from blindspot.models.transformers.memory import Budget
from blindspot.models.transformers.prefix_tree import Tokens
from blindspot.models.transformers.seam import EncodedRequest
from blindspot.models.transformers.waves import Cached, Node, Wave


@dataclass(frozen=True, slots=True)
class _Prediction:
    """A prediction: log-probability (nats) of each target asked for, and the greedy choice."""

    targets: dict[int, float]
    token: int
    margin: float
    doubtful: bool


#: Greedy choices computed after a candidate that is the greedy answer: does it end there?
_AHEAD = 2
#: A prediction's place: the node that computes it and the token after which it is made.
Place = tuple[Node, int]
#: The predictions of a candidate's tokens.
_Path = list[Place]
#: Called with a question's number, its log-probabilities and the greedy choices on the way.
Done = Callable[[int, Scored, Choices], None]
#: Called with a wave. Going through the groups scores them: of each the numbers of questions that
#: are done, and the nodes of their prompts.
Following = Callable[[Wave, Iterable[list[tuple[int, Node]]]], None]


def score(
    engine: Engine,
    budget: Budget,
    questions: Sequence[EncodedRequest],
    done: Done,
    ends: frozenset[int] = frozenset(),
    *,
    doubtful: bool = True,
    following: Following | None = None,
) -> None:
    """Score all questions.

    Args:
        engine: runs the passes.
        budget: their limits.
        questions: in any order.
        done: takes the results, once per question.
        ends: tokens that end a text; nothing after them is computed.
        doubtful: whether greedy choices may be near-ties; otherwise they end before the first.
        following: continues the prompts, whose beginnings are computed then. Prompts that were
            computed in another wave than their last candidate are left out.
    """
    askers: dict[Tokens, list[tuple[int, int]]] = defaultdict(list)
    for number, question in enumerate(questions):
        for candidate, text in enumerate(question.texts):
            askers[text[:-1]].append((number, candidate))  # the last token is predicted, never fed
    prompts = {question.prompt for question in questions if following is not None and engine.shares}
    ordered = sorted(askers.keys() | prompts)
    predictions: dict[int, dict[int, list[_Prediction]]] = defaultdict(dict)
    beyond: dict[tuple[int, int], list[_Prediction]] = {}

    def work(run: range) -> None:
        sequences = ordered[run.start : run.stop]
        wave = Wave(engine, budget, sequences)
        asked = {
            row: [_ask(wave, row, questions[n], c) for n, c in askers.get(row.tokens, ())]
            for row in wave.rows
        }
        begun = {row.tokens: row for row in wave.rows if row.tokens in prompts}
        collector = _Collector(engine, asked, ends)
        found, ahead = collector.found, collector.ahead

        def groups() -> Iterator[list[tuple[int, Node]]]:
            for rows in _read_rows(engine, wave, collector, prompts or None):
                continued: list[tuple[int, Node]] = []
                finished = (
                    (row, *pair)
                    for row in rows
                    for pair in zip(askers.get(row.tokens, ()), asked[row], strict=True)
                )
                for row, (number, candidate), (path, _) in finished:
                    predictions[number][candidate] = [found[place] for place in path]
                    beyond[number, candidate] = ahead.get(row, [])
                    question = questions[number]
                    if len(predictions[number]) < len(question.texts):
                        continue
                    answers = [predictions[number][c] for c in range(len(question.texts))]
                    later = [beyond.pop((number, c)) for c in range(len(question.texts))]
                    choices = _choices(question, answers, later, doubtful=doubtful)
                    done(number, _log_probabilities(question, answers), choices)
                    del predictions[number]
                    if (node := begun.get(question.prompt)) is not None:
                        continued.append((number, node))
                yield continued

        (following or _exhaust)(wave, groups())

    budget.waves(ordered, work)


def _exhaust(_: Wave, groups: Iterable[list[tuple[int, Node]]]) -> None:
    """Score, and continue nothing."""
    for _group in groups:
        pass


def _ask(wave: Wave, row: Node, question: EncodedRequest, candidate: int) -> tuple[_Path, int]:
    """Note the predictions needed for a candidate; returns its path and last token."""
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


class _Collector:
    """Predictions as they are computed.

    ``found``: by place; ``ahead``: greedy choices after candidates that are the greedy answers, by
    row.
    """

    def __init__(
        self, engine: Engine, asked: Mapping[Node, list[tuple[_Path, int]]], ends: frozenset[int]
    ) -> None:
        self._engine, self._asked, self._ends = engine, asked, ends
        self.found: dict[Place, _Prediction] = {}
        self.ahead: dict[Node, list[_Prediction]] = {}

    def take(self, logits: Tensor, places: list[Place]) -> None:
        """Read the predictions of a pass; those after the end of a row look ahead."""
        targets = [sorted(node.wanted.get(place, ())) for node, place in places]
        rows = [row for row, tokens in enumerate(targets) for _ in tokens]
        flat = [token for tokens in targets for token in tokens]
        best, values = self._engine.scores(logits, rows, flat)
        remaining = iter(values)
        given = [{token: next(remaining) for token in tokens} for tokens in targets]
        made = map(_Prediction, given, best.token, best.margin, best.doubtful)
        for (node, place), prediction in zip(places, made, strict=True):
            if place < len(node.tokens):
                self.found[node, place] = prediction
            else:
                self.ahead[node].append(prediction)

    def following(self, node: Node) -> int | None:
        """The token after a row: the last one of its candidate, then the greedy choices."""
        if node not in self.ahead:
            if (last := self.greedy_end(node)) is not None:
                self.ahead[node] = []
            return last
        chosen = self.ahead[node]
        if len(chosen) == _AHEAD or chosen[-1].token in self._ends:
            return None
        return chosen[-1].token

    def greedy_end(self, row: Node) -> int | None:
        """Last token of a candidate of this row that is the greedy answer, None without one."""
        for path, last in self._asked[row]:
            followed = [*row.tokens[path[0][1] + 1 :], last]
            along = (self.found.get(place) for place in path)
            if all(p is not None and p.token == t for p, t in zip(along, followed, strict=True)):
                return last
        return None


def _read_rows(
    engine: Engine, wave: Wave, collector: _Collector, counted: Collection[Tokens] | None
) -> Iterator[list[Node]]:
    """Compute a wave group by group; yields the rows of each. ``counted``: as of `Wave.groups`."""
    for rows in wave.groups(collector.take, counted):
        # A row that is itself a shared prefix has been read; it is needed only to look ahead.
        needed = [
            row
            for row in rows
            if row.wanted or (engine.shares and collector.greedy_end(row) is not None)
        ]
        _read(engine, wave, needed, collector)
        yield rows


def _read(engine: Engine, wave: Wave, rows: Sequence[Node], collector: _Collector) -> None:
    """Compute rows, and what follows those that are greedy answers.

    The latter together: a pass of one row takes half as long as one of eight.
    """
    parts: list[Cached] = []
    greedy: list[Node] = []
    for batch in wave.batches(rows, room=_AHEAD):
        passed = wave.compute(batch, collector.take, keep=engine.shares, room=_AHEAD)
        ended = [n for n, row in enumerate(batch) if collector.greedy_end(row) is not None]
        if passed.cache is None or not ended:
            continue
        together = [*greedy, *(batch[n] for n in ended)]
        longest = max(len(row.tokens) for row in (*greedy, *batch))
        if parts and len(together) > wave.most_rows(longest + _AHEAD):
            _look_ahead(parts, greedy, collector)
            parts, together = [], together[len(greedy) :]
        parts.append(Cached(engine, passed))
        if len(ended) < len(batch):
            parts[-1].keep(ended)
        else:
            parts[-1].own()
        greedy = together
    if parts:
        _look_ahead(parts, greedy, collector)


def _look_ahead(parts: Sequence[Cached], going: Sequence[Node], collector: _Collector) -> None:
    """Feed the tokens after the rows of some passes, as long as needed."""
    rows = parts[0] if len(parts) == 1 else Cached.joined(parts, _AHEAD)
    while True:
        following = [(n, collector.following(row)) for n, row in enumerate(going)]
        fed = [(n, token) for n, token in following if token is not None]
        if not fed:
            return
        if len(fed) < len(going):
            rows.keep([n for n, _ in fed])
            going = [going[n] for n, _ in fed]
        logits = rows.advance([token for _, token in fed])
        collector.take(
            logits, [(row, len(row.tokens) + len(collector.ahead[row])) for row in going]
        )


def _log_probabilities(
    question: EncodedRequest, answers: Sequence[Sequence[_Prediction]]
) -> Scored:
    values = [
        math.fsum(
            reading.targets[target]
            for reading, target in zip(answer, text[question.start :], strict=True)
        )
        for text, answer in zip(question.texts, answers, strict=True)
    ]
    firsts = {
        text[question.start]: answer[0].targets[text[question.start]]
        for text, answer in zip(question.texts, answers, strict=True)
    }
    most = max(firsts.values())
    shares = math.fsum(math.exp(one - most) for one in firsts.values())
    return Scored(values, most + math.log(shares))


def _choices(
    question: EncodedRequest,
    answers: Sequence[Sequence[_Prediction]],
    beyond: Sequence[Sequence[_Prediction]],
    *,
    doubtful: bool,
) -> Choices:
    """The greedy continuation of the prompt, as far as it runs along candidates and beyond."""
    if question.texts[0][: question.start] != question.prompt:
        return Choices()  # an answer's first token reaches into the prompt
    chosen: list[_Prediction] = []
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
    if not doubtful:
        chosen = list(takewhile(lambda reading: not reading.doubtful, chosen))
    return Choices(tuple(r.token for r in chosen), tuple(r.margin for r in chosen))
