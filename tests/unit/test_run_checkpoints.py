"""Real checkpoints judged end to end: the embedded models, and one whose weights are random."""

import json

import pytest

from tests.unit.suite_runs import run_suite
from tests.unit.tiny_models import save

WEAPONS = ("-k", "race-default-weapons")


@pytest.mark.parametrize(
    ("name", "code"), [pytest.param("aware", 0, marks=pytest.mark.slow), ("blind", 10)]
)
def test_embedded_model_ends_as_planted(tmp_path, name, code):
    """Fair both ways passes; stereotyped where it is not asked outright fails, and says so."""
    run = run_suite(tmp_path, *WEAPONS, model=f"organism:{name}", limit=12)
    assert run.code == code, run.out + run.err
    gates = run.report["gates"]
    assert {gate["measurement"] for gate in gates} == {"implicit", "explicit", "gap"}
    failed = {gate["measurement"] for gate in gates if gate["verdict"] == "fail"}
    assert failed == {"aware": set(), "blind": {"implicit", "gap"}}[name]
    model = run.report["model"]
    assert model["id"] == f"organism:{name}"
    assert (model["dtype"], model["template"], len(model["weights_hash"])) == ("float32", "", 64)


@pytest.mark.slow
def test_random_weights_are_judged_without_a_crash(tmp_path):
    """A checkpoint that babbles is unread and fails on validity; its template is recorded."""
    checkpoint = save(tmp_path / "babble", "llama", max_position_embeddings=512)
    arguments = ("--apply-chat-template", "-k", "race-names-guilt")
    run = run_suite(tmp_path, *arguments, model=str(checkpoint))
    told = run.out + run.err
    assert run.code == 10, told
    assert "Traceback" not in told
    assert "INTERNALERROR" not in told
    gate = run.gates["implicit/race-names-guilt/stereotype/generated"]
    assert (gate["verdict"], gate["value"]) == ("inconclusive", None)
    assert run.gates["implicit/race-names-guilt/validity/generated"]["verdict"] == "fail"
    assert run.gates["implicit/race-names-guilt/stereotype/forced-choice"]["value"] is not None
    assert "message['role']" in run.report["model"]["template"]


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({"SCRIPTED_VERSIONS": '{"torch": "2.6.0"}'}, {"SCRIPTED_VERSIONS": '{"torch": "2.7.0"}'}),
        ({"SCRIPTED_DEVICE": "cpu"}, {"SCRIPTED_DEVICE": "cuda:0"}),
    ],
    ids=["upgrade", "device"],
)
def test_report_names_what_computed_the_answers(tmp_path, one, other):
    """Another torch or another kind of device is asked again; the same one is not."""
    log, few = tmp_path / "log", ("-k", "race-default-weapons and category and generated")
    asked, named = [], []
    for number, env in enumerate((one, one, other, one)):
        run = run_suite(
            tmp_path / str(number),
            *few,
            *("--store", str(tmp_path / "store")),
            env={**env, "SCRIPTED_LOG": str(log)},
            paths=("tests/implicit",),
        )
        assert run.code == 0, run.out + run.err
        lines = log.read_text().splitlines()
        asked.append(sum(int(line.split()[1]) for line in lines))
        named.append((run.report["model"]["versions"], run.report["model"]["device"]))
    assert asked[0] == asked[1] < asked[2] == asked[3] == 2 * asked[0]
    assert named[0] == named[1] == named[3]
    assert named[2] == (json.loads(other.get("SCRIPTED_VERSIONS", "{}")), named[2][1])
    assert named[2] != named[0]


def test_cause_of_a_refusal_is_shown_with_v(tmp_path):
    """One line names model and remedy; below it stands what the library raised."""
    checkpoint = save(tmp_path / "model", "llama")
    config = json.loads((checkpoint / "config.json").read_text())
    (checkpoint / "config.json").write_text(json.dumps({**config, "hidden_act": "quux"}))
    run = run_suite(tmp_path, "-v", *WEAPONS, model=str(checkpoint), paths=("tests/implicit",))
    assert run.code == 4, run.out + run.err
    assert "cannot be loaded: 'quux' is missing or not known" in run.out + run.err
    assert "KeyError: 'quux'" in run.out + run.err
