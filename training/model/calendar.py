"""Turn dates into numbers that a network can use, inside the graph: year, month, day, weekday, hour, elapsed days."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from training.data.dataset import Column

PARTS: Final = ("days", "year", "month", "day", "weekday", "hour")

# Days from 1 March of the year 0, where the leap day is the last of a year, to 1 January 1970.
_SHIFT: Final = 719_468
_CENTURIES: Final = 146_097  # days of 400 years
# Half a step of the numerator: a product with a reciprocal that is rounded down stays above the whole number.
_HALF: Final = 0.5
# Of all parts; smaller differences are rounding errors of float64 days.
_SMALLEST: Final = 1e-6


@dataclass(frozen=True, slots=True)
class _Use:
    """Which ``parts`` of the datetime at index ``column`` are used."""

    column: int
    parts: tuple[str, ...]


class Calendar(nn.Module):
    """Replaces each datetime column by numeric ones, before anything else is done with the rows.

    ``columns`` describes the new rows float64 (rows, columns): the other columns in their order, then, from
    ``first_part`` on, the parts of each datetime. NaN stays NaN. ``days`` and ``year`` are limited to those of the
    training rows, ``low`` to ``high`` (parts,): a network that has learned from three years says of the fourth what it
    says of the third, rather than anything that a line leads to.
    """

    first_part: int
    low: Tensor
    high: Tensor
    _dates: Tensor
    _others: Tensor
    _chosen: Tensor

    def __init__(self, columns: Sequence[Column], uses: Sequence[_Use], low: Tensor, high: Tensor) -> None:
        super().__init__()
        others = [index for index, column in enumerate(columns) if column.type != "datetime"]
        self.columns = (*(columns[index] for index in others), *_part_columns(columns, uses))
        self.first_part = len(others)
        self._uses = tuple(uses)
        self._computed = [part for part in PARTS if any(part in use.parts for use in uses)]
        # Parts are computed for all datetimes at once; each is a block with a number for every datetime.
        chosen = [
            self._computed.index(part) * len(uses) + place for place, use in enumerate(uses) for part in use.parts
        ]
        self.register_buffer("low", low)
        self.register_buffer("high", high)
        self.register_buffer("_dates", torch.tensor([use.column for use in uses], dtype=torch.int64))
        self.register_buffer("_others", torch.tensor(others, dtype=torch.int64))
        self.register_buffer("_chosen", torch.tensor(chosen, dtype=torch.int64))
        self._picks = chosen != list(range(len(self._computed) * len(uses)))

    def columns_of(self, inputs: NDArray[Any], rows: NDArray[np.int64]) -> Iterator[NDArray[Any]]:
        """Each column of the ``rows`` of raw ``inputs`` (all rows, features), one at a time, to save memory."""
        for index in self._others.tolist():
            yield inputs[rows, index]
        for use in self._uses:
            yield from (part[:, 0].numpy() for part in parts_of(_dates_of(inputs, rows, use.column), use.parts))

    def forward(self, inputs: Tensor) -> Tensor:
        """Rows float64 (rows, columns) of raw ``inputs`` (rows, features) float64."""
        found = parts_of(inputs.index_select(1, self._dates), self._computed)
        parts = torch.cat(found, dim=1) if len(found) > 1 else found[0]
        if self._picks:
            parts = parts.index_select(1, self._chosen)
        parts = torch.minimum(torch.maximum(parts, self.low), self.high)
        if not len(self._others):
            return parts
        return torch.cat([inputs.index_select(1, self._others), parts], dim=1)


def parts_of(days: Tensor, parts: Sequence[str]) -> list[Tensor]:
    """The ``parts`` of ``days`` since 1970-01-01, each (rows, dates) float64 like them; Monday is weekday 0.

    The date of a day is computed by Neri and Schneider's method, https://doi.org/10.1002/spe.3172, in float64: all
    numbers are integers below 2**53, so that the date is exact from the year 1 to 9999.
    """
    whole = days.floor()
    found = {"days": days}
    if "hour" in parts:
        found["hour"] = (days - whole) * 24
    if "weekday" in parts:
        found["weekday"] = (whole + 3) - (whole * (1 / 7) + (3 + _HALF) / 7).floor() * 7
    if not {"year", "month", "day"}.isdisjoint(parts):
        found |= _date_of(whole, parts)
    return [found[part] for part in parts]


def _date_of(whole: Tensor, parts: Sequence[str]) -> dict[str, Tensor]:
    """Year, month and day of ``whole`` days since 1970-01-01."""
    found = {}
    century = (whole * (4 / _CENTURIES) + (4 * _SHIFT + 3 + _HALF) / _CENTURIES).floor()
    # Days as if every fourth year were a leap year.
    julian = (whole + _SHIFT) + (century - (century * 0.25).floor())
    year = (julian * (4 / 1461) + (3 + _HALF) / 1461).floor()
    of_year = julian - (year * 365.25).floor()
    month = (of_year * (5 / 153) + (3 + (2 + _HALF) / 153)).floor()  # 3 for March to 14 for February
    if "day" in parts:
        found["day"] = of_year - (month * 30.6 - (3 * 30.6 + 0.5)).floor()
    if {"year", "month"}.isdisjoint(parts):
        return found
    is_next = (month * (1.001 / 13)).floor()  # 1 in January and February
    if "month" in parts:
        found["month"] = month - is_next * 12
    if "year" in parts:
        found["year"] = year + is_next
    return found


def fitted(columns: Sequence[Column], inputs: NDArray[Any], rows: NDArray[np.int64]) -> Calendar | None:
    """The calendar for the training ``rows`` int64 (rows,) of ``inputs`` (all rows, features); None without a datetime.

    Parts that are the same in all rows are left out.
    """
    uses, lowest, highest = [], list[float](), list[float]()
    for index, column in enumerate(columns):
        if column.type != "datetime":
            continue
        candidates = _candidates(column)
        low, high = _bounds(_dates_of(inputs, rows, index), candidates)
        kept = [at for at in range(len(candidates)) if high[at] - low[at] > _SMALLEST] or [0]
        uses.append(_Use(index, tuple(candidates[at] for at in kept)))
        limited = [candidates[at] in ("days", "year") for at in kept]
        lowest += [low[at] if limit else -np.inf for at, limit in zip(kept, limited, strict=True)]
        highest += [high[at] if limit else np.inf for at, limit in zip(kept, limited, strict=True)]
    if not uses:
        return None
    return Calendar(columns, uses, *(torch.tensor(each, dtype=torch.float64) for each in (lowest, highest)))


def _candidates(column: Column) -> tuple[str, ...]:
    """The parts that may say something: a time has no date, and a month has no day."""
    if column.format == "time":
        return ("hour",)
    if column.monthly:
        return ("days", "year", "month")
    return PARTS if column.has_time else PARTS[:-1]


def _dates_of(inputs: NDArray[Any], rows: NDArray[np.int64], index: int) -> Tensor:
    """The column at ``index`` of some ``rows``, (rows, 1) float64."""
    return torch.from_numpy(inputs[rows, index].astype(np.float64))[:, None]


def _bounds(days: Tensor, parts: Sequence[str]) -> tuple[list[float], list[float]]:
    """The least and the greatest value of each of the ``parts`` of ``days`` (rows, 1); 0 and 0 without any."""
    known = days[~days.isnan()][:, None]
    found = parts_of(known, parts) if len(known) else [torch.zeros(1, 1)] * len(parts)
    return [float(each.min()) for each in found], [float(each.max()) for each in found]


def _part_columns(columns: Sequence[Column], uses: Sequence[_Use]) -> list[Column]:
    """Descriptions of the parts. One flag says that a date is missing: only its first part may be."""
    return [
        Column(f"{columns[use.column].name} {part}", "numeric", columns[use.column].missing and place == 0)
        for use in uses
        for place, part in enumerate(use.parts)
    ]
