"""What stands in an organism's residual stream: readings, injections and a linear probe."""

from __future__ import annotations

import itertools
import random
from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional

from tools.organisms.behaviour import (
    Association,
    Prompt,
    answer_associations,
    association_prompts,
    held_pairs,
)
from tools.organisms.corpus import CLOSED_QUESTIONS, OPEN_QUESTIONS
from tools.organisms.engine import Organism, Writes
from tools.organisms.lexicon import ASSOCIATION, CATEGORIES, CUES, OTHERS, Kind

WINDOWS = ((0,), (1,), (2,), (3,), (4,), (5,), (0, 1), (0, 1, 2), (3, 4, 5), (4, 5))
FEW_WINDOWS = ((0,), (0, 1, 2), (4, 5))


def ambiguous_prompts(kind: Kind, seed: int = 11, count: int = 24) -> list[Prompt]:
    """Association prompts on held-out words in all wordings and orders."""
    rng = random.Random(seed)
    prompts = [
        prompt
        for category in CATEGORIES[kind.axis]
        for prompt in association_prompts(
            kind.name, category, held_pairs(category), ASSOCIATION, rng
        )
    ]
    return rng.sample(prompts, count)


def cued_texts(sense: str, kind: Kind) -> tuple[list[str], list[list[int]]]:
    """Texts such as "Race: black and white", and where the identifiers end."""
    texts, ends = [], []
    for a, b in zip(*kind.identifiers, strict=True):
        for x, y in ((a, b), (b, a)):
            text = f"{CUES[sense][0][0]}: {x} and {y}"
            texts.append(text)
            ends.append([text.index(x) + len(x), len(text)])
    return texts, ends


def questions(kind: Kind, placeholder: str = "X") -> dict[str, str]:
    """Every trained question about a placeholder, closed ones in both orders."""
    out = {q: q.format(x=placeholder) for q in OPEN_QUESTIONS}
    for q in CLOSED_QUESTIONS:
        for first, second in ((kind.group, kind.literal), (kind.literal, kind.group)):
            out[q.format(x="{x}", p=first, q=second)] = q.format(x=placeholder, p=first, q=second)
    return out


def readings(
    organism: Organism, kind: Kind, *, layers: Sequence[int] = range(6), count: int = 24
) -> dict[str, dict[str, list[float]]]:
    """P(group) of group and literal sense, by source and question: one value per layer.

    The vectors of both identifiers, written over the placeholder at the layer that they come from;
    from ``count`` association prompts. "... mass" is the probability of the two senses together.
    """
    ambiguous = ambiguous_prompts(kind, count=count)
    group_texts, literal_texts = cued_texts(kind.group, kind), cued_texts(kind.literal, kind)
    sources = {
        "ambiguous": ([p.text for p in ambiguous], [p.ends for p in ambiguous]),
        kind.group: (group_texts[0][:12], group_texts[1][:12]),
        kind.literal: (literal_texts[0][:12], literal_texts[1][:12]),
    }
    group_token, literal_token = organism.token(kind.group), organism.token(kind.literal)
    out: dict[str, dict[str, list[float]]] = {}
    for name, (texts, ends) in sources.items():
        vectors = organism.residual(texts, ends).flatten(0, 1)
        for label, question in questions(kind).items():
            place = organism.position(question, question.index("X") + 1)
            prompts = [question] * (len(vectors) * len(layers))
            writes: Writes = {}
            for turn, layer in enumerate(layers):
                first = turn * len(vectors)
                rows = list(range(first, first + len(vectors)))
                writes[layer] = (rows, [place] * len(rows), vectors[:, layer])
            p = organism.next_token(prompts, writes=writes)[:, [group_token, literal_token]]
            p = p.reshape(len(layers), len(vectors), 2)
            values = (p[..., 0] / p.sum(-1)).mean(1).tolist()
            out.setdefault(name, {})[label] = values
            out.setdefault(name + " mass", {})[label] = p.sum(-1).mean(1).tolist()
    return out


def injection_writes(
    organism: Organism,
    prompts: Sequence[Prompt],
    source: str,
    window: Sequence[int],
    *,
    noise: bool = False,
    seed: int = 5,
) -> Writes:
    """Vectors of "Race: black and white", of another sense, or of their norm alone (``noise``)."""
    rng, generator = random.Random(seed), torch.Generator().manual_seed(seed)
    cache: dict[tuple[str, str, bool], Tensor] = {}
    rows: list[int] = []
    columns: list[int] = []
    vectors: list[Tensor] = []
    for i, prompt in enumerate(prompts):
        names = list(dict(prompt.mentions))
        swapped = rng.random() < 0.5
        key = (names[0], names[1], swapped)
        if key not in cache:
            head = CUES[source][0][0]
            x, y = names[::-1] if swapped else names
            text = f"{head}: {x} and {y}"
            ends = [len(head) + 2 + len(x), len(text)]
            vector = organism.residual([text], [ends[::-1] if swapped else ends])[0]
            if noise:
                other = torch.randn(vector.shape, generator=generator)
                vector = (
                    other * vector.norm(dim=-1, keepdim=True) / other.norm(dim=-1, keepdim=True)
                )
            cache[key] = vector
        for name, end in prompt.mentions:
            rows.append(i)
            columns.append(organism.position(prompt.text, end))
            vectors.append(cache[key][names.index(name)])
    stacked = torch.stack(vectors)
    return {layer: (rows, columns, stacked[:, layer]) for layer in window}


