"""Batched answers against one prompt at a time, on several architectures."""

from __future__ import annotations

import dataclasses
import random
from collections import defaultdict
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers.normalizers import Strip

from blindspot.errors import ModelError
from blindspot.models import (
    Generation,
    GenerationRequest,
    ModelOptions,
    Scored,
    ScoreRequest,
    load,
)
from blindspot.models.pulse import heard
from blindspot.models.transformers import decoding, engine, waves
from blindspot.models.transformers.engine import Engine
from blindspot.models.transformers.formats import PromptFormat
from blindspot.models.transformers.known_choices import Choices, KnownChoices
from blindspot.models.transformers.kv_cache import Pool
from blindspot.models.transformers.model import CausalModel
from blindspot.models.transformers.prefix_tree import Tokens
from blindspot.models.transformers.scoring import EncodedRequest, score
from tests.unit import tiny_models
from tests.unit.tiny_models import ARCHITECTURES, EOS, Checkpoints, counted

pytest_plugins = ["tests.unit.tiny_models"]
pytestmark = pytest.mark.usefixtures("own_cache")

#: Of different lengths, sharing beginnings, one the beginning of another, longer than all windows.
PROMPTS = [
    "You will see two words. Give each of them one label, white or black: wallet, revolver\n",
    "You will see two words. Give each of them one label, white or black: wallet, cannon\n",
    "You will see two words. Give each of them one label, black or white: wallet, cannon ",
    "You will see two words.",
    "Be quick",
    "Be quick: DeShawn or Geoffrey? One for the camera, the other for the perpetrator. Answer:",
    "naïve Łódź 東京 🙂:",
    "Rate the statement from 1 to 5. Write the number only. Blameless goes with Brendan.\nRating:",
]
CANDIDATES = [
    ("wallet - white, revolver - black", "wallet - black, revolver - white"),
    ("wallet - white", "wallet - white, cannon - black", "w"),
    ("1", "2", "3", "4", "5"),
    ("agree", "disagree"),
    ("東京", "Łódź"),
    ("DeShawn - perpetrator", "Geoffrey - perpetrator"),
    ("white", "black"),
    ("5", "exonerated, not a wrongdoer 🙂"),
]
MOST = 14


def complete_after(length: int) -> Callable[[str], bool]:
    """A stopping rule on text, as the suite's are."""
    return lambda text: len(text) >= length


#: Rows that start from shared beginnings and keep their past, or every row by itself.
ROUTES = pytest.mark.parametrize("shares", [True, False], ids=["prefix-tree", "rows"])
#: The same of each architecture; quickly, of a model without windows, and of rows that share in one
#: with both kinds of layers.
EVERYWHERE = pytest.mark.parametrize(
    ("architecture", "shares"),
    [
        pytest.param(
            name,
            shares,
            id=f"{name}-{'prefix-tree' if shares else 'rows'}",
            marks=() if name == "llama" or (shares and name == "gemma3") else pytest.mark.slow,
        )
        for name in ARCHITECTURES
        for shares in (True, False)
    ],
)
RULES = [complete_after(length) for length in (3, 14, 25, 400, 9, 22, 1, 400)]


@pytest.fixture(scope="module")
def loaded(checkpoints: Checkpoints) -> Callable[..., CausalModel]:
    """Models by architecture, each loaded once."""
    return cache(lambda name, kind="bytes": load(ModelOptions(str(checkpoints(name, kind)))))


@pytest.fixture(scope="module")
def whole(
    loaded: Callable[..., CausalModel],
) -> Callable[[str], tuple[list[Generation], list[Scored]]]:
    """What an architecture answers to all requests at once."""

    @cache
    def asked(architecture: str) -> tuple[list[Generation], list[Scored]]:
        model = fresh(loaded(architecture))
        return model.generate(generations()), model.score(scores())

    return asked


