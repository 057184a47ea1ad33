"""The training rows of a streamed table, read once an epoch: row groups in random order, several of them in turn."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from training.data.dataset import REST
from training.data.streamed import Chunk
from training.data.tables.streams import row_hash
from training.data.tables.streams.encoder import Encoder
from training.data.tables.streams.parquet_files import ParquetFiles, Piece
from training.data.tables.streams.parts import Parts
from training.errors import DataError

_OPEN_PIECES: Final = 8  # so that neighbouring rows of a batch come from several places of the table
_BLOCK_VALUES: Final = 2**21
_MAX_BLOCK_ROWS: Final = 2**15
_MIN_BLOCK_ROWS: Final = 2**10


@dataclass(frozen=True, slots=True)
class Encoded:
    """Rows of a table that have a target: codes or numbers, their parts, and hashes of their numbers."""

    inputs: NDArray[Any]
    targets: NDArray[Any]
    parts: NDArray[np.int8]
    hashes: row_hash.Hashes


@dataclass(frozen=True, slots=True)
class TableRows:
    """Reads rows of ``files`` by an ``encoder`` and divides them into ``parts``."""

    files: ParquetFiles
    encoder: Encoder
    parts: Parts

    def of(self, piece: Piece) -> Generator[Encoded, None, None]:
        """Yield the rows of ``piece`` in blocks. Raises `DataError`."""
        names = list(dict.fromkeys([*self.encoder.names, *self.parts.columns]))
        first = piece.first_row
        for table in self.files.blocks(piece, names, block_rows(len(names))):
            hashes = row_hash.of_rows(first, table.num_rows)
            first += table.num_rows
            targets = self.encoder.targets(table)
            known = ~np.isnan(targets.reshape(len(targets), -1)).any(axis=1)
            if not known.all():
                table, targets, hashes = table.filter(known), targets[known], hashes[known]  # noqa: PLW2901
            yield Encoded(self.encoder.inputs(table), targets, self.parts.of(table, hashes), hashes)


@dataclass(frozen=True, slots=True)
class TrainingRows:
    """The training rows of ``rows``; ``piece_rows`` int64 (pieces,) says how many each piece has."""

    rows: TableRows
    piece_rows: NDArray[np.int64]
    target_dtype: type[np.generic]

    def rows_of(self, shard: tuple[int, int]) -> int:
        """The training rows of a worker: those of every n-th row group."""
        index, workers = shard
        return int(self.piece_rows[index::workers].sum())

    def chunks(self, random: np.random.Generator, shard: tuple[int, int]) -> Generator[Chunk, None, None]:
        """Yield all training rows of a worker once. Raises `DataError` if the files have changed."""
        index, workers = shard
        pieces = self.rows.files.pieces[index::workers]
        waiting = [pieces[place] for place in random.permutation(len(pieces))]
        found = 0
        opened: list[Generator[Encoded, None, None]] = []
        try:
            while waiting or opened:
                while waiting and len(opened) < _OPEN_PIECES:
                    opened.append(self.rows.of(waiting.pop()))
                place = int(random.integers(len(opened)))
                block = next(opened[place], None)
                if block is None:
                    opened.pop(place)
                    continue
                train = block.parts == REST
                found += int(train.sum())
                if train.any():
                    yield Chunk(block.inputs[train], block.targets[train].astype(self.target_dtype))
        finally:
            for each in opened:
                each.close()
        if found != self.rows_of(shard):
            raise DataError(
                f"{self.rows.files.path} has changed: {found:,} training rows, and {self.rows_of(shard):,} before"
            )


def block_rows(columns: int) -> int:
    """How many rows of so many ``columns`` are decoded at a time."""
    return min(max(_BLOCK_VALUES // columns, _MIN_BLOCK_ROWS), _MAX_BLOCK_ROWS)
