"""Parses a JSON text value by value through a window, so that no step takes long, however large the text is.

The text is UTF-8, with or without a byte order mark.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable
from typing import Any, Final

from service.errors import MalformedBody
from service.inference.steps import Steps

WINDOW_BYTES: Final = 32 * 1024
_SPACE: Final = re.compile(r"[ \t\n\r]*")
_COMMA: Final = re.compile(r"[ \t\n\r]*,[ \t\n\r]*")
_BOM: Final = b"\xef\xbb\xbf"
_MAX_DIGITS: Final = 4000  # Python's own bound on an integer's digits is 4,300
_CUT_CHARS: Final = 16  # a number, literal or escape that the window's end may cut is at most this long


class TooLong(Exception):
    """A value has more bytes than are allowed."""


class JsonText:
    """``body``, and how much of it is parsed. A value or key may have ``longest_bytes``.

    The methods parse in steps, skip whitespace, and raise `MalformedBody` if the text is not JSON.
    """

    def __init__(self, body: bytes, longest_bytes: int) -> None:
        encoding = json.detect_encoding(body[:4])
        if not encoding.startswith("utf-8"):
            raise MalformedBody(f"the body is {encoding[:6].upper()}, expected JSON in UTF-8")
        self._body = body
        self._longest_bytes = max(longest_bytes, WINDOW_BYTES)
        self._text = ""  # the window, and the position in it
        self._at = 0
        self.start = len(_BOM) if body.startswith(_BOM) else 0
        self.size_bytes = len(body)
        self._from_byte = self._to_byte = self.start
        self._chars_before = 0
        self._guessed_wrong = False
        self._refill(WINDOW_BYTES)

    @property
    def at_byte(self) -> int:
        """How many bytes are parsed."""
        return self._from_byte + _bytes_in(self._text, self._at)

    def next(self) -> Steps[str]:
        """The next character, without consuming it; an empty string at the end."""
        while True:
            match = _SPACE.match(self._text, self._at)
            self._at = match.end() if match else self._at
            if self._at < len(self._text):
                return self._text[self._at]
            if self._to_byte == len(self._body):
                return ""
            self._refill(WINDOW_BYTES)
            yield

    def read(self, characters: str, expected: str) -> Steps[str]:
        """Consume one of ``characters``; ``expected`` describes them in the error."""
        found = yield from self.next()
        if not found or found not in characters:
            raise self.error(f"expecting {expected}")
        self._at += 1
        return found

    def value(self) -> Steps[Any]:
        """Consume a value. Raises `TooLong`, and `MalformedBody` for a duplicate key too."""
        yield from self.next()
        size = WINDOW_BYTES
        while True:
            try:
                value, end = _decoded(self._text, self._at)
            except json.JSONDecodeError as error:
                is_cut = error.pos >= len(self._text) - _CUT_CHARS or error.msg.startswith("Unterminated string")
                if not is_cut or self._to_byte == len(self._body):
                    raise self.error(error.msg[0].lower() + error.msg[1:].removesuffix(" at"), error.pos) from error
            except RecursionError as error:
                raise MalformedBody("the body is JSON nested too deeply; send a list of rows") from error
            else:
                if end + _CUT_CHARS <= len(self._text) or self._to_byte == len(self._body):
                    self._at = end
                    return value
            if size > self._longest_bytes:
                raise TooLong
            self._refill(size)
            size *= 2
            yield

    def another(self, end: str) -> Steps[bool]:
        """Consume the comma or the ``end`` bracket after an element; whether another element follows."""
        return (yield from self.read("," + end, "',' delimiter")) == ","

    def values_at_hand(self, ends: re.Pattern[str]) -> list[Any]:
        """Consume the list elements in the window, up to the last match of ``ends``.

        That this is the end of an element is a guess. If it is wrong, the result is empty: parse them one by one.
        """
        comma, last = _COMMA.match(self._text, self._at), None
        if comma is not None and not self._guessed_wrong:
            for last in ends.finditer(self._text, comma.end()):  # noqa: B007 - the last match is used
                pass
        if comma is None or last is None:
            return []
        try:
            values: list[Any] = DECODER.decode(f"[{self._text[comma.end() : last.end()]}]")
        except (ValueError, RecursionError, MalformedBody):
            self._guessed_wrong = True  # no second guess in this window, which could take quadratic time
            return []
        self._at = last.end()
        return values

    def part_at_hand(self, brackets: str, decode: Callable[[str], Any] | None = None) -> Any:
        """Consume what follows the value just read, up to the last comma in the window that ends one like it.

        The part of a list or an object is itself one, by its ``brackets``. That the comma ends a value is a guess. If
        it is wrong, the result is empty: parse the values one by one. ``decode`` is a faster parser of the same texts.
        """
        comma = _COMMA.match(self._text, self._at)
        if comma is not None and not self._guessed_wrong and self._at:
            closing = self._text[self._at - 1]
            if closing in "]}":
                end = self._text.rfind(f"{closing},", comma.end()) + 1
            else:
                stop = self._text.find(brackets[1], comma.end())
                end = self._text.rfind(",", comma.end(), stop if stop >= 0 else None)
            try:
                if end > comma.end():
                    part = (decode or DECODER.decode)(f"{brackets[0]}{self._text[comma.end() : end]}{brackets[1]}")
                    self._at = end
                    return part
            except (ValueError, RecursionError, MalformedBody):
                self._guessed_wrong = True
        return DECODER.decode(brackets)

    def window(self, size_bytes: int) -> bytes:
        """The next bytes, without consuming them."""
        at = self.at_byte
        return self._body[at : at + size_bytes]

    def skip(self, size_bytes: int) -> None:
        """Consume the next bytes, which are complete values."""
        self._chars_before += self._at + size_bytes
        self._from_byte = self._to_byte = self.at_byte + size_bytes
        self._text, self._at = "", 0

    def seek(self, at_byte: int) -> None:
        """Go back, or ahead, to a value. Positions in errors are of what was parsed, before and after."""
        self._from_byte = self._to_byte = at_byte
        self._text, self._at = "", 0

    def error(self, reason: str, at: int | None = None) -> MalformedBody:
        """The error at index ``at`` of the window."""
        position = self._chars_before + (self._at if at is None else at)
        return MalformedBody(f"the body is not JSON: {reason} at character {position}")

    def _refill(self, size_bytes: int) -> None:
        """Move the window to what is not parsed yet."""
        start = self.at_byte
        end = min(start + size_bytes, len(self._body))
        for _ in range(3):  # do not cut a character
            if end < len(self._body) and self._body[end] & 0xC0 == 0x80:
                end -= 1
        try:
            text = self._body[start:end].decode()
        except UnicodeDecodeError as error:
            at = start + error.start
            raise MalformedBody(f"the body is not UTF-8: byte {at} is {self._body[at]:#04x}") from error
        self._chars_before += self._at
        self._from_byte, self._to_byte, self._text, self._at = start, end, text, 0
        self._guessed_wrong = False


def distinct(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """An object of a JSON text. Raises `MalformedBody` for a duplicate key."""
    document = dict(pairs)
    if len(document) != len(pairs):
        seen: set[str] = set()
        for key, _ in pairs:
            if key in seen:
                raise repeated(key)
            seen.add(key)
    return document


def repeated(key: str) -> MalformedBody:
    """The error for a duplicate key."""
    return MalformedBody(f"the key {key!r:.60} is duplicated in one object; send it once")


def _integer(text: str) -> int | float:
    return int(text) if len(text) < _MAX_DIGITS else math.copysign(math.inf, -1 if text[0] == "-" else 1)


DECODER: Final = json.JSONDecoder(object_pairs_hook=distinct)
_PATIENT: Final = json.JSONDecoder(object_pairs_hook=distinct, parse_int=_integer)


def _decoded(text: str, at: int) -> tuple[Any, int]:
    try:
        return DECODER.raw_decode(text, at)
    except json.JSONDecodeError:
        raise
    except ValueError:  # an integer with more digits than Python converts
        return _PATIENT.raw_decode(text, at)


def _bytes_in(text: str, end: int) -> int:
    return end if text.isascii() else len(text[:end].encode())
