"""The same table in every encoding, for the tests of more than one codec."""

from __future__ import annotations

import csv
import io
import json
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from service.cells import Cells
from service.http.codecs.codec import Codec, PartialRows
from service.http.codecs.table import CODECS
from service.http.options import RowOptions
from service.inference import columns
from service.inference.schema import Schema
from service.inference.steps import finish
from service.manifest import Feature

# A number with a sentinel, and each other kind of column, with and without missing values.
FEATURES = (
    Feature("income", "numeric", True, (), False, 0.0, 1.0, 0.0, 1.0),
    Feature("height", "numeric", False, (), False, 0.0, 1.0, 0.0, 1.0),
    Feature("member", "boolean", True, (), False, 0.0, 1.0, 0.0, 1.0),
    Feature("active", "boolean", False, (), False, 0.0, 1.0, 0.0, 1.0),
    Feature("city", "categorical", True, ("Köln, Dom", 'a "b"', "NA", "10115"), False, 0.0, 0.0, 0.0, 0.0),
    Feature("job", "categorical", False, ("cook", "two\nlines"), True, 0.0, 0.0, 0.0, 0.0),
)
NAMES = [feature.name for feature in FEATURES]
SCHEMA = Schema((6,), tuple(columns.of(each, Cells(missing_numbers=("-999", "NA"))) for each in FEATURES), 1000)
GOOD = {"income": 2.5, "height": 1.8, "member": True, "active": False, "city": "10115", "job": "cook"}
BY_TYPE: dict[str, Codec] = {codec.name: codec for codec in CODECS}
ARROW_TYPES = {
    "income": pa.float64(),
    "height": pa.float64(),
    "member": pa.bool_(),
    "active": pa.bool_(),
    "city": pa.string(),
    "job": pa.dictionary(pa.int8(), pa.string()),
}


def decode(
    name: str, body: bytes, schema: Schema = SCHEMA, options: RowOptions | None = None
) -> NDArray[Any] | PartialRows:
    """What a codec makes of a body."""
    found = BY_TYPE[name].decode(body, options or RowOptions(), schema)
    return found if isinstance(found, np.ndarray | PartialRows) else finish(found)


def rows_of(name: str, body: bytes, schema: Schema = SCHEMA, **chosen: Any) -> NDArray[Any]:
    """The same where all rows are good."""
    rows = decode(name, body, schema, RowOptions(**chosen))
    assert isinstance(rows, np.ndarray)
    return rows


def as_csv(rows: list[dict[str, Any]], names: list[str], *, header: bool = True, delimiter: str = ",") -> bytes:
    text = io.StringIO()
    writer = csv.writer(text, delimiter=delimiter)
    if header:
        writer.writerow(names)
    for row in rows:
        writer.writerow(["" if row[name] is None else row[name] for name in names])
    return text.getvalue().encode()


def as_arrow(table: pa.Table, compression: str | None = None, chunk: int | None = None) -> bytes:
    sink = pa.BufferOutputStream()
    options = pa.ipc.IpcWriteOptions(compression=compression)
    with pa.ipc.new_stream(sink, table.schema, options=options) as writer:
        writer.write_table(table, max_chunksize=chunk)
    content: bytes = sink.getvalue().to_pybytes()
    return content


def arrow_table(rows: list[dict[str, Any]], names: list[str]) -> pa.Table:
    return pa.table({name: pa.array([row[name] for row in rows], ARROW_TYPES[name]) for name in names})


def as_split(rows: list[dict[str, Any]], names: list[str]) -> bytes:
    data = [[row[name] for name in names] for row in rows]
    return json.dumps({"columns": names, "index": list(range(len(rows))), "data": data}).encode()
