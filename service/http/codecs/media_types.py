"""What headers say of a body, and of the one that is wanted: its type, its charset, its encodings.

https://www.rfc-editor.org/rfc/rfc9110#section-8 and section-12
"""

from __future__ import annotations

import re
import zlib
from functools import lru_cache
from typing import Final, NamedTuple

from service.errors import BodyTooLarge, MalformedBody, UnsupportedMedia
from service.inference.steps import Steps

JSON: Final = b"application/json"
NPY: Final = b"application/x-npy"
INFLATE_BYTES: Final = 64 * 1024  # a step's

_CACHED: Final = 256
_MAX_ENCODING_BYTES: Final = 100  # nobody needs more, and what was read is remembered
_GZIP_WINDOW: Final = 16 + zlib.MAX_WBITS
_CHARSETS: Final = (b"utf-8", b"utf8", b"us-ascii")
_PARAMETER: Final = re.compile(rb';[ \t]*(?:([^\s;="]+)=("(?:[^"\\]|\\.)*+"|[^\s;"]*))?[ \t]*')
_QUALITY: Final = re.compile(rb"0(?:\.[0-9]{0,3})?|1(?:\.0{0,3})?")


class Media(NamedTuple):
    """A type in lower case, as ``text/plain``, and its parameters, their names in lower case."""

    name: bytes
    parameters: dict[bytes, bytes]


@lru_cache(maxsize=_CACHED)
def media_type(content_type: bytes) -> Media:
    """What a Content-Type says; what cannot be read of its parameters is passed over."""
    name, semicolon, rest = content_type.partition(b";")
    return Media(name.strip().lower(), _parameters(semicolon + rest))


def check_charset(media: Media) -> None:
    """`UnsupportedMedia` where a text is declared to be in anything but UTF-8."""
    charset = media.parameters.get(b"charset", b"utf-8").lower()
    if charset not in _CHARSETS:
        raise UnsupportedMedia(f"charset is {_shown(charset)}, expected utf-8")


@lru_cache(maxsize=_CACHED)
def is_gzip(content_encoding: bytes) -> bool:
    """Whether a body is compressed once with gzip, and not at all. Raises `UnsupportedMedia` for anything else."""
    codings = [coding.strip().lower() for coding in content_encoding.split(b",")]
    applied = [coding for coding in codings if coding not in {b"", b"identity"}]
    if applied not in ([], [b"gzip"], [b"x-gzip"]) or len(content_encoding) > _MAX_ENCODING_BYTES:
        raise UnsupportedMedia(f"content-encoding is {_shown(content_encoding)}, expected gzip, once, or none")
    return bool(applied)


@lru_cache(maxsize=_CACHED)
def prefers_npy(accept: bytes) -> bool:
    """Whether an Accept header wants an array rather than JSON, which is given to whoever wants neither."""
    return _preference(accept, NPY) > _preference(accept, JSON)


def inflated(body: bytes, max_bytes: int) -> Steps[bytes]:
    """What a gzip stream holds, in steps. Raises `MalformedBody`, and `BodyTooLarge` once it is over ``max_bytes``."""
    unzip, whole = zlib.decompressobj(_GZIP_WINDOW), bytearray()
    for at in range(0, len(body), INFLATE_BYTES):
        rest = body[at : at + INFLATE_BYTES]
        while rest and not unzip.eof:
            try:
                whole += unzip.decompress(rest, INFLATE_BYTES)
            except zlib.error as error:
                reason = str(error).rpartition(": ")[2]
                raise MalformedBody(f"the body is not gzip: {reason}; send it again") from error
            if len(whole) > max_bytes:
                raise BodyTooLarge(f"the body expands to more than {max_bytes} bytes; send fewer rows at once")
            rest = unzip.unconsumed_tail
            yield
        if unzip.eof and (unzip.unused_data or at + INFLATE_BYTES < len(body)):
            break
    else:
        # What is left in the decoder came of input that is all taken.
        while not unzip.eof and (more := unzip.decompress(b"", INFLATE_BYTES)):
            whole += more
            if len(whole) > max_bytes:
                raise BodyTooLarge(f"the body expands to more than {max_bytes} bytes; send fewer rows at once")
            yield
        if unzip.eof:
            return bytes(whole)
    raise MalformedBody("the body is not one whole gzip stream; send it again")


def _parameters(text: bytes) -> dict[bytes, bytes]:
    found: dict[bytes, bytes] = {}
    at = 0
    while match := _PARAMETER.match(text, at):
        if match[1] is not None:
            found.setdefault(match[1].lower(), re.sub(rb"\\(.)", rb"\1", match[2].strip(b'"')))
        at = match.end()
    return found


def _preference(accept: bytes, name: bytes) -> tuple[float, int]:
    """How much a type is wanted, and how closely it was named: of several ranges the closest one counts."""
    ranges = (b"*/*", b"application/*", name)
    closest, wanted = -1, 0.0
    for each in accept.split(b","):
        media = media_type(each)
        quality = media.parameters.get(b"q", b"1")
        if media.name in ranges and ranges.index(media.name) > closest and _QUALITY.fullmatch(quality):
            closest, wanted = ranges.index(media.name), float(quality)
    return wanted, closest if wanted else -1


def _shown(value: bytes) -> str:
    return repr(value[:60].decode("latin-1"))
