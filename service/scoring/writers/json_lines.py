"""JSON Lines: an object a row, with null for a missing value."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

import orjson
import pyarrow as pa
from pyarrow import types

from service.scoring.writers.text_file import TextFile

SUFFIXES: Final = (".jsonl", ".ndjson")
_MICROSECONDS: Final[dict[Any, Callable[[Any], Any]]] = {
    pa.TimestampType: lambda kind: pa.timestamp("us", kind.tz),
    pa.Time64Type: lambda _kind: pa.time64("us"),
    pa.DurationType: lambda _kind: pa.duration("us"),
}
_OPTIONS: Final = orjson.OPT_SERIALIZE_NUMPY | orjson.OPT_APPEND_NEWLINE


class JsonLinesWriter(TextFile):
    """Writes numbers as the server's answers have them; dates and times in ISO 8601."""

    def __init__(self, path: Path, schema: Any, compress: Callable[[bytes], bytes]) -> None:
        super().__init__(path, compress)
        self._names = schema.names

    def encoded(self, batch: Any) -> bytes:
        """The lines of some rows."""
        names, columns = self._names, [_values(column) for column in batch.columns]
        rows = zip(*columns, strict=True)
        return b"".join([orjson.dumps(dict(zip(names, row, strict=True)), _other, _OPTIONS) for row in rows])


def _values(array: Any) -> list[Any]:
    """The values of an array. Numbers of 32 bits stay so, as those of 64 bits would have more digits."""
    if types.is_float32(array.type):
        return list(array.to_numpy(zero_copy_only=False))  # NaN, as of a null, is null in JSON
    if getattr(array.type, "unit", None) == "ns":  # Python's times have microseconds
        array = array.cast(_MICROSECONDS[type(array.type)](array.type), safe=False)
    values: list[Any] = array.to_pylist()
    return values


def _other(value: Any) -> Any:
    if isinstance(value, Decimal):
        return str(value)
    if isinstance(value, bytes):
        return value.decode(errors="backslashreplace")
    return str(value)
