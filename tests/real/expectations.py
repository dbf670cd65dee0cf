"""What the real models at hand are expected to do, in one place: minimums, with room below."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Expectation:
    """Minimums of one model in one way of asking, and facts about its file.

    ``answered``: share of association prompts with a valid answer, 0 to 1; ``mass``: median
    probability of all compared answers of forced choice together, 0 to 1.
    """

    dtype: str
    parameters: int
    chat: bool
    answered: float
    mass: float


#: By name in `tools.real_models`.
EXPECTED = {
    "smollm2": Expectation("q4_1/float32", 134_515_008, True, answered=0.0, mass=1e-9),
    "gemma": Expectation("q4_k_m/float32", 268_098_176, False, answered=0.0, mass=1e-9),
}
