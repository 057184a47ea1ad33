"""Read a JSON document that must be valid and bounded: no NaN, 64-bit numbers, no surrogates, limited nesting."""

from __future__ import annotations

import json
import math
from typing import Any, Final

_INT64: Final = 2**63
_INT64_DIGITS: Final = 20
MAX_DEPTH: Final = 32


class DocumentError(ValueError):
    """The content is not such a document. The message continues a sentence that starts with the file's path."""


def loads(content: bytes | str) -> dict[str, Any]:
    """Parse ``content``, a JSON object.

    Raises `DocumentError`.
    """
    try:
        document = json.loads(content, parse_constant=_refuse_constant, parse_float=_float, parse_int=_int)
    except (ValueError, RecursionError) as error:
        raise DocumentError(f" is not JSON: {error}") from error
    if not isinstance(document, dict):
        raise DocumentError(" is not a JSON object")
    _check_values(document)
    return document


def _refuse_constant(constant: str) -> None:
    raise ValueError(f"{constant} is not a JSON number")


def _float(text: str) -> float:
    if math.isinf(number := float(text)):
        raise ValueError(f"{text:.20} exceeds float64")
    return number


def _int(text: str) -> int:
    number = int(text) if len(text) <= _INT64_DIGITS else _INT64
    if not -_INT64 <= number < _INT64:
        raise ValueError(f"{text:.20} exceeds 64 bits")
    return number


def _check_values(document: dict[str, Any]) -> None:
    """Raise `DocumentError` for what JSON can hold and a response cannot: surrogates and deep nesting."""
    pending: list[tuple[str, object, int]] = [("", document, 0)]
    while pending:
        where, value, depth = pending.pop()
        if depth > MAX_DEPTH:
            raise DocumentError(f": {where:.60} is nested more than {MAX_DEPTH} deep")
        if isinstance(value, dict):
            pending += [(where or repr(key), each, depth + 1) for key, pair in value.items() for each in (key, pair)]
        elif isinstance(value, list):
            pending += [(where, each, depth + 1) for each in value]
        elif isinstance(value, str) and not value.isascii() and any("\ud800" <= each <= "\udfff" for each in value):
            raise DocumentError(f": {where:.60} has the string {value!r:.60}, expected one that UTF-8 can encode")