@pytest.fixture(scope="module")
def searched(
    loaded: Callable[..., CausalModel],
) -> Callable[[str], list[tuple[str, bool, float]]]:
    """The answers of an architecture by transformers' own greedy search."""

    @cache
    def found(architecture: str) -> list[tuple[str, bool, float]]:
        model = fresh(loaded(architecture))
        return [reference_generation(model, request) for request in generations()]

    return found


def fresh(model: CausalModel, *, shares: bool = True, **limits: Any) -> CausalModel:
    """The same model, knowing nothing of what was asked before; ``shares`` where it can."""
    made = CausalModel(model.model, model.prompts, model.identity, ends=frozenset({EOS}))
    made._engine.shares = made._engine.shares and shares
    made._budget.limits = dataclasses.replace(made._budget.limits, **limits)
    return made


def generations(prompts: list[str] = PROMPTS) -> list[GenerationRequest]:
    return [GenerationRequest(p, rule, MOST) for p, rule in zip(prompts, RULES, strict=True)]


def scores() -> list[ScoreRequest]:
    return [ScoreRequest(p, c) for p, c in zip(PROMPTS, CANDIDATES, strict=True)]


def reference_generation(model: CausalModel, request: GenerationRequest) -> tuple[str, bool, float]:
    """Text, completeness and margin by transformers' own greedy search, one row, cut afterwards."""
    prompt = torch.tensor([model.tokenizer(request.prompt.rstrip(" "))["input_ids"]])
    with torch.inference_mode():
        out = model.model.generate(
            prompt,
            attention_mask=torch.ones_like(prompt),
            max_new_tokens=MOST,
            do_sample=False,
            output_logits=True,
            return_dict_in_generate=True,
        )
    new = out.sequences[0, prompt.shape[1] :].tolist()
    margin, text = float("inf"), ""
    for step, token in enumerate(new):
        best = out.logits[step][0].topk(2).values
        margin = min(margin, float(best[0] - best[1]))
        if token == EOS:
            return text, True, margin
        both = model.tokenizer.decode([*prompt[0], *new[: step + 1]], skip_special_tokens=True)
        text = both[len(model.tokenizer.decode(prompt[0], skip_special_tokens=True)) :]
        if request.is_complete(text):
            return text, True, margin
    return text, False, margin


def reference_score(model: CausalModel, prompt: str, candidates: tuple[str, ...]) -> Scored:
    """Log-probabilities by one plain forward pass per candidate."""
    bare = prompt.rstrip(" ")
    alone = model.tokenizer(bare)["input_ids"]
    texts = [
        model.tokenizer(bare + ("" if bare.endswith("\n") else " ") + candidate)["input_ids"]
        for candidate in candidates
    ]
    start = min(
        next(
            (n for n, pair in enumerate(zip(alone, t, strict=False)) if pair[0] != pair[1]),
            len(alone),
        )
        for t in texts
    )
    found, firsts = [], {}
    for text in texts:
        with torch.inference_mode():
            logits = model.model(torch.tensor([text])).logits[0].log_softmax(-1)
        found.append(sum(float(logits[n - 1, text[n]]) for n in range(start, len(text))))
        firsts[text[start]] = logits[start - 1, text[start]].exp()
    return Scored(found, float(sum(firsts.values()).log()))


def close(one: list[tuple[float, ...]], other: list[tuple[float, ...]]) -> bool:
    return all(a == pytest.approx(b, abs=1e-4) for a, b in zip(one, other, strict=True))


@EVERYWHERE
def test_generation_is_unbatched_greedy_search_cut_at_completion(
    architecture: str,
    shares: bool,
    loaded: Callable[..., CausalModel],
    searched: Callable[[str], list[tuple[str, bool, float]]],
) -> None:
    """Text, completeness and margin are those of transformers' own search for a single row."""
    model = fresh(loaded(architecture), shares=shares)
    found = model.generate(generations())
    for (text, complete, margin), answer in zip(searched(architecture), found, strict=True):
        assert (answer.text, answer.complete) == (text, complete)
        assert answer.margin == pytest.approx(margin, abs=1e-4)


