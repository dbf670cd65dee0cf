"""report-model-card.yaml is read back by the classes of huggingface_hub."""

import pytest
import yaml
from huggingface_hub import ModelCard, ModelCardData

from blindspot.gates.verdict import Verdict
from blindspot.report.card import card
from blindspot.report.text import line
from tests.unit.report_documents import HOSTILE, NAME, document


@pytest.mark.parametrize("text", ["", HOSTILE, ": - '\"#\n---\n%"])
def test_card_reads_back(text):
    """Model, slices, values, intervals and verdicts come back as they were, whatever the names."""
    made = document(text=text)
    block = card(made)
    block.encode("utf-8")
    data = ModelCard(f"---\n{block}---\n\n# A model\n").data
    assert data.model_name == line(NAME + text)
    wanted = {
        (gate["measurement"], line(gate["slice"]), gate["statistic"], round(gate["value"], 4))
        for gate in made["gates"]
        if gate["level"] == "category"
    }
    found = {
        (
            one.dataset_type.removeprefix("blindspot-"),
            one.dataset_config,
            one.metric_type,
            one.metric_value,
        )
        for one in data.eval_results
    }
    assert found == wanted
    first = data.eval_results[0]
    assert first.metric_args["verdict"] == made["gates"][0]["verdict"]
    assert first.metric_args["low"] < first.metric_value < first.metric_args["high"]
    assert first.metric_name == "stereotype effect"
    assert first.dataset_revision == made["blindspot_version"]


def test_card_can_be_pasted(tmp_path):
    """The block goes between the dashes of a card that has other keys, and stays valid."""
    block = card(document(variants=["default"]))
    text = f"---\nlicense: apache-2.0\nlanguage: en\n{block}---\n# Model\n"
    (tmp_path / "README.md").write_text(text, "utf-8")
    data = ModelCard.load(tmp_path / "README.md").data
    assert data.license == "apache-2.0"
    assert len(data.eval_results) == 15
    again = ModelCardData(**yaml.safe_load(data.to_yaml()))
    assert [one.metric_value for one in again.eval_results] == [
        one.metric_value for one in data.eval_results
    ]


def test_card_holds_plain_values():
    """A verdict is a word, not the enum of a run; a hub reads the card without our code."""
    made = document(variants=["default"])
    for gate in made["gates"]:
        gate["verdict"] = Verdict(gate["verdict"])
    assert "!!python" not in card(made)
    assert yaml.safe_load(card(made))


def test_unmeasured_gates_are_left_away():
    """A value that does not exist is no 0; a run without values gives a block without results."""
    made = document(variants=["default"], compared=False)
    made["gates"][0]["value"] = None
    data = ModelCard(f"---\n{card(made)}---\n").data
    assert len(data.eval_results) == 14
    assert "model-index" not in card(made | {"gates": []})
