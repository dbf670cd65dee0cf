"""The command line of the suite. Importing this is cheap: no torch, no pydantic."""

from __future__ import annotations

import argparse
import os
from dataclasses import dataclass
from pathlib import Path

import pytest

from blindspot.ranks import follows

DEFAULT_MODEL = "organism:aware"
SEARCH_EXAMPLES = 100
MISMATCHES = (
    "tokenizer",
    "template",
    "dtype",
    "device",
    "backend",
    "versions",
    "prompts",
    "scores",
)


@dataclass(frozen=True, slots=True)
class RunOptions:
    """What the user asked for."""

    model: str
    model_named: bool
    model_args: str
    revision: str | None
    dtype: str
    device: str
    batch_size: str
    apply_chat_template: bool
    seed: int
    trust_remote_code: bool
    limit: int | None
    window: int | None
    include_path: tuple[Path, ...]
    prompts_from: Path | None
    gates: Path | None
    baseline: str | None
    reference: str | None
    require_baseline: bool
    baselines: Path | None
    allow_mismatch: frozenset[str]
    output_path: Path | None
    store: str | None
    search_examples: int
    updating: bool
    accept_reason: str
    strict: bool
    noise_floor: bool | None
    conditions: tuple[str, ...]
    selection: tuple[str, ...]

    @property
    def asked(self) -> bool:
        """Whether any option of ours was given: then its mistakes are told before anything runs."""
        return bool(
            self.model_named
            or self.include_path
            or self.prompts_from
            or self.gates
            or self.baseline
            or self.reference
            or self.output_path
            or self.baselines
            or self.require_baseline
            or self.strict
            or self.noise_floor
            or self.updating
        )


def add_options(parser: pytest.Parser) -> None:
    """Add all flags, named as users of evaluation harnesses and pytest know them."""
    group = parser.getgroup("blindspot", "bias regression tests for language models")

    def add(*names: str, **settings: object) -> None:
        destination = "blindspot_" + names[0].removeprefix("--").replace("-", "_")
        group.addoption(*names, dest=destination, **settings)

    add(
        "--model",
        metavar="NAME",
        default=None,
        help="model under test: a local directory, a hub id, or an embedded one "
        f"(organism:base, organism:blind, organism:aware); default {DEFAULT_MODEL}",
    )
    add("--model-args", metavar="K=V,...", default="", help="more arguments for from_pretrained")
    add("--revision", metavar="REV", default=None, help="branch, tag or commit of a hub model")
    add(
        "--dtype",
        metavar="TYPE",
        default="auto",
        choices=("auto", "float32", "bfloat16", "float16"),
        help="auto, float32, bfloat16 or float16; auto is float32 on a CPU, and on an accelerator "
        "the checkpoint's own",
    )
    add("--device", metavar="DEVICE", default="auto", help="auto, cpu, cuda, cuda:1, mps")
    add(
        "--batch-size",
        metavar="auto|N",
        default="auto",
        type=_batch_size,
        help="prompts in a batch; halved when memory runs out",
    )
    add(
        "--apply-chat-template",
        action="store_true",
        default=False,
        help="put each prompt as a user's message, through the tokenizer's chat template",
    )
    add("--seed", metavar="N", default=0, type=_seed, help="seed of anything random; default 0")
    add(
        "--trust-remote-code",
        action="store_true",
        default=False,
        help="run model code that comes with a checkpoint; off unless asked for",
    )
    add(
        "--limit",
        metavar="N",
        default=None,
        type=_positive,
        help="at most N word pairs a category: for a quick look, never for a baseline",
    )
    add(
        "--window",
        metavar="N",
        default=None,
        type=_positive,
        help="layers that an injection writes over at once; default: 10 of 32, as in the paper",
    )
    add(
        "--include-path",
        metavar="DIR",
        default=[],
        action="append",
        help="more axes and wordings (TOML); may be repeated",
    )
    add(
        "--prompts-from",
        metavar="DIR",
        default=None,
        help="ask the published prompts of the paper's result files in DIR instead of ours",
    )
    add(
        "--gates",
        metavar="FILE",
        default=None,
        help="limits to judge by instead of fixtures/gates.toml",
    )
    add(
        "--baseline",
        metavar="NAME|FILE",
        default=None,
        help="compare with the accepted baseline of this model; default: the model's own",
    )
    add(
        "--reference",
        metavar="NAME",
        default=None,
        help="measure this model too, such as the base model that the one under test was aligned "
        "from, and show what differs",
    )
    add(
        "--require-baseline",
        action="store_true",
        default=False,
        help="a missing baseline makes the run incomplete (exit 11)",
    )
    add(
        "--noise-floor",
        action="store_true",
        default=False,
        help="ask some prompts again in another batch size and order, and add what the model "
        "differs from itself to every margin; on whenever a run compares with another model",
    )
    add("--no-noise-floor", action="store_true", default=False, help="never ask anything again")
    add(
        "--accept-reason",
        metavar="TEXT",
        default="",
        help="why --snapshot-update accepts the model; kept in the baseline, required under CI",
    )
    add(
        "--baselines",
        metavar="DIR",
        default=None,
        help="where accepted baselines lie; default: fixtures/baselines",
    )
    add(
        "--allow-mismatch",
        metavar="WHAT",
        default=[],
        action="append",
        choices=MISMATCHES,
        help="compare with the baseline although this differs: " + ", ".join(MISMATCHES),
    )
    add(
        "--output-path",
        metavar="DIR",
        default=None,
        help="write report.html, report.json, report-model-card.yaml, samples.jsonl.gz and "
        "scores.npz there",
    )
    add(
        "--store",
        metavar="DIR|none",
        default=os.environ.get("BLINDSPOT_STORE"),
        help="where answers are kept, so that nothing is asked twice; default: the user's cache "
        "directory, or $BLINDSPOT_STORE",
    )
    add(
        "--search-examples",
        metavar="N",
        default=None,
        type=_positive,
        help="cases that each search draws (-m search); default "
        f"{SEARCH_EXAMPLES}, eight prompts a case",
    )


