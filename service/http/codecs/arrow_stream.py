"""application/vnd.apache.arrow.stream: rows and answers as Arrow tables, if pyarrow is installed.

https://arrow.apache.org/docs/format/Columnar.html#ipc-streaming-format
"""

from __future__ import annotations

import importlib.util
import re
import threading
from collections.abc import Callable, Sequence
from typing import Any, Final, TypeVar

import numpy as np
from numpy.typing import NDArray

from service.errors import BodyTooLarge, Fault, InvalidInput, MalformedBody, UnsupportedMedia
from service.http.codecs import arrow_answers, arrow_sizes, named
from service.http.codecs.arrow_columns import ColumnReader, LongStrings, check_type
from service.http.codecs.codec import Codec, DecodedRows, binary, steps_with_faults
from service.http.options import RowOptions
from service.inference.row_faults import FirstBadRow, RowFaults
from service.inference.schema import Schema
from service.inference.steps import Steps, in_thread

_STEP_VALUES: Final = 8192
# At once of one column, as much time goes into each call.
_SLICE_ROWS: Final = 512
_MOST_SCHEMA_BYTES: Final = 1024 * 1024
_MOST_SCHEMA_BYTES_A_FEATURE: Final = 1024
# They are read at once with the batch after them.
_MOST_DICTIONARIES: Final = 1000
# Each batch is checked together with all dictionaries: so often as many bytes as a body may have.
_MOST_CHECKS: Final = 64
_FILE_MAGIC: Final = b"ARROW1"
_PANDAS_INDEX: Final = re.compile(r"__index_level_\d+__")

_imported: Final = threading.Event()

T = TypeVar("T")


def is_installed() -> bool:
    """Whether there is pyarrow, which is not imported before it is needed."""
    return importlib.util.find_spec("pyarrow") is not None


def rows_from_arrow(
    body: bytes, options: RowOptions, schema: Schema, faults: RowFaults | None = None
) -> Steps[NDArray[np.float64]]:
    """Rows of an Arrow stream as float64 (rows, features), in steps; bad ones are zeros if added to ``faults``.

    Columns are found by name, in any order. They hold numbers, booleans or strings, or dictionaries of these. Raises
    `UnsupportedMedia` if pyarrow is missing, `MalformedBody`, `BodyTooLarge` if decompressed buffers or repeated
    strings exceed the bound on bodies, and `InvalidInput`.
    """
    if not is_installed():
        raise UnsupportedMedia("Arrow needs pyarrow, which is not installed here; install mlp-serving[arrow]")
    if not _imported.is_set():
        yield from in_thread(_import())
    from pyarrow import BufferReader, ipc  # noqa: PLC0415 - an extra

    if body.startswith(_FILE_MAGIC):
        raise MalformedBody("the body is an Arrow file, expected an Arrow stream; write it with pyarrow.ipc.new_stream")
    yield from _check_messages(body, options.max_bytes, schema)
    stream = _read(lambda: ipc.open_stream(BufferReader(body)))
    names = _read(lambda: list(stream.schema.names))
    kept = [at for at, name in enumerate(names) if not _PANDAS_INDEX.fullmatch(name)]
    places = named.positions([names[at] for at in kept], schema, ignore_unknown=options.ignore_unknown)
    fields = [None if at is None else kept[at] for at in places]
    used = sorted(at for at in fields if at is not None)
    for column, at in zip(schema.columns, fields, strict=True):
        if at is not None:
            check_type(column.name, stream.schema.field(at).type, column, schema)
    # Other columns are not decoded. Their types may be any.
    chosen = ipc.IpcReadOptions(use_threads=False, included_fields=used)
    stream = _read(lambda: ipc.open_stream(BufferReader(body), options=chosen))
    first_bad, strings = FirstBadRow(), LongStrings(options.max_bytes)
    read_at = {at: place for place, at in enumerate(used)}
    readers = [
        (index, read_at[at], ColumnReader(column, first_bad if faults is None else faults, strings))
        for index, (column, at) in enumerate(zip(schema.columns, fields, strict=True))
        if at is not None
    ]
    parts: list[NDArray[np.float64]] = []
    count = 0
    while (batch := _read(lambda: next(stream, None))) is not None:
        count += batch.num_rows
        if count > schema.max_rows:
            schema.check_count(count)
        _read(batch.validate)
        for column in batch.columns:
            strings.count_views(column)
        _read(lambda: batch.validate(full=True))
        yield
        parts.append((yield from _numbers(batch, count - batch.num_rows, readers, first_bad, schema)))
    schema.check_count(count)
    rows = parts[0] if len(parts) == 1 else np.concatenate(parts)
    if faults:
        rows[faults.rows()] = 0
    schema.check_pixels(rows)
    return rows


