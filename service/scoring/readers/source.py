"""The interface of a reader: an input as chunks, each of which a worker reads."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from service.inference.row_faults import RowFaults
from service.inference.schema import Schema
from service.models.command import CommandError
from service.models.references import suggestion

ROWS: Final = "rows"
BYTES: Final = "bytes"
_MOST_ROWS: Final = 32_768
_MOST_VALUES: Final = 2**21


class Read(NamedTuple):
    """The rows of a chunk: ``inputs`` (rows, features) for the network, and ``kept``, an Arrow record batch.

    Rows that do not fit the model are zeros, and in ``faults``, counted from 0 within the chunk.
    """

    inputs: NDArray[Any]
    kept: Any
    faults: RowFaults


class Chunk(Protocol):
    """Some rows of ``file``; ``amount`` is their part of the source's total."""

    @property
    def file(self) -> str:
        """The name of the file that the rows are from."""

    @property
    def amount(self) -> int:
        """How much of the total these rows are."""

    def read(self) -> Read:
        """The rows. Called in a worker. Raises `CommandError`, and `RequestError` if no row can be read."""


@dataclass(frozen=True, slots=True)
class Position:
    """How much of a source is done: whole chunks, their part of the total, their rows, and those of the last file."""

    chunks: int = 0
    amount: int = 0
    rows: int = 0
    file: str = ""
    file_rows: int = 0


class Source(Protocol):
    """An input that is open. ``schema`` is the Arrow schema of the kept columns."""

    @property
    def schema(self) -> Any:
        """The Arrow schema of the columns that are kept."""

    @property
    def total(self) -> int | None:
        """The amount of the whole input; None if it is not known before the end."""

    def chunks(self, done: Position) -> Iterator[Chunk]:
        """The chunks after ``done``; the first may begin in the middle of one that an earlier run had."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is read of an input: rows for a model with this ``schema`` and graph, and the columns to ``keep``.

    ``keep`` is None for all columns. ``resize`` allows pictures of any size.
    """

    schema: Schema
    dtype: np.dtype[Any]
    keep: tuple[str, ...] | None = None
    resize: bool = False

    @property
    def chunk_rows(self) -> int:
        """How many rows of a chunk keep its memory bounded."""
        return max(1, min(_MOST_ROWS, _MOST_VALUES // self.schema.width))

    def kept(self, names: list[str], shown: str) -> list[str]:
        """The columns to keep among ``names``. Raises `CommandError` for one that is not there, or there twice."""
        if self.keep is None:
            # A spreadsheet may have several empty columns without a name.
            chosen = [name for name in names if name or names.count(name) == 1]
        else:
            chosen = list(dict.fromkeys(self.keep))
            for name in chosen:
                if name not in names:
                    raise CommandError(f"--keep {name}: {shown} has no such column; {suggestion(name, names)}")
        for name in chosen:
            if names.count(name) > 1:
                raise CommandError(f"{shown} has several columns {name!r:.60}; rename them, or choose with --keep")
        return chosen
