"""The form in which a model is offered its answers, decided once per wording by mass alone.

A few prompts that do not depend on the selection are scored with the answers written in several
ways. Both answers count together, so it makes no difference which of them is the stereotype.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from itertools import chain, groupby

from blindspot.errors import SilentError
from blindspot.models.base import (
    HasScores,
    IsAnswered,
    LanguageModel,
    Progress,
    ScoreRequest,
    offers,
)
from blindspot.run.answer import backend_of, blamed, check_scores, checked_identity
from blindspot.run.ask import UnansweredError
from blindspot.run.turns import Share, turn
from blindspot.stimuli import Prompt
from blindspot.stimuli.forms import PAIR, beginning, breaks, openings, possible, separators
from blindspot.store import Store, key_of

#: Bump when another form can be chosen from the same scores.
_METHOD = 1
#: Nats that another form must be ahead: twice the mass. Rounding cannot make that difference often,
#: and the form of the wording, which the reader knows best, stays where it is about as good.
_AHEAD = math.log(2.0)

#: Ways to write an answer, and after how many slots the difference shows.
_STEPS = ((openings, 1), (separators, PAIR))
#: How often a prompt is scored, at most.
TIMES = len(_STEPS) + 1

#: The form of each wording, by its name with measurement and axis.
Forms = Mapping[str, str]


def name_of(prompt: Prompt) -> str:
    """The name under which the form of its wording is kept: ``implicit/axis/wording``."""
    return "/".join((prompt.slice.measurement, prompt.slice.axis, prompt.wording))


def in_forms(prompts: Sequence[Prompt], forms: Forms) -> list[Prompt]:
    """Prompts with candidates in the form of their wordings."""
    return [prompt.in_form(forms.get(name_of(prompt), prompt.answer)) for prompt in prompts]


def decided(
    model: LanguageModel,
    trials: Sequence[Prompt],
    store: Store,
    share: Share,
    known: Forms | None = None,
) -> dict[str, str]:
    """The form of every wording, from the store or else by asking the model.

    Args:
        model: asked about all undecided wordings at once, whatever else the run asks.
        trials: prompts in the form of their wording, neighbors if they are of one wording.
        store: where decisions are kept.
        share: of this process in the work, which counts every prompt `TIMES` times.
        known: forms that are settled already, such as those of a baseline.

    Raises:
        ModelError: the model failed or returned an invalid answer; nothing of it is stored.
        SilentError: it did not answer.
        UnansweredError: a decision is missing, and the model must not be asked.
    """
    if not offers(model, "score") or isinstance(model, IsAnswered):
        return {}
    formed = (prompt for prompt in trials if prompt.answer)
    wordings = {name: list(some) for name, some in groupby(formed, name_of)}
    forms = {
        name: form
        for name, form in (known or {}).items()
        if name in wordings and form in possible(wordings[name][0].answer)
    }
    keys = {name: _key(some) for name, some in wordings.items() if name not in forms}
    identity = checked_identity(model)
    stored = store.of(identity.fingerprint(), identity.name)
    lock = share.locks and share.locks / f"forms-{identity.fingerprint()[:8]}.lock"

    def look() -> dict[str, str]:
        """What is decided."""
        answers = stored.get(keys.values())
        return {
            name: answer[0]
            for name, key in keys.items()
            if (answer := answers.get(key)) and answer[0] in possible(wordings[name][0].answer)
        }

    found = look()
    if len(found) == len(keys):
        return forms | found
    if share.known:
        raise UnansweredError
    undecided = sum(len(some) for name, some in wordings.items() if name in keys.keys() - found)
    with (
        share.watched(TIMES * undecided) as watch,
        turn(lock, watch.progress) if lock else nullcontext(),
    ):
        found = look()  # another process may have asked meanwhile
        missing = {name: wordings[name] for name in keys if name not in found}
        if missing:
            chosen = _asked(model, missing, watch.progress)
            stored.drop(stored.get([keys[name] for name in missing]))
            stored.put({keys[name]: [form] for name, form in chosen.items()})
            found |= chosen
    return forms | found


def _key(prompts: Sequence[Prompt]) -> bytes:
    """Digest of what decides a form, except the model."""
    texts = [text for prompt in prompts for text in (prompt.text, *prompt.candidates)]
    return key_of("form", _METHOD, prompts[0].answer, texts)


def _asked(
    model: LanguageModel, wordings: Mapping[str, Sequence[Prompt]], progress: Progress
) -> dict[str, str]:
    """Have the model score ways to write the answers, from their beginning on, and choose.

    The form that comes of it must be ahead of the wording's own over the whole answer.
    """
    own = {name: prompts[0].answer for name, prompts in wordings.items()}
    chosen = dict(own)
    for ways, slots in _STEPS:
        offered = {name: ways(form) for name, form in chosen.items()}
        chosen |= _best_of(model, wordings, offered, slots, progress)
    offered = {
        name: list(dict.fromkeys([own[name], *breaks(form)]))
        for name, form in chosen.items()
        if beginning(form, 1) != form
    }
    return chosen | _best_of(model, wordings, offered, None, progress)


def _best_of(
    model: LanguageModel,
    wordings: Mapping[str, Sequence[Prompt]],
    offered: Mapping[str, Sequence[str]],
    slots: int | None,
    progress: Progress,
) -> dict[str, str]:
    """The best of some forms by wording, as far as it is written up to so many slots."""
    assert isinstance(model, HasScores)
    written = {
        (name, form): [
            prompt.in_form(form if slots is None else beginning(form, slots))
            for prompt in wordings[name]
        ]
        for name, forms in offered.items()
        for form in forms
        if len(forms) > 1
    }
    candidates: dict[str, dict[str, None]] = {}
    for prompt in chain.from_iterable(written.values()):
        candidates.setdefault(prompt.text, {}).update(dict.fromkeys(prompt.candidates))
    requests = [ScoreRequest(text, tuple(some)) for text, some in candidates.items()]
    with blamed(backend_of(model), "failed on the forms of answers"):
        given = model.score(requests, progress=progress)
        check_scores(model, requests, given)
        if error := next((e for e in (getattr(one, "error", "") for one in given) if e), ""):
            raise SilentError(f"{model.identity.name}: unanswered: {error}; run again")
    progress(sum(map(len, wordings.values())) - len(requests))
    scores = {
        (request.prompt, candidate): value
        for request, values in zip(requests, given, strict=True)
        for candidate, value in zip(request.candidates, values, strict=True)
    }
    masses = {
        key: [_mass([scores[p.text, one] for one in {*p.candidates}]) for p in prompts]
        for key, prompts in written.items()
    }
    return {
        name: forms[best([masses[name, form] for form in forms])]
        for name, forms in offered.items()
        if len(forms) > 1
    }


def _mass(values: Sequence[float]) -> float:
    """The log-probability (nats) of all candidates together."""
    most = max(values)
    return most + math.log(math.fsum(math.exp(value - most) for value in values))


def best(masses: Sequence[Sequence[float]]) -> int:
    """The number of the form to use: the first one about as likely as the likeliest.

    ``masses``: by form, of each prompt, in nats.
    """
    means = [math.fsum(some) / len(some) for some in masses]
    return next(number for number, mean in enumerate(means) if mean >= max(means) - _AHEAD)
