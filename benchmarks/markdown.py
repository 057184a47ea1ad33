"""Tables and provenance as Markdown."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A Markdown table; columns whose head begins with ``>`` are right-aligned."""
    lines = ["| " + " | ".join(name.lstrip(">") for name in head) + " |"]
    lines.append("|" + "|".join("--:" if name.startswith(">") else "---" for name in head) + "|")
    return "\n".join([*lines, *("| " + " | ".join(row) + " |" for row in rows)])


def about(results: Mapping[str, Any]) -> str:
    """The provenance of results as a list."""
    return listed(results["provenance"])


def listed(provenance: Mapping[str, str]) -> str:
    """A provenance as a list."""
    return "\n".join(f"- {name}: {value}" for name, value in provenance.items())
