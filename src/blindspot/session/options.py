"""The command line of the suite: one table, one row per flag. Cheap to import.

A field of `Options` is a flag: its name, its default, and in `option` everything else. The parser,
the commands that a run prints, the checks of paths and the documentation read the table.
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterator
from dataclasses import dataclass, field, fields
from enum import Enum, auto
from pathlib import Path
from typing import Any

from blindspot import ranks
from blindspot.baselines.file import MISMATCHES
from blindspot.errors import BlindspotError, has_secret
from blindspot.paths import RAY_PREFIX

DEFAULT_MODEL = "organism:aware"
#: The configuration key of ``--axis``.
AXIS_KEY = "blindspot_axis"
#: Prefix of our flags whose short form belongs to another plugin or to a conftest.
PREFIX = "--blindspot-"
#: Units of a time on the command line.
_SECONDS = {"s": 1, "m": 60, "h": 3600}


class Kind(Enum):
    """The kind of value of a flag."""

    TEXT = auto()
    PATH = auto()  # a file or directory
    NAME = auto()  # possibly a file or directory: a model, a baseline, "none"
    POSITIVE = auto()
    SEED = auto()
    BATCH = auto()
    FRACTION = auto()
    DURATION = auto()
    SWITCH = auto()
    TOGGLE = auto()  # two switches, --x and --no-x


class Role(Enum):
    """How printed commands use a flag."""

    CONDITION = auto()  # decides what is measured: in every command that a run prints
    SELECTION = auto()  # decides what is asked or how it is judged: in the rerun command
    NEITHER = auto()


@dataclass(frozen=True, slots=True)
class Option:
    """A row of the table."""

    kind: Kind
    help: str
    metavar: str = ""
    role: Role = Role.NEITHER
    choices: tuple[str, ...] = ()
    many: bool = False
    negative: str = ""  # help of the second switch of a toggle
    environment: str = ""  # the environment variable of the flag


def option(kind: Kind, help: str, *, default: Any = None, **more: Any) -> Any:
    """A field that is a flag."""
    return field(default=default, metadata={"option": Option(kind, help, **more)})


@dataclass(frozen=True, kw_only=True, slots=True)
class Options:
    """The user's options."""

    model: str = option(
        Kind.NAME,
        "model under test: a local directory, a hub id, a bundled one "
        "(organism:base, organism:blind, organism:aware, organism:literal), served:ID or chat:ID "
        "on a server, ray:NAME on a Ray cluster, or answers:FILE; "
        f"default {DEFAULT_MODEL}",
        metavar="NAME",
        default=DEFAULT_MODEL,
        role=Role.CONDITION,
    )
    adapter: str | None = option(
        Kind.NAME,
        "merge this LoRA adapter of the model into it: a directory that peft saved, and a factor "
        "(DIR@0.5)",
        metavar="DIR[@SCALE]",
        role=Role.CONDITION,
    )
    steer: str | None = option(
        Kind.NAME,
        "add the vectors of this safetensors file (layer.0, layer.1, ...) to the residual stream "
        "of the model at every token, times a coefficient",
        metavar="FILE[@COEFFICIENT]",
        role=Role.CONDITION,
    )
    model_args: str = option(
        Kind.TEXT,
        "more arguments for from_pretrained of transformers; of a served model, "
        "base_url=http://HOST:PORT/v1 and others",
        metavar="K=V,...",
        default="",
        role=Role.CONDITION,
    )
    revision: str | None = option(
        Kind.TEXT, "branch, tag or commit of a hub model", metavar="REV", role=Role.CONDITION
    )
    dtype: str = option(
        Kind.TEXT,
        "auto, float32, bfloat16 or float16; auto is float32 on a CPU, and on an accelerator "
        "the checkpoint's own",
        metavar="TYPE",
        default="auto",
        choices=("auto", "float32", "bfloat16", "float16"),
        role=Role.CONDITION,
    )
    device: str = option(
        Kind.TEXT,
        "auto, cpu, cuda, cuda:1, mps",
        metavar="DEVICE",
        default="auto",
        role=Role.CONDITION,
    )
    batch_size: str = option(
        Kind.BATCH,
        "prompts per batch; halved when memory runs out",
        metavar="auto|N",
        default="auto",
    )
    batch_invariant: bool = option(
        Kind.SWITCH,
        "in bfloat16 and float16, decide near-ties without their batch: answers are then the same "
        "whatever else is asked, and take several times as long",
        default=False,
        role=Role.CONDITION,
    )
    apply_chat_template: bool = option(
        Kind.SWITCH,
        "send each prompt as a user message through the tokenizer's chat template",
        default=False,
        role=Role.CONDITION,
    )
    seed: int = option(
        Kind.SEED,
        "seed of everything random; default 0",
        metavar="N",
        default=0,
        role=Role.CONDITION,
    )
    trust_remote_code: bool = option(
        Kind.SWITCH,
        "run model code that comes with a checkpoint; off by default",
        default=False,
        role=Role.CONDITION,
    )
    fraction: str = option(
        Kind.FRACTION,
        'ask this fraction of the default prompts, balanced like the whole; "all" asks every word '
        "pair in every wording",
        metavar="1/N|all",
        default="1",
        role=Role.CONDITION,
    )
    budget: str | None = option(
        Kind.DURATION,
        "ask the largest fraction of the prompts that the model can answer in this time (90s, 20m, "
        "2h), by a trial once it is loaded",
        metavar="TIME",
        role=Role.SELECTION,
    )
    words: str = option(
        Kind.TEXT,
        "all, or published: only the words of each category that the paper lists",
        metavar="WHICH",
        default="all",
        choices=("all", "published"),
        role=Role.CONDITION,
    )
    limit: int | None = option(
        Kind.POSITIVE,
        "at most N word pairs per category: for a quick look, not for a baseline",
        metavar="N",
        role=Role.SELECTION,
    )
    num_fewshot: int | None = option(
        Kind.POSITIVE,
        "put N solved examples about unrelated words in front of each prompt, for models that "
        "only continue text; not for assays and search",
        metavar="N",
        role=Role.CONDITION,
    )
    window: int | None = option(
        Kind.POSITIVE,
        "layers that an injection overwrites at once; default: 10 out of every 32, as in the paper",
        metavar="N",
        role=Role.CONDITION,
    )
    axis: str = option(
        Kind.TEXT,
        'axes to ask, by name with commas between them, or "all"; default: the key blindspot_axis, '
        "otherwise those of fixtures/suite.toml and of --include-path",
        metavar="NAME,...|all",
        default="",
        role=Role.CONDITION,
    )
    include_path: tuple[Path, ...] = option(
        Kind.PATH,
        "more axes and wordings (TOML); may be repeated",
        metavar="DIR",
        default=(),
        many=True,
        role=Role.CONDITION,
    )
    prompts_from: Path | None = option(
        Kind.PATH,
        'ask the prompts in the result files of the paper ("Aligned but Blind") in DIR, not ours',
        metavar="DIR",
        role=Role.SELECTION,
    )
    gates: Path | None = option(
        Kind.PATH,
        "limits file to judge by instead of fixtures/gates.toml",
        metavar="FILE",
        role=Role.SELECTION,
    )
    baseline: str | None = option(
        Kind.NAME,
        "compare with the accepted baseline of this model, or with this file; default: the model's "
        "own",
        metavar="NAME|FILE",
        role=Role.SELECTION,
    )
    reference: str | None = option(
        Kind.NAME,
        "also measure this model, such as the base model that the one under test was aligned "
        "from, and judge the differences",
        metavar="NAME",
        role=Role.SELECTION,
    )
    require_baseline: bool = option(
        Kind.SWITCH,
        "a missing baseline makes the run incomplete (exit 11)",
        default=False,
        role=Role.SELECTION,
    )
    require_scores: bool = option(
        Kind.SWITCH,
        "forced-choice gates that the model does not offer make the run incomplete (exit 11)",
        default=False,
        role=Role.SELECTION,
    )
    noise_floor: bool | None = option(
        Kind.TOGGLE,
        "ask some prompts again in another batch size and order, and add the run-to-run noise "
        "to every margin; on by default if a run compares with another model, or the model is on a "
        "server",
        negative="do not measure the noise floor",
        role=Role.SELECTION,
    )
    accept_reason: str = option(
        Kind.TEXT,
        "why --snapshot-update accepts the model; recorded in the baseline, required in CI",
        metavar="TEXT",
        default="",
    )
    baselines: Path | None = option(
        Kind.PATH,
        "directory of accepted baselines; default: fixtures/baselines, outside a checkout "
        "blindspot-baselines",
        metavar="DIR",
        role=Role.CONDITION,
    )
    allow_mismatch: tuple[str, ...] = option(
        Kind.TEXT,
        "compare with the baseline despite a difference in: "
        + ", ".join(MISMATCHES)
        + "; weights also with a reference on a server whose weights are unknown",
        metavar="WHAT",
        default=(),
        many=True,
        choices=MISMATCHES,
        role=Role.SELECTION,
    )
    output_path: Path | None = option(
        Kind.PATH,
        "write report.html, report.json, report-model-card.yaml, samples.jsonl.gz and "
        "scores.npz there",
        metavar="DIR",
    )
    store: str | None = option(
        Kind.NAME,
        "directory of stored answers, which are not asked again; default: the user's cache "
        "directory, or $BLINDSPOT_STORE",
        metavar="DIR|none",
        environment="BLINDSPOT_STORE",
    )
    search_examples: int = option(
        Kind.POSITIVE,
        "cases that each search draws (-m search); default 100, eight prompts per case",
        metavar="N",
        default=100,
    )

    # Not our flags, from here on.
    axes: tuple[str, ...] = ()  # that --axis names, or the configuration
    given: frozenset[str] = frozenset()  # fields whose flags the command line has
    taken: tuple[str, ...] = ()  # flags on the command line that another plugin took
    updating: bool = False  # syrupy's --snapshot-update
    strict: bool = False  # pytest's --strict
    follows: bool = False  # whether this process only computes its part of a model

    @property
    def asked(self) -> bool:
        """Whether any of our flags was given: then a run that judges nothing is incomplete."""
        return bool(self.given)

    @property
    def changes(self) -> dict[str, Any]:
        """What changes the model under test, as `blindspot.models.options.Scaled` by name."""
        from blindspot.models.options import Scaled

        named = {"adapter": self.adapter, "steer": self.steer}
        return {name: Scaled.of(text) for name, text in named.items() if text is not None}

    @property
    def candidate(self) -> str:
        """The name of the model under test, wherever it is computed, with what changes it."""
        return "+".join([self.model.removeprefix(RAY_PREFIX), *map(str, self.changes.values())])

    @property
    def seconds(self) -> float:
        """The budget in seconds, infinite without one."""
        return (
            math.inf if self.budget is None else int(self.budget[:-1]) * _SECONDS[self.budget[-1]]
        )

    @property
    def conditions(self) -> tuple[str, ...]:
        """The flags that decide what is measured, as written; always with the model."""
        return self._words(Role.CONDITION)

    @property
    def selection(self) -> tuple[str, ...]:
        """The flags that a rerun needs, as written; always with the model."""
        return (*self._words(Role.CONDITION, Role.SELECTION), *("--strict",) * self.strict)

    def _words(self, *roles: Role) -> tuple[str, ...]:
        words: list[str] = []
        for name, row in TABLE.items():
            if row.role in roles and name in (*self.given, "model"):
                value, flag = getattr(self, name), flag_of(name)
                if isinstance(value, bool):
                    words.append(flag if value else no_flag_of(name))
                else:
                    each = value if row.many else (value,)
                    words += [word for item in each for word in (flag, str(item))]
        return tuple(words)

    def check(self) -> None:
        """Refuse flags that exclude each other, and paths that cannot be examined.

        Raises:
            BlindspotError: one line that says what is wrong.
        """
        for name, value in self._texts():
            if has_secret(value):
                raise BlindspotError(
                    f"{flag_of(name)}: a part looks like a secret, which reports and baselines "
                    "would record; omit it, and set HF_TOKEN in the environment for a hub model"
                )
        if self.model_args:
            from blindspot.models.options import parse_model_args

            parse_model_args(self.model_args)  # refuses secrets, before anything is written
        ranks.check(ranks.planned(self.model_args))
        _ = self.changes
        for fault in (*self._exclusions(), *self._unseen()):
            raise BlindspotError(fault)

    def _exclusions(self) -> Iterator[str]:
        for flag in self.taken:
            yield (
                f"{flag} belongs to another plugin or conftest in this project; use "
                f"{flag.replace('--', PREFIX, 1)}"
            )
        if self.prompts_from is not None and (self.baseline or self.require_baseline):
            yield (
                "--prompts-from with --baseline or --require-baseline: published prompts have no "
                "baseline; omit one of them"
            )
        if "axis" in self.given and not self.axis.strip(" ,"):
            yield "--axis: it is empty; name axes, or all"
        if self.budget is not None and "fraction" in self.given:
            yield "--budget with --fraction: a budget chooses the fraction; omit one of them"
        for name in ("fraction", "words", "budget", "axis"):
            if self.prompts_from is not None and name in self.given:
                yield (
                    f"--prompts-from with {flag_of(name)}: published prompts are asked as they "
                    "are; omit one of them"
                )
        if self.prompts_from is not None and self.num_fewshot:
            yield "--prompts-from with --num-fewshot: published prompts have no examples; omit one"
        if self.accept_reason and not (self.updating or self.follows):
            yield "--accept-reason without --snapshot-update: nothing is accepted; omit or add it"
        if self.updating and os.environ.get("CI") and not self.accept_reason:
            yield "--snapshot-update in CI needs --accept-reason TEXT, which the baseline records"
        for flag, value in (("--limit", self.limit), ("--prompts-from", self.prompts_from)):
            if self.updating and value is not None:
                yield (
                    f"--snapshot-update with {flag}: a baseline is accepted from the full prompts "
                    f"only; omit {flag}"
                )

    def _unseen(self) -> Iterator[str]:
        """Paths that the system cannot examine: no permission, or a name too long."""
        for name, path in self.paths():
            try:
                Path(path).stat()
            except (FileNotFoundError, NotADirectoryError):
                continue  # reported where it is used
            except (OSError, ValueError) as error:
                why = getattr(error, "strerror", None) or str(error)
                yield f"{flag_of(name)} {path}: {why}; name another"

    def paths(self) -> Iterator[tuple[str, str]]:
        """Values that may be a file or directory, with the name of the option."""
        return self._texts(Kind.PATH, Kind.NAME)

    def _texts(self, *kinds: Kind) -> Iterator[tuple[str, str]]:
        """Values of flags of these kinds, by default of all that take text."""
        for name, row in TABLE.items():
            if row.kind in (kinds or (Kind.PATH, Kind.NAME, Kind.TEXT)) and (
                value := getattr(self, name)
            ):
                yield from ((name, str(item)) for item in (value if row.many else (value,)))


#: The flags by the names of their fields, in the order of printed commands.
TABLE: dict[str, Option] = {
    one.name: one.metadata["option"] for one in fields(Options) if "option" in one.metadata
}


def flag_of(name: str) -> str:
    """The flag of a field."""
    return "--" + name.replace("_", "-")


def no_flag_of(name: str) -> str:
    """The second switch of a toggle."""
    return "--no-" + name.replace("_", "-")


def flags() -> dict[str, str]:
    """All flags, each with the name of its field; both switches of a toggle."""
    found = {flag_of(name): name for name in TABLE}
    return found | {
        no_flag_of(name): f"no_{name}" for name, row in TABLE.items() if row.kind is Kind.TOGGLE
    }
