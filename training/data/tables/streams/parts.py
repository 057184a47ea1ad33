"""What each row of a streamed table is for: training, validation or test, by a hash or by a column."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from training.data.dataset import REST, TEST, VALIDATION
from training.data.tables import row_roles
from training.data.tables.streams import row_hash
from training.data.tables.streams.row_hash import Hashes
from training.errors import DataError


@dataclass(frozen=True, slots=True)
class Parts:
    """Divides rows. ``test`` and ``validation`` are the shares of the rows for these parts, from 0 to 1.

    With a column ``split``, that says what each row is for. With a column ``group``, rows with the same value stay
    together.
    """

    test: float
    validation: float
    split: str | None = None
    group: str | None = None

    @property
    def columns(self) -> list[str]:
        """The columns that decide."""
        return [name for name in (self.split, self.group) if name]

    @property
    def how(self) -> dict[str, str]:
        """Where validation and test rows come from, in words."""
        if self.split:
            return dict.fromkeys(("validation", "test"), f"those that column {self.split!r} says")
        what = f"of {self.group!r}" if self.group else "of the row's number in the table"
        ways = {"validation": f"{self.validation:.4g} of the rows", "test": f"{self.test:.4g} of the rows"}
        return {part: f"{way}, by a hash {what}" for part, way in ways.items()}

    def of(self, table: pa.Table, hashes: Hashes) -> NDArray[np.int8]:
        """The part of each row of ``table`` (rows,), as in `Division.parts`; ``hashes`` (rows,) are of row numbers.

        Raises `DataError`.
        """
        if self.split:
            found, error = row_roles.parts_of(self.split, table[self.split])
            if error:
                raise DataError(error)
            return found
        shares = row_hash.shares(row_hash.of_values(table[self.group], hashes) if self.group else hashes)
        found = np.full(len(shares), REST, np.int8)
        found[shares < self.test + self.validation] = VALIDATION
        found[shares < self.test] = TEST
        return found
