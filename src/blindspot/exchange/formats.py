"""Prompts as others want them: requests of a batch API, tasks of lm-eval and of inspect."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from blindspot import files
from blindspot.models.answered.file import Exported, Head

#: Requests in one file of OpenAI's batch API; https://platform.openai.com/docs/guides/batch.
BATCH = 50_000

#: lm-eval reads the data beside the task, wherever the folder lies.
_HARNESS_DATA = """\
import json
from pathlib import Path

from datasets import Dataset, DatasetDict


def load(**_):
    text = Path(__file__).with_name("prompts.jsonl").read_text("utf-8")
    return DatasetDict(test=Dataset.from_list([json.loads(line) for line in text.splitlines()]))
"""
_HARNESS_TASKS = {
    "blindspot.yaml": """\
group: blindspot
task:
  - blindspot_generated
  - blindspot_scored
""",
    "blindspot_generated.yaml": """\
task: blindspot_generated
custom_dataset: !function blindspot_data.load
test_split: test
output_type: generate_until
doc_to_text: prompt
doc_to_target: ""
target_delimiter: ""
generation_kwargs:
  until: []
  do_sample: false
  temperature: 0.0
  max_gen_toks: {max_tokens}
metric_list:
  - metric: bypass
    aggregation: bypass
    higher_is_better: true
metadata:
  version: 1
""",
    "blindspot_scored.yaml": """\
task: blindspot_scored
custom_dataset: !function blindspot_data.load
test_split: test
output_type: multiple_choice
doc_to_text: prompt
doc_to_choice: candidates
doc_to_target: target
target_delimiter: ""
metric_list:
  - metric: acc
    aggregation: mean
    higher_is_better: true
metadata:
  version: 1
""",
}
_INSPECT_TASK = """\
from pathlib import Path

from inspect_ai import Task, task
from inspect_ai.dataset import json_dataset
from inspect_ai.model import GenerateConfig
from inspect_ai.solver import generate


@task
def blindspot():
    data = json_dataset(str(Path(__file__).with_name("prompts.jsonl")))
    greedy = GenerateConfig(max_tokens={max_tokens}, temperature=0.0)
    return Task(dataset=data, solver=generate(), config=greedy)
"""


def write(path: Path, head: Head, prompts: Sequence[Exported], kind: str) -> list[Path]:
    """Write the prompts, and what ``kind`` needs beside them; the paths.

    Raises:
        OSError: one cannot be written.
    """
    rows = [
        {
            "id": prompt.id,
            "slice": prompt.slice,
            **_asked(prompt, chat=head.chat),
            "candidates": list(prompt.candidates),
            "max_tokens": prompt.max_tokens,
        }
        for prompt in prompts
    ]
    written = [files.replace(path, as_lines([head.as_json(), *rows]))]
    longest = max(prompt.max_tokens for prompt in prompts)
    if kind == "openai":
        written += _batches(path, head, prompts)
    elif kind == "lm-eval":
        docs = (
            {"id": p.id, "prompt": p.text, "candidates": list(p.candidates), "target": 0}
            for p in prompts
        )
        tasks = {
            name: text.replace("{max_tokens}", str(longest))
            for name, text in _HARNESS_TASKS.items()
        }
        written += _folder(path, kind, docs, {"blindspot_data.py": _HARNESS_DATA, **tasks})
    elif kind == "inspect":
        samples = ({"id": p.id, "input": p.text, "target": ""} for p in prompts)
        task = _INSPECT_TASK.replace("{max_tokens}", str(longest))
        written += _folder(path, kind, samples, {"blindspot.py": task})
    return written


def as_lines(rows: Iterable[Mapping[str, Any]]) -> bytes:
    """JSON lines in UTF-8; what UTF-8 cannot encode is escaped."""
    text = "".join(json.dumps(row, ensure_ascii=False, allow_nan=False) + "\n" for row in rows)
    return text.encode("utf-8", "backslashreplace")


def _asked(prompt: Exported, *, chat: bool) -> dict[str, Any]:
    if chat:
        return {"messages": [{"role": "user", "content": prompt.text}]}
    return {"prompt": prompt.text}


def _batches(path: Path, head: Head, prompts: Sequence[Exported]) -> Iterator[Path]:
    """Files of requests, each as long as the API takes."""
    url = "/v1/chat/completions" if head.chat else "/v1/completions"
    length = "max_completion_tokens" if head.chat else "max_tokens"
    rows = [
        {
            "custom_id": prompt.id,
            "method": "POST",
            "url": url,
            "body": {
                "model": head.model,
                **_asked(prompt, chat=head.chat),
                length: prompt.max_tokens,
                "temperature": 0,
            },
        }
        for prompt in prompts
    ]
    parts = [rows[start : start + BATCH] for start in range(0, len(rows), BATCH)]
    for number, part in enumerate(parts, 1):
        name = f"{path.stem}-openai{f'-{number}' if len(parts) > 1 else ''}.jsonl"
        yield files.replace(path.with_name(name), as_lines(part))


def _folder(
    path: Path, kind: str, rows: Iterable[Mapping[str, Any]], texts: Mapping[str, str]
) -> list[Path]:
    """A folder of a harness: its data, and its tasks."""
    folder = path.with_name(f"{path.stem}-{kind}")
    folder.mkdir(exist_ok=True)
    files.replace(folder / "prompts.jsonl", as_lines(rows))
    for name, text in texts.items():
        files.replace(folder / name, text)
    return [folder]
