"""What a file holds: columns that may still lack names, and which of them have no types."""

from __future__ import annotations

from dataclasses import dataclass

import pyarrow as pa


@dataclass(frozen=True, slots=True)
class Content:
    """The columns of a file, of equal lengths.

    ``names`` may be empty or repeat. ``typed`` says for each column whether the file stores its type; the others are
    strings exactly as in the file. ``notes`` say what was skipped or assumed. ``decimal_comma`` says that the file is
    separated by semicolons, as it is where the comma is the decimal mark. ``left_out`` are the names of columns that
    hold no data, such as an index.
    """

    names: tuple[str, ...]
    columns: tuple[pa.ChunkedArray, ...]
    typed: tuple[bool, ...]
    notes: tuple[str, ...] = ()
    decimal_comma: bool = False
    left_out: tuple[str, ...] = ()
