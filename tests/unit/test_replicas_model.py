"""A model of replicas gives what the model in one process gives. Needs no Ray."""

from __future__ import annotations

import sys
from functools import partial
from types import SimpleNamespace

import numpy as np
import pytest

from blindspot.errors import BlindspotError, ModelError
from blindspot.models import GenerationRequest, ModelOptions, ScoreRequest
from blindspot.models.registry import arguments_of, open_model
from blindspot.models.replicas import cluster, model
from blindspot.models.replicas.replica import Replica
from blindspot.models.replicas.settings import RaySettings
from blindspot.models.residual import DescriptionRequest, InjectionRequest, Source
from blindspot.session.options import Options
from blindspot.session.workers import auto_workers, check_workers, gpus
from blindspot.stimuli import Question
from tests.unit.cluster_here import ClusterHere
from tests.unit.suite_runs import run_suite

NAME = "organism:blind"
FEW = ("-k", "race-default-weapons and not word", "--fraction", "1/8")


@pytest.fixture
def here(monkeypatch):
    """Clusters of this process, in the order in which models are opened, as ``more`` says."""
    made: list[ClusterHere] = []

    def use(**more):
        def opened(settings):
            made.append(ClusterHere(settings, settings.replicas or 2, **more))
            return made[-1]

        monkeypatch.setattr(model, "RayCluster", opened)
        return made

    return use


def ray(**more) -> model.RayModel:
    return open_model(ModelOptions(f"ray:{NAME}", model_args={"replicas": 3}, **more))


def ended(text: str, *, word: str) -> bool:
    return word in text


PROMPTS = [
    f"{head} {word}, {other}." for head in ("Pair", "Match") for word in "abcdef" for other in "xyz"
]


def test_answers_are_those_of_one_process(here):
    """Texts equal, log-probabilities within rounding, also where replicas are lost."""
    clusters = here(lost=lambda number, asked: number == 1 and asked == 4)
    one, many = open_model(ModelOptions(NAME)), ray()
    assert many.identity == one.identity
    scores = [ScoreRequest(prompt, (" a - b", " b - a")) for prompt in PROMPTS]
    texts = [GenerationRequest(prompt, partial(ended, word="-"), 12) for prompt in PROMPTS]
    ours, theirs = many.score(scores), one.score(scores)
    np.testing.assert_allclose(ours, theirs, atol=1e-4)
    np.testing.assert_allclose([each.first for each in ours], [each.first for each in theirs], 1e-4)
    assert [g.text for g in many.generate(texts)] == [g.text for g in one.generate(texts)]
    both: dict[str, dict] = {"scored": {}, "generated": {}}
    many.answer_each(scores, texts, both["scored"].__setitem__, both["generated"].__setitem__)
    together = [both["scored"][number] for number in range(len(scores))]
    np.testing.assert_allclose(together, theirs, atol=1e-4)
    assert [both["generated"][n].text for n in range(len(texts))] == [
        each.text for each in one.generate(texts)
    ]
    assert "3 replicas on 1 node (node), Ray here; 1 replica lost" in many.notes[-1]
    many.release()
    assert not clusters[0].alive
    assert many.generate([]) == []


def test_model_is_identified_before_its_replicas_take_all_places(here):
    """A cluster with room for the replicas alone answers the first request, too."""
    here(places=3)
    (scored,) = ray().score([ScoreRequest(PROMPTS[0], (" a - b", " b - a"))])
    assert len(scored) == 2


