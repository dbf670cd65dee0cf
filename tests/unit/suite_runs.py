"""Run the real suite in a process of its own, with scripted models."""

from __future__ import annotations

import gzip
import json
import os
import subprocess
import sys
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class SuiteRun:
    """What a run of the suite printed, returned and wrote."""

    code: int
    out: str
    err: str
    output_path: Path

    @cached_property
    def report(self) -> dict[str, Any]:
        """The content of report.json."""
        return json.loads((self.output_path / "report.json").read_text("utf-8"))

    @cached_property
    def gates(self) -> dict[str, dict[str, Any]]:
        """The gates of report.json by id."""
        return {gate["id"]: gate for gate in self.report["gates"]}

    @cached_property
    def samples(self) -> list[dict[str, Any]]:
        """The rows of samples.jsonl.gz."""
        with gzip.open(self.output_path / "samples.jsonl.gz", "rt", encoding="utf-8") as file:
            return [json.loads(line) for line in file]

    def effects(self, measurement: str, reading: str = "generated") -> list[dict[str, Any]]:
        """The effects of every category slice in one reading."""
        rows = self.report["effects"][measurement]
        return [row["effects"] for row in rows if row["reading"] == reading]


def run_suite(
    directory: Path,
    *arguments: str,
    model: str | None = "scripted:fair",
    limit: int | None = 1,
    env: dict[str, str] | None = None,
    plugin: bool = True,
    paths: tuple[str, ...] = ("tests/implicit", "tests/explicit"),
) -> SuiteRun:
    """``pytest --model MODEL [...]`` from the checkout; what it writes goes to ``directory``."""
    output_path = directory / "out"
    command = [sys.executable, "-m", "pytest", "--no-header", "-p", "no:anyio"]
    command += ["-o", f"cache_dir={directory}/cache"]
    if plugin:
        command += ["-p", "tests.unit.scripted"]
    if model is not None:
        command += ["--model", model]
    if limit is not None:
        command += ["--limit", str(limit)]
    if "--store" not in arguments:
        command += ["--store", str(directory / "store")]
    if "--baselines" not in arguments:
        command += ["--baselines", str(directory / "baselines")]
    command += ["--output-path", str(output_path), *arguments, *paths]
    # Without byte code kept, rewriting the assertions of our modules is half of a short run.
    left_out = ("CI", "PYTHONDONTWRITEBYTECODE")
    clean = {
        key: value
        for key, value in os.environ.items()
        if not key.startswith(("PYTEST_", "SCRIPTED_", "BLINDSPOT_STORE", "GITHUB_"))
        and key not in left_out
    }
    done = subprocess.run(
        command,
        cwd=ROOT,
        env=clean | {"COLUMNS": "80"} | (env or {}),
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    return SuiteRun(done.returncode, done.stdout, done.stderr, output_path)
