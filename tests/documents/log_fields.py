"""The table of the log's fields, and whether a line is as it says."""

from __future__ import annotations

from typing import Any, Final

from tests.documents.pages import read, table

TYPES: Final = {"string": str, "integer": int, "number": float, "boolean": bool}
EVERY_LINE: Final = "every line"
REQUESTS: Final = "requests"
TRACES: Final = "requests of a trace"
PREDICTIONS: Final = "predictions"
_REQUEST: Final = "service.requests"


def fields() -> dict[str, tuple[str, str]]:
    """Type and occurrence of each field."""
    rows = [[cell.strip() for cell in row.strip("|").split("|")] for row in table(read("logs"))]
    return {name.strip("`"): (kind, where) for name, kind, where, *_ in rows}


def check_line(line: dict[str, Any]) -> None:
    """Assert that a line has the fields it must have, of their types, and no others."""
    documented = fields()
    assert line.keys() <= documented.keys()
    assert {name for name in line if type(line[name]) is not TYPES[documented[name][0]]} == set()
    groups = {EVERY_LINE}
    if line["logger"] == _REQUEST:
        groups.add(REQUESTS)
    groups |= {TRACES} if "trace_id" in line else set()
    groups |= {PREDICTIONS} if "rows" in line else set()
    assert {name for name, (_, where) in documented.items() if where in groups} <= line.keys()
