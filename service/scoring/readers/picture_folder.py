"""A folder of PNG, JPEG and WebP files, for models of images; the name of the file is the column to keep."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import pyarrow as pa

from service.errors import Fault, InvalidInput, RequestError, UnsupportedMedia
from service.http.codecs import images
from service.http.options import RowOptions
from service.inference.steps import finish
from service.models.command import CommandError
from service.scoring.faults import ChunkFaults
from service.scoring.places import Place
from service.scoring.readers.source import Position, Read, Wanted
from service.scoring.readers.table_batch import record_batch

SUFFIXES: Final = (".png", ".jpg", ".jpeg", ".webp")
FILE: Final = "file"
_CHUNK_FILES: Final = 64


class PictureFolder:
    """Pictures in the order of their names. Raises `CommandError` if the model takes none."""

    def __init__(self, folder: Place, files: Sequence[Place], wanted: Wanted) -> None:
        self._folder = folder
        self._files = files
        self._wanted = wanted
        if images.shape_of(wanted.schema) is None:
            detail = f"{folder.shown} is a folder of pictures, and the model takes rows of {wanted.schema.width} values"
            raise CommandError(f"{detail}; give a table")
        names = wanted.kept([FILE], folder.shown)
        self.schema = pa.schema([pa.field(name, pa.string()) for name in names])
        self.total = len(files)

    def chunks(self, done: Position) -> Iterator[PicturesChunk]:
        """The pictures after the first ``done.rows``."""
        for first in range(done.rows, len(self._files), _CHUNK_FILES):
            files = self._files[first : first + _CHUNK_FILES]
            yield PicturesChunk(self._folder.shown, files, self._wanted, self.schema)


@dataclass(frozen=True, slots=True)
class PicturesChunk:
    """Some pictures of a folder."""

    file: str
    files: Sequence[Place]
    wanted: Wanted
    schema: Any

    @property
    def amount(self) -> int:
        """How many pictures there are."""
        return len(self.files)

    def read(self) -> Read:
        """The rows; see `Chunk`."""
        faults, schema = ChunkFaults(), self.wanted.schema
        options = RowOptions(resize=self.wanted.resize)
        inputs = np.zeros((len(self.files), schema.width), np.uint8)
        for row, place in enumerate(self.files):
            try:
                with place.open() as file:
                    inputs[row] = finish(images.rows_of([file.read()], options, schema))[0]
            except UnsupportedMedia as error:
                raise CommandError(str(error).replace("this server", "this program")) from error
            except RequestError as error:
                detail = str(error).replace("row 0", str(place.below), 1).replace("with ?resize=true", "with --resize")
                faults.add(row, InvalidInput(Fault(f"row {row}, {detail}", row)))
        names = [pa.array([str(place.below) for place in self.files], pa.string())]
        return Read(inputs, record_batch(names if len(self.schema) else [], self.schema, len(self.files)), faults)
