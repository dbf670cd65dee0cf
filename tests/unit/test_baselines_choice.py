"""Which baseline a run is compared with, and what it says where it is compared with none."""

from pathlib import Path

import pytest

from blindspot.baselines import Baseline
from blindspot.baselines.choice import Choice, choose

PATH = Path("here/model.json")
NOW = {"dtype": "float32", "tokenizer": "a"}


def chosen(found=None, *, named=False, required=False, allowed=("scores",)):
    """What is chosen for the model ``model`` under the conditions `NOW`."""
    none = Choice(PATH, named)
    return choose(none, found, "model", NOW, required=required, allowed=allowed)


def accepted(model="model", **provenance):
    """A baseline without scores of single prompts."""
    return Baseline(PATH, model, {**NOW, **provenance}, {}, "")


def test_no_baseline_is_no_fault_unless_it_was_asked_for():
    """A first run has none; one that names it, or requires one, is incomplete."""
    assert chosen() == Choice(PATH)
    for asked in ({"named": True}, {"required": True}):
        (fault,) = chosen(**asked).faults
        assert fault.startswith(f"the baseline {PATH} is missing; accept")


def test_the_same_model_under_the_same_conditions_is_compared():
    """Also another model, if the user names its baseline."""
    assert chosen(accepted()).baseline == accepted()
    assert chosen(accepted("other"), named=True).baseline == accepted("other")


@pytest.mark.parametrize(
    ("found", "allowed", "said"),
    [
        (accepted("other"), ("scores",), "is the baseline of other"),
        (accepted(dtype="bfloat16"), ("scores",), "--allow-mismatch dtype"),
        (accepted(), (), "--allow-mismatch scores"),
    ],
)
def test_what_differs_is_a_fault(found, allowed, said):
    """Each is named with its remedy, and nothing is compared."""
    choice = chosen(found, allowed=allowed)
    assert choice.baseline is None
    assert choice.uncompared
    assert said in choice.faults[0]


def test_other_prompts_of_the_same_stimuli_are_compared_in_part():
    """Another fraction, other words or a limit is no fault."""
    assert not chosen(accepted(), allowed=("scores",)).partial
    for name, value in (("fraction", "1/2"), ("words", "published"), ("limit", "2")):
        choice = chosen(accepted(**{name: value}), allowed=("scores",))
        assert choice.partial
        assert not choice.faults
