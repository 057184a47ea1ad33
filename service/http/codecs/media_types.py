"""Content-Type and Accept: https://www.rfc-editor.org/rfc/rfc9110#section-8.3 and section-12.5.1."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final, NamedTuple

from service.errors import UnsupportedMedia

# So much of an Accept header is read: browsers and Prometheus send a few hundred bytes, and parsing 64 kB takes long.
MOST_ACCEPT_BYTES: Final = 1024

_CHARSETS: Final = (b"utf-8", b"utf8", b"us-ascii")
_PARAMETER: Final = re.compile(rb';[ \t]*(?:([^\s;="]+)=("(?:[^"\\]|\\.)*+"|[^\s;"]*))?[ \t]*')
_QUALITY: Final = re.compile(rb"0(?:\.[0-9]{0,3})?|1(?:\.0{0,3})?")


class Media(NamedTuple):
    """A media type such as ``text/plain``, and its parameters; the type and the parameters' names are in lower case."""

    name: bytes
    parameters: dict[bytes, bytes]


def media_type(content_type: bytes) -> Media:
    """Parse a Content-Type; malformed parameters are ignored."""
    name, semicolon, rest = content_type.partition(b";")
    return Media(name.strip().lower(), _parameters(semicolon + rest))


def check_charset(media: Media) -> None:
    """Raise `UnsupportedMedia` for a charset other than UTF-8."""
    charset = media.parameters.get(b"charset", b"utf-8").lower()
    if charset not in _CHARSETS:
        shown = charset[:60].decode("latin-1")
        raise UnsupportedMedia(f"charset is {shown!r}, expected utf-8")


def preferred(accept: bytes, offered: Sequence[bytes]) -> bytes:
    """The media type of ``offered`` that an Accept header prefers; the first one if it has no preference."""
    accept = accept[:MOST_ACCEPT_BYTES]
    return max(offered, key=lambda name: _preference(accept, name))


def _parameters(text: bytes) -> dict[bytes, bytes]:
    found: dict[bytes, bytes] = {}
    at = 0
    while match := _PARAMETER.match(text, at):
        if match[1] is not None:
            found.setdefault(match[1].lower(), re.sub(rb"\\(.)", rb"\1", match[2].strip(b'"')))
        at = match.end()
    return found


def _preference(accept: bytes, name: bytes) -> tuple[float, int]:
    """The quality of a type, and how specific its range is: the most specific range that matches counts."""
    ranges = (b"*/*", b"application/*", name)
    closest, wanted = -1, 0.0
    for each in accept.split(b","):
        media = media_type(each)
        quality = media.parameters.get(b"q", b"1")
        if media.name in ranges and ranges.index(media.name) > closest and _QUALITY.fullmatch(quality):
            closest, wanted = ranges.index(media.name), float(quality)
    return wanted, closest if wanted else -1
