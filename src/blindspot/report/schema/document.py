"""The whole of report.json, and its JSON schema."""

# Annotations stay unpostponed: `__optional_keys__` does not see NotRequired in postponed ones.

from typing import Annotated, Any, Literal, NotRequired

from pydantic import Field, TypeAdapter, with_config

# pydantic needs this one below Python 3.12
from typing_extensions import TypedDict

from blindspot.gates import verdict
from blindspot.report.schema.comparisons import Comparisons
from blindspot.report.schema.findings import Assay, Effects, Published, WorstPair
from blindspot.report.schema.gates import Family, Gate, NoiseFloor
from blindspot.report.schema.strictness import FIXED

SCHEMA_VERSION = 2

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
    """The command that accepts the present model."""
    uncompared: str
    """Why no regression was checked; empty where one was."""


@with_config(FIXED)
class Model(TypedDict):
    """Who answered; of a run that asked nothing only ``id``."""

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


@with_config(FIXED)
class Document(TypedDict):
    """The report of a run of blindspot."""

    schema_version: Literal[2]
    blindspot_version: str
    date: str
    mode: Literal["default", "strict"]
    """default: fails what is surely beyond; strict: passes what is surely within."""
    command: str
    """Runs the gates again; with a gate's ``test`` behind it, that gate alone."""
    model: Model
    verdict: RunVerdict
    exit_code: int
    incomplete: list[str]
    """Why the run is not complete."""
    families: list[Family]
    comparisons: Comparisons
    noise_floor: NoiseFloor | None
    gates: list[Gate]
    alpha: NotRequired[float]
    prompts: NotRequired[int]
    baseline: NotRequired[Baseline]
    effects: NotRequired[dict[str, list[Effects]]]
    """By measurement."""
    worst_pairs: NotRequired[list[WorstPair]]
    published: NotRequired[list[Published]]
    mechanistic: NotRequired[list[Assay]]


#: Keys that the report of a run that measured nothing lacks.
MEASURED = tuple(sorted(Document.__optional_keys__))


def adapter() -> TypeAdapter[Document]:
    """What checks a document, and knows its schema."""
    return TypeAdapter(Document)


def json_schema() -> dict[str, Any]:
    """The JSON schema (2020-12) of report.json."""
    schema = _untitled(adapter().json_schema())
    judged = {"if": {"properties": {"gates": {"minItems": 1}}}, "then": {"required": [*MEASURED]}}
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "report.json of blindspot, version 2",
        **schema,
        **judged,
    }


def _untitled(schema: Any) -> Any:
    """Without the titles that only repeat the names of keys."""
    if isinstance(schema, list):
        return [_untitled(part) for part in schema]
    if not isinstance(schema, dict):
        return schema
    return {
        key: _untitled(part)
        for key, part in schema.items()
        if key != "title" or not isinstance(part, str)
    }