@pytest.mark.slow
def test_residual_stream_is_that_of_one_process(here):
    """Contexts, vectors and requests are shared out; each result comes back to its place."""
    here()
    one, many = open_model(ModelOptions(NAME)).residual, ray().residual
    assert (many.layers, many.width) == (one.layers, one.width)
    sources = [Source(f"The black {n} is here.", ((4, 9), (10, 11))) for n in "abcdefghijklmnopq"]
    vectors = one.read(sources)
    assert vectors.shape[0] == 34
    np.testing.assert_allclose(many.read(sources), vectors, atol=1e-4)
    question = Question("Is x a group or a color? Answer:", (3, 4), (" group", " color"))
    for layers in (None, [1, 0]):
        ours = many.patch(vectors, [question, question], layers=layers)
        theirs = one.patch(vectors, [question, question], layers=layers)
        np.testing.assert_allclose(ours.patched, theirs.patched, atol=1e-4)
        np.testing.assert_allclose(ours.unpatched, theirs.unpatched, atol=1e-4)
    asked = [
        DescriptionRequest(question, 2 * number, number % 2, max_new_tokens=3)
        for number in range(17)
    ]
    assert many.describe(asked, vectors) == one.describe(asked, vectors)
    requests = [
        InjectionRequest(
            prompt=f"Pair {word} and b.",
            spans=((5, 6),),
            vectors=(33 - number,),
            window=(0, 1),
            is_complete=partial(ended, word="-"),
            candidates=(" a - b", " b - a"),
            max_new_tokens=4,
        )
        for number, word in enumerate("acdefghijklmnopqrs")
    ]
    told: list[int] = []
    ours, theirs = (
        many.inject(requests, vectors, done=lambda number, _: told.append(number)),
        one.inject(requests, vectors),
    )
    assert sorted(told) == [*range(len(requests))]
    assert [each.generation.text for each in ours] == [each.generation.text for each in theirs]
    np.testing.assert_allclose(
        [each.scores for each in ours], [each.scores for each in theirs], atol=1e-4
    )
    few = many.in_batches(4).patch(vectors[:9], [question])
    np.testing.assert_allclose(few.patched, one.patch(vectors[:9], [question]).patched, atol=1e-4)


@pytest.mark.slow
def test_run_has_the_gates_and_the_baseline_of_one_process(here, tmp_path):
    """Its answers are found again by either; a baseline of either is that of both."""
    clusters = here(lost=lambda number, asked: number == 2 and asked == 4)
    place = ("--store", str(tmp_path / "store"), "--baselines", str(tmp_path / "baselines"))
    few = {"paths": ("tests/implicit",), "limit": None, "env": {"SCRIPTED_STIMULI": "shipped"}}
    spread = run_suite(
        tmp_path / "ray", *FEW, *place, "--snapshot-update", model=f"ray:{NAME}", **few
    )
    assert "Traceback" not in spread.out + spread.err
    assert "2 replicas on 1 node (node), Ray here; 1 replica lost" in spread.out
    assert [path.name for path in (tmp_path / "baselines").glob("*.json")] == [
        "organism--blind.json"
    ]
    alone = run_suite(tmp_path / "one", *FEW, "--store", "none", *place[2:], model=NAME, **few)
    assert alone.code == 10, alone.out + alone.err
    assert alone.report["model"] == spread.report["model"]
    compared = 0
    for gate, other in zip(alone.report["gates"], spread.report["gates"], strict=True):
        assert gate["id"] == other["id"]
        assert gate["value"] == pytest.approx(other["value"], abs=1e-4, nan_ok=True)
        if (against := gate["against"]["baseline"]) is not None:
            compared += 1
            assert against["verdict"] in ("pass", "reported")
            assert against["value"] == pytest.approx(gate["value"], abs=1e-4, nan_ok=True)
    assert compared, alone.out[-1500:]
    before = len(clusters)
    again = run_suite(tmp_path / "again", *FEW, *place, model=NAME, **few)
    assert again.code == 10
    assert len(clusters) == before


@pytest.mark.parametrize(
    ("all_lost_from", "code"),
    [pytest.param(5, 11, marks=pytest.mark.slow, id="middle"), pytest.param(1, 4, id="start")],
)
def test_run_whose_replicas_all_end_is_incomplete_if_some_answered(
    here, all_lost_from, code, tmp_path
):
    """What was answered is kept; where nothing was, the model cannot be used."""
    here(lost=lambda number, asked: number >= all_lost_from or asked == 6)
    few = {"paths": ("tests/implicit",), "limit": None, "env": {"SCRIPTED_STIMULI": "shipped"}}
    run = run_suite(tmp_path, *FEW, "--store", str(tmp_path / "store"), model=f"ray:{NAME}", **few)
    assert run.code == code, run.out + run.err
    assert "7 replicas were lost and nothing was done: its process ended" in run.out + run.err
    assert "Traceback" not in run.out + run.err


