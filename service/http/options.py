"""What a prediction request asks for beside its rows: query parameters and headers, each checked."""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Final
from urllib.parse import parse_qsl

from service.errors import InvalidOption

DTYPES: Final = ("float32", "float64", "uint8")
_BAD_ESCAPE: Final = re.compile("%(?![0-9A-Fa-f]{2})")
_SHOWN: Final = 60
_MAX_QUERY: Final = 1000  # nobody needs more, and what was read is remembered
_BOOLEANS: Final = {"true": True, "1": True, "false": False, "0": False}


@dataclass(frozen=True, slots=True)
class Options:
    """``top_k`` is 0 where it was not asked for; ``dtype`` is that of a raw body."""

    top_k: int = 0
    probabilities: bool = True
    timing: bool = False
    dtype: str | None = None


_DEFAULT: Final = Options()
_OF_CLASSES: Final = ("top_k", "probabilities")
_NAMES: Final = (*_OF_CLASSES, "timing", "dtype")


@lru_cache(maxsize=256)  # clients ask for few different things, again and again
def from_query(query: str | None, classes: int) -> Options:
    """The options of a query string for a model of that many classes, a regression of none. Raises `InvalidOption`."""
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
    )


def _pairs(query: str) -> list[tuple[str, str]]:
    if len(query) > _MAX_QUERY:
        raise InvalidOption(f"the query string has {len(query)} characters, expected at most {_MAX_QUERY}")
    if _BAD_ESCAPE.search(query):
        raise InvalidOption(f"the query string {query!r:.60} has a % without two hexadecimal digits; write %25 for it")
    try:
        return parse_qsl(query, keep_blank_values=True, errors="strict")
    except UnicodeDecodeError as error:
        raise InvalidOption(f"the query string {query!r:.60} is not UTF-8 once its % are read") from error


def timeout_s(headers: Mapping[bytes, bytes], longest_s: float) -> float:
    """Seconds this request may take: ``x-request-timeout-s``, and never more than ``longest_s``."""
    text = headers.get(b"x-request-timeout-s")
    if text is None:
        return longest_s
    try:
        asked_s = 0.0 if b"_" in text else float(text)  # Python's own way to write a number
    except ValueError:
        asked_s = 0.0
    if not asked_s > 0:
        shown = text[:60].decode("latin-1")
        raise InvalidOption(f"header x-request-timeout-s is {shown!r}, expected a number of seconds over 0")
    return min(asked_s, longest_s)


def _top_k(text: str, classes: int) -> int:
    if len(text) > 9 or not text.isascii() or not text.isdecimal() or not 1 <= int(text) <= classes:
        raise InvalidOption(f"top_k is {text!r:.60}, expected an integer from 1 to {classes}, the number of classes")
    return int(text)


def _dtype(text: str) -> str:
    if text not in DTYPES:
        raise InvalidOption(f"dtype is {text!r:.60}, expected {', '.join(DTYPES[:-1])} or {DTYPES[-1]}")
    return text


def _boolean(name: str, text: str) -> bool:
    if text not in _BOOLEANS:
        raise InvalidOption(f"{name} is {text!r:.60}, expected true or false")
    return _BOOLEANS[text]
