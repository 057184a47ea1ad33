"""Request bodies with rows of pixels, in the format of each server."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any, Final

import msgpack
import numpy as np
import orjson
from numpy.typing import NDArray

from benchmarks import named_table

FEATURES: Final = 784


def rows(count: int) -> NDArray[np.float32]:
    """Pixels (count, 784), integers from 0 to 255 as float32, always the same."""
    return np.random.default_rng(0).integers(0, 256, (count, FEATURES)).astype("<f4")


def body(kind: str, count: int) -> bytes:
    """``count`` rows in the format ``kind``; JSON has each number as Python writes a float, such as 17.0.

    The rows of the format named are those of `benchmarks.named_table`, by feature name.
    """
    pixels = rows(count)
    match kind:
        case "json" | "mlflow":
            return orjson.dumps({"inputs": pixels.tolist()})
        case "raw":
            return pixels.tobytes()
        case "npy":
            file = io.BytesIO()
            np.save(file, pixels)
            return file.getvalue()
        case "msgpack":
            packed: bytes = msgpack.packb({"inputs": pixels.tobytes()})
            return packed
        case "oip":
            tensor = {"name": "inputs", "shape": pixels.shape, "datatype": "FP32", "data": pixels.ravel().tolist()}
            return orjson.dumps({"inputs": [tensor]})
        case "named":
            return orjson.dumps({"inputs": named_table.rows(count)})
    raise ValueError(f"kind is {kind!r}, expected json, raw, npy, msgpack, oip, mlflow or named")


def write(folder: Path, kinds: set[tuple[str, int]]) -> None:
    """Write each body to a file named by its format and rows."""
    for kind, count in kinds:
        (folder / f"{kind}-{count}").write_bytes(body(kind, count))


def classes(kind: str, response: bytes) -> list[Any]:
    """The predicted class of each row in a ``response`` in the format ``kind``: a number, or a string if named."""
    match kind:
        case "msgpack":
            found: list[Any] = np.frombuffer(msgpack.unpackb(response)["classes"], np.int64).tolist()
        case "oip":
            outputs = {output["name"]: output["data"] for output in orjson.loads(response)["outputs"]}
            found = np.ravel(outputs["prediction"]).astype(int).tolist()
        case "mlflow":
            found = orjson.loads(response)["predictions"]["classes"]
        case _:
            found = orjson.loads(response)["classes"]
    return found
