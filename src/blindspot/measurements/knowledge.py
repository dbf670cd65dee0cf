"""Knowledge: whether contexts that state a sense are still read in it, inside the model.

The controls of patching and probing, here the thing itself: where a text says that a race is meant,
the vector of an identifier must read as race, and as color where it says so. A model that sees the
group everywhere has unlearned the other sense.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from blindspot import files
from blindspot.estimates.clusters import Clusters, Contributions, contrasts
from blindspot.measurements.base import CATEGORY, OVERALL, Statistic, Words, constant
from blindspot.measurements.controls import labels_of
from blindspot.measurements.mechanistic import (
    Assayed,
    Band,
    Findings,
    Mechanistic,
    Unit,
    first_categories,
)
from blindspot.measurements.mitigation import KNOWING
from blindspot.measurements.patching.unit import PatchingUnit
from blindspot.measurements.probing.statistic import Probing
from blindspot.measurements.probing.unit import ProbeUnit
from blindspot.measurements.sample import evenly, sampled
from blindspot.models.base import Progress
from blindspot.models.residual import ResidualStream
from blindspot.stimuli import (
    DEFAULT_SELECTION,
    Question,
    Selection,
    Slice,
    Stimuli,
    closed_questions,
    cued_contexts,
    mechanistic_slices,
    senses_of,
)

PATCHED, PROBED = "patched", "probed"
_CONTEXTS = 14
"""Of each sense, two for each of seven cues, as in patching."""
_SENSES = ("the literal sense", "the group sense")

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class KnowledgeUnit:
    """Vectors of contexts that state a sense, in questions. Findings: ``same`` of the inner unit.

    ``unit``: contexts of the group sense, then as many of the literal one.
    """

    unit: PatchingUnit

    @cached_property
    def content(self) -> str:
        """Everything but the model that decides its findings, as canonical JSON."""
        return json.dumps({"knowledge": 1, "of": self.unit.content})

    @property
    def size(self) -> int:
        """That of the unit, which does half of its work here."""
        return self.unit.size

    @property
    def tokens(self) -> int:
        """As of the unit."""
        return self.unit.tokens

    def run(self, stream: ResidualStream, *, progress: Progress | None = None) -> Findings:
        """Written at the layers that they come from."""
        return self.unit.in_layers(stream, sampled(stream.layers), progress)


class Knowledge:
    """The share of stated senses that are read right, by patching and by a probe."""

    def __init__(self, stimuli: Stimuli, selection: Selection = DEFAULT_SELECTION) -> None:
        self._stimuli = stimuli
        self._probing = Probing(stimuli, selection)

    def units(self, part: Slice) -> Sequence[Unit]:
        """One that patches; that of the probes."""
        return [self._unit(part), *self._probing.units(part)]

    def measure(self, part: Slice, findings: Mapping[str, Findings]) -> Assayed:
        """Both shares over all layers that are read, whether or not the senses separate there."""
        unit = self._unit(part)
        bands = {(PATCHED, OVERALL): _band(_patched(unit.unit, findings[unit.content]))}
        why = "too few cues state a sense for a probe"
        bands[PROBED, OVERALL] = Band(None, why)
        for probe in self._probing.units(part):
            assert isinstance(probe, ProbeUnit)
            bands[PROBED, OVERALL] = _band(_probed(probe, findings[probe.content]))
        texts = [one.text for one in unit.unit.contexts]
        texts += [one.text for one in unit.unit.questions]
        return Assayed(part, bands, digest=files.digest(*sorted(texts))[:16])

    def _unit(self, part: Slice) -> KnowledgeUnit:
        where = part.axis, part.variant
        contexts = tuple(
            context
            for sense in senses_of(self._stimuli, *where)
            for context in evenly(cued_contexts(self._stimuli, *where, sense.name), _CONTEXTS)
        )
        orders: dict[str, list[Question]] = {}
        for name, _, question in closed_questions(self._stimuli, *where):
            orders.setdefault(name, []).append(question)
        questions = tuple(some[at % len(some)] for at, some in enumerate(orders.values()))
        return KnowledgeUnit(PatchingUnit(contexts, questions))


def _band(found: Contributions) -> Band:
    return Band(None, found.reason) if found.reason else Band(found)


def _shares(right: Floats, of_group: NDArray[np.bool_], clusters: Clusters) -> Contributions:
    """Mean of (row, layer) over rows of either sense, which count alike; NaN where nothing is."""
    read = np.count_nonzero(~np.isnan(right), axis=1)
    rows = np.where(read > 0, np.nansum(right, axis=1) / np.maximum(read, 1), np.nan)
    (found,) = contrasts(
        rows,
        of_group.astype(np.int64),
        np.full((1, 2), 0.5),
        clusters,
        names=_SENSES,
        step=1.0,
        unit="share",
    )
    return found


def _patched(unit: PatchingUnit, findings: Findings) -> Contributions:
    """Of the probability of both senses, the part of the one that is stated."""
    logs = np.asarray(findings["same"], np.float64)
    with np.errstate(invalid="ignore"):
        odds = logs[..., 0] - logs[..., 1]  # the group against the literal sense
    group = 0.5 + 0.5 * np.tanh(odds / 2.0)
    half = len(unit.contexts) // 2 * unit.width
    stated = np.arange(len(group)) < half
    right = np.where(stated[:, None, None], group, 1.0 - group)
    vectors, questions, layers = right.shape
    labels = [str(number) for number in range(questions)]
    return _shares(
        right.reshape(vectors * questions, layers),
        np.repeat(stated, questions),
        labels_of(unit.contexts, labels),
    )


def _probed(unit: ProbeUnit, findings: Findings) -> Contributions:
    """How often a probe is right that saw neither the cue nor the template."""
    known = ~np.isnan(np.asarray(findings["held_out"], np.float64))
    right = np.where(known, np.asarray(findings["right"], np.float64), np.nan)
    layers = len(right)
    return _shares(right.reshape(layers, -1).T, np.repeat(unit.stated, unit.width), unit.clusters)


class _Knowledge(Mechanistic):
    def slices(self, stimuli: Stimuli) -> list[Slice]:
        """One of every variant: categories have no part in it."""
        return first_categories(mechanistic_slices(stimuli, self.name))


KNOWLEDGE = _Knowledge(
    name="knowledge",
    part=KNOWING,
    levels=(CATEGORY,),
    words=Words(
        title="Still knows: stated senses",
        heading="knowledge: stated senses that are read right, inside (share; 0.5 = by chance)",
        asked="Contexts state a sense; shown is how often it is read from the identifier's vector.",
        failed="it no longer tells the stated senses apart",
        passed="it tells the stated senses apart as before",
        doubtful="it may no longer tell the stated senses apart",
        worse="it tells the stated senses apart less than {}",
    ),
    statistics=constant(
        knowledge=Statistic("share of stated senses read right", "share", "at_least", informed=0.6)
    ),
    readings=(PATCHED, PROBED),
    assay=lambda stimuli, selection, _: Knowledge(stimuli, selection),
)
