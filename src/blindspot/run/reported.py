"""The results of an earlier run from its report, to judge again without the model."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cached_property
from typing import Any

from blindspot.baselines import Entry
from blindspot.baselines.comparison import provenance
from blindspot.baselines.scores import Scores
from blindspot.estimates import Estimate
from blindspot.measurements.registry import MEASUREMENTS, STATISTICS
from blindspot.models.base import Identity
from blindspot.run.cases import Case
from blindspot.run.noise import NoiseFloor
from blindspot.run.result import DECIDES, Kept
from blindspot.stimuli import Slice


class Reported(Kept):
    """The gates of a report.json with the scores beside it.

    Args:
        document: the content of report.json.
        scores: of scores.npz.
        limit: what each mechanistic case is held against.

    Raises:
        ValueError: the id of a gate does not match its parts.
    """

    def __init__(
        self, document: Mapping[str, Any], scores: Scores, limit: Callable[[Case], float]
    ) -> None:
        super().__init__(scores, limit)
        self._gates: dict[str, Mapping[str, Any]] = {g["id"]: g for g in document["gates"]}
        for name, gate in self._gates.items():
            if (named := _case(gate).id) != name:
                raise ValueError(f"the gate {name!r} holds the figures of {named!r}")
        self._noise_floor: Mapping[str, Any] | None = document["noise_floor"]
        model = document["model"]
        self.identity = Identity(
            name=str(model["id"]),
            weights=str(model["weights_hash"]),
            tokenizer=str(model["tokenizer_hash"]),
            dtype=str(model["dtype"]),
            revision=str(model["revision"]),
            template=str(model["template_hash"]),
            device=str(model["device"]),
            backend=str(model["backend"]),
            versions={str(name): str(version) for name, version in model["versions"].items()},
        )
        self.provenance = provenance(self.identity, document["selection"])

    @property
    def cases(self) -> list[Case]:
        """The gates that were judged."""
        return [_case(gate) for gate in self._gates.values()]

    @property
    def noise_floor(self) -> NoiseFloor | None:
        """The noise floor, if that run measured it."""
        return None if (found := self._noise_floor) is None else NoiseFloor.from_record(found)

    @cached_property
    def entries(self) -> dict[str, Entry]:
        """The measured value, as in a baseline."""
        return {
            name: Entry(g["value"], g["standard_error"], g["n"], g["prompts"], g["level"])
            for name, g in self._gates.items()
            if g["value"] is not None
        }

    def estimate(self, case: Case) -> Estimate:
        """The estimate that a case judges, from the scores."""
        found = self.contributions(case)
        if found is None:
            gate = self._gates[case.id]
            why = gate["unreadable"] or gate["missing"] or "the scores do not contain it"
            return Estimate.unmeasured(why, unit=STATISTICS[case.statistic].unit)
        return found.estimate()

    def digest(self, case: Case) -> str:
        """Digest of the prompts of a case."""
        return str(self._gates[case.id]["prompts"])

    def unreadable(self, case: Case) -> str:
        """Why the controls allowed no verdict."""
        return str(self._gates[case.id]["unreadable"])

    def controls(self, case: Case) -> str:
        """What the controls said, and which comparison decides now."""
        told = str(self._gates[case.id]["controls"])
        if not (name := self.decisive(case)):
            return told
        before, after = DECIDES.split("{}")
        kept = [one for one in told.split("; ") if not one.startswith(before)]
        return "; ".join([*kept, f"{before}{name}{after}"])


def _case(gate: Mapping[str, Any]) -> Case:
    part = Slice(
        (*MEASUREMENTS[gate["measurement"]].asks, gate["measurement"])[0],
        gate["axis"],
        gate["variant"],
        gate["category"],
        word=gate["word"],
    )
    return Case(
        gate["measurement"],
        part,
        gate["statistic"],
        gate["reading"],
        gate["level"],
        gate["band"],
        tuple(gate["variants"]),
        gate["kind"],
    )
