"""What was imputed in a request: how many missing and unknown values, in which columns."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

_SHOWN: Final = 5
_NAME_CHARS: Final = 60


@dataclass(slots=True)
class Imputed:
    """How many values of a request were imputed: ``missing`` and ``unknown`` ones, in ``rows`` rows, and by column."""

    missing: int = 0
    unknown: int = 0
    rows: int = 0
    by_column: dict[str, int] = field(default_factory=dict)

    def warning(self) -> str:
        """One sentence in ASCII, whose length is bounded."""
        found = [f"{count} {what}" for count, what in ((self.missing, "missing"), (self.unknown, "unknown")) if count]
        columns = [f"{_quoted(name)} ({count})" for name, count in list(self.by_column.items())[:_SHOWN]]
        more = f" and {len(self.by_column) - _SHOWN} more" if len(self.by_column) > _SHOWN else ""
        several = "s" if self.missing + self.unknown > 1 else ""
        rows = f"{self.rows} row{'s' if self.rows > 1 else ''}"
        return f"imputed {' and '.join(found)} value{several} in {rows}: {', '.join(columns)}{more}"


def _quoted(name: str) -> str:
    quoted = ascii(name[:_NAME_CHARS])
    return quoted if len(quoted) <= _NAME_CHARS else f"{quoted[:_NAME_CHARS]}..."
