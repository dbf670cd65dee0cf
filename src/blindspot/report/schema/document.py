"""The whole of report.json, and its JSON schema."""

from functools import cache
from typing import Annotated, Any, Literal, NotRequired

from pydantic import Field, TypeAdapter, with_config

# pydantic needs this one below Python 3.12
from typing_extensions import TypedDict

from blindspot.gates import verdict
from blindspot.report.schema.comparisons import Comparisons
from blindspot.report.schema.findings import FIXED, Assay, Effects, Mass, Pair, Published, WorstPair
from blindspot.report.schema.gates import Family, Gate, NoiseFloor

SCHEMA_VERSION: Literal[2] = 2

RunVerdict = Annotated[verdict.RunVerdict, Field(strict=False)]


@with_config(FIXED)
class Baseline(TypedDict):
    """The accepted baseline, or how to accept one."""

    path: str
    found: bool
    named: bool
    model: str | None
    provenance: dict[str, str] | None
    accept: str
    """The command that accepts this model."""
    uncompared: str
    """Why regressions were not checked; empty if they were."""


@with_config(FIXED)
class Check(TypedDict):
    """A question of the handshake with a server."""

    name: str
    found: str


@with_config(FIXED)
class Server(TypedDict):
    """The server behind a model, as its handshake found it."""

    address: str
    kind: str
    """Name and version of its software; empty if it does not say."""
    scores: str
    """How log-probabilities of given answers were had; empty if they were not."""
    greedy: bool
    """Whether the same prompt always gave the same answer."""
    spread: float | None
    """Largest difference between log-probabilities of the same token (nats)."""
    context: int
    """Most tokens of prompt and answer; 0 if it does not say."""
    concurrency: int
    """Requests at once."""
    requests: int
    """Requests of the handshake."""
    checks: list[Check]


@with_config(FIXED)
class Model(TypedDict):
    """The identity of the model; only ``id`` if nothing was asked."""

    id: str
    revision: NotRequired[str]
    weights_hash: NotRequired[str]
    dtype: NotRequired[str]
    template: NotRequired[str]
    template_hash: NotRequired[str]
    tokenizer_hash: NotRequired[str]
    architecture: NotRequired[str]
    parameters: NotRequired[int]
    device: NotRequired[str]
    backend: NotRequired[str]
    versions: NotRequired[dict[str, str]]
    server: NotRequired[Server]


@with_config(FIXED)
class Record(TypedDict):
    """The record of a run before its end: builtins only, to cross processes as JSON."""

    model: Model
    mode: Annotated[
        Literal["default", "strict"],
        Field(
            description="default fails what is clearly beyond, strict passes only what is "
            "clearly within."
        ),
    ]
    incomplete: Annotated[list[str], Field(description="Why the run is not complete.")]
    alpha: Annotated[
        float | None,
        Field(description="Family-wise error rate of the run; null if nothing was measured."),
    ]
    families: list[Family]
    prompts: Annotated[int, Field(description="Number of prompts that were answered.")]
    selection: Annotated[
        dict[str, str],
        Field(description="Which prompts were asked: `fraction`, `words` and `limit`."),
    ]
    examples: Annotated[
        int, Field(description="Solved examples in front of each prompt (--num-fewshot).")
    ]
    baseline: Baseline
    comparisons: Comparisons
    noise_floor: NoiseFloor | None
    gates: list[Gate]
    effects: Annotated[
        dict[str, list[Effects]],
        Field(description="All effects of every category slice in both readings, by measurement."),
    ]
    pairs: Annotated[
        list[Pair],
        Field(description="The effect of every word pair, the largest of each slice first."),
    ]
    worst_pairs: list[WorstPair]
    published: Annotated[list[Published], Field(description="With `--prompts-from`.")]
    masses: Annotated[list[Mass], Field(description="What forced choice rests on, by wording.")]
    mechanistic: Annotated[list[Assay], Field(description="Findings of the assays, by slice.")]


@with_config(FIXED)
class Document(Record):
    """The report of a run of blindspot."""

    schema_version: Literal[2]
    blindspot_version: str
    date: str
    command: str
    """Runs the gates again; followed by a gate's `test`, that gate alone."""
    verdict: RunVerdict
    exit_code: int


def nothing_measured(model: str, mode: Literal["default", "strict"] = "default") -> Record:
    """The record of a run that ended before anything was measured."""
    return Record(
        model={"id": model},
        mode=mode,
        incomplete=[],
        alpha=None,
        families=[],
        prompts=0,
        selection={},
        examples=0,
        baseline=Baseline(
            path="",
            found=False,
            named=False,
            model=None,
            provenance=None,
            accept="",
            uncompared="nothing was measured",
        ),
        comparisons={"baseline": None, "reference": None},
        noise_floor=None,
        gates=[],
        effects={},
        pairs=[],
        worst_pairs=[],
        published=[],
        masses=[],
        mechanistic=[],
    )


@cache
def adapter() -> TypeAdapter[Document]:
    """The validator of a document, which has its schema."""
    return TypeAdapter(Document)


def json_schema() -> dict[str, Any]:
    """The JSON schema (2020-12) of report.json."""
    schema = _untitled(adapter().json_schema())
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "report.json of blindspot, version 2",
        **schema,
    }


def _untitled(schema: Any) -> Any:
    """The schema without titles that repeat the names of keys."""
    if isinstance(schema, list):
        return [_untitled(part) for part in schema]
    if not isinstance(schema, dict):
        return schema
    return {
        key: _untitled(part)
        for key, part in schema.items()
        if key != "title" or not isinstance(part, str)
    }
