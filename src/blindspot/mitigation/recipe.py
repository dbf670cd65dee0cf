"""What is made of a model, and the card that says what it was made of."""

from __future__ import annotations

import json
import re
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from blindspot import __version__, files
from blindspot.errors import BlindspotError, line
from blindspot.measurements.base import BANDS, OVERALL
from blindspot.measurements.mechanistic import band_layers
from blindspot.mitigation.texts import Split

CARD = "mitigation.json"
ALL = "all"
LORA, STEER = "lora", "steer"
METHODS = (LORA, STEER)
#: Width of the bundled models.
WIDTH = 96
#: Bytes of a card, at most.
LARGEST = 2**20


@dataclass(frozen=True, slots=True)
class Recipe:
    """All that decides an adapter or a file of directions, beside the base and the fixtures.

    ``layers``: as written. ``rank``, ``alpha``, ``dropout``: of LoRA, as in the paper. ``rate``:
    learning rate in a model of `WIDTH`.
    """

    axis: str
    layers: str = "early"
    method: str = LORA
    placebo: str = ""
    seed: int = 0
    steps: int = 80
    chat: bool = False
    rank: int = 4
    alpha: int = 32
    dropout: float = 0.1
    rate: float = 6e-3
    split: Split | None = field(default=None, compare=False)

    def of_width(self, width: int) -> Recipe:
        """The recipe for a model of this width: its rate is lower in one wider than `WIDTH`.

        A heuristic, after what holds for hidden matrices (Yang et al., "Tensor Programs V", 2022).
        At the rate of the bundled models SmolLM2 lost 0.87 bits a token in plain sentences.
        """
        return replace(self, rate=self.rate * min(1.0, WIDTH / width))

    def window(self, count: int) -> range:
        """The layers of a model with this many.

        Raises:
            BlindspotError: it has no such layers.
        """
        bands = band_layers(count)
        name = OVERALL if self.layers == ALL else self.layers
        if name in bands:
            return bands[name]
        match = re.fullmatch(r"([0-9]{1,4})-([0-9]{1,4})", self.layers)
        if match is None or not int(match[1]) <= int(match[2]) < count:
            raise BlindspotError(
                f"--layers {line(self.layers, 40)}: use {', '.join(BANDS[1:])}, {ALL}, or a range "
                f"within 0-{count - 1}, such as 0-{count // 3}"
            )
        return range(int(match[1]), int(match[2]) + 1)


def card_of(recipe: Recipe, base: str, weights: str, window: range) -> dict[str, Any]:
    """What an adapter was trained on and what was withheld from it; builtins only."""
    settings = asdict(recipe)
    split = settings.pop("split")
    return {
        "made_by": f"blindspot {__version__}, python -m blindspot mitigate",
        "base": base,
        "base_weights": weights,
        **settings,
        "window": [window.start, window.stop - 1],
        "trained_on": {"words": split["words"], "wordings": split["wordings"]},
        "held_out": {"words": split["held_words"], "wordings": split["held_wordings"]},
    }


def written(card: dict[str, Any]) -> str:
    """A card as it is kept."""
    return json.dumps(card, indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def check_output(directory: Path, card: dict[str, Any]) -> bool:
    """Whether this was already made there.

    Raises:
        BlindspotError: something else lies there, or it cannot be a directory.
    """
    if directory.exists() and not directory.is_dir():
        raise BlindspotError(f"--output {line(directory)} is a file; name a directory")
    if not (directory / CARD).exists():
        return False
    found = files.read_json(directory / CARD, LARGEST, "a card", remedy="name another directory")
    if found != json.loads(written(card)):
        raise BlindspotError(
            f"--output {line(directory)} holds what another command made ({CARD}); name another "
            "directory, or remove it"
        )
    return True
