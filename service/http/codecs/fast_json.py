"""Parses JSON with the fastest parser that says the same as the careful one."""

from __future__ import annotations

from typing import Any

import orjson

from service.http.codecs.json_text import DECODER
from service.http.codecs.optional import simdjson


def decoded(text: bytes) -> Any:
    """A JSON ``text``, of which integers that 64 bits cannot hold may be rounded to a float.

    Raises `ValueError`, `RecursionError` or `MalformedBody` if it is not JSON, or an object has a duplicate key.
    """
    document = decoded_fast(text)
    return DECODER.decode(text.decode()) if document is None else document


def decoded_text(text: str) -> Any:
    """The same for a string."""
    return decoded(text.encode())


def decoded_fast(text: bytes) -> Any:
    """The same for rows, by the fast parser; None if only the careful one can tell.

    Rows are objects or lists, in a list that is the document itself or a value of an object.
    """
    try:
        document = orjson.loads(text)
        return document if _has_distinct_keys(text, document) else None
    except (ValueError, TypeError, RuntimeError):
        return None


def _has_distinct_keys(text: bytes, document: Any) -> bool:
    """Whether orjson, which takes the last one of duplicate keys, has lost none in ``document``. False if unknown."""
    pairs = _pairs(document, dict, list)
    if text.count(b":") == pairs:  # each colon is in a string or after a key
        return True
    if simdjson is None or text.count(b"{") != _objects(document):  # nothing is deeper than rows
        return False
    again: Any = simdjson.Parser().parse(text)
    if isinstance(again, simdjson.Object) and len(set(again)) < len(again):
        return False
    return _pairs(again, simdjson.Object, simdjson.Array) == pairs


def _pairs(document: Any, object_type: type[Any], list_type: type[Any]) -> int:
    """How many pairs of a key and a value a parsed text has in its first levels."""
    pairs = 0
    for value in _lists_and_objects(document, object_type):
        if isinstance(value, object_type):
            pairs += len(value)
        elif isinstance(value, list_type) and len(value) and isinstance(value[0], object_type):
            pairs += sum(map(len, value))
    return pairs


def _objects(document: Any) -> int:
    """How many objects are in those levels."""
    objects = 0
    for value in _lists_and_objects(document, dict):
        if isinstance(value, dict):
            objects += 1
        elif isinstance(value, list) and value and isinstance(value[0], dict):
            objects += sum(type(row) is dict for row in value)
    return objects


def _lists_and_objects(document: Any, object_type: type[Any]) -> list[Any]:
    return [document, *(document[key] for key in document)] if isinstance(document, object_type) else [document]
