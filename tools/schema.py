"""``python -m tools.schema``: write the JSON schema of report.json from its types."""

from __future__ import annotations

import json

from blindspot.report.schema import SCHEMA, json_schema


def text() -> str:
    """What the schema file holds."""
    return json.dumps(json_schema(), indent=1) + "\n"


def main() -> int:
    SCHEMA.write_text(text(), "utf-8")
    print(SCHEMA.name)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
