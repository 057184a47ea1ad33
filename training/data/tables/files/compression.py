"""Decompress files in memory, up to a limit: a small file may expand to more than a machine holds."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import zipfile
import zlib
from collections.abc import Callable, Collection, Mapping
from pathlib import Path, PurePosixPath
from types import MappingProxyType
from typing import IO, Any, Final

import pyarrow as pa

from training.errors import DataError, first_line

SUFFIXES: Final = (".gz", ".zip", ".zst", ".bz2", ".xz")
MAX_BYTES: Final = 4 * 2**30
_CHUNK_BYTES: Final = 2**20
_MAX_LISTED: Final = 5
ZIP: Final = b"PK\x03\x04"
# What the archive of a workbook has: of .xlsx, .xlsb and .ods.
_WORKBOOKS: Final = frozenset(("xl/workbook.xml", "xl/workbook.bin", "content.xml"))


def _open_zstd(file: IO[bytes]) -> Any:
    return pa.CompressedInputStream(pa.PythonFile(file, "r"), "zstd")


# By the first bytes of a file, which are right even if its name is not.
_OPENERS: Final[Mapping[bytes, Callable[[IO[bytes]], Any]]] = MappingProxyType(
    {
        b"\x1f\x8b": lambda file: gzip.GzipFile(fileobj=file),
        b"BZh": bz2.BZ2File,
        b"\xfd7zXZ\x00": lzma.LZMAFile,
        b"\x28\xb5\x2f\xfd": _open_zstd,
    }
)
_ERRORS: Final = (OSError, EOFError, zlib.error, lzma.LZMAError, zipfile.BadZipFile, NotImplementedError, RuntimeError)


def is_compressed(head: bytes) -> bool:
    """Whether a file that begins with ``head`` is compressed, or another archive."""
    return head.startswith((ZIP, *_OPENERS))


def decompress(path: Path, content: bytes, suffixes: Collection[str], max_bytes: int = MAX_BYTES) -> tuple[bytes, str]:
    """Return the file inside the compressed ``content``, or ``content`` if it is not compressed, and its name.

    The format is recognised by its first bytes. A ZIP archive must contain one file with one of ``suffixes``, besides
    others; a workbook is returned as it is. Raises `DataError` if the file is damaged, or larger than
    ``max_bytes`` when decompressed.
    """
    if content.startswith(ZIP):
        return _from_zip(path, content, suffixes, max_bytes)
    for magic, opener in _OPENERS.items():
        if content.startswith(magic):
            try:
                with opener(io.BytesIO(content)) as stream:
                    return _read(path, stream, max_bytes, max_bytes), inner_name(path.name)
            except _ERRORS as error:
                raise DataError(f"{path} is damaged, it cannot be decompressed: {first_line(error)}") from error
    return content, inner_name(path.name)


def repacked(path: Path, content: bytes, max_bytes: int = MAX_BYTES) -> bytes:
    """Return a ZIP archive without compression, for readers that decompress without a limit. Raises `DataError`."""
    target = io.BytesIO()
    left = max_bytes
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive, zipfile.ZipFile(target, "w") as plain:
            for member in archive.infolist():
                with archive.open(member) as stream:
                    data = _read(path, stream, left, max_bytes)
                left -= len(data)
                plain.writestr(member.filename, data)
    except _ERRORS as error:
        raise DataError(f"{path} is damaged, it cannot be decompressed: {first_line(error)}") from error
    return target.getvalue()


def inner_name(name: str) -> str:
    """Return a file's name without the suffix of a compression: ``a.csv`` for ``a.csv.gz``."""
    inner, dot, suffix = name.rpartition(".")
    return inner if dot and f".{suffix.lower()}" in SUFFIXES else name


def _from_zip(path: Path, content: bytes, suffixes: Collection[str], max_bytes: int) -> tuple[bytes, str]:
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            if not _WORKBOOKS.isdisjoint(archive.namelist()):
                return content, path.name
            names = [name for name in archive.namelist() if _is_table(name, suffixes)]
            if len(names) != 1:
                found = f"{len(names)}: {', '.join(names[:_MAX_LISTED])}" if names else "none"
                raise DataError(f"{path}: expected one table in the archive, found {found}; unpack the one to train on")
            with archive.open(names[0]) as stream:
                return _read(path, stream, max_bytes, max_bytes), names[0]
    except _ERRORS as error:
        raise DataError(f"{path} is damaged, it cannot be decompressed: {first_line(error)}") from error


def _is_table(name: str, suffixes: Collection[str]) -> bool:
    file = PurePosixPath(name)
    return file.suffix.lower() in suffixes and not file.name.startswith(".") and "__MACOSX" not in file.parts


def _read(path: Path, stream: Any, left: int, max_bytes: int) -> bytes:
    """Return all bytes of ``stream``. Raises `DataError` if there are more than ``left``, the rest of ``max_bytes``."""
    parts = []
    while part := stream.read(_CHUNK_BYTES):
        left -= len(part)
        if left < 0:
            raise DataError(f"{path} is larger than {max_bytes:,} bytes when decompressed; decompress it yourself")
        parts.append(part)
    return b"".join(parts)
