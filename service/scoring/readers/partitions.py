"""Columns in the names of folders, as Hive and Spark write them: country=France/year=2026/part-0.parquet."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import PurePosixPath
from typing import Any, Final
from urllib.parse import unquote

import pyarrow as pa

_NULL: Final = "__HIVE_DEFAULT_PARTITION__"
_INTEGER: Final = re.compile("0|-?[1-9][0-9]{0,17}")


def of(paths: Sequence[PurePosixPath]) -> list[Mapping[str, Any]]:
    """For each path within a folder the values of its partitions by name, as Arrow scalars.

    They are integers if all of a name's are written as such, and else strings.
    """
    found = [_texts(path) for path in paths]
    names = dict.fromkeys(name for texts in found for name in texts)
    kinds = {name: _kind([texts[name] for texts in found if name in texts]) for name in names}
    return [{name: _scalar(text, kinds[name]) for name, text in texts.items()} for texts in found]


def _texts(path: PurePosixPath) -> dict[str, str | None]:
    pairs = [part.partition("=") for part in path.parts[:-1] if "=" in part]
    return {unquote(name): None if value == _NULL else unquote(value) for name, _, value in pairs}


def _kind(texts: Sequence[str | None]) -> Any:
    known = [text for text in texts if text is not None]
    return pa.int64() if known and all(map(_INTEGER.fullmatch, known)) else pa.string()


def _scalar(text: str | None, kind: Any) -> Any:
    return pa.scalar(int(text) if text is not None and pa.types.is_integer(kind) else text, kind)
