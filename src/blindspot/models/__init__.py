"""Language models behind one protocol. Importing this imports no torch."""

from blindspot.models.base import (
    Generation,
    GenerationRequest,
    HasScores,
    HasWeights,
    Identity,
    IsServed,
    LanguageModel,
    Progress,
    Scored,
    ScoreRequest,
)
from blindspot.models.options import ModelArgument, ModelOptions, parse_model_args
from blindspot.models.transformers.loader import identify, load

__all__ = [
    "Generation",
    "GenerationRequest",
    "HasScores",
    "HasWeights",
    "Identity",
    "IsServed",
    "LanguageModel",
    "ModelArgument",
    "ModelOptions",
    "Progress",
    "ScoreRequest",
    "Scored",
    "identify",
    "load",
    "parse_model_args",
]