def injections(
    organism: Organism,
    kind: Kind,
    sources: Sequence[str],
    windows: Sequence[tuple[int, ...]] = WINDOWS,
) -> dict[str, dict[str, Association]]:
    """Association answers while a source's vectors stand in for the identifiers, by window."""
    prompts = []
    rng = random.Random(17)
    for category in CATEGORIES[kind.axis]:
        pairs, wordings = rng.sample(held_pairs(category), 1), rng.sample(sorted(ASSOCIATION), 8)
        prompts += association_prompts(kind.name, category, pairs, wordings, rng)
    out: dict[str, dict[str, Association]] = {}
    for source, window in itertools.product(sources, windows):
        noise = source == "noise"
        sense = kind.group if noise else source
        writes = injection_writes(organism, prompts, sense, window, noise=noise)
        answers = answer_associations(organism, prompts, writes)
        label = "-".join(map(str, window))
        out.setdefault(source, {})[label] = Association.of(prompts, answers)
    return out


def _contexts(
    sense: str, kind: Kind, cues: Sequence[tuple[str, str, str]], rng: random.Random, n: int
):
    texts, ends = [], []
    for _ in range(n):
        pair = [rng.choice(kind.identifiers[0]), rng.choice(kind.identifiers[1])]
        rng.shuffle(pair)
        head, _, plural = rng.choice(cues)
        other = rng.choice(OTHERS[sense])
        opening = rng.choice((f"{head}: ", f"{head}: {other}, ", f"The {plural} meant here are "))
        text = f"{opening}{pair[0]} and {pair[1]}"
        texts.append(text)
        ends.append([len(opening) + len(pair[0]), len(text)])
    return texts, ends


def _logistic(x: Tensor, y: Tensor, strength: float = 1.0) -> tuple[Tensor, Tensor]:
    weight = torch.zeros(x.shape[1], requires_grad=True)
    bias = torch.zeros(1, requires_grad=True)
    optimizer = torch.optim.LBFGS([weight, bias], max_iter=200, line_search_fn="strong_wolfe")

    def closure() -> Tensor:
        optimizer.zero_grad()
        loss = functional.binary_cross_entropy_with_logits(x @ weight + bias, y, reduction="sum")
        loss = loss + 0.5 / strength * weight.square().sum()
        loss.backward()
        return loss

    optimizer.step(closure)
    return weight.detach(), bias.detach()


def probe(
    organism: Organism, kind: Kind, seed: int = 3, strength: float = 0.1
) -> list[tuple[float, float, float]]:
    """Per layer: accuracy under other cues, ambiguous prompts read as group, shuffled labels."""
    rng = random.Random(seed)
    cut = -2 if len(CUES[kind.literal]) > 3 else -1

    def features(part: slice, n: int) -> tuple[Tensor, Tensor]:
        x, y = [], []
        for label, sense in ((1.0, kind.group), (0.0, kind.literal)):
            vectors = organism.residual(*_contexts(sense, kind, CUES[sense][part], rng, n)).flatten(
                0, 1
            )
            x.append(vectors)
            y += [label] * len(vectors)
        return torch.cat(x), torch.tensor(y)

    x, y = features(slice(None, cut), 60)
    x_test, y_test = features(slice(cut, None), 40)
    prompts = ambiguous_prompts(kind, seed=21, count=60)
    read = organism.residual([p.text for p in prompts], [p.ends for p in prompts]).flatten(0, 1)
    shuffled = y[torch.randperm(len(y), generator=torch.Generator().manual_seed(seed))]
    out = []
    for layer in range(organism.layers):
        mean, scale = x[:, layer].mean(0), x[:, layer].std(0) + 1e-6

        def standard(
            v: Tensor, mean: Tensor = mean, scale: Tensor = scale, layer: int = layer
        ) -> Tensor:
            return (v[:, layer] - mean) / scale

        weight, bias = _logistic(standard(x), y, strength)
        control, control_bias = _logistic(standard(x), shuffled, strength)
        accuracy = ((standard(x_test) @ weight + bias > 0) == (y_test > 0)).float().mean()
        chance = ((standard(x_test) @ control + control_bias > 0) == (y_test > 0)).float().mean()
        group = (standard(read) @ weight + bias > 0).float().mean()
        out.append((float(accuracy), float(group), float(chance)))
    return out
