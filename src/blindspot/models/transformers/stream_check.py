"""Whether a model's residual stream can be trusted: checked on a few tokens.

Nothing here depends on an architecture. Hook points that disagree with a plain forward pass are not
used; if plain hooks disagree as well, the model is refused.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from blindspot.errors import reason
from blindspot.models.transformers.blocks import Blocks
from blindspot.models.transformers.faults import is_bug
from blindspot.models.transformers.hook_points import Captured, Hooked, Run, Tier, capture, opened
from blindspot.models.transformers.memory import Budget
from blindspot.models.transformers.prefix_tree import Tokens
from blindspot.models.transformers.vectors import ReadingEngine, vectors_at

_log = logging.getLogger(__name__)

#: Largest difference that is still the same, as a share of the spread of the numbers compared (the
#: norm of the difference by the norm of the deviations from their mean). In float32 rounding makes
#: 1e-6 to 1e-5 and a misplaced token 0.1 to 1. Coarser types get so many units of their rounding:
#: 0.125 in bfloat16 and 0.016 in float16.
_SAME = 1e-4
_SAME_UNITS = 16
#: Exceptions of models whose blocks, cache or arguments differ from transformers' own.
_OTHER = (
    AssertionError,
    AttributeError,
    IndexError,
    KeyError,
    NotImplementedError,
    RuntimeError,
    TypeError,
    ValueError,
)
#: Three prompts, of different lengths; the second begins like the first.
_RUNS = (range(1, 10), (1, 2, 3, 4, 11, 12), range(21, 26))


@dataclass(frozen=True, slots=True)
class _Probe:
    """A patch to try: layer, and position in the first prompt."""

    layer: int
    place: int


class SelfCheck:
    """Tries a model. ``tier``: the fastest way to patch it that agrees with plain hooks."""

    def __init__(self, blocks: Blocks) -> None:
        """Try to write.

        Raises:
            ModelError: the model cannot be patched; names its architecture and what failed.
        """
        self._blocks = blocks
        self._unit = torch.finfo(blocks.model.dtype).eps
        self._same = _SAME if self._unit < 1e-6 else _SAME_UNITS * self._unit
        self._prompts: list[Tokens] = [
            tuple(n * 7919 % blocks.vocabulary for n in run) for run in _RUNS
        ]
        self._tokens = torch.tensor([self._prompts[0]])
        self._last = len(self._prompts[0]) - 1
        before = self._plain()
        if not bool(torch.isfinite(before).all()):
            raise blocks.not_finite()
        self._seen = [self._capture(prompt) for prompt in self._prompts]
        # Rounding in half precision differs with the number of rows.
        self._clean = blocks.forward(self._tokens.expand(len(self._prompts), -1))
        if self._differ(self._clean[0], before[0]):
            raise blocks.refused("its answer changes when only the last token is read")
        self._hooked = {probe: self._written(probe) for probe in self._probes()}
        self.tier = next(tier for tier in Tier if tier is Tier.HOOKED or self._agrees(tier))
        _log.info("%s: patches are run %s", blocks.name, self.tier.value)
        if self._differ(self._plain(), before):
            raise blocks.refused("its answers change after it was patched")

    def check_reading(self, engine: ReadingEngine, budget: Budget) -> None:
        """Try to read: vectors must not depend on later words, padding or shared prefixes.

        Args:
            engine: stops sharing prefixes and padding if that changes vectors.
            budget: of the engine.

        Raises:
            ModelError: later words change the vector of a word.
        """
        first, second, third = self._prompts
        cut = self._last // 2
        wanted = {
            first: [(self._last, 0)],
            first[: cut + 1]: [(cut, 1)],
            second: [(len(second) - 1, 2)],
            third: [(len(third) - 1, 3)],
        }
        places = [(0, self._last), (0, cut), (1, -1), (2, -1)]
        expected = [
            [hidden[0, place].float().cpu() for hidden in self._seen[prompt].hidden]
            for prompt, place in places
        ]
        for shares in dict.fromkeys((engine.shares, False)):
            engine.shares = shares
            read = torch.from_numpy(vectors_at(engine, budget, wanted))
            if not any(
                self._differ(vector, whole)
                for vectors, wholes in zip(read, expected, strict=True)
                for vector, whole in zip(vectors, wholes, strict=True)
            ):
                return
        raise self._blocks.refused("the vector of a word changes with later words")

    def _plain(self) -> Tensor:
        """Logits after the last token, (1, vocabulary), of the first prompt as anyone runs it."""
        output = self._blocks.model(
            input_ids=self._tokens.to(self._blocks.device), use_cache=False, return_dict=True
        )
        logits: Tensor = output.logits[:, -1]
        return logits

    def _capture(self, prompt: Tokens) -> Captured:
        """A prompt's residual stream, with its shape checked."""
        blocks = self._blocks
        try:
            seen = capture(blocks, torch.tensor([prompt]))
        except _OTHER as error:
            if is_bug(error):
                raise
            raise blocks.refused(f"its blocks do not return tensors ({reason(error)})") from None
        if len(seen.hidden) != blocks.layers:
            raise blocks.refused(
                f"its {blocks.layers} blocks were run {len(seen.hidden)} times in a pass"
            )
        for layer, hidden in enumerate(seen.hidden):
            if hidden.shape != (1, len(prompt), blocks.width):
                raise blocks.refused(
                    f"block {layer} returns {tuple(hidden.shape)} where one vector of "
                    f"{blocks.width} a token was expected, (1, {len(prompt)}, {blocks.width})"
                )
        return seen

    def _written(self, probe: _Probe) -> Tensor:
        """The result of plain hooks, (3, vocabulary) as `_patched`, after checking it."""
        blocks, last = self._blocks, self._blocks.layers - 1
        at = f"at layer {probe.layer} over token {probe.place + 1} of {self._last + 1}"
        try:
            patched = self._patched(Tier.HOOKED, probe)
        except _OTHER as error:
            if is_bug(error):
                raise
            raise blocks.refused(f"writing {at} fails ({reason(error)})") from None
        own, other = patched[0], patched[1]
        if self._differ(own, self._clean[0]):
            raise blocks.refused(f"a token's own vector, written {at}, changes the answer")
        if probe.layer < last:
            rounding = self._distance(own, self._clean[0])
            if probe.layer == 0 and self._distance(other, own) <= max(2 * rounding, self._unit):
                raise blocks.refused(f"another vector, written {at}, changes nothing")
        elif probe.place < self._last:
            if self._differ(other, own):
                raise blocks.refused(f"another vector, written {at}, changes the answer")
        elif self._differ(other, self._seen[1].logits[0]):
            raise blocks.refused(f"another prompt's vector, written {at}, does not give its answer")
        return patched

    def _agrees(self, tier: Tier) -> bool:
        """Whether a faster hook point gives the same result as plain hooks."""
        for probe, hooked in self._hooked.items():
            if probe.layer == self._blocks.layers - 1 and probe.place < self._last:
                continue  # never run
            try:
                fast = self._patched(tier, probe)
            except _OTHER as error:
                if is_bug(error):
                    raise
                return self._passed_over(tier, reason(error))
            if any(self._differ(one, other) for one, other in zip(fast, hooked, strict=True)):
                return self._passed_over(tier, f"different answers at layer {probe.layer}")
        return True

    def _passed_over(self, tier: Tier, why: str) -> bool:
        _log.info("%s: patches are not run %s: %s", self._blocks.name, tier.value, why)
        return False

    def _probes(self) -> Iterator[_Probe]:
        """Patches to try, at the first, the middle and the last layer.

        The first is next to the answer: a short window of attention reaches it.
        """
        last, between = self._blocks.layers - 1, self._last // 2
        tried = [
            (0, self._last - 1),
            (last // 2, between),
            (last, between),
            (last, self._last),
        ]
        for layer, place in dict.fromkeys(tried):
            yield _Probe(layer, place)

    def _patched(self, tier: Tier, probe: _Probe) -> Tensor:
        """Logits with the token's own vector, and with the last ones of the other prompts."""
        run: Run
        if tier is Tier.HOOKED:
            run = Hooked(self._blocks, self._tokens, probe.place, self._seen[0])
        else:
            run = opened(self._blocks, tier, self._tokens, probe.place)
        own = run.own[probe.layer]
        others = [seen.hidden[probe.layer][0, -1] for seen in self._seen[1:]]
        return run.logits(probe.layer, torch.stack([own, *(other.to(own) for other in others)]))

    def _differ(self, one: Tensor, other: Tensor) -> bool:
        """Whether two sets of numbers differ by more than rounding."""
        return not self._distance(one, other) <= self._same  # NaN differs from all

    @staticmethod
    def _distance(one: Tensor, other: Tensor) -> float:
        """Norm of the difference as a share of the spread of ``other``."""
        one, other = one.float(), other.float().to(one.device)
        spread = float((other - other.mean()).norm())
        return float((one - other).norm()) / max(spread, 1e-30)
