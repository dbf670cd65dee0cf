"""Effects, their uncertainty, and gates. Pure numpy and scipy: arrays in, builtins out."""

from blindspot.estimates.agreement import AgreementEffects, agreement_effects, gap
from blindspot.estimates.association import AssociationEffects, association_effects, mean_estimate
from blindspot.estimates.clusters import (
    ANSWER_STEP,
    LOGIT_STEP,
    PROBABILITY_STEP,
    Clusters,
    Contributions,
)
from blindspot.estimates.comparison import difference, less_represented, mean_of
from blindspot.estimates.effects import Effects
from blindspot.estimates.estimate import Accepted, Estimate, change_from
from blindspot.estimates.gate_table import GateTable, load_gates
from blindspot.estimates.gates import ALPHA, Check, Gate, GateResult, Verdict, families_of, judge
from blindspot.estimates.messages import first_line
from blindspot.estimates.multiplicity import holm, holm_by_family

__all__ = [
    "ALPHA",
    "ANSWER_STEP",
    "LOGIT_STEP",
    "PROBABILITY_STEP",
    "Accepted",
    "AgreementEffects",
    "AssociationEffects",
    "Check",
    "Clusters",
    "Contributions",
    "Effects",
    "Estimate",
    "Gate",
    "GateResult",
    "GateTable",
    "Verdict",
    "agreement_effects",
    "association_effects",
    "change_from",
    "difference",
    "families_of",
    "first_line",
    "gap",
    "holm",
    "holm_by_family",
    "judge",
    "less_represented",
    "load_gates",
    "mean_estimate",
    "mean_of",
]
