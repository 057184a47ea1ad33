"""Parquet files as one table: a file, or a folder of them with Hive partitions, read a row group at a time."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
from pyarrow import parquet

from service.cells import name_of
from training.data.tables import columns
from training.errors import DataError, joined

BLOCK_ROWS: Final = 2**16
_MAX_LISTED: Final = 5
_MAGIC: Final = b"PAR1"
_PANDAS_INDEX: Final = r"__index_level_\d+__"  # as pandas stores one without a name


@dataclass(frozen=True, slots=True)
class Piece:
    """A row group of a file: its ``rows``, of which the first has the number ``first_row`` among all rows."""

    file: int
    group: int
    rows: int
    first_row: int


@dataclass(frozen=True, slots=True)
class _File:
    path: Path
    metadata: parquet.FileMetaData
    partitions: Mapping[str, Any]


class ParquetFiles:
    """The rows of all files below ``path``, in the order of their names. Raises `DataError`.

    ``names`` are the columns, those of Hive partitions last.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._files, self._partitions = _files(path)
        _check_schemas(path, self._files)
        stored = [name for name in _schema(self._files[0]).names if not re.fullmatch(_PANDAS_INDEX, name)]
        names = list(map(name_of, stored))
        self._stored = dict(zip(names if len(set(names)) == len(names) else stored, stored, strict=True))
        self.names = (*self._stored, *self._partitions.names)
        self.pieces: list[Piece] = []
        self.rows = 0
        for number, file in enumerate(self._files):
            for group in range(file.metadata.num_row_groups):
                rows = file.metadata.row_group(group).num_rows
                self.pieces.append(Piece(number, group, rows, self.rows))
                self.rows += rows
        if not self.rows:
            raise DataError(f"{path} has no rows; add rows")

    def __getstate__(self) -> dict[str, Any]:
        """The same files for another process, whose working folder may be another one."""
        files = [replace(file, path=file.path.absolute()) for file in self._files]
        return self.__dict__ | {"path": self.path.absolute(), "_files": files}

    def blocks(
        self, piece: Piece, names: Sequence[str], block_rows: int = BLOCK_ROWS
    ) -> Generator[pa.Table, None, None]:
        """Yield the rows of a row group in order, up to ``block_rows`` at a time, with the columns ``names``.

        Values are as in memory: no dictionaries, null instead of NaN. Raises `DataError`.
        """
        file = self._files[piece.file]
        stored = [self._stored[name] for name in names if name in self._stored]
        try:
            with parquet.ParquetFile(file.path, metadata=file.metadata, pre_buffer=False, buffer_size=2**20) as opened:
                batches = opened.iter_batches(block_rows, row_groups=[piece.group], columns=stored, use_threads=False)
                for batch in batches:
                    yield self._table(batch, file, names)
        except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
            reason = str(error).partition("\n")[0]
            raise DataError(f"{file.path} is damaged, or has changed since it was opened: {reason}") from error

    def digest(self) -> str:
        """The SHA-256 of the file; of a folder, that of the names of its files and the SHA-256 of each."""
        if self.path.is_file():
            return _sha256(self.path)
        lines = (f"{_sha256(each.path)}  {each.path.relative_to(self.path)}\n" for each in self._files)
        return hashlib.sha256("".join(lines).encode(errors="surrogateescape")).hexdigest()

    def _table(self, batch: pa.RecordBatch, file: _File, names: Sequence[str]) -> pa.Table:
        found = {}
        for name in names:
            if name not in self._stored:
                value = pa.scalar(file.partitions.get(name), self._partitions.field(name).type)
                array = pa.chunked_array([pa.repeat(value, batch.num_rows)])
            else:
                array = pa.chunked_array([batch[self._stored[name]]])
            found[name] = columns.normalised(array)
        return pa.table(found)


def holds_parquet(path: Path) -> bool:
    """Whether ``path`` is a folder with Parquet files in it or in its folders."""
    return path.is_dir() and next(_paths(path), None) is not None


def is_parquet(path: Path) -> bool:
    """Whether ``path`` is a Parquet file, by its first bytes."""
    try:
        with path.open("rb") as file:
            return file.read(len(_MAGIC)) == _MAGIC
    except OSError:
        return False  # whoever reads it says why


def _paths(folder: Path) -> Iterator[Path]:
    """The Parquet files in a ``folder``, but those that a writer marks as no data, as Spark does."""
    for path in folder.rglob("*.parquet"):
        if not any(part.startswith((".", "_")) for part in path.relative_to(folder).parts):
            yield path


def _files(path: Path) -> tuple[list[_File], pa.Schema]:
    """The files, and the columns of their Hive partitions."""
    is_folder = path.is_dir()
    paths = sorted(_paths(path)) if is_folder else [path]
    if not paths:
        raise DataError(f"{path} has no Parquet files, expected some with the ending .parquet in it or in its folders")
    files = [_File(each, _metadata(each), {}) for each in paths]
    stored = _schema(files[0])
    if not is_folder:
        return files, pa.schema([])
    from pyarrow import dataset as arrow_dataset  # noqa: PLC0415 - imports pandas, if it is installed

    try:
        hive = arrow_dataset.dataset(
            [str(each) for each in paths], format="parquet", partitioning="hive", partition_base_dir=str(path)
        )
    except (pa.ArrowException, OSError) as error:
        raise DataError(f"{path} cannot be read: {str(error).partition(chr(10))[0]}") from error
    partitions = {
        each.path: arrow_dataset.get_partition_keys(each.partition_expression) for each in hive.get_fragments()
    }
    types = pa.schema([each for each in hive.schema if each.name not in stored.names])
    return [replace(file, partitions=partitions[str(file.path)]) for file in files], types


def _metadata(path: Path) -> parquet.FileMetaData:
    try:
        return parquet.read_metadata(path)
    except (pa.ArrowException, OSError) as error:
        raise DataError(f"{path} is damaged or not a Parquet file: {str(error).partition(chr(10))[0]}") from error


def _schema(file: _File) -> pa.Schema:
    return file.metadata.schema.to_arrow_schema()


def _check_schemas(path: Path, files: Sequence[_File]) -> None:
    """Raise `DataError` with the files whose columns differ from those of the first one."""
    expected = _schema(files[0])
    types = dict(zip(expected.names, expected.types, strict=True))
    faults = []
    for file in files[1:]:
        schema = _schema(file)
        found = dict(zip(schema.names, schema.types, strict=True))
        if found == types:
            continue
        name = next(name for name in {**types, **found} if found.get(name) != types.get(name))
        was, now = (str(each.get(name, "no such column")) for each in (types, found))
        faults.append(f"{file.path} has {now} for column {name!r}, and {files[0].path.name} has {was}")
    if faults:
        more = [f"and {len(faults) - _MAX_LISTED:,} more files differ"] if len(faults) > _MAX_LISTED else []
        raise DataError(joined(path, [*faults[:_MAX_LISTED], *more]) + "; write all files with the same columns")


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
