"""The encoding of a text file: UTF-8, UTF-16, or Windows-1252 if that is plausible."""

from __future__ import annotations

import codecs
import re
from mmap import mmap
from pathlib import Path
from typing import Final

from training.data.tables.files import mapped
from training.errors import DataError

_SAMPLE_BYTES: Final = 2**16
_BOMS: Final = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),  # begins with UTF-16's mark
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
_NULLS: Final = 0.3  # of every second byte, in UTF-16 of Latin letters
_MAX_RUN: Final = 2.5  # accented letters stand mostly alone; letters of other scripts come as words
_MAX_SHOWN: Final = 20


def to_utf8(path: Path, content: bytes | mmap) -> tuple[bytes | memoryview, list[str]]:
    """Return the text as UTF-8 without a byte order mark, and a note if the encoding was guessed.

    UTF-8 is checked and not copied. Raises `DataError` if the text is in no known encoding.
    """
    for mark, encoding in _BOMS:
        if content[: len(mark)] == mark:
            if encoding == "utf-8":
                return _checked(path, memoryview(content)[len(mark) :])
            return _reencoded(path, content[len(mark) :], encoding), []
    for encoding, first in (("utf-16-le", 1), ("utf-16-be", 0)):
        sample = content[first:_SAMPLE_BYTES:2]
        if len(sample) > 1 and sample.count(0) > _NULLS * len(sample):
            note = f"read as {encoding.upper()}, which the file does not say; save it as UTF-8 if letters are wrong"
            return _reencoded(path, bytes(content), encoding), [note]
    return _checked(path, memoryview(content))


def _reencoded(path: Path, content: bytes, encoding: str) -> bytes:
    try:
        return content.decode(encoding).encode()
    except UnicodeError as error:
        raise DataError(f"{path} is not {encoding.upper()}, as it begins: {error}; save it as UTF-8") from error


def _checked(path: Path, content: memoryview) -> tuple[bytes | memoryview, list[str]]:
    decoder = codecs.getincrementaldecoder("utf-8")()
    try:
        for piece in mapped.pieces(content):
            decoder.decode(piece)
        decoder.decode(b"", final=True)
    except UnicodeDecodeError:
        return _from_windows(path, bytes(content))
    return content, []


def _from_windows(path: Path, content: bytes) -> tuple[bytes, list[str]]:
    """Return text that is not UTF-8, if it is plausible as Windows-1252, of which Latin-1's letters are a part."""
    try:
        content.decode()
    except UnicodeDecodeError as error:
        at = error.start
    line = content.count(b"\n", 0, at) + 1
    runs = re.findall(rb"[\x80-\xff]+", content)
    mostly_utf8 = content.decode(errors="replace").count("\ufffd") * 2 <= len(runs)
    try:
        text = content.decode("cp1252")
    except UnicodeDecodeError:
        text = ""
    if not text or mostly_utf8 or sum(map(len, runs)) > _MAX_RUN * len(runs):
        raise DataError(f"{path} is not UTF-8: line {line} has the byte {content[at]:#04x}; save it as UTF-8")
    word = re.search(r"\w*[^\x00-\x7f]\w*", text)
    shown = f", such as {word.group()[:_MAX_SHOWN]!r} in line {line}" if word else ""
    return text.encode(), [
        f"the file is not UTF-8 and was read as Windows-1252 (cp1252){shown}; if letters are wrong, save it as UTF-8"
    ]
