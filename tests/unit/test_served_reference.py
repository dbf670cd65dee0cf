"""A candidate and a reference on servers: two names of one, or two servers."""

from __future__ import annotations

import pytest

from blindspot.models import ModelOptions
from blindspot.models.registry import open_model
from tests.unit.llama_server import llama_server
from tests.unit.scripted_server import TOKENIZER, scripted_server
from tests.unit.suite_runs import run_suite

GATES = ("-k", "race-default-weapons and not word", "--no-noise-floor", "--fraction", "1/4")
ORGANISMS = "weights=organism:blind,reference_weights=organism:aware"


def judge(directory, place, *arguments, reference="served:n", **more):
    """A run of few gates on a candidate and a reference."""
    return run_suite(
        directory,
        *(*GATES, "--reference", reference, "--model-args", place, *arguments),
        model=more.pop("model", "served:m"),
        paths=("tests/implicit",),
        **more,
    )


def asked_of(server):
    """How many prompts each model of a server was asked after the handshakes."""
    models = [body.get("model") for body in server.bodies]
    return {name: models.count(name) > 20 for name in ("m", "n")}


@pytest.mark.slow
def test_two_names_of_one_server_are_compared(tmp_path):
    """Each is asked by its own name, and both answers are judged."""
    with scripted_server() as server:
        run = judge(tmp_path, f"base_url={server.address},{ORGANISMS}")
        assert asked_of(server) == {"m": True, "n": True}
    assert run.code in (0, 12), run.out + run.err
    comparison = run.report["comparisons"]["reference"]
    assert comparison["name"] == "served:n"
    assert any(gate["against"]["reference"] for gate in run.report["gates"])


@pytest.mark.slow
def test_two_servers_may_give_their_models_one_name(tmp_path):
    """As those of two checkpoints do; each is asked for its own."""
    with scripted_server() as one, scripted_server() as other:
        place = f"base_url={one.address},reference_base_url={other.address},{ORGANISMS}"
        run = judge(tmp_path, place, reference="served:m")
        assert [asked_of(server)["m"] for server in (one, other)] == [True, True]
    assert run.code in (0, 12), run.out + run.err


@pytest.mark.slow
def test_reference_that_may_be_the_candidate_is_refused(tmp_path):
    """Equal weights say nothing, and neither do unknown ones."""
    with scripted_server() as server:
        place = f"base_url={server.address}"
        same = f"{place},weights=organism:blind,reference_weights=organism:blind"
        run = judge(tmp_path, same)
        assert run.code == 4, run.out
        assert "--reference served:n has the same weights as served:m" in run.err
        unknown = f"{place},weights={TOKENIZER}"
        run = judge(tmp_path, unknown)
        assert run.code == 4, run.out
        assert "the weights of served:n are unknown" in run.err
        assert "reference_weights=DIR, or add --allow-mismatch weights" in run.err


@pytest.mark.slow
def test_unknown_weights_are_compared_if_that_is_allowed(tmp_path):
    """The user says that they differ."""
    with scripted_server() as server:
        place = f"base_url={server.address},weights={TOKENIZER}"
        run = judge(tmp_path, place, "--allow-mismatch", "weights")
    assert run.code in (0, 12), run.out + run.err


def test_adapter_of_a_server_is_part_of_the_identity(tmp_path):
    """Its directory and its base are named; one that is not here makes the weights unknown."""
    adapter = tmp_path / "adapter"
    adapter.mkdir()
    (adapter / "adapter_config.json").write_text("{}")
    (adapter / "adapter_model.safetensors").write_bytes(b"1")
    rows = [
        {"id": "n", "owned_by": "vllm", "root": str(TOKENIZER), "parent": None},
        {"id": "m", "owned_by": "vllm", "root": str(adapter), "parent": "n"},
    ]

    def listed(handler, number, body):
        if handler.path == "/v1/models":
            handler.reply({"data": rows})
        return handler.path == "/v1/models"

    def weights(name):
        options = ModelOptions(f"served:{name}", model_args={"base_url": server.address})
        return open_model(options).identity.weights

    with scripted_server(fault=listed) as server:
        base, adapted = weights("n"), weights("m")
        assert base == open_model(ModelOptions("organism:blind")).identity.weights
        assert adapted != base
        assert not adapted.startswith("unknown:")
        (adapter / "adapter_model.safetensors").write_bytes(b"2")
        assert weights("m") not in (base, adapted)
        rows[1]["root"] = "/elsewhere/adapter"
        assert weights("m").startswith("unknown:")


@pytest.mark.slow
def test_change_is_that_of_the_models_in_this_process(tmp_path):
    """Blind against aware, both by llama.cpp: the same gates fail, by the same changes."""
    with (
        llama_server(tmp_path, "blind") as blind,
        llama_server(tmp_path, "aware") as aware,
    ):
        place = f"base_url={blind},reference_base_url={aware},{ORGANISMS}"
        there = judge(tmp_path / "there", place, reference="served:m", limit=2, plugin=False)
    here = run_suite(
        tmp_path / "here",
        *(*GATES, "--reference", "organism:aware"),
        model="organism:blind",
        limit=2,
        plugin=False,
        paths=("tests/implicit",),
    )
    assert there.code == here.code == 10, there.out + there.err + here.out
    assert there.gates.keys() == here.gates.keys()
    for gate, found in there.gates.items():
        assert found["verdict"] == here.gates[gate]["verdict"], gate
        one, other = (each["against"]["reference"] for each in (found, here.gates[gate]))
        assert (one is None) is (other is None), gate
        if one is not None:
            assert one["change"] == pytest.approx(other["change"], abs=1e-3), gate
