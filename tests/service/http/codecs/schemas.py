"""Schemas and decoders for the tests of more than one codec."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
from numpy.typing import NDArray

from service.http.codecs import npy, raw
from service.inference import columns
from service.inference.columns import Column
from service.inference.schema import Schema
from service.inference.steps import finish
from tests.service.published import TABLE as PEOPLE_FEATURES


def numbers(*names: str) -> tuple[Column, ...]:
    return tuple(Column(name, missing=False) for name in names)


PIXELS = Schema((2, 3), numbers("p0", "p1", "p2", "p3", "p4", "p5"), max_rows=100, raw_dtypes=("float32", "uint8"))
PEOPLE = Schema((5,), tuple(map(columns.of, PEOPLE_FEATURES)), max_rows=100)
TABLE = Schema((4,), numbers("a", "b", "c", "d"), max_rows=3)


def complete(rows: Any) -> NDArray[Any]:
    """The rows, after running the steps if they are decoded in steps."""
    return rows if isinstance(rows, np.ndarray) else finish(rows)


def rows_from_npy(body: bytes, schema: Schema) -> NDArray[Any]:
    return complete(npy.rows_from_npy(body, schema))


def rows_from_raw(body: bytes, dtype: str | None, schema: Schema) -> NDArray[Any]:
    return complete(raw.rows_from_raw(body, dtype, schema))


def saved(array: NDArray[Any], *, allow_pickle: bool = False) -> bytes:
    file = io.BytesIO()
    np.save(file, array, allow_pickle=allow_pickle)
    return file.getvalue()
