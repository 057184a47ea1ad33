"""What a picture file has beside its pixels, counted before it is parsed.

Pillow makes objects of each segment or chunk, and joins metadata piece by piece: a file of millions of empty ones would
take minutes and hundreds of megabytes. https://www.w3.org/TR/png-3/#5Chunk-layout and
https://www.w3.org/Graphics/JPEG/itu-t81.pdf, B.1.1.
"""

from __future__ import annotations

import re
import struct
from typing import Final

_CHUNK: Final = struct.Struct(">I4s")
_PNG_START: Final = 8
_CHUNK_FRAMING: Final = 12
_END: Final = b"IEND"
# The pixels, also of an animation. Encoders write 4 kB or more in each.
_PIXELS: Final = frozenset({b"IDAT", b"fdAT", b"fcTL"})
_MOST_PIXEL_CHUNKS: Final = 20_000
# A megabyte of text or of a colour profile may be packed into each.
_MOST_CHUNKS: Final = 200

_MARKER: Final = re.compile(rb"\xff([\x01-\xfe])", re.DOTALL)
_SCAN: Final = 0xDA
_COMMENT: Final = 0xFE
_APPLICATION: Final = range(0xE0, 0xF0)
_WITH_LENGTH: Final = frozenset({*range(0xC0, 0xD0), *range(0xDB, 0xF0), _COMMENT} - {0xC8})
_WITHOUT_LENGTH: Final = frozenset({0xC8, *range(0xD0, 0xDA), *range(0xF0, 0xFE)})
# Those of a colour profile or of a picture's depth have up to 64 kB each.
_MOST_SEGMENTS: Final = 500
# The description of a frame and its tables take about a kilobyte. Between segments there should be nothing.
_MOST_TABLE_BYTES: Final = 65_536
_MOST_SKIPPED_BYTES: Final = 65_536


def excess(file: bytes, file_format: str) -> str | None:
    """What a ``PNG`` or ``JPEG`` file has too much of, such as ``more than 200 chunks of metadata``; else None."""
    if file_format == "PNG":
        return _png_excess(file)
    return _jpeg_excess(file) if file_format == "JPEG" else None


def _png_excess(file: bytes) -> str | None:
    at, pixels, others = _PNG_START, 0, 0
    while at + _CHUNK.size <= len(file):
        length, name = _CHUNK.unpack_from(file, at)
        if name == _END:
            break
        if name in _PIXELS:
            pixels += 1
        else:
            others += 1
        if pixels > _MOST_PIXEL_CHUNKS:
            return f"more than {_MOST_PIXEL_CHUNKS} chunks of pixels"
        if others > _MOST_CHUNKS:
            return f"more than {_MOST_CHUNKS} chunks of metadata"
        at += _CHUNK_FRAMING + length
    return None


def _jpeg_excess(file: bytes) -> str | None:
    """Follows the markers up to the first scan as Pillow does; of a file without one, to its end."""
    at, segments, table_bytes, skipped_bytes = 2, 0, 0, 0
    while (found := _MARKER.search(file, at)) is not None:
        code = found[1][0]
        skipped_bytes += found.start() - at
        at = found.end()
        segments += 1
        if segments > _MOST_SEGMENTS:
            return f"more than {_MOST_SEGMENTS} segments before its pixels"
        if skipped_bytes > _MOST_SKIPPED_BYTES or code == _SCAN:
            break
        if code in _WITH_LENGTH:
            length = int.from_bytes(file[at : at + 2], "big")
            at += max(length, 2)
            if code not in _APPLICATION and code != _COMMENT:
                table_bytes += length
            if table_bytes > _MOST_TABLE_BYTES:
                return f"more than {_MOST_TABLE_BYTES} bytes of tables"
        elif code not in _WITHOUT_LENGTH:  # Pillow reads no further
            return None
    if found is None:
        skipped_bytes += len(file) - at
    return (
        f"more than {_MOST_SKIPPED_BYTES} bytes between its segments" if skipped_bytes > _MOST_SKIPPED_BYTES else None
    )
