"""A gate, what it is compared with, and the families that share an error rate."""

from typing import Annotated, Literal, NotRequired

from pydantic import Field, with_config
from typing_extensions import TypedDict

from blindspot.gates import verdict
from blindspot.report.schema.findings import FIXED

#: JSON has only the values: members are looked up.
Verdict = Annotated[verdict.Verdict, Field(strict=False)]
Bound = Literal["at_most", "at_least"]


@with_config(FIXED)
class Nats(TypedDict):
    """Paired change of the log-odds."""

    value: float | None
    low: float | None
    high: float | None


@with_config(FIXED)
class Against(TypedDict):
    """A gate's comparison with another model: the accepted baseline, or the reference."""

    verdict: Verdict
    value: float | None
    """The other model's value."""
    margin: float | None
    """The largest change for the worse allowed."""
    floor: float | None
    """The noise floor, added to the margin."""
    change: float | None
    low: float | None
    high: float | None
    """End of the 95 % interval of the change, as `low`."""
    p: float | None
    adjusted: float | None
    mde: float | None
    """Smallest true change beyond the margin detected with 80 % power."""
    improved: bool
    """Whether the whole interval of the change is better by more than the noise floor."""
    prompts: int | None
    """Prompts that both were asked; null for assays."""
    nats: Nats | None


@with_config(FIXED)
class BothAgainst(TypedDict):
    """The comparisons of a gate."""

    baseline: Against | None
    reference: Against | None


@with_config(FIXED)
class Waiver(TypedDict):
    """Why a failure is accepted, and until when."""

    gate: str
    """The pattern that names the gates."""
    reason: str
    expires: str
    expired: bool


@with_config(FIXED)
class Gate(TypedDict):
    """One estimate against its limit and, where there is one, against another model."""

    id: str
    measurement: str
    statistic: str
    slice: str
    """Axis, variant and category, of a word also the word."""
    axis: str
    variant: str
    category: str
    kind: Literal["group", "control", "homonym"]
    """What its identifiers are. Controls and homonyms, which name no group, are not gated."""
    reading: str
    band: str
    """Layers judged together; empty for behavioral gates."""
    level: Literal["category", "word", "pooled"]
    word: str
    """The word of a gate on one; empty for others."""
    variants: list[str]
    """Variants of a pooled gate."""
    family: str
    """Its family: the gates that share its error rate."""
    verdict: Verdict
    """The worst of `limit_verdict` and those in `against`, unless a waiver covers it."""
    value: float | None
    standard_error: float | None
    low: float | None
    high: float | None
    """End of the 95 % interval, as `low`."""
    n: int
    """Prompts (or readings of vectors) behind the value."""
    clusters: int
    """Levels of the cluster factor that has fewest."""
    prompts: str
    """Digest of the prompts that it was measured on."""
    limit: float | None
    """Null where the gate is only reported."""
    opposite: float | None
    """The limit on the other side; null where there is none."""
    limit_verdict: Verdict
    """Against the limit alone."""
    direction: Bound
    p: float | None
    """Of this gate alone: of a true value within its limits."""
    adjusted: float | None
    """Adjusted over the family; compared with alpha."""
    mde: float | None
    """Smallest true value beyond the limit detected with 80 % power."""
    waiver: Waiver | None
    against: BothAgainst
    unit: str
    reason: str
    """Of the limit."""
    mass: float | None
    """Of forced choice, probability of all candidates together: the median over the prompts.

    Of several slices, that of the slice where it is smallest.
    """
    missing: str
    """Why there is no value, or no comparison."""
    unreadable: str
    """Why the controls allow no verdict."""
    doubt: str
    """Why it neither passes its limit nor fails it: too imprecise, or unread."""
    controls: str
    """The line on the controls of the assay."""
    message: str
    """The first line of a failure, with its numbers."""
    test: str
    """Node id of its test; empty if the run was judged again without tests."""


@with_config(FIXED)
class Family(TypedDict):
    """Gates that share an error rate, controlled by Holm's method."""

    name: str
    gates: int
    alpha: float


@with_config(FIXED)
class Floor(TypedDict):
    """The noise floor of one variant."""

    measurement: str
    axis: str
    variant: str
    reading: str
    floor: float | None
    """The noise floor of a category; null if too few prompts were answered twice.

    For an assay the largest difference of its figures, used for all variants.
    """
    shift: float | None
    """Mean difference."""
    spread: float | None
    """Root mean square of the differences."""
    n: int
    """Prompts answered twice; of an assay, figures measured twice (categories and bands)."""


@with_config(FIXED)
class NoiseFloor(TypedDict):
    """The noise floor: changes caused by batches and their order."""

    prompts: int
    batch: int
    """Prompts at once, the second time."""
    batch_inside: NotRequired[int | None]
    """Rows at once in the assays, the second time; null if none were repeated."""
    least: NotRequired[float]
    """Floor of forced choice whatever these prompts show: the spread of a server."""
    rows: list[Floor]