# --- mistakes


def test_ray_that_is_not_installed_is_one_line(monkeypatch):
    """With the remedy."""
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(ModelError, match=r"Ray is not installed .*'pytest-blindspot\[ray\]', here"):
        ray().check_files()


def test_address_where_nobody_listens_is_one_line(monkeypatch, tmp_path):
    """Within seconds, also where a cluster was: Ray itself would try for minutes."""
    monkeypatch.setitem(sys.modules, "ray", SimpleNamespace(is_initialized=lambda: False))
    monkeypatch.setenv("RAY_TMPDIR", str(tmp_path))
    (tmp_path / "ray").mkdir()
    (tmp_path / "ray/ray_current_cluster").write_text("127.0.0.1:2\n", "utf-8")
    for address, said in (
        ("", "no Ray cluster answers at 127.0.0.1:2"),
        ("127.0.0.1:1", "no Ray cluster answers at 127.0.0.1:1"),
        ("ray://head:10001", "give HOST:PORT, and run pytest on a node of the cluster"),
        ("here", "give HOST:PORT"),
    ):
        monkeypatch.setenv(cluster.ADDRESS, address)
        with pytest.raises(ModelError, match=said):
            ray().check_files()


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"model_args": {"replicas": 0}}, "replicas is 0; give a whole number from 1"),
        ({"model_args": {"replicas": "two"}}, "replicas is two; give a whole number"),
        ({"model_args": {"gpus_per_replica": 0.5}}, "gpus_per_replica is 0.5; give a whole"),
        ({"device": "cuda:1"}, "--device cuda:1: Ray gives each replica its GPUs"),
        ({"name": "ray:"}, "name the model: --model ray:org/name"),
    ],
    ids=["none", "word", "half", "device", "nameless"],
)
def test_settings_that_are_none_are_refused(more, said):
    """Before any cluster is looked for."""
    with pytest.raises(ModelError, match=said):
        open_model(ModelOptions(**({"name": f"ray:{NAME}"} | more)))


def test_settings_of_a_replica(tmp_path, monkeypatch):
    """Paths from the root, no arguments of ours, and a model that fills its GPUs."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "checkpoint").mkdir()
    options = ModelOptions("ray:checkpoint", model_args={"replicas": 2, "attn": "eager"})
    settings = RaySettings.of(options)
    assert [settings.gpus_of(has_gpus=some) for some in (True, False)] == [1, 0]
    inner = settings.inner(2)
    assert inner.name == str(tmp_path / "checkpoint")
    assert inner.model_args == {"attn": "eager", "device_map": "auto"}
    assert inner.device == "auto"
    assert settings.inner(0).device == "cpu"
    assert RaySettings.of(ModelOptions("ray:org/name")).inner(1).name == "org/name"
    assert isinstance(Replica(inner), Replica)


def test_arguments_of_a_cluster_are_those_of_its_model():
    """A reference in this process has none of them."""
    given = {"replicas": 2, "attn": "eager"}
    assert arguments_of("ray:m", given, reference=False, beside="n") == given
    assert arguments_of("n", given, reference=True, beside="ray:m") == {"attn": "eager"}
    assert arguments_of("n", given, reference=True, beside="m") == given


def test_workers_and_replicas_exclude_each_other():
    """Each worker would have replicas of its own."""
    asked = Options(model=f"ray:{NAME}", given=frozenset({"model"}))
    assert gpus(asked) == ()
    assert auto_workers(asked) == 0
    with pytest.raises(BlindspotError, match=f"ray:{NAME} with -n 2: omit -n; replicas=N"):
        check_workers(asked, 2)
    assert check_workers(asked, 1) == ""
