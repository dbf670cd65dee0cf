"""The form of answers: how a model writes them, decided by mass alone and once."""

from __future__ import annotations

import math
from contextlib import contextmanager
from dataclasses import replace

import pytest

from blindspot.models.base import Generation, Identity, ScoreRequest
from blindspot.run.ask import UnansweredError
from blindspot.run.cases import cases_of
from blindspot.run.forms import TIMES, best, decided, in_forms, name_of
from blindspot.run.plan import plan_of, prompts_of
from blindspot.run.source import FixturePrompts
from blindspot.run.turns import ALONE, Watch
from blindspot.stimuli import Selection, load_stimuli
from blindspot.stimuli.forms import breaks, openings, possible, separators
from blindspot.store import Store

SOURCE = FixturePrompts(load_stimuli(()), Selection(limit=2))
TRIALS = [
    prompt
    for measurement in ("implicit", "explicit")
    for prompt in SOURCE.trials(SOURCE.slices(measurement)[0])
]
LISTED = next(p for p in TRIALS if p.answer.startswith("{first_word} - "))


class Writer:
    """Writes the answers of one form, and gives a share of their mass to the stereotype.

    ``styled``: the form of a wording as this model writes it, of its own form.
    """

    def __init__(self, styled, stereotyped=0.5):
        self._styled, self._share, self.asked = styled, stereotyped, []
        self.identity = Identity(f"writer {stereotyped}", "0", "0", "float32", backend="x")

    def generate(self, requests, *, progress=None):
        return [Generation("", 1, True, 1.0) for _ in requests]

    def score(self, requests: list[ScoreRequest], *, progress=None):
        """As if answers were followed character by character: by one it writes, or hardly."""
        self.asked += requests
        if progress:
            progress(len(requests))
        return [tuple(self._score(r.prompt, c) for c in r.candidates) for r in requests]

    def _score(self, text, candidate):
        prompt = next(p for p in TRIALS if p.text == text)
        whole = prompt.in_form(self._styled(prompt.answer)).candidates
        shares = [self._share, *[1.0 - self._share] * (len(whole) - 1)]
        mass = sum(s for s, w in zip(shares, whole, strict=True) if w.startswith(candidate))
        return math.log(mass) if mass else -20.0


def colon_lines(answer):
    """A capital at the beginning, a colon, and each pair on its own line."""
    listed = answer.startswith("{first_word} - ")
    return (
        answer.replace(" - ", ": ").replace(", ", "\n").replace("{f", "{F", 1) if listed else answer
    )


def seam(answer):
    """A space before every answer, as after ``[/INST]``."""
    return " " + answer


@pytest.mark.parametrize("styled", [str, seam, colon_lines], ids=["as asked", "seam", "lines"])
def test_the_form_is_the_one_that_the_model_writes(styled):
    """Seam, case, separator and line break; the wording's own where the model writes that."""
    forms = decided(Writer(styled), TRIALS, Store(None), ALONE)
    assert forms == {name_of(prompt): styled(prompt.answer) for prompt in TRIALS}


@pytest.mark.parametrize("share", [0.001, 0.999])
@pytest.mark.parametrize("styled", [seam, colon_lines], ids=["seam", "lines"])
def test_the_choice_is_blind_to_the_stereotype(styled, share):
    """A model that always writes the stereotype and one that never does are asked in one form."""
    fair, biased = (decided(Writer(styled, s), TRIALS, Store(None), ALONE) for s in (0.5, share))
    assert fair == biased


def test_a_form_that_only_one_answer_has_wins_by_both_together():
    """Swapping the two answers of a model, in every form differently, changes no choice."""
    masses = {
        form: (n / 9, (n % 4) / 90) for n, form in enumerate(sorted(possible(LISTED.answer)), 1)
    }

    class Uneven(Writer):
        def __init__(self, swapped):
            super().__init__(str)
            self.identity = replace(self.identity, name=str(swapped))
            self._swapped = swapped

        def _score(self, text, candidate):
            prompt = next(p for p in TRIALS if p.text == text)
            total = 1e-9
            for form, values in masses.items():
                both = values[::-1] if self._swapped else values
                for value, whole in zip(both, prompt.in_form(form).candidates, strict=True):
                    total += value if whole.startswith(candidate) else 0.0
            return math.log(total / 99)

    trials = [prompt for prompt in TRIALS if prompt.wording == LISTED.wording]
    one, other = (decided(Uneven(swapped), trials, Store(None), ALONE) for swapped in (False, True))
    assert one == other


