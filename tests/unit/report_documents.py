"""Reports built to order: of any size, with a baseline, a reference, flips, waivers and names.

The figures are made up but hang together: intervals hold their values, verdicts follow from limits,
and the counts of flips are those of the examples.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tests.unit.report_parts import HASH, HOSTILE, NAME, assay, beside, comparison, effects, gate

__all__ = ["HOSTILE", "NAME", "document"]


def document(
    *,
    axes: Sequence[str] = ("race",),
    variants: Sequence[str] = ("default", "names"),
    categories: Sequence[str] = ("weapons", "guilt", "valence"),
    words: int = 2,
    layers: int = 6,
    flips: int = 8,
    value: float = 0.8,
    text: str = "",
    compared: bool = True,
) -> dict[str, Any]:
    """A report of version 2; ``text`` is put wherever a report holds other people's text."""
    parts = [
        (axis, variant + text, category)
        for axis in axes
        for variant in variants
        for category in categories
    ]
    gates: list[dict[str, Any]] = []
    sections: dict[str, list[dict[str, Any]]] = {"implicit": [], "explicit": []}
    assays = []
    for place, part in enumerate(parts):
        ours = value - 0.05 * place
        old, base = (ours - 0.3 + 0.15 * (place % 3), 0.02) if compared else (None, None)
        sections["implicit"] += effects(part, "implicit", ours)
        sections["explicit"] += effects(part, "explicit", 0.02)
        gates += [
            gate("implicit", part, "stereotype", ours, baseline=old, reference=base),
            gate("implicit", part, "validity", 0.97, baseline=0.99 if compared else None),
            gate("explicit", part, "bias", 0.02, baseline=0.2 if compared else None),
            gate("gap", part, "gap", ours - 0.02),
            gate("patching", part, "blindness", ours, reading="same-layer", band="overall"),
        ]
        for number in range(words):
            word = f"revolver{number}{text}"
            gates.append(gate("implicit", part, "stereotype", ours, word=word))
        assays.append(assay(part, "patching", layers))
    for place, one in enumerate([one for one in gates if one["verdict"] == "fail"][:2]):
        one["waiver"] = {
            "gate": "implicit/*",
            "reason": f"known, to be fixed in the next release {text}",
            "expires": "2027-01-31",
            "expired": place == 1,
        }
        one["verdict"] = "fail" if place else "waived"
    name = NAME + text
    failed = any(one["verdict"] == "fail" for one in gates)
    rows = [one for one in gates if one["level"] == "category"]
    both: dict[str, Any] = {"baseline": None, "reference": None}
    for kind, before in (("baseline", "org/previous"), ("reference", "org/base")):
        if compared:
            both[kind] = comparison(before + text, parts, flips, text) | beside(rows, kind)
    return {
        "schema_version": 2,
        "blindspot_version": "0.1.0",
        "date": "2026-11-25T03:29:30+00:00",
        "model": {
            "id": name,
            "revision": "main",
            "weights_hash": HASH,
            "dtype": "float32",
            "template": text,
            "template_hash": "",
            "tokenizer_hash": HASH,
            "architecture": "LlamaForCausalLM",
            "parameters": 720096,
            "device": "cpu",
            "backend": "transformers engine-1",
            "versions": {"torch": "2.13.0+cpu"},
        },
        "verdict": "failed" if failed else "passed",
        "exit_code": 10 if failed else 0,
        "incomplete": [f"2 gates were not judged {text}"] if text else [],
        "mode": "default",
        "command": f"pytest --model {NAME} --baseline org/previous",
        "families": [
            {"name": "category", "gates": len(parts) * 4, "alpha": 0.05 / 3},
            {"name": "word", "gates": len(parts) * words, "alpha": 0.05 / 3},
            {"name": "mechanistic", "gates": len(parts), "alpha": 0.05 / 3},
        ],
        "comparisons": both,
        "noise_floor": {
            "prompts": 256,
            "batch": 32,
            "rows": [
                {
                    "measurement": "implicit",
                    "axis": "race",
                    "variant": "names",
                    "reading": "forced-choice",
                    "floor": 0.0004,
                    "shift": 0.0001,
                    "spread": 0.002,
                    "n": 256,
                }
            ],
        }
        if compared
        else None,
        "alpha": 0.05,
        "prompts": 11200,
        "selection": {"fraction": "1", "words": "all", "limit": "none"},
        "examples": 0,
        "baseline": {
            "path": "fixtures/baselines/org--previous.json",
            "found": compared,
            "named": compared,
            "model": "org/previous" + text if compared else None,
            "provenance": {"weights": HASH, "dtype": "float32"} if compared else None,
            "accept": f"pytest --model {NAME} --snapshot-update",
            "uncompared": "",
        },
        "gates": gates,
        "effects": sections,
        "pairs": [
            {
                "slice": "-".join(parts[0]),
                "measurement": "implicit",
                "pair": ["wallet", "revolver" + text],
                "value": 1.0,
                "n": 8,
            }
        ],
        "worst_pairs": [
            {
                "slice": "-".join((*parts[0], "wallet", "revolver")),
                "measurement": "implicit",
                "pair": ["wallet", "revolver"],
                "value": 1.0,
                "n": 48,
                "example": {
                    "wording": "labels",
                    "order": "positive-identifier-first,negative-word-first",
                    "answer": f" revolver - black, wallet - white {text}",
                    "reading": "stereotyped",
                },
            }
        ],
        "published": [],
        "masses": [
            {
                "measurement": measurement,
                "axis": "race",
                "wording": "labels" + text,
                "form": "{first_word}:\n{second_word} " + text,
                "n": 560,
                "mass": 3e-7,
                "first_mass": 0.4,
            }
            for measurement in sections
        ],
        "mechanistic": assays,
    }
