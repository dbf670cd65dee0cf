"""Findings by slice: figures, effects, worst pairs, curves by layer."""

from pydantic import ConfigDict, with_config
from typing_extensions import TypedDict

#: No other keys, no numbers as text, no infinity.
FIXED = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False, use_attribute_docstrings=True)


@with_config(FIXED)
class Figure(TypedDict):
    """An estimate with its 95 % interval."""

    value: float | None
    standard_error: float | None
    low: float | None
    high: float | None
    n: int
    """Prompts (or readings of vectors) behind it."""
    clusters: int
    """Levels of the cluster factor that has fewest."""
    unit: str
    reason: str
    """Why there is no value; empty if there is one."""


@with_config(FIXED)
class Effects(TypedDict):
    """All effects of a category slice in one reading."""

    slice: str
    axis: str
    variant: str
    category: str
    reading: str
    effects: dict[str, Figure]


@with_config(FIXED)
class Example(TypedDict):
    """One answer of a pair."""

    wording: str
    order: str
    answer: str
    reading: str


@with_config(FIXED)
class Pair(TypedDict):
    """The effect of a word pair in the generated answers: too few of them for a gate."""

    slice: str
    measurement: str
    pair: list[str]
    """The positive and the negative word."""
    value: float
    n: int
    """Prompts answered."""


@with_config(FIXED)
class WorstPair(TypedDict):
    """A word pair among those with the largest association."""

    slice: str
    measurement: str
    pair: list[str]
    value: float
    n: int
    example: Example


@with_config(FIXED)
class Published(TypedDict):
    """A slice of the paper's prompts, scored by the paper's method and by ours."""

    slice: str
    n: int
    hits: int
    denominator: int
    published: float | None
    valid: int
    stereotyped: int
    counter: int
    order_copies: int
    balanced: float | None


@with_config(FIXED)
class Mass(TypedDict):
    """What forced choice rests on in one wording: medians over its prompts."""

    measurement: str
    axis: str
    wording: str
    form: str
    """Of the compared answers: the one of the wording, or another that this model writes."""
    n: int
    """Prompts."""
    mass: float
    """Probability of all candidates together."""
    first_mass: float | None
    """Probability of their first tokens together."""


@with_config(FIXED)
class Curve(TypedDict):
    """Values by layer, or by window of layers."""

    name: str
    reading: str
    quantity: str
    at: list[str]
    values: list[float | None]
    low: list[float | None]
    high: list[float | None]


@with_config(FIXED)
class Assay(TypedDict):
    """Findings of an assay for one slice."""

    measurement: str
    slice: str
    controls: dict[str, str]
    """The line on the controls, by reading/band."""
    layers: dict[str, list[int]]
    """Layers behind a figure, by reading/band."""
    curves: list[Curve]


@with_config(FIXED)
class BesideOther(TypedDict):
    """A figure in both models."""

    measurement: str
    statistic: str
    reading: str
    band: str
    candidate: Figure
    reference: Figure
    difference: Figure
    less_represented: Figure | None


@with_config(FIXED)
class OtherGate(BesideOther):
    """A category gate's figure in both models."""

    id: str
    slice: str


@with_config(FIXED)
class OtherVariant(BesideOther):
    """Means over the categories of a variant in both models."""

    axis: str
    variant: str