def _numbers(
    batch: Any,
    first: int,
    readers: Sequence[tuple[int, int, ColumnReader]],
    first_bad: FirstBadRow,
    schema: Schema,
) -> Steps[NDArray[np.float64]]:
    """The numbers of a ``batch`` that begins at row ``first``."""
    rows = np.full((batch.num_rows, schema.width), np.nan)
    for start in range(0, batch.num_rows, _SLICE_ROWS):
        part = batch.slice(start, _SLICE_ROWS)
        step_columns = max(1, _STEP_VALUES // part.num_rows)
        for count, (index, at, reader) in enumerate(readers, 1):
            rows[start : start + _SLICE_ROWS, index] = reader.numbers(part.column(at), first + start)
            if count % step_columns == 0:
                yield
        first_bad.check()
        yield
    return rows


def _import() -> Steps[None]:
    """Import pyarrow, and what it imports when it is first used, such as pandas: 0.2 s."""
    from pyarrow import array, ipc  # noqa: F401, PLC0415 - an extra

    array([0.5]).to_numpy(zero_copy_only=False)
    _imported.set()
    yield


def _check_messages(body: bytes, max_bytes: int, schema: Schema) -> Steps[None]:
    """Raise an error for a stream that would take more memory, or more time at once, than its size suggests."""
    from pyarrow import BufferReader, ipc  # noqa: PLC0415 - an extra

    messages = _read(lambda: ipc.MessageReader.open_stream(BufferReader(body)))
    schema_bytes = max(_MOST_SCHEMA_BYTES, _MOST_SCHEMA_BYTES_A_FEATURE * schema.width)
    total, dictionaries, dictionary_bytes, checked_bytes = 0, 0, 0, 0
    while (message := _read(lambda: next(messages, None))) is not None:
        metadata = message.metadata.to_pybytes()
        found = arrow_sizes.header_type(metadata)
        if len(metadata) > schema_bytes:
            detail = f"a message of the Arrow stream describes more than {schema_bytes} bytes of columns"
            raise InvalidInput(Fault(f"{detail}; send fewer columns"))
        if found in (arrow_sizes.BATCH, arrow_sizes.DICTIONARY):
            size_bytes = arrow_sizes.decoded_bytes(metadata, memoryview(message.body or b""))
            total += size_bytes
            if found == arrow_sizes.DICTIONARY:
                dictionaries += 1
                dictionary_bytes += size_bytes
            else:
                checked_bytes += dictionary_bytes
        if dictionaries > _MOST_DICTIONARIES:
            raise _too_many(f"more than {_MOST_DICTIONARIES} dictionaries")
        if checked_bytes > _MOST_CHECKS * max_bytes:
            raise _too_many("too many batches with large dictionaries")
        if total > max_bytes:
            raise BodyTooLarge(f"the Arrow stream expands to more than {max_bytes} bytes; send fewer rows at once")
        yield


def _too_many(what: str) -> InvalidInput:
    return InvalidInput(Fault(f"the Arrow stream has {what}; write it as one batch, or without dictionaries"))


def _read(call: Callable[[], T]) -> T:
    """The result of a ``call`` into pyarrow. Raises `MalformedBody`."""
    from pyarrow import ArrowException  # noqa: PLC0415 - an extra

    try:
        return call()
    except (ArrowException, OSError, ValueError, MemoryError, KeyError, TypeError) as error:
        reason = str(error).partition("\n")[0]
        raise MalformedBody(f"the body is no Arrow stream: {reason:.200}") from error


def _decode(body: bytes, options: RowOptions, schema: Schema) -> Steps[DecodedRows]:
    if not options.by_row:
        return rows_from_arrow(body, options, schema)
    faults = RowFaults()
    return steps_with_faults(rows_from_arrow(body, options, schema, faults), faults)


_DESCRIPTION: Final = "an Arrow stream with a column for each feature, by name in any order"
CODEC: Final = Codec(
    (b"application/vnd.apache.arrow.stream",),
    _decode,
    lambda _models: binary(_DESCRIPTION) if is_installed() else None,
    encode=arrow_answers.encode if is_installed() else None,
    describe_answer=(lambda _models: binary(arrow_answers.DESCRIPTION)) if is_installed() else None,
)
