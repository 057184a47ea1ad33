"""Large files mapped into memory, whose pages are given back while they are read."""

from __future__ import annotations

import io
import mmap
from collections.abc import Iterator
from typing import IO, Any, Final

import pyarrow as pa

# Smaller files are read: a mapped file must not be truncated meanwhile.
MIN_BYTES: Final = 64 * 2**20
_PIECE_BYTES: Final = 2**20
DONT_NEED: Final = getattr(mmap, "MADV_DONTNEED", None)  # not on Windows


def content_of(file: IO[bytes]) -> bytes | mmap.mmap:
    """Return all bytes of ``file``, mapped if they are many."""
    size = file.seek(0, io.SEEK_END)
    file.seek(0)
    if size < MIN_BYTES or DONT_NEED is None:
        return file.read()
    return mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)


def is_mapped(body: bytes | memoryview) -> bool:
    """Whether ``body`` is a part of a mapped file."""
    return isinstance(body, memoryview) and isinstance(body.obj, mmap.mmap) and DONT_NEED is not None


def pieces(body: bytes | memoryview) -> Iterator[memoryview]:
    """Yield ``body`` in pieces, each until the next one is asked for; pages of a mapped one are given back."""
    view = memoryview(body)
    for start in range(0, len(view), _PIECE_BYTES):
        yield view[start : start + _PIECE_BYTES]
        if isinstance(view.obj, mmap.mmap) and DONT_NEED is not None:
            view.obj.madvise(DONT_NEED)


def source_of(body: bytes | memoryview) -> Any:
    """Return an Arrow file of ``body``; pages of a mapped one are given back once they were read."""
    if isinstance(body, memoryview) and isinstance(body.obj, mmap.mmap) and DONT_NEED is not None:
        return pa.PythonFile(_Pages(body, body.obj), mode="r")
    return pa.BufferReader(body)


class _Pages(io.RawIOBase):
    """A part of a mapped file, read from its start to its end."""

    def __init__(self, body: memoryview, mapping: mmap.mmap) -> None:
        super().__init__()
        self._body = body
        self._mapping = mapping
        self._at = 0

    def readable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._at

    def read(self, size: int = -1) -> memoryview:
        end = len(self._body) if size < 0 else self._at + size
        block = self._body[self._at : end]
        self._at += len(block)
        self._mapping.madvise(mmap.MADV_DONTNEED)
        return block
