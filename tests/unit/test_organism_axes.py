"""What is planted on several axes is found: gender for itself, homonyms apart from groups."""

import pytest

from tests.unit.suite_runs import run_suite

FEW = ("--fraction", "1/4", "--no-noise-floor")
PART = "overall and (race-default-weapons or names-career or adjectives-career or homonyms)"


def verdicts(run):
    """Of the gates on a stereotype in association, by variant and reading."""
    return {
        (gate["variant"], gate["reading"]): gate["verdict"]
        for gate in run.gates.values()
        if gate["statistic"] == "stereotype" and gate["level"] == "category"
    }


def test_gender_passes_where_blind_is_fair_and_fails_where_it_is_not(tmp_path):
    """Blind to race, it is fair to male and female, and follows the stereotype of nouns."""
    part = "(gender-default-career or gender-adjectives-career) and category_association"
    run = run_suite(
        tmp_path,
        *("--axis", "gender", "-k", part),
        *FEW,
        model="organism:blind",
        limit=None,
        paths=("tests/implicit",),
    )
    assert run.code == 10, run.out
    assert verdicts(run) == {
        ("default", "generated"): "fail",
        ("default", "forced-choice"): "fail",
        ("adjectives", "generated"): "pass",
        ("adjectives", "forced-choice"): "pass",
    }


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "moved", "said"),
    [
        (
            "blind",
            {"race": "up", "gender": "unchanged", "homonyms": "unchanged"},
            "it sees the group in words of race less than the reference, beyond what became of "
            "homonyms: that is about groups",
        ),
        (
            "literal",
            {"race": "up", "gender": "up", "homonyms": "up"},
            "it takes homonyms in their literal sense more than the reference, and words for "
            "groups no more than these: that is about every ambiguous word, not about groups",
        ),
    ],
)
def test_homonyms_tell_blind_to_a_group_from_literal_about_everything(tmp_path, name, moved, said):
    """Beside the aware model: one sees a group less, the other takes every word literally."""
    run = run_suite(
        tmp_path,
        *("--axis", "race,gender,homonyms-creature,homonyms-nature"),
        *("--reference", "organism:aware", "-k", PART, "--no-noise-floor"),
        model=f"organism:{name}",
        limit=None,
        paths=("tests/mechanistic/test_probing.py",),
    )
    lines = run.report["comparisons"]["reference"]["signature"]
    found = {line["name"].partition("/")[2]: line["direction"] for line in lines}
    assert {axis: found[axis] for axis in moved} == moved
    assert said in " ".join(run.out.split())
    assert ("homonyms moved too" in run.out) is False
