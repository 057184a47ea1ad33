"""Numpy's .npy and .npz files: an array of rows, with the number of the row as the only column to keep."""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from service.inference.steps import finish
from service.models.command import CommandError
from service.models.stored_array import StoredArray
from service.scoring.faults import ChunkFaults
from service.scoring.places import Place
from service.scoring.readers.source import Position, Read, Wanted
from service.scoring.readers.table_batch import record_batch

SUFFIXES: Final = (".npy", ".npz")
ROW: Final = "row"
_NAMES: Final = ("inputs", "test_images", "images", "x", "X")


class ArrayFile:
    """Rows (rows, features), or nested to the model's shape. Raises `CommandError` if there are none."""

    def __init__(self, place: Place, wanted: Wanted) -> None:
        self._place = place
        self._wanted = wanted
        with _opened(place) as array:
            array.check_inputs(wanted.schema)
            self.total = array.rows
        names = wanted.kept([ROW], place.shown)
        self.schema = pa.schema([pa.field(name, pa.int64()) for name in names])

    def chunks(self, done: Position) -> Iterator[ArrayChunk]:
        """The rows after the first ``done.rows``."""
        size = self._wanted.chunk_rows
        with _opened(self._place) as array:
            for first in range(0, array.rows, size):
                rows = array.read(min(size, array.rows - first))
                skip = min(max(done.rows - first, 0), len(rows))
                if skip < len(rows):
                    yield ArrayChunk(self._place.shown, rows[skip:], first + skip, self._wanted, self.schema)


@dataclass(frozen=True, slots=True)
class ArrayChunk:
    """Rows of an array, from row ``first`` on."""

    file: str
    rows: NDArray[Any]
    first: int
    wanted: Wanted
    schema: Any

    @property
    def amount(self) -> int:
        """How many rows there are."""
        return len(self.rows)

    def read(self) -> Read:
        """The rows; see `Chunk`."""
        faults = ChunkFaults()
        rows = self.rows.reshape(len(self.rows), *self.wanted.schema.shape)
        checked = self.wanted.schema.checked(rows, faults)
        inputs = checked if isinstance(checked, np.ndarray) else finish(checked)
        numbers = [pa.array(np.arange(self.first, self.first + len(rows)))]
        return Read(inputs, record_batch(numbers, self.schema, len(rows)), faults)


@contextmanager
def _opened(place: Place) -> Iterator[StoredArray]:
    """The array. Raises `CommandError` if the file is damaged, now or while it is read."""
    with place.open() as content:
        try:
            if place.below.suffix.lower() == ".npy":
                yield StoredArray(place.shown, "the array", content)
                return
            with zipfile.ZipFile(content) as archive:
                name = _name(place, archive)
                with archive.open(f"{name}.npy") as file:
                    yield StoredArray(place.shown, name, file)
        except (zipfile.BadZipFile, zlib.error, ValueError, EOFError, NotImplementedError, OSError) as error:
            raise CommandError(f"{place.shown} is not a file of numpy ({error!s:.100}); save it again") from error


def _name(place: Place, archive: zipfile.ZipFile) -> str:
    names = [each.removesuffix(".npy") for each in archive.namelist()]
    found = names if len(names) == 1 else [name for name in _NAMES if name in names]
    if not found:
        raise CommandError(f"{place.shown} has {', '.join(names) or 'no arrays'}, expected one named inputs")
    return found[0]
