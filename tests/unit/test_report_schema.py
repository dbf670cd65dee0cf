"""The published schema of report.json, against its types and against reports of real runs."""

import copy
import json
import tomllib

import jsonschema
import pytest

from blindspot.measurements.registry import KNOWLEDGE, MECHANISTIC
from blindspot.report.schema import SCHEMA, nothing_measured
from tests.unit.report_documents import HOSTILE, document
from tests.unit.suite_runs import ROOT, run_suite
from tools.schema import REFERENCE, documented, text

ORGANISMS = ("aware", "base", "blind")


@pytest.fixture(scope="module")
def validator():
    """The schema as the package publishes it."""
    schema = json.loads(SCHEMA.read_text("utf-8"))
    jsonschema.Draft202012Validator.check_schema(schema)
    return jsonschema.Draft202012Validator(schema)


def faults(validator, made):
    """Where a report does not follow the schema."""
    return [f"{error.json_path}: {error.message[:200]}" for error in validator.iter_errors(made)]


def test_schema_is_that_of_the_types():
    """The file is what the types say; after a change: python -m tools.schema."""
    assert SCHEMA.read_text("utf-8") == text()


def test_reference_lists_the_keys_of_the_types():
    """The reference has every key of report.json and none besides."""
    assert REFERENCE.read_text("utf-8") == documented(REFERENCE.read_text("utf-8"))


def test_schema_is_shipped():
    """It lies inside the package, which the wheel takes as it is."""
    packages = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    (package,) = packages["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"]
    assert SCHEMA.is_relative_to(ROOT / package)


@pytest.mark.parametrize(
    "made",
    [document(), document(text=HOSTILE), document(compared=False), document(layers=1, words=0)],
    ids=["compared", "hostile", "alone", "small"],
)
def test_made_reports_follow_it(validator, made):
    """What the other tests are made of is a report."""
    assert faults(validator, json.loads(json.dumps(made))) == []


def objects(made, path=()):
    """Paths of all objects of a report, one of each list."""
    if isinstance(made, dict):
        yield path
        for key, value in made.items():
            yield from objects(value, (*path, key))
    elif isinstance(made, list) and made:
        yield from objects(made[0], (*path, 0))


def thin(made):
    """The first of everything, so that a fault is found soon."""
    if isinstance(made, dict):
        return {key: thin(value) for key, value in made.items()}
    return [thin(one) for one in made[:1]] if isinstance(made, list) else made


#: Objects whose keys are names of the user or of a version, not of the format.
OPEN = ("versions", "provenance", "effects", "controls", "layers", "model", "selection")


@pytest.mark.parametrize(
    "every", [6, pytest.param(1, marks=pytest.mark.slow)], ids=["some objects", "all"]
)
def test_every_drift_is_found(validator, every):
    """A key too many, too few or of another type, anywhere, is a fault."""
    whole = thin(document(variants=["default"], categories=["weapons"], flips=2))
    paths = [path for path in objects(whole) if not path or path[-1] not in OPEN]
    assert len(paths) > 40
    for path in paths[::every]:
        made = copy.deepcopy(whole)
        found = made
        for key in path:
            found = found[key]
        found["unheard_of"] = 1
        assert not validator.is_valid(made), path
        del found["unheard_of"]
        for key in list(found):
            kept = found.pop(key)
            assert not validator.is_valid(made), (*path, key)
            found[key] = object
            assert not validator.is_valid(made), (*path, key)
            found[key] = kept
    assert faults(validator, whole) == []


def test_run_without_measurement_follows_it(validator):
    """The report of a run that measured nothing has all keys, and only the model's name."""
    made = document() | nothing_measured("x")
    assert made["model"] == {"id": "x"}
    assert faults(validator, made) == []


@pytest.mark.slow
@pytest.mark.parametrize("name", ORGANISMS)
def test_embedded_models_follow_it(validator, tmp_path, tmp_path_factory, name):
    """Reports of the embedded models, with a reference and with the assays, follow the schema."""
    store = tmp_path_factory.getbasetemp() / "store"  # each model answers once
    reference = "organism:blind" if name == "base" else "organism:base"
    run = run_suite(
        tmp_path,
        *("-k", "default-weapons and not word", "--reference", reference),
        *("--store", str(store)),
        model=f"organism:{name}",
        plugin=False,
        paths=("tests/implicit", "tests/explicit", "tests/mechanistic"),
    )
    assert run.code in (0, 10, 12), run.out
    asked = {*MECHANISTIC} - {KNOWLEDGE.name}  # that one is of mitigation
    assert {one["measurement"] for one in run.report["mechanistic"]} == asked
    assert run.report["comparisons"]["reference"]
    assert faults(validator, run.report) == []
