"""What came back from elsewhere: answers by the id of their prompt, whatever wrote them down."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from blindspot import files
from blindspot.errors import ExchangeError, line
from blindspot.models.answered.file import LARGEST
from blindspot.models.base import Generation, Missing
from blindspot.models.served.chat import read_reply
from blindspot.models.served.client import POLICY, RequestError

_REMEDY = (
    "give lines with id and answer, the output of a batch API, samples_*.jsonl of lm-eval, or what "
    "inspect log dump prints"
)

#: A part of an answer: keys of a line of a file of answers, and ``prompt`` where it is told.
Part = dict[str, Any]


def parts_of(path: Path) -> Iterator[tuple[str, Part]]:
    """The ids in a file, each with a part of the answer to its prompt.

    Raises:
        ExchangeError: it cannot be read, or is of no known kind; names the line.
    """
    raw = files.read(path, LARGEST, "answers", error=ExchangeError, remedy=_REMEDY)
    if raw.startswith(b"PK"):
        raise ExchangeError(
            f"{line(path)}: a log of inspect as it is kept; give what inspect log dump prints of it"
        )
    log = _whole(raw)
    if isinstance(log, dict) and isinstance(log.get("samples"), list):
        rows: list[Any] = log["samples"]
        read, what = _of_inspect, "sample"
    else:
        rows, read, what = _lines(path, raw), None, "line"
    for number, row in enumerate(rows, 1):
        if number == 1 and isinstance(row, dict) and "blindspot" in row:
            continue
        try:
            yield (read or _kind(row))(row)
        except (
            KeyError,
            TypeError,
            IndexError,
            AttributeError,
            ValueError,
            OverflowError,
        ) as fault:
            said = f"no {fault}" if isinstance(fault, KeyError) else str(fault)
            raise ExchangeError(
                f"{line(path)}: {what} {number}: {line(said, 200)}; {_REMEDY}"
            ) from None


def _whole(raw: bytes) -> Any:
    """A file that is one JSON value; None of lines."""
    head = raw[:200].lstrip()
    if not head.startswith(b"{") or b'"samples"' not in raw:
        return None
    try:
        return json.loads(raw)  # inspect writes NaN
    except (ValueError, RecursionError):
        return None


def _lines(path: Path, raw: bytes) -> list[Any]:
    rows = []
    for number, each in enumerate(raw.splitlines(), 1):
        if each.strip():
            try:
                rows.append(files.parse_json(each))
            except ValueError as fault:
                raise ExchangeError(
                    f"{line(path)}: line {number}: {line(fault, 200)}; {_REMEDY}"
                ) from None
    return rows


def _kind(row: Any) -> Any:
    """The reader of a line.

    Raises:
        ValueError: there is none.
    """
    if not isinstance(row, dict):
        raise ValueError("not an object")
    for key, read in (("custom_id", _of_batch), ("resps", _of_harness), ("id", _of_line)):
        if key in row:
            return read
    raise ValueError("neither id, custom_id nor resps in it")


def _of_line(row: Part) -> tuple[str, Part]:
    """A line with id and answer, or with log-probabilities."""
    known = ("answer", "ended", "log_probabilities", "missing", "error", "prompt")
    return _text(row["id"]), {key: row[key] for key in known if row.get(key) is not None}


def _of_batch(row: Part) -> tuple[str, Part]:
    """A line of the output, or of the errors, of a batch API."""
    name, response, error = _text(row["custom_id"]), row.get("response"), row.get("error")
    body = response.get("body") if isinstance(response, dict) else None
    status = response.get("status_code", 200) if isinstance(response, dict) else 0
    if body is None or status != 200:
        fault = error or (body or {}).get("error") or {}
        said = str(fault.get("message") or fault) if isinstance(fault, dict) else str(fault)
        said = said if said.strip("{}") else f"no answer, status {status}"
        blocked = status in (0, 400, 403, 422, 451) and POLICY.search(said)
        missing = Missing.BLOCKED if blocked else Missing.UNANSWERED
        return name, {"missing": missing.value, "error": said[:300]}
    choices = body.get("choices")
    if isinstance(choices, list) and len(choices) == 1 and "text" in choices[0]:
        reason = choices[0].get("finish_reason")
        if reason == "content_filter":
            said = "its content filter removed the answer"
            return name, {"missing": Missing.FILTERED.value, "error": said}
        return name, {"answer": _text(choices[0]["text"]), "ended": reason == "stop"}
    try:
        found: Generation = read_reply(body)
    except RequestError as fault:
        return name, {"missing": Missing.UNANSWERED.value, "error": str(fault)}
    if found.missing:
        return name, {"missing": found.missing, "error": found.error}
    return name, {"answer": found.text, "ended": found.complete}


def _of_harness(row: Part) -> tuple[str, Part]:
    """A line of the samples that lm-eval logs: a generated answer, or log-probabilities."""
    doc, given = row["doc"], row["resps"]
    name, prompt = _text(doc["id"]), _text(doc["prompt"])
    if len(given) == 1 and isinstance(given[0][0], str):
        return name, {"answer": given[0][0], "prompt": prompt}
    values = [float(each[0][0]) for each in given]
    return name, {"log_probabilities": values, "prompt": prompt}


def _of_inspect(row: Part) -> tuple[str, Part]:
    """A sample of a log of inspect."""
    name, prompt = str(row["id"]), row["input"]
    told = {"prompt": prompt} if isinstance(prompt, str) else {}
    error, choices = row.get("error"), (row.get("output") or {}).get("choices") or []
    if error or not choices:
        said = error.get("message") if isinstance(error, dict) else error
        said = str(said or (row.get("output") or {}).get("error") or "no answer")
        return name, {"missing": Missing.UNANSWERED.value, "error": said[:300], **told}
    reason, content = choices[0].get("stop_reason"), choices[0]["message"]["content"]
    if isinstance(content, list):
        content = "".join(part.get("text", "") for part in content if part.get("type") == "text")
    if reason == "content_filter":
        said = "its content filter removed the answer"
        return name, {"missing": Missing.FILTERED.value, "error": said, **told}
    return name, {"answer": _text(content), "ended": reason == "stop", **told}


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError(f"a {type(value).__name__} where a text belongs")
    return value
