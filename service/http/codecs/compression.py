"""Content-Encoding: gzip and deflate, decompressed in steps and up to a bound.

https://www.rfc-editor.org/rfc/rfc9110#section-8.4
"""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from typing import Final

from service.errors import BodyTooLarge, MalformedBody, UnsupportedMedia
from service.inference.steps import Steps

STEP_BYTES: Final = 64 * 1024

_MAX_HEADER_BYTES: Final = 100  # parsed headers are cached, so their length is bounded
_GZIP_WINDOW: Final = 16 + zlib.MAX_WBITS
_WBITS: Final = {b"gzip": _GZIP_WINDOW, b"deflate": zlib.MAX_WBITS}
_ALIASES: Final = {b"x-gzip": b"gzip"}


def is_gzip(content_encoding: bytes) -> bool:
    """Whether a body is compressed, which it may be once, with gzip. Raises `UnsupportedMedia` for other encodings."""
    return wbits_of(content_encoding, (b"gzip",)) is not None


def wbits_of(content_encoding: bytes, known: Sequence[bytes] = (b"gzip", b"deflate")) -> int | None:
    """zlib's parameter for the encoding of a body, one of ``known``, applied once; None if there is none.

    Raises `UnsupportedMedia` for other encodings.
    """
    codings = [coding.strip().lower() for coding in content_encoding.split(b",")]
    applied = [_ALIASES.get(coding, coding) for coding in codings if coding not in {b"", b"identity"}]
    if len(applied) > 1 or not set(applied) <= set(known) or len(content_encoding) > _MAX_HEADER_BYTES:
        shown = content_encoding[:60].decode("latin-1")
        expected = b" or ".join(known).decode()
        raise UnsupportedMedia(f"content-encoding is {shown!r}, expected {expected}, once, or none")
    return _WBITS[applied[0]] if applied else None


def inflated(body: bytes, max_bytes: int, wbits: int = _GZIP_WINDOW) -> Steps[bytes]:
    """The content of a stream, in steps. Raises `MalformedBody`, and `BodyTooLarge` above ``max_bytes``."""
    kind = "gzip" if wbits == _GZIP_WINDOW else "deflate"
    unzip, whole = zlib.decompressobj(wbits), bytearray()
    for at in range(0, len(body), STEP_BYTES):
        rest = body[at : at + STEP_BYTES]
        while rest and not unzip.eof:
            whole += _piece(unzip, rest, kind)
            _check_size(whole, max_bytes)
            rest = unzip.unconsumed_tail
            yield
        if unzip.eof and (unzip.unused_data or at + STEP_BYTES < len(body)):
            break
    else:
        # The decoder may hold output of input that it has already consumed.
        while not unzip.eof and (more := _piece(unzip, b"", kind)):
            whole += more
            _check_size(whole, max_bytes)
            yield
        if unzip.eof:
            return bytes(whole)
    raise MalformedBody(f"the body is not one whole {kind} stream; send it again")


def _piece(unzip: zlib._Decompress, compressed: bytes, kind: str) -> bytes:
    try:
        return unzip.decompress(compressed, STEP_BYTES)
    except zlib.error as error:
        reason = str(error).rpartition(": ")[2]
        raise MalformedBody(f"the body is not {kind}: {reason}; send it again") from error


def _check_size(whole: bytearray, max_bytes: int) -> None:
    if len(whole) > max_bytes:
        raise BodyTooLarge(f"the body expands to more than {max_bytes} bytes; send fewer rows at once")
