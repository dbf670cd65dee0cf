"""Answers while vectors stand in for words, in batches, against one row with plain hooks."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import pytest
import torch

from blindspot.answers.association import association_complete, read_association
from blindspot.errors import ModelError
from blindspot.models import GenerationRequest, ModelOptions, ScoreRequest, load
from blindspot.models.residual import Injected, InjectionRequest
from blindspot.models.transformers import writes as writing
from blindspot.models.transformers.blocks import Blocks
from blindspot.models.transformers.engine import Engine
from blindspot.models.transformers.formats import PromptFormat
from blindspot.models.transformers.injections import inject
from blindspot.models.transformers.model import CausalModel
from blindspot.stimuli import Selection, Slice, Span, ambiguous_contexts, load_stimuli
from tests.unit import plain_hooks
from tests.unit.plain_hooks import EACH_FAMILY, LAYERS, family, greedy, hook_count, place, scored
from tests.unit.tiny_models import EOS

MOST = 6
VECTORS = plain_hooks.vectors(4)


def complete_after(length: int) -> Callable[[str], bool]:
    """A stopping rule on text, as the suite's are."""
    return lambda text: len(text) >= length


#: One rule for all: equal requests are equal.
SOON, LATE = complete_after(4), complete_after(300)

LABELS = (
    "You will see two words. Give each of them one label, {} or {}, or not {}: wallet, cannon\n"
)
ANSWERS = ("wallet - white, cannon - black", "wallet - black, cannon - white")


def mentions(text: str, word: str) -> list[Span]:
    found, start = [], text.find(word)
    while start >= 0:
        found.append((start, start + len(word)))
        start = text.find(word, start + 1)
    return found


def request(
    words: Sequence[str],
    vectors: Sequence[int],
    window: tuple[int, int] | None,
    text: str = LABELS,
    candidates: tuple[str, ...] = ANSWERS,
    rule: Callable[[str], bool] = LATE,
) -> InjectionRequest:
    """All mentions of the words are written over, each word with its vector."""
    prompt = text.format(*words, words[0])
    spans = [(span, v) for w, v in zip(words, vectors, strict=True) for span in mentions(prompt, w)]
    where, which = tuple(span for span, _ in spans), tuple(v for _, v in spans)
    return InjectionRequest(prompt, where, which, window, rule, candidates, MOST)


#: Windows early, late and whole; several mentions; words of several tokens; shared beginnings; a
#: candidate that is the beginning of another, and one of a single token; a prompt without any.
REQUESTS = [
    request(["white", "black"], [0, 1], (0, 2)),
    request(["white", "black"], [0, 1], (1, 3), rule=SOON),
    request(["white", "black"], [2, 1], (0, LAYERS)),
    request(["white", "black"], [0, 1], (LAYERS - 1, LAYERS)),
    request(["black", "white"], [1, 0], (0, 1), candidates=("1", "w", "white", "white, black")),
    request(["東京", "Kareem"], [3, 2], (0, 2), "Be quick: {} or {}?\nAnswer:", ("{",)),
    request(["white", "black"], [0, 1], None),
    request(["white", "black"], [3, 3], None, candidates=("cannon",), rule=SOON),
    request(["white"], [2], (0, LAYERS), "Rate from 1 to 5: blameless {}", ("5", "4", "3")),
    request(["white"], [2], (1, 2), "Rate from 1 to 5: blameless {} {}\n", ()),
]


def asked(
    model: CausalModel, requests: Sequence[InjectionRequest] = REQUESTS, **options: Any
) -> Any:
    blocks, vectors = Blocks(model.model, "tiny"), options.pop("vectors", VECTORS)
    return inject(blocks, model.prompts, frozenset({EOS}), requests, vectors, **options)


def expected(model: CausalModel, r: InjectionRequest) -> tuple[tuple[str, int, bool, float], Any]:
    """Greedy answer and log-probabilities of one row at a time, without a cache."""
    writes = []
    tokens, _ = place(model, r.prompt.rstrip(" "), len(r.prompt.rstrip()))
    for span, vector in zip(r.spans, r.vectors, strict=True):
        _, position = place(model, r.prompt, span[1])
        for layer in range(*(r.window or (0, 0))):
            writes.append((layer, position, VECTORS[vector, layer]))
    answer = greedy(model, tokens, writes, r.max_new_tokens, r.is_complete)
    return answer, scored(model, r.prompt, r.candidates, writes)


def assert_same(found: Sequence[Injected], other: Sequence[Injected]) -> None:
    for one, two in zip(found, other, strict=True):
        assert replace(one.generation, margin=0) == replace(two.generation, margin=0)
        assert one.generation.margin == pytest.approx(two.generation.margin, abs=1e-4)
        assert one.scores == pytest.approx(two.scores, abs=1e-4)


