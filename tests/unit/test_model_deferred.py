"""A model is loaded only when it is asked."""

import shutil

import pytest

from blindspot.errors import ModelError
from blindspot.models import GenerationRequest, ModelOptions
from blindspot.models import deferred as module
from blindspot.models.checkpoint import WEIGHTS
from blindspot.models.deferred import DeferredModel, threads_for
from blindspot.paths import organism_directory


def test_identity_needs_no_weights(monkeypatch):
    """Who will answer is known without loading; asking loads, once."""
    loaded = []

    class Loaded:
        identity = DeferredModel(ModelOptions("organism:aware")).identity

        def generate(self, requests, *, progress=None):
            return ["answer"] * len(requests)

    monkeypatch.setattr(module, "load", lambda options: loaded.append(options) or Loaded())
    model = DeferredModel(ModelOptions("organism:aware"))
    assert len(model.identity.weights) == 64
    assert not loaded
    for _ in range(2):
        assert model.generate([GenerationRequest("x", bool)]) == ["answer"]
    assert len(loaded) == 1


def test_checkpoint_replaced_before_it_is_loaded_is_told(tmp_path):
    """A run that took its store keys from other weights asks nothing of the new ones."""
    path = tmp_path / "model"
    shutil.copytree(organism_directory("aware"), path)
    model = DeferredModel(ModelOptions(str(path)))
    assert len(model.identity.weights) == 64
    shutil.copyfile(organism_directory("blind") / WEIGHTS, path / WEIGHTS)
    with pytest.raises(ModelError, match=r"model: the checkpoint was replaced .* run again"):
        model.generate([GenerationRequest("x", bool)])
    assert DeferredModel(ModelOptions(str(path))).identity.weights != model.identity.weights


def test_files_are_checked_without_loading():
    """A directory that is no model is told before anything is loaded."""
    with pytest.raises(ModelError, match="unicorn"):
        DeferredModel(ModelOptions("organism:unicorn")).check_files()


@pytest.mark.parametrize(
    ("parameters", "cores", "workers", "threads"),
    [(720_000, 8, 1, 1), (8_000_000_000, 8, 1, 8), (8_000_000_000, 8, 3, 2), (10**9, 1, 4, 1)],
)
def test_threads_are_shared(parameters, cores, workers, threads):
    """Small models take one thread, large ones their worker's share."""
    assert threads_for(parameters, cores, workers) == threads