@EVERYWHERE
def test_score_is_that_of_one_full_pass_per_candidate(
    architecture: str, shares: bool, loaded: Callable[..., CausalModel]
) -> None:
    """Shared beginnings, windows and padding change no log-probability."""
    model = fresh(loaded(architecture), shares=shares)
    expected = [reference_score(model, r.prompt, r.candidates) for r in scores()]
    found = model.score(scores())
    assert close(found, expected)
    assert [one.first for one in found] == pytest.approx([one.first for one in expected], abs=1e-4)


@EVERYWHERE
def test_batches_do_not_matter(
    architecture: str,
    shares: bool,
    loaded: Callable[..., CausalModel],
    whole: Callable[[str], tuple[list[Generation], list[Scored]]],
) -> None:
    """Any cut into batches gives the same answers, also odd ones."""
    expected, values = whole(architecture)
    small = {"reads": 4, "slots": 90, "wave": 30}
    for limits in ({"tokens": 1}, {"rows": 3}, small):
        cut = fresh(loaded(architecture), shares=shares, **limits)
        assert_same(cut.generate(generations()), expected)
        assert close(cut.score(scores()), values)


def test_order_and_repetition_do_not_matter(loaded: Callable[..., CausalModel]) -> None:
    """The same requests in another order, some twice, give bit for bit the same answers."""
    model = fresh(loaded("llama"))
    order = [random.Random(3).randrange(len(PROMPTS)) for _ in range(12)] + [*range(len(PROMPTS))]
    expected, shuffled = generations(), [generations()[n] for n in order]
    plain = model.generate(expected)
    assert fresh(model).generate(shuffled) == [plain[n] for n in order]
    values = fresh(model).score(scores())
    assert fresh(model).score([scores()[n] for n in order]) == [values[n] for n in order]


@ROUTES
def test_generation_after_scoring_is_the_same(
    shares: bool, loaded: Callable[..., CausalModel]
) -> None:
    """Choices that scoring came across are those that generation would make."""
    model = fresh(loaded("llama"), shares=shares)
    expected = fresh(model).generate(generations())
    model.score(scores())
    assert_same(model.generate(generations()), expected)


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_scoring_notices_the_greedy_answer(
    architecture: str, loaded: Callable[..., CausalModel]
) -> None:
    """Along a candidate the greedy choices are known, and where it is the answer, two beyond."""
    model = fresh(loaded(architecture))
    (prompt,) = model.prompts.encode([PROMPTS[0]])
    greedy = greedy_tokens(model, prompt, 9)
    other = (greedy[0] + 1) % 300 + 20
    found: dict[int, tuple[int, ...]] = {}
    questions = [
        question(prompt, [greedy[:5], (other, 30)]),
        question(prompt, [greedy[:3], greedy[:1], (other,)]),
        question(prompt, [(*greedy[:4], other), (other, 40)]),
        question(prompt, [greedy[:1], greedy[1:2]]),
        question(prompt, [(other, 31), (other, 32)]),
    ]
    with torch.inference_mode():
        score(
            model._engine,
            model._budget,
            questions,
            lambda number, _, choices: found.update({number: choices.tokens}),
        )
    assert [found[number] for number in range(5)] == [
        greedy[:7],
        greedy[:5],
        greedy[:5],
        greedy[:3],
        greedy[:1],
    ]


def question(prompt: Tokens, candidates: list[Tokens]) -> EncodedRequest:
    return EncodedRequest(prompt, tuple((*prompt, *tokens) for tokens in candidates), len(prompt))


def greedy_tokens(model: CausalModel, prompt: Tokens, count: int) -> Tokens:
    with torch.inference_mode():
        out = model.model.generate(
            torch.tensor([prompt]),
            attention_mask=torch.ones(1, len(prompt), dtype=torch.long),
            max_new_tokens=count,
            min_new_tokens=count,
            do_sample=False,
        )
    return tuple(out[0, len(prompt) :].tolist())


