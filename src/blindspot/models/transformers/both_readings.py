"""Both readings of prompts: compared answers are scored, then the prompts go on from there."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from blindspot.models.base import Generation
from blindspot.models.transformers.decoding import (
    Batch,
    Continuation,
    Done,
    Writer,
    follow,
    generate,
)
from blindspot.models.transformers.engine import Engine
from blindspot.models.transformers.known_choices import Choices
from blindspot.models.transformers.memory import Budget
from blindspot.models.transformers.near_ties import Settler
from blindspot.models.transformers.scoring import Following
from blindspot.models.transformers.waves import Node, Wave


def score_and_generate(
    engine: Engine,
    budget: Budget,
    writer: Writer,
    answers: Sequence[Continuation],
    known: Callable[[int], Choices],
    scoring: Callable[[Following], None],
    done: Done,
    settler: Settler | None = None,
) -> None:
    """Score prompts and finish their answers, each prompt computed once.

    Args:
        engine: runs the passes.
        budget: their limits.
        writer: adds tokens to answers.
        answers: none of them begun.
        known: the greedy choices that scoring has revealed of an answer, by its number.
        scoring: scores what is compared; numbers of questions are those of ``answers``.
        done: takes each finished answer, once, with its number.
        settler: decides near-ties; without one the batch does.
    """
    finished: set[int] = set()

    def finish(number: int, generation: Generation) -> None:
        if number not in finished:
            finished.add(number)
            done(number, generation)

    def begun(group: list[tuple[int, Node]]) -> list[tuple[Node, int, Continuation]]:
        # Copies: a wave that runs out of memory starts again from the original answers.
        copies = [(node, number, answers[number].copy()) for number, node in group]
        writer.replay([one for *_, one in copies], [known(number) for number, _ in group])
        return copies

    batch = Batch(engine, budget, writer, finish, settler)

    def following(wave: Wave, groups: Iterable[list[tuple[int, Node]]]) -> None:
        try:
            follow(batch, wave, map(begun, groups))
        except BaseException:  # if memory ran out: answers that it held are generated below
            batch.drop()
            raise

    scoring(following)
    budget.fits(batch.grow)  # or what is open is generated below, within smaller limits if need be
    left = [number for number in range(len(answers)) if number not in finished]
    rest = [answers[number] for number in left]
    writer.replay(rest, [known(number) for number in left])
    generate(engine, budget, writer, rest, lambda n, one: finish(left[n], one), settler)
