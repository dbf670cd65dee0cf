"""The paper's published result files: read, asked again, scored by the paper's method and by ours.

Pure data: imports no torch. `load_prompts` gives the distinct published prompts of a directory,
`score` turns records (the paper's, or a model's own answers to the same prompts) into one `Row`.
"""

from blindspot.contrib.aligned_but_blind.files import (
    Collection,
    PromptSet,
    ResultFile,
    Skipped,
    load_prompts,
    read_directory,
    read_result_file,
)
from blindspot.contrib.aligned_but_blind.prompts import PublishedPrompt, PublishedRecord
from blindspot.contrib.aligned_but_blind.rescore import Rescored, Row, Total, rescore, score
from blindspot.contrib.aligned_but_blind.scorer import PublishedScore, score_association

__all__ = [
    "Collection",
    "PromptSet",
    "PublishedPrompt",
    "PublishedRecord",
    "PublishedScore",
    "Rescored",
    "ResultFile",
    "Row",
    "Skipped",
    "Total",
    "load_prompts",
    "read_directory",
    "read_result_file",
    "rescore",
    "score",
    "score_association",
]
