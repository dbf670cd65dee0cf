"""The same prompts through lm-evaluation-harness and vLLM, as they are used.

Each is optional; one that is not there is told so and left out.
"""

# ruff: noqa: PLC0415 (each is imported where it is there)
from __future__ import annotations

import json
import logging
import os
import subprocess
import warnings
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

os.environ.setdefault("HF_HUB_OFFLINE", "1")  # nobody is to look for a model of this name

import torch

from benchmarks.behaviour.subjects import Job, Subject

HARNESS = "lm-eval"
#: Rows of lm-evaluation-harness's passes.
BATCH = 16


def harness_version() -> str | None:
    """Of lm-evaluation-harness, None where it is not installed."""
    try:
        return version(HARNESS)
    except PackageNotFoundError:
        return None


class Harness:
    """Log-likelihoods of candidates through lm-evaluation-harness's Python API."""

    def __init__(self, subject: Subject) -> None:
        from lm_eval.models.huggingface import HFLM

        logging.getLogger("lm_eval").setLevel(logging.ERROR)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            self._model: Any = HFLM(
                pretrained=subject.model,
                tokenizer=subject.prompts.tokenizer,
                batch_size=BATCH,
                add_bos_token=True,
            )

    @torch.inference_mode()
    def score(self, jobs: Sequence[Job]) -> list[list[float]]:
        """Nats of each candidate, job by job."""
        from lm_eval.api.instance import Instance

        requests = [
            Instance("loglikelihood", {}, (job.prompt.text, f" {candidate}"), 0)
            for job in jobs
            for candidate in job.prompt.candidates
        ]
        found = iter(self._model.loglikelihood(requests, disable_tqdm=True))
        return [[next(found)[0] for _ in job.prompt.candidates] for job in jobs]


class Vllm:
    """vLLM in another environment, spoken to through a pipe."""

    def __init__(self, python: Path, subject: Subject, directory: Path) -> None:
        """Save the subject there and load it.

        Raises:
            RuntimeError: vLLM did not come up; its messages are in ``directory``.
        """
        subject.model.save_pretrained(directory)
        log = directory / "vllm.log"
        script = Path(__file__).with_name("vllm_process.py")
        environment = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}
        dtype = str(subject.model.dtype).removeprefix("torch.")
        environment["OMP_NUM_THREADS"] = str(torch.get_num_threads())
        with log.open("w", encoding="utf-8") as told:
            self._process = subprocess.Popen(
                [str(python), str(script), str(directory), dtype],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=told,
                text=True,
                env=environment,
            )
        assert self._process.stdout is not None
        if not self._process.stdout.readline():
            self.close()
            last = log.read_text(encoding="utf-8").strip().splitlines()[-1:]
            raise RuntimeError(f"vLLM did not start ({' '.join(last)}); see {log}")

    def generate(self, jobs: Sequence[Job]) -> tuple[list[list[int]], float, float]:
        """Tokens of each answer until the end of the text; wall and CPU seconds."""
        done = self._ask("generation", [list(job.tokens) for job in jobs])
        return done["found"], done["wall"], done["cpu"]

    def score(self, jobs: Sequence[Job]) -> tuple[list[list[float]], float, float]:
        """Nats of each candidate, job by job; wall and CPU seconds."""
        done = self._ask("scoring", [list(text) for job in jobs for text in job.texts])
        found = iter(done["found"])
        values = [[sum(next(found)[len(job.tokens) - 1 :]) for _ in job.texts] for job in jobs]
        return values, done["wall"], done["cpu"]

    def close(self) -> None:
        """End its process."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        self._process.wait()
        self._process.stdout.close()

    def _ask(self, kind: str, prompts: list[list[int]]) -> dict[str, Any]:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps({"kind": kind, "prompts": prompts}) + "\n")
        self._process.stdin.flush()
        done: dict[str, Any] = json.loads(self._process.stdout.readline())
        return done
