"""Rows and answers of a request as JSON, a line for each row, as `mlp-score` and training read them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import Any, Final

import numpy as np
import orjson
from numpy.typing import NDArray

from service.inference.schema import Schema
from service.inference.session import Outputs
from service.manifest import Manifest

# Begins the names of all columns that are no features.
PREFIX: Final = "mlp_"
# Of a large request, the first rows are kept, one at least: so many values, and so many bytes of text.
MOST_VALUES: Final = 65_536
MOST_BYTES: Final = 2**20


@dataclass(slots=True)
class Payload:
    """The rows of a request and what is known of it.

    ``rows`` are those with these ``numbers``, of ``of_rows`` that the request had: all, or the first ones that fit the
    model. ``outputs`` are theirs, once there are any.
    """

    time: datetime
    request_id: str
    trace_id: str
    manifest: Manifest
    schema: Schema
    rows: NDArray[Any]  # (len(numbers), features), in the machine's byte order
    numbers: NDArray[np.intp]
    of_rows: int
    outputs: Outputs | None = None

    @property
    def size_bytes(self) -> int:
        """About how much memory it takes."""
        return 1024 + 2 * int(self.rows.nbytes)


def lines(payload: Payload) -> list[bytes]:
    """The lines of a payload that has outputs."""
    about = {
        "time": payload.time.isoformat(timespec="milliseconds"),
        "request_id": payload.request_id,
        "trace_id": payload.trace_id or None,
        "model": payload.manifest.name,
        "version": payload.manifest.version,
        "rows": payload.of_rows,
    }
    about = {f"{PREFIX}{name}": value for name, value in about.items()}
    answers = _answers(payload)
    features = _numeric if payload.schema.numeric else _any
    found: list[bytes] = []
    size_bytes = 0
    for index, row in enumerate(payload.numbers.tolist()):
        answer = {name: column[index] for name, column in answers.items()}
        first = orjson.dumps({**about, f"{PREFIX}row": row, **answer}, option=orjson.OPT_SERIALIZE_NUMPY)
        line = b"%b,%b}\n" % (first[:-1], features(payload.schema, payload.rows[index]))
        size_bytes += len(line)
        if found and size_bytes > MOST_BYTES:
            break
        found.append(line)
    return found


def _numeric(schema: Schema, row: NDArray[Any]) -> bytes:
    """The features of a row (features,) as members of a JSON object, where all are numbers: images have many."""
    numbers = orjson.dumps(row, option=orjson.OPT_SERIALIZE_NUMPY)[1:-1].split(b",")
    return b",".join(map(bytes.__add__, _keys(tuple(schema.names)), numbers))


def _any(schema: Schema, row: NDArray[Any]) -> bytes:
    """The same for columns of any kind."""
    values = {column.name: column.value(number) for column, number in zip(schema.columns, row, strict=True)}
    return orjson.dumps(values, option=orjson.OPT_SERIALIZE_NUMPY)[1:-1]


@lru_cache(maxsize=8)
def _keys(names: tuple[str, ...]) -> tuple[bytes, ...]:
    return tuple(orjson.dumps(name) + b":" for name in names)


def _answers(payload: Payload) -> dict[str, Any]:
    """The answers (rows,) by name, as `mlp-score --probabilities --prefix mlp_` names them."""
    manifest, outputs = payload.manifest, payload.outputs
    assert outputs is not None  # noqa: S101 - a payload is written once it is answered
    if outputs.probabilities is None:
        names = manifest.targets if len(manifest.targets) > 1 else ("prediction",)
        values = outputs.prediction.reshape(-1, len(names))
        return {f"{PREFIX}{name}": values[:, index] for index, name in enumerate(names)}
    found: dict[str, Any] = {f"{PREFIX}prediction": [manifest.classes[each] for each in outputs.prediction.tolist()]}
    for index, label in enumerate(manifest.classes):
        found[f"{PREFIX}probability_{label}"] = outputs.probabilities[:, index]
    return found
