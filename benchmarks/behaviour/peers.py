"""The same prompts through lm-evaluation-harness, vLLM and llama.cpp, as they are used.

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

import numpy as np
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
        requests = [
            (("", ""), list(job.tokens), list(text[len(job.tokens) :]))
            for job in jobs
            for text in job.texts
        ]
        found = iter(self._model._loglikelihood_tokens(requests, disable_tqdm=True))
        return [[next(found)[0] for _ in job.texts] for job in jobs]


class Elsewhere:
    """A peer in an environment of its own, spoken to through a pipe."""

    def __init__(self, name: str, script: str, command: Sequence[object], log: Path) -> None:
        """Start it; it loads the model.

        Raises:
            RuntimeError: it did not come up; its messages are in ``log``.
        """
        environment = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}
        environment["OMP_NUM_THREADS"] = str(torch.get_num_threads())
        python, *arguments = map(str, command)
        with log.open("w", encoding="utf-8") as told:
            self._process = subprocess.Popen(
                [python, str(Path(__file__).with_name(script)), *arguments],
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
            raise RuntimeError(f"{name} did not start ({' '.join(last)}); see {log}")

    def generate(self, jobs: Sequence[Job]) -> tuple[list[list[int]], float, float]:
        """Tokens of each answer until the end of the text; wall and CPU seconds."""
        done = self._ask("generation", [list(job.tokens) for job in jobs])
        return done["found"], done["wall"], done["cpu"]

    def score(self, jobs: Sequence[Job]) -> tuple[list[list[float]], float, float]:
        """Nats of each candidate, job by job; wall and CPU seconds."""
        texts = [list(text) for job in jobs for text in job.texts]
        starts = [len(job.tokens) for job in jobs for _ in job.texts]
        done = self._ask("scoring", texts, starts)
        found = iter(done["found"])
        values = [[sum(next(found)) for _ in job.texts] for job in jobs]
        return values, done["wall"], done["cpu"]

    def close(self) -> None:
        """End its process."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        self._process.wait()
        self._process.stdout.close()

    def _ask(
        self, kind: str, prompts: list[list[int]], starts: Sequence[int] = ()
    ) -> dict[str, Any]:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        work = {"kind": kind, "prompts": prompts, "starts": list(starts)}
        self._process.stdin.write(json.dumps(work) + "\n")
        self._process.stdin.flush()
        done: dict[str, Any] = json.loads(self._process.stdout.readline())
        return done


def vllm(python: Path, subject: Subject, directory: Path) -> Elsewhere:
    """VLLM, with the subject as a checkpoint in a directory."""
    subject.model.save_pretrained(directory)
    dtype = str(subject.model.dtype).removeprefix("torch.")
    return Elsewhere("vLLM", "vllm_process.py", (python, directory, dtype), directory / "vllm.log")


def llama_server(python: Path, source: Path, directory: Path, numbers: str) -> Elsewhere:
    """A llama.cpp server, with the blocks of a GGUF file as plain numbers of one type."""
    file = directory / f"{numbers}.gguf"
    unquantised(source, file, getattr(np, numbers))
    command = (python, file, torch.get_num_threads())
    return Elsewhere("llama.cpp", "llama_process.py", command, directory / f"{numbers}.log")


def unquantised(source: Path, target: Path, numbers: type[np.floating[Any]]) -> None:
    """Write a GGUF file whose matrices are plain numbers, with all that the source says."""
    import gguf

    reader = gguf.GGUFReader(source)
    named = {field.name: field for field in reader.fields.values()}
    writer = gguf.GGUFWriter(target, named.pop("general.architecture").contents())
    for name, field in named.items():
        if not name.startswith("GGUF.") and name != "general.file_type":
            kind = field.types[0]
            of = field.types[-1] if kind == gguf.GGUFValueType.ARRAY else None
            writer.add_key_value(name, field.contents(), kind, of)
    for tensor in reader.tensors:
        values = gguf.dequantize(tensor.data, tensor.tensor_type)
        writer.add_tensor(tensor.name, values.astype(numbers if values.ndim > 1 else np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
