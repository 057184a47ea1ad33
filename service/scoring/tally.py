"""What became of the rows: how many were scored, how many are bad and why, what was imputed."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Final

from service.errors import Fault
from service.imputed import Imputed
from service.scoring.faults import numbered, reason

_MOST_REASONS: Final = 20
_OTHERS: Final = "other reasons"
_NUMBER: Final = re.compile(r"[0-9]+")
_SHOWN: Final = 200


@dataclass(slots=True)
class Tally:
    """Counts of all rows read so far. ``first`` has an example of each of the ``reasons``."""

    rows: int = 0
    bad: int = 0
    reasons: dict[str, int] = field(default_factory=dict)
    first: dict[str, str] = field(default_factory=dict)
    imputed: Imputed = field(default_factory=Imputed)

    @classmethod
    def of(cls, record: dict[str, Any]) -> Tally:
        """The counts in a ``record``, of `to_record`."""
        return cls(**(record | {"imputed": Imputed(**record["imputed"])}))

    def to_record(self) -> dict[str, Any]:
        """The counts for JSON."""
        return asdict(self)

    def add(self, rows: int, faults: Sequence[Fault], file: str, first_row: int, imputed: Imputed) -> None:
        """Count a chunk of ``rows`` rows, which begins at row ``first_row`` of ``file``."""
        self.rows += rows
        self.bad += len(faults)
        for fault in faults:
            key = _key(fault)
            if key not in self.reasons and len(self.reasons) >= _MOST_REASONS:
                key = _OTHERS
            self.reasons[key] = self.reasons.get(key, 0) + 1
            if key not in self.first:
                self.first[key] = f"{file}, {numbered(fault, first_row):.{_SHOWN}}"
        self.imputed.missing += imputed.missing
        self.imputed.unknown += imputed.unknown
        self.imputed.rows += imputed.rows
        for name, count in imputed.by_column.items():
            self.imputed.by_column[name] = self.imputed.by_column.get(name, 0) + count

    def lines(self) -> Iterator[str]:
        """The counts by reason, the most frequent first, and what was imputed."""
        for key, count in sorted(self.reasons.items(), key=lambda pair: -pair[1]):
            yield f"  {count:,} for {key}; the first: {self.first[key]}"
        if self.imputed.rows:
            yield f"  {self.imputed.warning()}"


def _key(fault: Fault) -> str:
    """A reason without what differs from row to row."""
    if fault.feature is not None:
        return f"feature {fault.feature!r:.60}"
    return _NUMBER.sub("N", f"{reason(fault).partition(';')[0]:.60}")
