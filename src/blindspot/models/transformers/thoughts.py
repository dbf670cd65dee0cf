"""Thoughts and channels that the end of a prompt opens, and what closes them. No torch.

An answer that is read inside a thought is noise. Where a model has a marker that ends its thoughts,
a prompt closes the thought before it begins, as templates with ``enable_thinking=False`` do.
"""

from __future__ import annotations

import re
from collections.abc import Callable

#: Markers that open another channel in an assistant's turn, and that close it.
_CHANNELS = (
    ("<|channel|>", "final<|message|>"),
    ("<|start|>assistant", "final<|message|>"),  # whose next token is a channel
    ("<|channel>", "<channel|>"),
)
#: What leads from a bare opening of the turn to the channel of answers.
_FINAL = ("<|start|>assistant", "<|channel|>final<|message|>")
#: Markers that open or close a thought: ``<think>``, ``[/THINK]``, ``<|END_THINKING|>`` and others.
_THOUGHT = re.compile(
    r"(?P<bracket>[<\[◁]\|?)(?P<end>/|end_(?:of_)?)?(?P<begin>start_|begin_of_)?(?:[a-z]+:)?"
    r"(?:think|thought|reason)[a-z]*\|?[>\]▷]",
    re.IGNORECASE,
)


def opened(tail: str) -> str:
    """The marker of a thought or a channel that the end of a prompt leaves open, "" for none."""
    for opening, end in _CHANNELS:
        if tail.rfind(opening) > tail.rfind(end):
            return opening
    found = list(_THOUGHT.finditer(tail))
    return "" if not found or found[-1]["end"] else found[-1][0]


def closing(tail: str, known: Callable[[str], bool]) -> str:
    """What to append to a prompt to close the thought that it opens, "" if that is not known.

    Args:
        tail: the end of the prompt.
        known: whether the model has a marker.
    """
    marker = opened(tail)
    if (marker, tail[-len(marker) :]) == (_FINAL[0], _FINAL[0]):
        return _FINAL[1] if all(map(known, ("<|channel|>", "<|message|>"))) else ""
    end = dict(_CHANNELS[2:]).get(marker) or _end_of(marker)
    if not end or not known(end):
        return ""
    if not marker.startswith("<") or "|" in marker:
        return end
    # An empty thought is a blank line, and the answer begins after another.
    return ("" if tail.endswith("\n") else "\n") + f"\n{end}\n\n"


def _end_of(marker: str) -> str:
    """The marker that ends what this one begins, "" where the rule is not known."""
    found = _THOUGHT.fullmatch(marker)
    if found is None:
        return ""
    start, begin = found.end("bracket"), found["begin"]
    if begin is None:
        return f"{marker[:start]}/{marker[start:]}"
    end = "end_of_" if begin.lower().startswith("begin") else "end_"
    return marker[:start] + (end.upper() if begin.isupper() else end) + marker[found.end("begin") :]
