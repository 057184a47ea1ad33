"""The query parameters of the native protocol: parsed, checked and documented."""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import parse_qsl

from service.errors import InvalidOption
from service.inference.model import Model
from service.inference.row_faults import RowFaults
from service.manifest import CLASSIFICATION

DTYPES: Final = ("float32", "float64", "uint8")
_BAD_ESCAPE: Final = re.compile("%(?![0-9A-Fa-f]{2})")
_SHOWN: Final = 60
_MAX_QUERY: Final = 1000  # parsed queries are cached, so their length is bounded
_BOOLEANS: Final = {"true": True, "1": True, "false": False, "0": False}


@dataclass(frozen=True, slots=True)
class Options:
    """What the query asks for. ``top_k`` is 0 if it is not requested.

    ``dtype``, ``resize``, ``ignore_unknown`` and ``by_row`` are as in `RowOptions`. ``faults`` are the rows that did
    not fit the model.
    """

    top_k: int = 0
    probabilities: bool = True
    timing: bool = False
    dtype: str | None = None
    resize: bool = False
    ignore_unknown: bool = False
    by_row: bool = False
    faults: RowFaults | None = field(default=None, compare=False)


@dataclass(frozen=True, slots=True)
class RowOptions:
    """How a request asks for its rows to be read. A codec ignores what means nothing in its encoding.

    ``dtype`` is that of raw rows, ``parameters`` are those of the Content-Type by lower-case name. ``ignore_unknown``
    allows columns that the model does not know, and ``by_row`` rows that do not fit it, beside others that do.
    ``resize`` allows images of any size. What is decompressed may have ``max_bytes``.
    """

    dtype: str | None = None
    ignore_unknown: bool = False
    by_row: bool = False
    max_bytes: int = 64 * 1024 * 1024
    parameters: Mapping[bytes, bytes] = field(default_factory=dict, hash=False)
    resize: bool = False


_DEFAULT: Final = Options()
_OF_CLASSES: Final = ("top_k", "probabilities")
_NAMES: Final = (*_OF_CLASSES, "timing", "dtype", "resize", "ignore_unknown", "on_error")
_ON_ERROR: Final = {"request": False, "row": True}


def from_query(query: str | None, classes: int) -> Options:
    """The options in a query string, for a model of that many classes, 0 for a regression. Raises `InvalidOption`."""
    if not query:
        return _DEFAULT
    values: dict[str, str] = {}
    for name, value in _pairs(query):
        if name not in _NAMES:
            near = difflib.get_close_matches(name[:_SHOWN], _NAMES, n=1)
            remedy = f"did you mean {near[0]!r}?" if near else f"there are: {', '.join(_NAMES)}"
            raise InvalidOption(f"unknown query parameter {name!r:.60}; {remedy}")
        if classes == 0 and name in _OF_CLASSES:
            raise InvalidOption(
                f"{name} means nothing here, as this model predicts numbers and no classes; leave it out"
            )
        if name in values:
            raise InvalidOption(f"query parameter {name} is sent twice; send it once")
        values[name] = value
    return Options(
        top_k=_top_k(values["top_k"], classes) if "top_k" in values else 0,
        probabilities=_boolean("probabilities", values.get("probabilities", "true")),
        timing=_boolean("timing", values.get("timing", "false")),
        dtype=_dtype(values["dtype"]) if "dtype" in values else None,
        resize=_boolean("resize", values.get("resize", "false")),
        ignore_unknown=_boolean("ignore_unknown", values.get("ignore_unknown", "false")),
        by_row=_on_error(values.get("on_error", "request")),
    )


def parameters(models: Sequence[Model]) -> list[dict[str, Any]]:
    """The OpenAPI parameter objects of the query."""
    found = [
        _parameter("timing", "true adds a server-timing header", {"type": "boolean", "default": False}),
        _parameter("dtype", "of raw rows, if their length is ambiguous", {"enum": list(DTYPES)}),
        _parameter(
            "ignore_unknown",
            "true ignores columns that the model does not know, in rows by name",
            {"type": "boolean", "default": False},
        ),
        _parameter(
            "on_error",
            "row answers the rows that fit the model, with null for the others and a list of their errors; request "
            "answers none unless all fit",
            {"enum": list(_ON_ERROR), "default": "request"},
        ),
    ]
    if any(model.schema.brightest is not None for model in models):
        resize = {"type": "boolean", "default": False}
        found.append(_parameter("resize", "true resizes images to the model's size", resize))
    classes = [len(model.manifest.classes) for model in models if model.manifest.task == CLASSIFICATION]
    if classes:
        top_k = {"type": "integer", "minimum": 1, "maximum": max(classes)}
        found += [
            _parameter("top_k", "also return the k most probable labels of each row, at most all of them", top_k),
            _parameter("probabilities", "false leaves the probabilities out", {"type": "boolean", "default": True}),
        ]
    return found


def _parameter(name: str, description: str, schema: dict[str, Any]) -> dict[str, Any]:
    return {"name": name, "in": "query", "required": False, "description": description, "schema": schema}


def _pairs(query: str) -> list[tuple[str, str]]:
    if len(query) > _MAX_QUERY:
        raise InvalidOption(f"the query string has {len(query)} characters, expected at most {_MAX_QUERY}")
    if _BAD_ESCAPE.search(query):
        raise InvalidOption(f"the query string {query!r:.60} has a % without two hexadecimal digits; write %25 for it")
    try:
        return parse_qsl(query, keep_blank_values=True, errors="strict")
    except UnicodeDecodeError as error:
        raise InvalidOption(f"the query string {query!r:.60} is not UTF-8 after decoding its % escapes") from error


def _top_k(text: str, classes: int) -> int:
    if len(text) > 9 or not text.isascii() or not text.isdecimal() or not 1 <= int(text) <= classes:
        raise InvalidOption(f"top_k is {text!r:.60}, expected an integer from 1 to {classes}, the number of classes")
    return int(text)


def _dtype(text: str) -> str:
    if text not in DTYPES:
        raise InvalidOption(f"dtype is {text!r:.60}, expected {', '.join(DTYPES[:-1])} or {DTYPES[-1]}")
    return text


def _on_error(text: str) -> bool:
    if text not in _ON_ERROR:
        raise InvalidOption(f"on_error is {text!r:.60}, expected request or row")
    return _ON_ERROR[text]


def _boolean(name: str, text: str) -> bool:
    if text not in _BOOLEANS:
        raise InvalidOption(f"{name} is {text!r:.60}, expected true or false")
    return _BOOLEANS[text]
