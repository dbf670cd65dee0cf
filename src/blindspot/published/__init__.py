"""The paper's published result files: read, put to a model again, scored as published and as ours.

Pure data: imports no torch. `load_prompts` gives the distinct published prompts of a directory,
`score` turns records (the paper's, or a model's own answers to the same prompts) into one `Row`.
"""

from blindspot.published.files import (
    Collection,
    PromptSet,
    ResultFile,
    Skipped,
    load_prompts,
    read_directory,
    read_result_file,
)
from blindspot.published.prompts import PublishedPrompt, PublishedRecord
from blindspot.published.rescore import Rescored, Row, Total, rescore, score
from blindspot.published.scorer import PublishedScore, score_association

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
