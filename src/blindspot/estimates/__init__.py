"""Effects and their uncertainty. Pure numpy and scipy: arrays in, builtins out."""

from blindspot.estimates.agreement import AgreementEffects, agreement_effects
from blindspot.estimates.association import AssociationEffects, association_effects, mean_estimate
from blindspot.estimates.clusters import (
    ANSWER_STEP,
    LOGIT_STEP,
    PROBABILITY_STEP,
    Clusters,
    Contributions,
)
from blindspot.estimates.comparison import beyond, difference, less_represented, mean_of
from blindspot.estimates.effects import Effects
from blindspot.estimates.estimate import Accepted, Estimate, change_from
from blindspot.estimates.multiplicity import holm, holm_by_family

__all__ = [
    "ANSWER_STEP",
    "LOGIT_STEP",
    "PROBABILITY_STEP",
    "Accepted",
    "AgreementEffects",
    "AssociationEffects",
    "Clusters",
    "Contributions",
    "Effects",
    "Estimate",
    "agreement_effects",
    "association_effects",
    "beyond",
    "change_from",
    "difference",
    "holm",
    "holm_by_family",
    "less_represented",
    "mean_estimate",
    "mean_of",
]
