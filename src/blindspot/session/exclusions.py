"""Which flags exclude each other, and which values cannot be examined."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from blindspot import ranks
from blindspot.errors import BlindspotError, has_secret
from blindspot.session.flags import PREFIX, flag_of
from blindspot.session.options import Options


def check(options: Options) -> None:
    """Refuse flags that exclude each other, and paths that cannot be examined.

    Raises:
        BlindspotError: one line that says what is wrong.
    """
    for name, value in options.texts():
        if has_secret(value):
            raise BlindspotError(
                f"{flag_of(name)}: a part looks like a secret, which reports and baselines "
                "would record; omit it, and set HF_TOKEN for a hub model, or BLINDSPOT_API_KEY for "
                "a server, in the environment"
            )
    if options.model_args:
        from blindspot.models.options import parse_model_args

        parse_model_args(options.model_args)  # refuses secrets, before anything is written
    ranks.check(ranks.planned(options.model_args))
    _ = options.changes
    for fault in (*_exclusions(options), *_unseen(options)):
        raise BlindspotError(fault)


def _exclusions(options: Options) -> Iterator[str]:
    for flag in options.taken:
        yield (
            f"{flag} belongs to another plugin or conftest in this project; use "
            f"{flag.replace('--', PREFIX, 1)}"
        )
    if options.prompts_from is not None and (options.baseline or options.require_baseline):
        yield (
            "--prompts-from with --baseline or --require-baseline: published prompts have no "
            "baseline; omit one of them"
        )
    if "axis" in options.given and not options.axis.strip(" ,"):
        yield "--axis: it is empty; name axes, or all"
    if options.budget is not None and "fraction" in options.given:
        yield "--budget with --fraction: a budget chooses the fraction; omit one of them"
    for name in ("fraction", "words", "budget", "axis"):
        if options.prompts_from is not None and name in options.given:
            yield (
                f"--prompts-from with {flag_of(name)}: published prompts are asked as they "
                "are; omit one of them"
            )
    if options.prompts_from is not None and options.num_fewshot:
        yield "--prompts-from with --num-fewshot: published prompts have no examples; omit one"
    if options.accept_reason and not (options.updating or options.follows):
        yield "--accept-reason without --snapshot-update: nothing is accepted; omit or add it"
    if options.updating and os.environ.get("CI") and not options.accept_reason:
        yield "--snapshot-update in CI needs --accept-reason TEXT, which the baseline records"
    for flag, value in (("--limit", options.limit), ("--prompts-from", options.prompts_from)):
        if options.updating and value is not None:
            yield (
                f"--snapshot-update with {flag}: a baseline is accepted from the full prompts "
                f"only; omit {flag}"
            )


def _unseen(options: Options) -> Iterator[str]:
    """Paths that the system cannot examine: no permission, or a name too long."""
    for name, path in options.paths():
        try:
            Path(path).stat()
        except (FileNotFoundError, NotADirectoryError):
            continue  # reported where it is used
        except (OSError, ValueError) as error:
            why = getattr(error, "strerror", None) or str(error)
            yield f"{flag_of(name)} {path}: {why}; name another"
