"""``python -m tools.schema``: write what is made from the types of report.json.

That is its JSON schema, and the list of its keys in the reference.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from blindspot.report.schema import SCHEMA, json_schema

REFERENCE = Path(__file__).parents[1] / "docs" / "reference.md"
BEGIN = "<!-- keys of report.json, written by: python -m tools.schema -->\n"
END = "<!-- end of keys -->\n"


def text() -> str:
    """What the schema file holds."""
    return json.dumps(json_schema(), indent=1) + "\n"


def keys() -> str:
    """The keys of every object of report.json, as Markdown."""
    schema = json_schema()
    lines = [_object("report.json", schema)]
    lines += [_object(name, schema["$defs"][name]) for name in _names(schema, schema["$defs"])]
    return "\n".join(lines)


def documented(page: str) -> str:
    """The reference, with its list of keys as it should be."""
    before, _, rest = page.partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}\n{keys()}\n{END}{after}"


def _names(schema: Any, known: Mapping[str, Any]) -> list[str]:
    """The objects that a schema names, each behind the one that names it first."""
    found: list[str] = []
    waiting = [*_referenced(schema.get("properties", {}))]
    while waiting:
        name = waiting.pop(0)
        if name not in found:
            found.append(name)
            waiting += _referenced(known[name])
    return found


def _referenced(schema: Any) -> Iterator[str]:
    if isinstance(schema, dict):
        if "$ref" in schema:
            yield schema["$ref"].rsplit("/", 1)[1]
        for part in schema.values():
            yield from _referenced(part)
    elif isinstance(schema, list):
        for part in schema:
            yield from _referenced(part)


def _object(name: str, schema: Mapping[str, Any]) -> str:
    """One object as a table of its keys; neighbors that need no explanation share a row."""
    said = _clause(schema)
    title = f"**{name}**{f': {said}' if said else ''}"
    if "enum" in schema:
        return f"{title}: {', '.join(f'`{value}`' for value in schema['enum'])}.\n"
    rows: list[tuple[list[str], str]] = []
    for key, part in schema["properties"].items():
        about = _about(part)
        if rows and not about and not rows[-1][1]:
            rows[-1][0].append(f"`{key}`")
        else:
            rows.append(([f"`{key}`"], about))
    table = [f"| {', '.join(names)} | {about} |" for names, about in rows]
    return "\n".join((f"{title}.", "", "| key | meaning |", "|---|---|", *table, ""))


def _about(part: Mapping[str, Any]) -> str:
    """The objects that a key refers to, and what is said of it."""
    objects = (f"**{name}**" for name in _referenced(part))
    return ": ".join((*objects, *filter(None, (_clause(part),))))


def _clause(part: Mapping[str, Any]) -> str:
    """What is said of an object or a key, as a part of a sentence."""
    said = " ".join(str(part.get("description", "")).split()).rstrip(".").replace("``", "`")
    return said[:1].lower() + said[1:]


def main() -> int:
    SCHEMA.write_text(text(), "utf-8")
    REFERENCE.write_text(documented(REFERENCE.read_text("utf-8")), "utf-8")
    print(SCHEMA.name, REFERENCE.name)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