def _batch_size(text: str) -> str:
    if text != "auto" and not (text.isdecimal() and int(text) > 0):
        raise argparse.ArgumentTypeError(f"{text!r} is neither auto nor a whole number above 0")
    return text


def _positive(text: str) -> int:
    if not (text.isdecimal() and int(text) > 0):
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number above 0")
    return int(text)


def _seed(text: str) -> int:
    if not (text.isdecimal() and int(text) < 2**63):
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number from 0 to 2^63 - 1")
    return int(text)


def run_options(config: pytest.Config) -> RunOptions:
    """The options of a run.

    Raises:
        pytest.UsageError: two of them exclude each other.
    """

    def given(name: str) -> object:
        return getattr(config.option, f"blindspot_{name}")

    model = config.option.blindspot_model
    options = RunOptions(
        model=model or DEFAULT_MODEL,
        model_named=model is not None,
        model_args=str(given("model_args")),
        revision=config.option.blindspot_revision,
        dtype=str(given("dtype")),
        device=str(given("device")),
        batch_size=str(given("batch_size")),
        apply_chat_template=bool(given("apply_chat_template")),
        seed=config.option.blindspot_seed,
        trust_remote_code=bool(given("trust_remote_code")),
        limit=config.option.blindspot_limit,
        window=config.option.blindspot_window,
        include_path=tuple(Path(path) for path in config.option.blindspot_include_path),
        prompts_from=_path(config.option.blindspot_prompts_from),
        gates=_path(config.option.blindspot_gates),
        baseline=config.option.blindspot_baseline,
        reference=config.option.blindspot_reference,
        require_baseline=bool(given("require_baseline")),
        baselines=_path(config.option.blindspot_baselines),
        allow_mismatch=frozenset(config.option.blindspot_allow_mismatch),
        output_path=None if follows() else _path(config.option.blindspot_output_path),
        store=config.option.blindspot_store or None,
        search_examples=config.option.blindspot_search_examples or SEARCH_EXAMPLES,
        updating=bool(config.getoption("update_snapshots", default=False)) and not follows(),
        accept_reason=str(given("accept_reason")).strip(),
        strict=_strict(config),
        noise_floor=_either(bool(given("noise_floor")), bool(given("no_noise_floor"))),
        conditions=_given(config, _CONDITIONS),
        selection=_given(config, (*_CONDITIONS, *_SELECTION)),
    )
    if options.prompts_from is not None and (options.baseline or options.require_baseline):
        raise pytest.UsageError(
            "--prompts-from with --baseline or --require-baseline: published prompts have no "
            "baseline; leave one away"
        )
    for flag, name in (("--model", model), ("--reference", options.reference)):
        if name is not None and not name.strip():
            raise pytest.UsageError(
                f"{flag}: the name is empty; name a directory, hub id or organism"
            )
    if options.accept_reason and not options.updating:
        raise pytest.UsageError(
            "--accept-reason without --snapshot-update: nothing is accepted; add it, or leave the "
            "reason away"
        )
    if options.updating:
        if os.environ.get("CI") and not options.accept_reason:
            raise pytest.UsageError(
                "--snapshot-update under CI: a model is accepted by somebody; say why with "
                "--accept-reason TEXT"
            )
        for name, value in (("--limit", options.limit), ("--prompts-from", options.prompts_from)):
            if value is not None:
                raise pytest.UsageError(
                    f"--snapshot-update with {name}: a baseline is accepted from the full prompts "
                    f"only; leave {name} away"
                )
    return options


#: Options that decide what is measured and how, in the order of a command line.
_CONDITIONS = (
    "model",
    "model_args",
    "revision",
    "dtype",
    "device",
    "apply_chat_template",
    "seed",
    "trust_remote_code",
    "window",
    "include_path",
    "baselines",
)
#: Options that a rerun needs beside them.
_SELECTION = (
    "limit",
    "prompts_from",
    "gates",
    "baseline",
    "reference",
    "strict",
    "no_noise_floor",
    "allow_mismatch",
)


def _given(config: pytest.Config, names: tuple[str, ...]) -> tuple[str, ...]:
    """Options of these names that were given, as they are written; the model always."""
    words: list[str] = []
    for name in names:
        value = getattr(config.option, f"blindspot_{name}", None)
        if name == "strict":
            value = _strict(config)
        elif name == "model":
            value = value or DEFAULT_MODEL
        flag = "--" + name.replace("_", "-")
        if value is True:
            words.append(flag)
        elif isinstance(value, list):
            words += [word for item in value for word in (flag, str(item))]
        elif value not in (None, False, "", "auto"):
            words += [flag, str(value)]
    return tuple(words)


def _strict(config: pytest.Config) -> bool:
    """Whether ``--strict`` was given.

    It is pytest's own flag and sets its option ``strict`` for one run, which makes pytest refuse
    what it would let pass; given to a run of gates it makes them refuse too. The option in a
    configuration file speaks of pytest alone.
    """
    return "strict=true" in (config.option.override_ini or ())


def _either(wanted: bool, unwanted: bool) -> bool | None:
    """What was asked for of two opposite options, None for neither.

    Raises:
        pytest.UsageError: both.
    """
    if wanted and unwanted:
        raise pytest.UsageError("--noise-floor and --no-noise-floor exclude each other; give one")
    return wanted if wanted or unwanted else None


def _path(text: str | None) -> Path | None:
    return None if text is None else Path(text)