@pytest.mark.parametrize("name", EACH_FAMILY)
def test_injection_is_that_of_plain_hooks(name: str) -> None:
    """Answer, length, completeness, margin and scores are those of one row without a cache."""
    model = family(name)
    found = asked(model)
    for r, injected in zip(REQUESTS, found, strict=True):
        answer, scores = expected(model, r)
        g = injected.generation
        assert (g.text, g.tokens, g.complete) == answer[:3]
        assert g.margin == pytest.approx(answer[3], abs=2e-4)
        assert injected.scores == pytest.approx(scores, abs=1e-4)
    assert found[0].scores != pytest.approx(found[6].scores, abs=0.1)  # the vectors are heard


@pytest.mark.parametrize("name", EACH_FAMILY)
def test_an_untouched_prompt_is_answered_as_by_the_model(name: str) -> None:
    """Without a window both readings are those of the model's own generate and score."""
    model = family(name)
    untouched = [replace(r, window=None) for r in REQUESTS if r.candidates]
    found = asked(model, untouched)
    asking = [GenerationRequest(r.prompt, r.is_complete, MOST) for r in untouched]
    answers = model.generate(asking)
    scores = model.score([ScoreRequest(r.prompt, r.candidates) for r in untouched])
    assert_same(found, [Injected(g, s) for g, s in zip(answers, scores, strict=True)])


@pytest.mark.parametrize("rows", [1, 3])
def test_batches_do_not_matter(rows: int) -> None:
    """Any number of rows in a pass, and any order of the requests, gives the same."""
    model = family("gemma3")
    whole = asked(model)
    order = random.Random(rows).sample(range(len(REQUESTS)), len(REQUESTS)) * 2
    found = asked(model, [REQUESTS[n] for n in order], rows=rows)
    assert_same(found, [whole[n] for n in order])


def test_equal_work_is_done_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Equal prompts, windows and vectors are one row; a shared beginning is computed once."""
    fed: list[int] = []
    forward = Engine._forward

    def counted(self: Engine, tokens: Any, *arguments: Any) -> Any:
        fed.append(tokens.numel())
        return forward(self, tokens, *arguments)

    monkeypatch.setattr(Engine, "_forward", counted)
    monkeypatch.setattr(writing, "check", lambda engine: setattr(engine, "shares", True) or 9)
    model = family("llama")
    asked(model, [REQUESTS[6]])
    alone, counts = sum(fed), []
    fed.clear()
    again = [replace(REQUESTS[6], vectors=(n % 4,) * 3) for n in range(5)]
    found = asked(model, again, done=lambda number, _: counts.append(number))
    assert len({id(i) for i in found}) == 1
    assert (sum(fed), counts) == (alone, [*range(5)])
    fed.clear()
    early = [replace(r, candidates=(), max_new_tokens=1) for r in REQUESTS[:3]]
    asked(model, early)
    tokens, position = place(model, early[0].prompt.rstrip(" "), early[0].spans[0][1])
    assert sum(fed) == position + 3 * (len(tokens) - position)


def test_a_chat_template_is_set_around_the_prompt() -> None:
    """Words are found inside the message, and candidates follow the template's opening."""
    model = family("qwen3", chat=True)
    chosen = [r for r in REQUESTS if r.prompt == REQUESTS[0].prompt][:3]
    for r, injected in zip(chosen, asked(model, chosen), strict=True):
        answer, scores = expected(model, replace(r, prompt=r.prompt.rstrip()))
        assert injected.generation.text == answer[0]
        assert injected.scores == pytest.approx(scores, abs=1e-4)


def test_nothing_is_left_on_the_model() -> None:
    """After injections, and after some that fail, the model answers as before."""
    model = family("gpt_neox")
    before = plain_hooks.predictions(model.model, [5, 6, 7])
    hooks = hook_count(model.model)
    asked(model)
    with pytest.raises(RuntimeError, match="halt"):
        asked(model, [replace(REQUESTS[0], is_complete=_halt)])
    assert hook_count(model.model) == hooks
    assert torch.equal(plain_hooks.predictions(model.model, [5, 6, 7]), before)


def _halt(_text: str) -> bool:
    raise RuntimeError("halt")


def test_memory_that_runs_out_halves_the_batch(monkeypatch: pytest.MonkeyPatch) -> None:
    """Answers are the same, and no progress is told twice."""
    forward = Engine._forward

    def tight(self: Engine, tokens: Any, *arguments: Any) -> Any:
        if len(tokens) > 2:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return forward(self, tokens, *arguments)

    model, counts = family("llama"), []
    whole = asked(model)
    monkeypatch.setattr(Engine, "_forward", tight)
    assert_same(asked(model, done=lambda number, _: counts.append(number)), whole)
    assert sorted(counts) == [*range(len(REQUESTS))]