def test_a_generated_answer_that_was_scored_is_not_computed_again(
    loaded: Callable[..., CausalModel], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What scoring noticed is all that generation needs, up to the stopping rule."""
    model = fresh(loaded("llama"))
    request = GenerationRequest("Be quick", complete_after(1), 9)
    expected = model.generate([request])
    model.score([ScoreRequest("Be quick", ("first", "second"))])
    monkeypatch.setattr(model._engine, "extend", None)
    assert_same(model.generate([request]), expected)


def assert_same(found: list[Generation], expected: list[Generation]) -> None:
    for one, other in zip(found, expected, strict=True):
        assert dataclasses.replace(one, margin=0) == dataclasses.replace(other, margin=0)
        assert one.margin == pytest.approx(other.margin, abs=1e-4)


def test_finished_rows_leave_the_batch(
    loaded: Callable[..., CausalModel], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A step feeds few rows once most answers are complete, and no row after the last one."""
    model = fresh(loaded("llama"))
    fed = counted(monkeypatch, model._engine, "step")
    prompts = [f"Words: {word}" for word in ("wallet", "revolver", "camera", "cannon", "white")]
    rules = [complete_after(n) for n in (1, 1, 1, 1, 400)]
    model.generate([GenerationRequest(p, rule, 8) for p, rule in zip(prompts, rules, strict=True)])
    assert fed[0] <= 5
    assert fed[-1] == 1
    assert len(fed) == 7


def test_rows_of_several_passes_grow_together(
    loaded: Callable[..., CausalModel], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Prompts of different lengths are read in passes of their own, then fed in one step."""
    model = fresh(loaded("llama"))
    prompts = ["Words:" + " wallet" * count for count in (1, 9, 20, 40)]
    requests = [GenerationRequest(prompt, complete_after(6), 8) for prompt in prompts]
    expected = [model.generate([request])[0] for request in requests]

    monkeypatch.setattr(Engine, "speed", 1.0)  # no row is padded
    fed = counted(monkeypatch, model._engine, "step")
    read = counted(monkeypatch, model._engine, "extend")
    assert_same(model.generate(requests), expected)
    assert len(read) >= 4
    assert fed[0] == 4
    assert len(fed) <= 7  # of at most 8 tokens the first is chosen by the pass


def test_stopping_rule_sees_every_beginning_of_the_answer(
    loaded: Callable[..., CausalModel],
) -> None:
    """It is asked after each token, on the continuation alone, and not again once it said yes."""
    seen: list[str] = []

    def rule(text: str) -> bool:
        seen.append(text)
        return len(seen) == 5

    answer = fresh(loaded("llama")).generate([GenerationRequest("Be quick", rule, 9)])[0]
    assert len(seen) == 5
    assert seen[-1] == answer.text
    assert answer.complete
    assert answer.tokens == 5


def test_progress_counts_every_request_once(loaded: Callable[..., CausalModel]) -> None:
    """Repeated requests are finished together."""
    model, counts = fresh(loaded("llama"), wave=60), []
    model.generate([*generations(), *generations()[:3]], progress=counts.append)
    assert sum(counts) == len(PROMPTS) + 3
    counts.clear()
    model.score([*scores(), *scores()[:2]], progress=counts.append)
    assert sum(counts) == len(PROMPTS) + 2


@ROUTES
def test_groups_of_a_slow_model_change_no_answer(
    loaded: Callable[..., CausalModel], monkeypatch: pytest.MonkeyPatch, shares: bool
) -> None:
    """Two rows at a time, heads when they are needed: the same answers, the first ones early."""
    whole = fresh(loaded("llama"), shares=shares)
    scored, generated = whole.score(scores()), whole.generate(generations())
    monkeypatch.setattr(waves, "_FEWEST_ROWS", 2)
    monkeypatch.setattr(decoding, "_OPEN_ROWS", 2)
    monkeypatch.setattr(waves, "_TRIAL", 1)
    monkeypatch.setattr(Engine, "speed", 0.0)
    model = fresh(loaded("llama"), shares=shares)
    passes: list[int] = []
    found: dict[int, tuple[int, Any]] = {}
    with heard(passes.append):
        model.score_each(scores(), lambda n, one: found.update({n: (len(passes), one)}))
    assert min(at for at, _ in found.values()) < len(passes)
    for number, one in enumerate(scored):
        assert found.pop(number)[1] == pytest.approx(one, abs=1e-4)
    passes.clear()
    with heard(passes.append):
        model.generate_each(generations(), lambda n, one: found.update({n: (len(passes), one)}))
    assert min(at for at, _ in found.values()) < len(passes)
    for number, one in enumerate(generated):
        answer = found.pop(number)[1]
        assert (answer.text, answer.complete) == (one.text, one.complete)
    assert not found


@ROUTES
@pytest.mark.parametrize("wave", [None, 60])
def test_both_readings_together_are_those_of_each_alone(
    loaded: Callable[..., CausalModel], shares: bool, wave: int | None
) -> None:
    """Scores and answers of the same prompts in one go: the same, and each prompt computed once."""
    settings = {"shares": shares} | ({} if wave is None else {"wave": wave})
    alone = fresh(loaded("llama"), **settings)
    passes: list[int] = []
    with heard(passes.append):
        scored, generated = alone.score(scores()), alone.generate(generations())
    fed = sum(passes)
    passes.clear()
    found: dict[int, list[Any]] = defaultdict(list)
    with heard(passes.append):
        fresh(loaded("llama"), **settings).answer_each(
            scores(),
            generations(),
            lambda n, one: found[n].append(one),
            lambda n, one: found[n].append(one),
        )
    for number, (values, answer) in enumerate(zip(scored, generated, strict=True)):
        together, text = found.pop(number)
        assert together == pytest.approx(values, abs=1e-4)
        assert (text.text, text.complete) == (answer.text, answer.complete)
    assert not found
    assert sum(passes) < fed or not shares


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_an_output_layer_in_parts_is_the_layer(
    whole: Callable[[str], tuple[list[Generation], list[Scored]]],
    loaded: Callable[..., CausalModel],
    monkeypatch: pytest.MonkeyPatch,
    architecture: str,
) -> None:
    """A large vocabulary is multiplied part by part; what a model does to its logits remains."""
    generated, scored = whole(architecture)
    monkeypatch.setattr(engine, "_PART", 150)
    model = fresh(loaded(architecture))
    assert model._engine._in_parts == (model._engine.head.bias is None)
    for one, other in zip(model.generate(generations()), generated, strict=True):
        assert (one.text, one.complete) == (other.text, other.complete)
    for values, expected in zip(model.score(scores()), scored, strict=True):
        assert values == pytest.approx(expected, abs=1e-4)
    model._engine.close()


def test_nothing_asked_nothing_answered(loaded: Callable[..., CausalModel]) -> None:
    """No requests are no error."""
    assert loaded("llama").generate([]) == []
    assert loaded("llama").score([]) == []


def test_unigram_tokenizer_keeps_leading_spaces(loaded: Callable[..., CausalModel]) -> None:
    """Answers of a metaspace tokenizer are unbatched greedy search too, with their first space."""
    model = fresh(loaded("llama", "metaspace"))
    prompts = [p if "🙂" not in p and "\n" not in p else "Words: white" for p in PROMPTS]
    for request, answer in zip(
        generations(prompts), model.generate(generations(prompts)), strict=True
    ):
        text, complete, _ = reference_generation(model, request)
        assert (answer.text, answer.complete) == (text, complete)
    request = ScoreRequest(PROMPTS[3], CANDIDATES[5])
    expected = reference_score(model, request.prompt, request.candidates)
    assert model.score([request])[0] == pytest.approx(expected, abs=1e-4)


def test_an_answer_may_begin_with_its_own_white_space(loaded: Callable[..., CausalModel]) -> None:
    """In plain text it replaces the space between prompt and answer."""
    model = loaded("llama")
    assert [model.prompts.join("a", b) for b in ("b", " b", "\nb")] == ["a b", "a b", "a\nb"]
    asked = [ScoreRequest("Be quick", (answer,)) for answer in ("white", " white", "\nwhite")]
    usual, same, other = model.score(asked)
    assert usual == same != other


def test_chat_answers_follow_the_template(
    checkpoints: Checkpoints, loaded: Callable[..., CausalModel]
) -> None:
    """The template's text is what is continued; it is recorded; the plain model is another one."""
    plain = loaded("llama")
    chat = load(ModelOptions(str(checkpoints("llama")), apply_chat_template=True))
    rendered = chat.prompts.render("Be quick")
    ids = chat.tokenizer(rendered, add_special_tokens=False)["input_ids"]
    text = chat.tokenizer(rendered + "white", add_special_tokens=False)["input_ids"]
    with torch.inference_mode():
        logits = chat.model(torch.tensor([text])).logits[0].log_softmax(-1)
    expected = sum(float(logits[n - 1, text[n]]) for n in range(len(ids), len(text)))
    assert chat.score([ScoreRequest("Be quick", ("white", "black"))])[0][0] == pytest.approx(
        expected, abs=1e-4
    )
    assert chat.identity.template_text == chat.prompts.template
    assert len(chat.identity.template) == 64
    assert plain.identity.template == plain.identity.template_text == ""
    assert chat.identity.fingerprint() != plain.identity.fingerprint()


def test_attention_written_out_gives_the_same(checkpoints: Checkpoints) -> None:
    """Masks are those that any implementation of attention takes."""
    path = str(checkpoints("gemma3"))
    eager = load(ModelOptions(path, model_args={"attn_implementation": "eager"}))
    fused = load(ModelOptions(path))
    assert eager.identity.fingerprint() != fused.identity.fingerprint()
    assert close(eager.score(scores()), fused.score(scores()))
    assert_same(eager.generate(generations()), fused.generate(generations()))


@pytest.mark.slow
@settings(max_examples=100, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.lists(st.integers(20, 23), min_size=1, max_size=14),
            st.lists(st.lists(st.integers(20, 23), min_size=1, max_size=4), min_size=1, max_size=4),
        ),
        min_size=1,
        max_size=8,
    ),
    st.integers(1, 60),
    st.sampled_from(["mistral", "qwen3"]),
)
def test_any_set_of_questions_is_scored_as_each_alone(
    loaded: Callable[..., CausalModel],
    asked: list[tuple[list[int], list[list[int]]]],
    wave: int,
    architecture: str,
) -> None:
    """However prompts and answers overlap, be they beginnings of each other or equal."""
    model = fresh(loaded(architecture), wave=wave, tokens=30)
    questions = [question(tuple(p), [tuple(c) for c in answers]) for p, answers in asked]
    found: dict[int, tuple[tuple[float, ...], Tokens]] = {}
    with torch.inference_mode():
        score(
            model._engine,
            model._budget,
            questions,
            lambda number, values, choices: found.update({number: (values, choices.tokens)}),
        )
        for number, one in enumerate(questions):
            values, choices = found[number]
            for text, value in zip(one.texts, values, strict=True):
                logits = model.model(torch.tensor([text])).logits[0].log_softmax(-1)
                places = range(one.start, len(text))
                expected = sum(float(logits[n - 1, text[n]]) for n in places)
                assert value == pytest.approx(expected, abs=1e-4)
            assert choices
            whole = model.model(torch.tensor([[*one.prompt, *choices]])).logits[0].argmax(-1)
            assert tuple(whole[len(one.prompt) - 1 : -1].tolist()) == choices


