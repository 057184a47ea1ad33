"""Read the file of a table: find its format, decompress it, and leave out what is no data."""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Collection
from dataclasses import dataclass
from mmap import mmap
from pathlib import Path, PurePosixPath
from typing import Final

import pyarrow as pa

from training.data.tables import columns, tidy
from training.data.tables.files import arrow_files, compression, delimited, json_files, mapped, spilled, workbook
from training.data.tables.files.content import Content
from training.data.tables.frames import Frame
from training.errors import DataError

TEXTS: Final = (".csv", ".tsv", ".txt", ".tab", ".data")
JSON: Final = (".json", ".jsonl", ".ndjson")
PARQUET: Final = (".parquet", ".pq")
ARROW: Final = (".feather", ".arrow", ".arrows", ".ipc")
INNER: Final = (*TEXTS, *PARQUET, *ARROW, *JSON, *workbook.SUFFIXES)
SUFFIXES: Final = (*INNER, *compression.SUFFIXES)
_MAGIC_BYTES: Final = 8
_HEAD_BYTES: Final = 2**16

# Return the memory of each column to the system once it is converted; by default Arrow keeps much of it.
with contextlib.suppress(NotImplementedError):  # a build without jemalloc
    pa.set_memory_pool(pa.jemalloc_memory_pool())
    pa.jemalloc_set_decay_ms(0)


@dataclass(frozen=True, slots=True)
class TableFile:
    """A table as it is in a file: at least one row, and columns with different names.

    The columns in ``typed`` have the type that the file stores; the others are strings exactly as in the file.
    ``notes`` say what was left out or assumed. ``decimal_comma`` says that the file is separated by semicolons, as it
    is where the comma is the decimal mark. ``left_out`` are the names of columns that hold no data.
    """

    table: pa.Table
    typed: frozenset[str]
    sha256: str
    notes: tuple[str, ...] = ()
    decimal_comma: bool = False
    left_out: tuple[str, ...] = ()


def read(path: Path | Frame, known_names: Collection[str] = (), *, max_bytes: int = compression.MAX_BYTES) -> TableFile:
    """Return the table. ``known_names`` are columns that the user named, so the row that has them is the header.

    A compressed file may have ``max_bytes`` when decompressed. Raises `DataError`.
    """
    if isinstance(path, Frame):
        content, digest = path.content, path.digest
    else:
        try:
            content, digest = _read_file(path, known_names, max_bytes)
        except OSError as error:
            raise DataError(f"{path} cannot be read: {error.strerror}") from error
    return of_content(path, content, digest)


def of_content(path: Path | Frame, content: Content, digest: str) -> TableFile:
    """Return the table of ``content``, which was read from ``path`` and has this SHA-256. Raises `DataError`."""
    content = tidy.tidy(path, content)
    if not len(content.columns[0]):
        raise DataError(f"{path} has a header but no rows; add rows")
    typed = frozenset(name for name, typed in zip(content.names, content.typed, strict=True) if typed)
    table = spilled.table_of(list(map(columns.normalised, content.columns)), content.names)
    return TableFile(table, typed, digest, content.notes, content.decimal_comma, content.left_out)


def _read_file(path: Path, known_names: Collection[str], max_bytes: int) -> tuple[Content, str]:
    """Return what the file holds, and its SHA-256. Raises `OSError` and `DataError`."""
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
        file.seek(0)
        if arrow_files.kind_of(file.read(_MAGIC_BYTES)) == "parquet":
            return arrow_files.read(path, path, "parquet"), digest
        file.seek(0)
        head = file.read(_MAGIC_BYTES)
        if path.suffix.lower() in TEXTS and not (compression.is_compressed(head) or workbook.is_workbook(head)):
            text = mapped.content_of(file)
            if isinstance(text, mmap) and text[:_HEAD_BYTES].strip():
                return delimited.read(path, text, known_names), digest
        file.seek(0)
        content = file.read()
    content, name = compression.decompress(path, content, INNER, max_bytes)
    if not content.strip():
        raise DataError(f"{path} is empty, expected a table with a header")
    return _read(path, name, content, known_names, max_bytes), digest


def stem(path: Path | Frame) -> str:
    """Return the name of a file without its suffixes: ``people`` for ``people.csv.gz``."""
    name = PurePosixPath(compression.inner_name(path.name))
    return name.stem if name.suffix.lower() in INNER else name.name


def _read(path: Path, name: str, content: bytes, known_names: Collection[str], max_bytes: int) -> Content:
    suffix = PurePosixPath(name).suffix.lower()
    kinds = dict.fromkeys(PARQUET, "parquet") | dict.fromkeys(ARROW, "arrow")
    if kind := arrow_files.kind_of(content) or kinds.get(suffix):
        return arrow_files.read(path, content, kind)
    # Many programs save text under .xls.
    if workbook.is_workbook(content) or (suffix in workbook.SUFFIXES and b"\0" in content):
        return workbook.read(path, content, known_names, max_bytes)
    if suffix in JSON:
        return json_files.read(path, content)
    return delimited.read(path, content, known_names)
