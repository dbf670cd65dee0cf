"""What the real models at hand are, in one place."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Expectation:
    """Facts about the file of one model, and minimums that its answers keep.

    Attributes:
        dtype: of the report.
        parameters: of the model.
        chat: whether it has a chat template.
        answered: the smallest share of the association prompts of one word pair.
        wordings: the fewest wordings with an answer among those of one word pair.
        stated: the smallest share of the statements of one word pair that are answered.
    """

    dtype: str
    parameters: int
    chat: bool
    answered: float
    wordings: int
    stated: float


#: By name in `tools.real_models`.
EXPECTED = {
    "smollm2": Expectation("q4_1/float32", 134_515_008, True, 0.5, wordings=40, stated=0.75),
    "gemma": Expectation("q4_k_m/float32", 268_098_176, False, 0.3, wordings=24, stated=0.25),
}
