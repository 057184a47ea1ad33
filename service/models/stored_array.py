"""An array of rows in a file of numpy, read some rows at a time: memory does not grow with the file."""

from __future__ import annotations

import math
from pathlib import Path
from typing import IO, Any, Final

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from service.inference.schema import Schema
from service.models.command import CommandError

NUMBERS: Final = "fiu"


class StoredArray:
    """An array in an open .npy ``file`` that is read from its first row on; ``path`` and ``name`` are for messages.

    Raises `CommandError` for one that cannot be read that way, and `ValueError` for what is no array.
    """

    def __init__(self, path: Path | str, name: str, file: IO[bytes]) -> None:
        self.name = name
        self._file = file
        self._path = path
        version = npy.read_magic(self._file)
        if version not in {(1, 0), (2, 0)}:
            raise ValueError(f"{name} is of version {version}")
        read_header = npy.read_array_header_1_0 if version == (1, 0) else npy.read_array_header_2_0
        self.shape, fortran, self.dtype = read_header(self._file)
        if self.dtype.hasobject:
            raise CommandError(f"{path}: {name} holds Python objects; save numbers, or strings with dtype str")
        if not self.shape:
            raise CommandError(f"{path}: {name} has shape {self.shape}, expected one or more rows")
        if fortran and len(self.shape) > 1:
            raise CommandError(f"{path}: {name} is stored by columns; save np.ascontiguousarray({name})")

    @property
    def rows(self) -> int:
        """How many rows it has."""
        return int(self.shape[0])

    def read(self, count: int) -> NDArray[Any]:
        """The next ``count`` rows."""
        shape = (count, *self.shape[1:])
        size = math.prod(shape) * self.dtype.itemsize
        content = self._file.read(size)
        if len(content) != size:
            raise CommandError(f"{self._path}: {self.name} is shorter than its header says; save it again")
        return np.frombuffer(content, self.dtype).reshape(shape)

    def check_inputs(self, schema: Schema) -> None:
        """Raise `CommandError` unless they are rows for a model: shape and dtype fit."""
        shape = self.shape[1:-1] if self.shape[1:] == (*schema.shape, 1) else self.shape[1:]
        if shape not in ((schema.width,), schema.shape):
            expected = f"(rows, {', '.join(map(str, schema.shape))})"
            raise CommandError(f"{self._path}: {self.name} has shape {self.shape}, expected {expected}")
        if self.dtype.kind not in NUMBERS or self.dtype.itemsize > 8:
            raise CommandError(f"{self._path}: {self.name} is {self.dtype}, expected numbers of up to 64 bits")
        if self.dtype.kind == "f" and self.dtype.itemsize < 8 and "float32" not in schema.raw_dtypes:
            raise CommandError(
                f"{self._path}: {self.name} is {self.dtype}, which cannot hold the models' values; save float64"
            )
