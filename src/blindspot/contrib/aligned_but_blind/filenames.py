"""The name of a result file: ``<variant>_<category>_bias_results_<model>_deterministic``.

Variant, category and model may all contain underscores, which makes ``<variant>_<category>``
ambiguous. The first rule that fits decides:

1. it ends in ``_`` and a category of the paper: the rest is the variant;
2. it starts with the name of the folder that holds the file and ``_``: that is the variant (the
   paper keeps each variant in a folder of that name);
3. it starts with a variant of the paper and ``_``: the rest is the category;
4. a category is two names joined by a hyphen, and both have the same number of parts
   (``good_adj-bad_adj``): what is left of that is the variant; without a hyphen the category is
   the last part.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

CATEGORIES = ("good_adj-bad_adj", "guilty-innocent", "item-weapon")
VARIANTS = ("default", "dialects", "dialect", "direct_color", "names", "uppercase")

#: Marks a file as one of the paper's result files, even if the rest of its name does not fit.
MARK = "_bias_results_"

_NAME = re.compile(r"(?P<what>.+?)_bias_results_(?P<model>.+)_deterministic\.json")


@dataclass(frozen=True, slots=True, order=True)
class ResultName:
    """The content of one result file: the answers of a model to a category of a variant."""

    model: str
    variant: str
    category: str

    def __str__(self) -> str:
        return f"{self.model} / {self.variant} / {self.category}"


def looks_like_result(filename: str) -> bool:
    """Whether a file must be read or reported as skipped; hidden files never are."""
    return MARK in filename and filename.endswith(".json") and not filename.startswith(".")


def parse_filename(filename: str, folder: str = "") -> ResultName | None:
    """Model, variant and category of a result file; None if the name has another form.

    ``folder`` is the name of the directory that holds the file.
    """
    match = _NAME.fullmatch(filename)
    if match is None:
        return None
    split = _split(match["what"], folder)
    return split and ResultName(match["model"], *split)


def _split(what: str, folder: str) -> tuple[str, str] | None:
    for category in CATEGORIES:
        variant = what.removesuffix(f"_{category}")
        if variant and variant != what:
            return variant, category
    for variant in (folder, *VARIANTS):
        category = what.removeprefix(f"{variant}_")
        if variant and category and category != what:
            return variant, category
    left, hyphen, right = what.partition("-")
    parts = left.split("_")
    size = min(right.count("_") + 1 if hyphen else 1, len(parts) - 1)
    if size < 1:
        return None
    variant = "_".join(parts[:-size])
    category = "_".join(parts[-size:]) + hyphen + right
    return (variant, category) if variant and category else None
