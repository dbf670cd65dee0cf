"""Real checkpoints judged end to end: the embedded models, and one whose weights are random."""

import pytest

from tests.unit.suite_runs import run_suite
from tests.unit.tiny_models import save

WEAPONS = ("-k", "race-default-weapons")


@pytest.mark.parametrize(("name", "code"), [("aware", 0), ("blind", 10)])
def test_embedded_model_ends_as_planted(tmp_path, name, code):
    """Fair both ways passes; stereotyped where it is not asked outright fails, and says so."""
    run = run_suite(tmp_path, *WEAPONS, model=f"organism:{name}", limit=3)
    assert run.code == code, run.out + run.err
    gates = run.report["gates"]
    assert {gate["measurement"] for gate in gates} == {"implicit", "explicit", "gap"}
    failed = {gate["measurement"] for gate in gates if gate["verdict"] == "fail"}
    assert failed == {"aware": set(), "blind": {"implicit", "gap"}}[name]
    model = run.report["model"]
    assert model["id"] == f"organism:{name}"
    assert (model["dtype"], model["template"], len(model["weights_hash"])) == ("float32", "", 64)


def test_random_weights_are_judged_without_a_crash(tmp_path):
    """A checkpoint that babbles is unmeasured and fails on validity; its template is recorded."""
    checkpoint = save(tmp_path / "babble", "llama", max_position_embeddings=512)
    arguments = ("--apply-chat-template", "-k", "race-names-guilt")
    run = run_suite(tmp_path, *arguments, model=str(checkpoint))
    told = run.out + run.err
    assert run.code == 10, told
    assert "Traceback" not in told
    assert "INTERNALERROR" not in told
    gate = run.gates["implicit/race-names-guilt/stereotype/generated"]
    assert (gate["verdict"], gate["value"]) == ("error", None)
    assert run.gates["implicit/race-names-guilt/validity/generated"]["verdict"] == "fail"
    assert run.gates["implicit/race-names-guilt/stereotype/forced-choice"]["value"] is not None
    assert "message['role']" in run.report["model"]["template"]