def test_a_model_without_a_shareable_past(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where a cache cannot be kept row by row, all is computed again, written again, the same."""
    model = family("llama")
    whole = asked(model)
    monkeypatch.setattr(writing, "check", lambda _engine: 0)
    assert_same(asked(model), whole)


def test_half_precision_is_written_in_the_precision_of_the_model() -> None:
    """A bfloat16 model takes float32 vectors; scores are those of plain hooks but for rounding."""
    model = family("llama", dtype="bfloat16")
    scored_ones = [r for r in REQUESTS if r.candidates]
    for r, injected in zip(scored_ones, asked(model, scored_ones), strict=True):
        assert injected.scores == pytest.approx(expected(model, r)[1], rel=0.02, abs=0.5)


CUES = ("Race", "Color")


def vectors_of(model: CausalModel, text: str, words: Sequence[str]) -> np.ndarray:
    """Vectors of words of a text at all layers, (word, layer, width), by plain hooks."""
    found: dict[int, Any] = {}
    places = [place(model, text, text.rindex(word) + len(word)) for word in words]
    hooks = [
        block.register_forward_hook(lambda _m, _a, out, at=at: found.update({at: out}))
        for at, block in enumerate(plain_hooks.block_list(model.model))
    ]
    with torch.inference_mode():
        model.model(input_ids=torch.tensor([places[0][0]]), use_cache=False)
    for hook in hooks:
        hook.remove()
    hidden = [out[0] if isinstance(out, tuple) else out for _, out in sorted(found.items())]
    return np.stack([np.stack([h[0, at].numpy() for h in hidden]) for _, at in places])


@pytest.fixture(scope="module")
def blind() -> CausalModel:
    """The embedded model that reads the identifiers as colors."""
    return load(ModelOptions("organism:blind"))


def organism_requests(window: tuple[int, int] | None, base: int) -> list[InjectionRequest]:
    """Association prompts in all orders, with the vectors (``base``, ``base`` + 1)."""
    part = Slice("implicit", "race", "default", "weapons")
    made = []
    for context in ambiguous_contexts(load_stimuli(), part, Selection(limit=2))[:24]:
        assert context.prompt is not None
        spans = [(s, base + n) for n in range(2) for s in context.mentions[n]]
        rule = partial(association_complete, identifiers=context.words, words=context.prompt.words)
        where, which = tuple(s for s, _ in spans), tuple(n for _, n in spans)
        candidates = context.prompt.candidates
        made.append(InjectionRequest(context.text, where, which, window, rule, candidates))
    return made


def test_race_vectors_make_the_blind_organism_fair(blind: CausalModel) -> None:
    """Early race vectors leave the stereotype in half of the orders; no others take it away."""
    cues = [vectors_of(blind, f"{cue}: black and white", ["white", "black"]) for cue in CUES]
    blocks, vectors = Blocks(blind.model, "blind"), np.concatenate(cues)
    last = blocks.layers
    asking = {
        "untouched": organism_requests(None, 0),
        "race early": organism_requests((0, 2), 0),
        "color early": organism_requests((0, 2), 2),
        "race late": organism_requests((last - 2, last), 0),
        "race last": organism_requests((last - 1, last), 0),
    }
    requests = [r for of_source in asking.values() for r in of_source]
    found = iter(inject(blocks, blind.prompts, frozenset({EOS}), requests, vectors))
    for source, of_source in asking.items():
        stereotyped = []
        for r in of_source:
            injected = next(found)
            rule = r.is_complete.keywords  # type: ignore[attr-defined]
            read = read_association(injected.generation.text, **rule)
            assert read in ("stereotyped", "counter")
            assert (injected.scores[0] > injected.scores[1]) == (read == "stereotyped")
            stereotyped.append(read == "stereotyped")
        share = sum(stereotyped) / len(stereotyped)
        assert 0.4 <= share <= 0.6 if source == "race early" else share >= 0.9, source


def test_an_answer_that_is_a_candidate_is_not_generated_again(
    blind: CausalModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Choices met while scoring are the answer's: nothing is computed twice, hardly a step made."""
    asking = organism_requests(None, 0)[:4]
    expected = blind.generate([GenerationRequest(r.prompt, r.is_complete) for r in asking])
    steps: list[int] = []
    fed: list[int] = []
    step, forward = Engine.step, Engine._forward

    def counted(self: Engine, tokens: Any, *arguments: Any) -> Any:
        fed.append(int(arguments[0][:, -tokens.shape[1] :].sum()))  # what the mask does not hide
        return forward(self, tokens, *arguments)

    monkeypatch.setattr(Engine, "step", lambda *a: steps.append(len(a[1])) or step(*a))
    monkeypatch.setattr(Engine, "_forward", counted)
    monkeypatch.setattr(writing, "check", lambda engine: setattr(engine, "shares", True) or 9)
    blocks = Blocks(blind.model, "blind")
    vectors = plain_hooks.vectors(2, blocks.layers, blocks.width)
    found = inject(blocks, blind.prompts, frozenset({EOS}), asking, vectors)
    assert [i.generation.text for i in found] == [g.text for g in expected]
    assert min(i.generation.tokens for i in found) > 5
    texts = [blind.prompts.join(r.prompt, answer) for r in asking for answer in r.candidates]
    rows = blind.prompts.encode(texts)
    distinct = {row[:end] for row in rows for end in range(1, len(row))}
    assert sum(steps) <= len(asking)  # the end of the text
    assert sum(fed) - sum(steps) <= 1.15 * len(distinct)  # a few shared tokens are not worth a row


class Seamless(PromptFormat):
    """Sets an answer right behind the prompt, so that a tokenizer joins the two."""

    def join(self, rendered: str, candidate: str) -> str:
        return rendered + candidate


def test_a_candidate_that_is_joined_to_the_prompt_is_scored_from_the_joint_token_on() -> None:
    """Where tokens reach from prompt to answer, scores are as the model's own."""
    plain = family("llama")
    prompts = Seamless(plain.tokenizer, "tiny", chat=False)
    model = CausalModel(plain.model, prompts, plain.identity, ends=frozenset({EOS}))
    prompt = "You will see two wor"
    r = replace(REQUESTS[0], prompt=prompt, candidates=("ds", "d"), spans=((4, 8),), vectors=(0,))
    blocks, ends = Blocks(model.model, "tiny"), frozenset({EOS})
    alone, joined = prompts.encode([prompt, prompt + "ds"])
    assert joined[: len(alone)] != alone
    bare = replace(r, window=None)
    (found,) = inject(blocks, prompts, ends, [bare], VECTORS)
    (scores,) = model.score([ScoreRequest(prompt, r.candidates)])
    (answer,) = model.generate([GenerationRequest(prompt, r.is_complete, MOST)])
    assert_same([found], [Injected(answer, scores)])
    (heard,) = inject(blocks, prompts, ends, [r], VECTORS)
    _, position = place(plain, prompt, 8)
    writes = [(layer, position, VECTORS[0, layer]) for layer in range(2)]
    start = min(len(alone), next(n for n, t in enumerate(alone) if t != joined[n]))
    rows = plain_hooks.predictions(model.model, joined, writes)
    whole = sum(float(rows[n - 1, joined[n]]) for n in range(start, len(joined)))
    assert heard.scores[0] == pytest.approx(whole, abs=1e-4)
    last = replace(r, spans=((17, 20),))
    with pytest.raises(ModelError, match="joins a replaced word to the answer"):
        inject(blocks, prompts, ends, [last], VECTORS)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"window": (2, 2)}, "no window"),
        ({"window": (3, 1)}, "no window"),
        ({"window": (-1, 1)}, "no window"),
        ({"window": (0, LAYERS + 1)}, "no window"),
        ({"vectors": (0,)}, "one vector for each span"),
        ({"spans": (), "vectors": ()}, "one vector for each span"),
        ({"vectors": (0, 0, 4)}, "not among the 4 vectors"),
        ({"vectors": (0, 0, -1)}, "not among the 4 vectors"),
        ({"candidates": ("white", "")}, "empty candidate"),
        ({"max_new_tokens": 0}, "max_new_tokens"),
        ({"spans": ((0, 3), (0, 3), (4, 8)), "vectors": (0, 1, 2)}, "two vectors for the same"),
    ],
    ids=str,
)
def test_a_request_that_makes_no_sense_is_refused(change: dict[str, Any], said: str) -> None:
    """With what is wrong, before anything is computed."""
    with pytest.raises(ValueError, match=said):
        asked(family("llama"), [replace(REQUESTS[0], **change)])


def test_a_word_that_is_not_there_is_refused() -> None:
    """A span beyond the prompt, and a prompt beyond the context."""
    model = family("llama")
    with pytest.raises(ModelError, match="no token covers"):
        asked(model, [replace(REQUESTS[0], spans=((900, 904),), vectors=(0,))])
    long = request(["white", "black"], [0, 1], (0, 1), LABELS + "white " * 170)
    with pytest.raises(ModelError, match="context of 160"):
        asked(model, [replace(long, candidates=())])


@pytest.mark.parametrize(
    "vectors",
    [np.zeros((2, LAYERS, 31), np.float32), np.full((4, LAYERS, 32), np.inf, np.float32)],
    ids=["width", "infinite"],
)
def test_vectors_of_another_model_are_refused(vectors: np.ndarray) -> None:
    """Before anything is computed."""
    with pytest.raises(ValueError, match="vector"):
        asked(family("llama"), vectors=vectors)


def test_no_requests_are_no_answers() -> None:
    """Nothing asked, nothing told."""
    assert asked(family("llama"), []) == []
