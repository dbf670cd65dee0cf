"""What the real models at hand are, in one place."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Expectation:
    """Facts about the file of one model. ``chat``: it has a chat template."""

    dtype: str
    parameters: int
    chat: bool


#: By name in `tools.real_models`.
EXPECTED = {
    "smollm2": Expectation("q4_1/float32", 134_515_008, True),
    "gemma": Expectation("q4_k_m/float32", 268_098_176, False),
}
