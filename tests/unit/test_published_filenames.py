"""What the names of the paper's result files say."""

from __future__ import annotations

import pytest

from blindspot.contrib.aligned_but_blind.filenames import (
    ResultName,
    looks_like_result,
    parse_filename,
)

NAMES = [
    ("default_item-weapon_bias_results_chat8b", "", "chat8b", "default", "item-weapon"),
    ("uppercase_guilty-innocent_bias_results_chat", "", "chat", "uppercase", "guilty-innocent"),
    ("names_good_adj-bad_adj_bias_results_nonchat", "", "nonchat", "names", "good_adj-bad_adj"),
    ("direct_color_item-weapon_bias_results_x", "", "x", "direct_color", "item-weapon"),
    ("direct_color_good_adj-bad_adj_bias_results_x", "", "x", "direct_color", "good_adj-bad_adj"),
    ("default_item-weapon_bias_results_all_431", "", "all_431", "default", "item-weapon"),
    (
        "names_item-weapon_bias_results_Meta-Llama-3.1-8B_v2",
        "",
        "Meta-Llama-3.1-8B_v2",
        "names",
        "item-weapon",
    ),
    (  # the tag itself repeats the frame: the first mark and the last ending count
        "default_item-weapon_bias_results_a_bias_results_b_deterministic",
        "",
        "a_bias_results_b_deterministic",
        "default",
        "item-weapon",
    ),
    ("my_own_item-weapon_bias_results_x", "", "x", "my_own", "item-weapon"),
    ("my-own_item-weapon_bias_results_x", "", "x", "my-own", "item-weapon"),
    ("direct_color_rich-poor_bias_results_x", "", "x", "direct_color", "rich-poor"),
    ("names_very_rich-poor_bias_results_x", "", "x", "names", "very_rich-poor"),
    ("default_wealth_bias_results_x", "", "x", "default", "wealth"),
    ("my_own_very_rich-poor_bias_results_x", "my_own", "x", "my_own", "very_rich-poor"),
    ("my_own_rich-poor_bias_results_x", "elsewhere", "x", "my_own", "rich-poor"),
    ("my_own_very_rich-very_poor_bias_results_x", "", "x", "my_own", "very_rich-very_poor"),
    ("own_rich-very_poor_bias_results_x", "", "x", "own", "rich-very_poor"),
    ("my_own_wealth_bias_results_x", "", "x", "my_own", "wealth"),
]


@pytest.mark.parametrize(
    ("stem", "folder", "model", "variant", "category"), NAMES, ids=[name[0] for name in NAMES]
)
def test_a_result_file_name_gives_model_variant_and_category(
    stem: str, folder: str, model: str, variant: str, category: str
) -> None:
    """Variants, categories and tags with underscores, hyphens and dots are told apart."""
    parsed = parse_filename(f"{stem}_deterministic.json", folder)
    assert parsed == ResultName(model=model, variant=variant, category=category)


@pytest.mark.parametrize(
    "filename",
    [
        "default_item-weapon_bias_results_chat8b.json",
        "default_item-weapon_bias_results__deterministic.json",
        "itemweapon_bias_results_chat8b_deterministic.json",
        "item-weapon_bias_results_chat8b_deterministic.json",
        "_item-weapon_bias_results_chat8b_deterministic.json",
        "_bias_results_chat8b_deterministic.json",
        "trainer_state.json",
    ],
)
def test_another_form_of_name_is_not_guessed(filename: str) -> None:
    """A name without a variant, a category, a tag or the ending is refused, never half read."""
    assert parse_filename(filename) is None


def test_only_marked_and_visible_json_files_look_like_results() -> None:
    """Other JSON beside the results is passed over, as is what an archiver hides there."""
    assert looks_like_result("a_b_bias_results_c.json")
    assert not looks_like_result("trainer_state.json")
    assert not looks_like_result("._a_b_bias_results_c_deterministic.json")
    assert not looks_like_result("a_b_bias_results_c_deterministic.json.orig")
