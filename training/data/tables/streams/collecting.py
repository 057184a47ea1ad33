"""One pass over all rows of a streamed table: statistics, categories, classes, and the rows that stay in memory."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from training.data import categories
from training.data.dataset import PART_NAMES, REST, Column, Dataset, Division
from training.data.streamed import Statistics, Streamed
from training.data.tables.streams import row_hash
from training.data.tables.streams.classes import Classes
from training.data.tables.streams.encoder import Encoder
from training.data.tables.streams.parquet_files import ParquetFiles, Piece
from training.data.tables.streams.parts import Parts
from training.data.tables.streams.running import Counts, Moments, Reservoir
from training.data.tables.streams.training_rows import Encoded, TableRows, TrainingRows
from training.errors import DataError, joined

_FLOAT32_MAX: Final = float(np.finfo(np.float32).max)
_SAMPLE_SALT: Final = np.uint64(0x5851F42D4C957F2D)  # a sample must not depend on what decides the parts
_MIN_ROWS: Final = 2  # of a part, for R²


@dataclass(frozen=True, slots=True)
class Room:
    """What fits in memory: ``kept_rows`` of each part, and ``buffer_rows`` that are shuffled together."""

    kept_rows: int
    buffer_rows: int


class Collector:
    """Reads all rows of ``files``. ``look`` has some of them, by which it says what the columns are."""

    def __init__(self, look: Dataset, files: ParquetFiles, parts: Parts, numeric: Sequence[str], room: Room) -> None:
        self._look = look
        self._files = files
        self._parts = parts
        self._room = room
        self._encoder = Encoder(look, numeric)
        self._rows = TableRows(files, self._encoder, parts)
        self._numbers = [index for index, column in enumerate(look.columns) if column.type != "categorical"]
        self._moments = Moments(len(self._numbers))
        self._codes = {index: Counts() for index, column in enumerate(look.columns) if column.type == "categorical"}
        self._label_rows = Counts()
        self._missing = np.zeros(len(look.columns), bool)
        self._timed = np.zeros(len(look.columns), bool)
        self._largest = np.zeros(len(self._numbers))
        self._kept = {part: Reservoir(room.kept_rows) for part in PART_NAMES}
        self._piece_rows = np.zeros(len(files.pieces), np.int64)

    def read(self, pieces: Iterable[Piece]) -> None:
        """Take in all ``pieces`` of the files, in order. Raises `DataError`."""
        for number, piece in enumerate(pieces):
            for block in self._rows.of(piece):
                self._piece_rows[number] += self._add(block)

    def dataset(self, *, inferred: bool) -> Dataset:
        """The data set of all rows that were read; ``inferred`` if the user did not say that the target has classes.

        Raises `DataError` with all that is wrong with them.
        """
        classes = Classes(self._look, self._encoder.labels, self._label_rows) if self._look.classifies else None
        wrong = classes.faults(inferred=inferred) if classes else ()
        if faults := [*self._part_faults(), *self._range_faults(), *wrong]:
            raise DataError(joined(self._files.path, faults))
        if classes:
            classes.fix()
        found = [self._final(index, column) for index, column in enumerate(self._look.columns)]
        inputs, targets, parts = self._kept_rows()
        for index, (_, _, codes) in enumerate(found):
            if codes is not None:
                inputs[:, index] = codes[np.where(np.isnan(inputs[:, index]), -1, inputs[:, index]).astype(np.int64)]
        streamed = Streamed(
            TrainingRows(self._rows, self._piece_rows, np.int64 if classes else np.float64),
            int(self._piece_rows.sum()),
            tuple(statistics for _, statistics, _ in found),
            classes.rows if classes else None,
            self._room.buffer_rows,
        )
        return replace(
            self._look,
            inputs=inputs,
            targets=classes.codes[targets.astype(np.int64)] if classes else targets,
            labels=classes.labels if classes else (),
            columns=tuple(column for column, _, _ in found),
            division=Division(parts, self._how()),
            streamed=streamed,
            collect=None,
        )

    def _add(self, block: Encoded) -> int:
        """Take in a block; return its number of training rows."""
        train = block.parts == REST
        inputs = block.inputs[train]
        self._moments.add(inputs[:, self._numbers])
        for index, counts in self._codes.items():
            counts.add(inputs[:, index])
        if self._look.classifies:
            self._label_rows.add(block.targets[train])
        if len(block.inputs):
            largest = np.fmax.reduce(np.abs(block.inputs[:, self._numbers]), axis=0)
            self._largest = np.fmax(self._largest, largest)
        self._missing |= np.isnan(block.inputs).any(axis=0)
        for index, column in enumerate(self._look.columns):
            if column.format is not None:
                self._timed[index] |= bool((block.inputs[:, index] % 1 > 0).any())
        numbers = row_hash.of_numbers(block.hashes ^ _SAMPLE_SALT)
        for part, kept in self._kept.items():
            rows = block.parts == part
            kept.add(numbers[rows], block.inputs[rows], block.targets[rows])
        return int(train.sum())

    def _kept_rows(self) -> tuple[NDArray[Any], NDArray[Any], NDArray[np.int8]]:
        """Inputs, targets and parts of the rows that stay in memory."""
        rows = {part: kept.rows() for part, kept in self._kept.items()}
        parts = np.concatenate([np.full(len(inputs), part, np.int8) for part, (inputs, _) in rows.items()])
        inputs, targets = (np.concatenate(arrays) for arrays in zip(*rows.values(), strict=True))
        return inputs, targets, parts

    def _final(self, index: int, column: Column) -> tuple[Column, Statistics, NDArray[np.float64] | None]:
        """The column at ``index`` of all rows, its statistics, and its codes by those of the encoder, the last for NaN.

        Categories that are common in the training rows keep a code, as those of `categories.group_rare`.
        """
        missing = bool(self._missing[index])
        if column.type != "categorical":
            timed = column.has_time or bool(self._timed[index])
            statistics = self._moments.statistics(self._numbers.index(index))
            return replace(column, missing=missing, has_time=timed), statistics, None
        encoding = self._encoder.categories[column.name]
        names = list(encoding.names)
        counts = self._codes[index].of(len(names))
        common = counts >= categories.min_rows(self._moments.rows)
        common[counts.argmax()] |= not common.any()
        kept = sorted(np.array(names, object)[common].tolist())
        other = len(kept) < len(names)
        encoding.fix(kept, other=other)
        order = {name: code for code, name in enumerate(kept)}
        codes = np.array([order.get(name, len(kept)) for name in names], np.int64)
        by_code = np.bincount(codes, counts, len(kept) + other).astype(np.int64)
        share = self._codes[index].missing / max(self._moments.rows, 1)
        statistics = Statistics(share, counts=tuple(by_code.tolist()))
        found = replace(column, missing=missing, categories=tuple(kept), other=other)
        return found, statistics, np.append(codes, np.nan)

    def _how(self) -> dict[str, str]:
        """Where the parts come from, in words, and which of their rows are kept."""
        how = dict(self._parts.how)
        for part, kept in self._kept.items():
            if part != REST and kept.seen > kept.capacity:
                how[PART_NAMES[part]] += f", of which {kept.capacity:,} of {kept.seen:,} are used, drawn by a hash"
        return how

    def _part_faults(self) -> Iterator[str]:
        for part, kept in self._kept.items():
            if kept.seen < _MIN_ROWS:
                yield (
                    f"{self._files.path} has {kept.seen:,} {PART_NAMES[part]} rows of {self._files.rows:,}, expected "
                    f"at least {_MIN_ROWS}; add rows, or name others with --split"
                )

    def _range_faults(self) -> Iterator[str]:
        for place, index in enumerate(self._numbers):
            largest = self._largest[place]
            if largest > _FLOAT32_MAX:
                yield (
                    f"column {self._look.columns[index].name!r} has values up to ±{largest:g}, expected at most "
                    f"{_FLOAT32_MAX:.2g}, the largest float32; correct them, leave them empty, or use another unit"
                )