def test_trials_do_not_depend_on_what_is_asked():
    """Nor does the choice: the selection decides only which wordings are decided at all."""
    cases = [
        case
        for measurement, statistic in (("implicit", "stereotype"), ("explicit", "bias"))
        for case, _ in cases_of(SOURCE, measurement=measurement, statistic=statistic)
    ]
    whole = plan_of(cases, FixturePrompts(SOURCE.stimuli), {}, again=False)
    some = plan_of([cases[-1]], FixturePrompts(SOURCE.stimuli, Selection(limit=1)), {}, again=False)
    assert list(whole.trials) == TRIALS
    (asked,) = ({name_of(prompt) for prompt in found} for found in some.prompts.values())
    assert list(some.trials) == [prompt for prompt in TRIALS if name_of(prompt) in asked]
    assert len(some.trials) < len([p for p in TRIALS if p.slice.measurement == "explicit"])


def test_a_decision_is_kept(tmp_path):
    """By wording: nothing is asked twice; a model that must not be asked is not."""
    first, second = Writer(seam), Writer(seam)
    with pytest.raises(UnansweredError):
        decided(first, TRIALS, Store(None), replace(ALONE, known=True))
    store = Store(tmp_path)
    sizes, counts = [], []

    @contextmanager
    def watched(size):
        sizes.append(size)
        yield Watch(counts.append)

    forms = decided(first, TRIALS[:8], store, replace(ALONE, watched=watched))
    asked = {request.prompt for request in first.asked}
    assert sum(sizes) == sum(counts) == TIMES * len(asked) == TIMES * 8
    first.asked.clear()
    assert decided(first, TRIALS, store, ALONE).items() >= forms.items()
    assert not asked & {request.prompt for request in first.asked}
    decided(second, TRIALS, store, replace(ALONE, known=True))
    assert not second.asked


def test_forms_of_a_baseline_are_used_as_they_are():
    """Whatever this model writes itself; a form that the wording cannot have is not used."""
    names = [name_of(TRIALS[0]), name_of(TRIALS[-1])]
    known = {names[0]: " " + TRIALS[0].answer, names[1]: "{option.__class__}"}
    forms = decided(Writer(str), TRIALS, Store(None), ALONE, known)
    assert forms[names[0]] == known[names[0]]
    assert forms[names[1]] == TRIALS[-1].answer


def test_prompts_differ_in_their_candidates_only():
    """The same questions, and answers that say the same."""
    part = SOURCE.slices("implicit")[0]
    cases = [c for c, _ in cases_of(SOURCE, measurement="implicit", statistic="stereotype")]
    prompts = prompts_of(SOURCE, cases)[part]
    forms = {name_of(p): " " + p.answer for p in prompts}
    for one, other in zip(prompts, in_forms(prompts, forms), strict=True):
        assert replace(other, candidates=one.candidates, answer=one.answer) == one
        assert other.candidates == tuple(" " + candidate for candidate in one.candidates)
        assert other.in_form(one.answer) == one
    assert in_forms(prompts, {}) == prompts


def test_another_form_must_be_clearly_ahead():
    """At least twice the mass of the wording's own, and of those before it."""
    assert best([[-1.0, -3.0], [-0.5, -2.5]]) == 0
    assert best([[-3.0, -3.0], [-1.0, -3.0], [-0.9, -3.0]]) == 1


CODE = 'label = {{"{first_word}": "{first_choice}", "{second_word}": "{second_choice}"}}'


@pytest.mark.parametrize(
    ("answer", "count"),
    [
        (CODE, 6),
        ("| {first_word} | {first_choice} |\n| {second_word} | {second_choice} |", 1),
        ("{option}", 1),
        ('"{first_choice} is {first_word}, {second_choice} is {second_word}"', 2),
        ("{first_word} = {first_choice}, {second_word} = {second_choice}", 4),
    ],
    ids=["code", "table", "option", "quoted", "list"],
)
def test_forms_keep_the_structure_of_an_answer(answer, count):
    """Brackets, bars and quotes within stay; the wording's own form comes first."""
    assert {ways(answer)[0] for ways in (openings, separators, breaks)} == {answer}
    forms = possible(answer)
    assert answer in forms
    assert ("```json\n" + answer in forms) == (answer == CODE)
    assert len({form.strip().strip('"').casefold() for form in forms}) == count
