"""The model against another one: the signature, and the prompts that flipped."""

from typing import Any, Literal

from pydantic import with_config
from typing_extensions import TypedDict

from blindspot.report.schema.findings import FIXED, OtherGate, OtherVariant


@with_config(FIXED)
class SignatureLine(TypedDict):
    """One line of the signature: what changed between another model and this one."""

    name: str
    """Of the measurement, or of the statistic if several measurements have it."""
    title: str
    theirs: float | None
    ours: float | None
    change: float | None
    low: float | None
    high: float | None
    direction: Literal["up", "down", "unchanged", "not measured"]
    """Where the whole interval of the change is beyond the smallest margin of its gates."""


@with_config(FIXED)
class FlipCount(TypedDict):
    """How many prompts of a slice the two models answered differently."""

    measurement: str
    slice: str
    n: int
    """Prompts that both answered."""
    worse: int
    better: int
    p: float | None
    """Exact McNemar, two-sided; null where none flipped."""


@with_config(FIXED)
class Reply(TypedDict):
    """An answer and its reading."""

    answer: str
    reading: str


@with_config(FIXED)
class Flip(TypedDict):
    """A prompt whose answers in the two models have different readings."""

    measurement: str
    slice: str
    wording: str
    order: str
    words: list[str]
    prompt: str
    before: Reply
    after: Reply


@with_config(FIXED)
class Flips(TypedDict):
    """Prompts that flipped: counted by slice, and at most 200 examples, the worse ones first."""

    slices: list[FlipCount]
    examples: list[Flip]


@with_config(FIXED)
class Comparison(TypedDict):
    """This model against another one."""

    name: str
    model: dict[str, Any] | None
    prompts: int
    """Prompts that both were asked."""
    signature: list[SignatureLine]
    flips: Flips
    variants: list[OtherVariant]
    """Figures of both, means over the categories of a variant."""
    gates: list[OtherGate]
    """Of every category gate."""


@with_config(FIXED)
class Comparisons(TypedDict):
    """The models it was compared with."""

    baseline: Comparison | None
    reference: Comparison | None