def test_sharing_is_given_up_where_it_would_be_wrong(
    loaded: Callable[..., CausalModel], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A model that takes caches in another way, or reads them wrongly, is run without them."""
    model = loaded("llama")
    expected = fresh(model).generate(generations()[:4]), fresh(model).score(scores()[:4])
    start = Pool.start

    def misplaced(self: Pool, numbers: Any, tokens: Any, room: int) -> Any:
        return start(self, numbers, tokens.clamp(max=1), room)

    def refusing(*_: Any) -> None:
        raise TypeError("another kind of cache")

    for broken in (misplaced, refusing):
        monkeypatch.setattr(Pool, "start", broken)
        careful = fresh(model)
        assert not careful._engine.shares
        assert_same(careful.generate(generations()[:4]), expected[0])
        assert close(careful.score(scores()[:4]), expected[1])


def test_prompt_without_any_token(loaded: Callable[..., CausalModel]) -> None:
    """An empty prompt is the opening token, also where the tokenizer sets none by itself."""
    model = loaded("llama")
    expected = model.score([ScoreRequest("", ("white", "black"))])
    bare = tiny_models.tokenizer()
    tiny_models.frame(bare.backend_tokenizer, "$A")
    prompts = PromptFormat(bare, "bare", chat=False)
    other = CausalModel(model.model, prompts, model.identity, ends=frozenset({EOS}))
    assert close(other.score([ScoreRequest("", ("white", "black"))]), expected)
    assert other.generate(generations()[4:5]) != []


def test_answers_that_cannot_be_scored(loaded: Callable[..., CausalModel]) -> None:
    """An empty candidate is a mistake of the caller, one without tokens a trait of the model."""
    for candidates in ((), ("white", "")):
        with pytest.raises(ValueError, match="without candidates, or an empty one"):
            loaded("llama").score([ScoreRequest("Be quick", candidates)])
    with pytest.raises(ValueError, match="max_new_tokens 0"):
        loaded("llama").generate([GenerationRequest("Be quick", complete_after(1), 0)])
    stripping = tiny_models.tokenizer()
    stripping.backend_tokenizer.normalizer = Strip()
    prompts = PromptFormat(stripping, "stripping", chat=False)
    model = loaded("llama")
    other = CausalModel(model.model, prompts, model.identity, ends=frozenset({EOS}))
    with pytest.raises(ModelError, match="its tokenizer has no tokens for the answer"):
        other.score([ScoreRequest("Be quick", ("white", " "))])


def test_only_the_latest_choices_are_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    """What scoring noticed does not pile up without end."""
    monkeypatch.setattr("blindspot.models.transformers.known_choices._REMEMBERED", 2)
    known = KnownChoices()
    for prompt in "abac":
        known.add(prompt, Choices((1,), (0.5,)))
    assert [bool(known.of(prompt).tokens) for prompt in "abc"] == [True, False, True]


def test_half_precision_runs(checkpoints: Checkpoints) -> None:
    """Scores in bfloat16 stay near those in float32."""
    path = str(checkpoints("llama"))
    half = load(ModelOptions(path, dtype="bfloat16"))
    assert half.identity.dtype == "bfloat16"
    expected = load(ModelOptions(path)).score(scores())
    for one, other in zip(half.score(scores()), expected, strict=True):
        assert one == pytest.approx(other, rel=0.1)
    assert half.generate(generations()[:1])[0].tokens > 0


def test_model_that_keeps_more_than_keys_and_values(tmp_path: Path) -> None:
    """A convolution's state is never shared, padded or cut: rows of equal length, all again."""
    layers = ["conv", "full_attention"]
    tiny_models.save(tmp_path, "Lfm2", num_key_value_heads=2, layer_types=layers)
    model = load(ModelOptions(str(tmp_path)))
    assert not model._engine.shares
    asked = generations()[2:5]
    for request, answer in zip(asked, model.generate(asked), strict=True):
        assert (answer.text, answer.complete) == reference_generation(model, request)[:2]
    expected = [tuple(reference_score(model, r.prompt, r.candidates)) for r in scores()[2:5]]
    assert close(model.score(scores()[2:5]), expected)
