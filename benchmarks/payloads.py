"""The bodies that are sent: rows of pixels, in each server's own words."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import orjson
from numpy.typing import NDArray

FEATURES = 784


def rows(count: int) -> NDArray[np.uint8]:
    """Pixels (count, 784), always the same."""
    return np.random.default_rng(0).integers(0, 256, (count, FEATURES), np.uint8)


def write(folder: Path) -> None:
    """Every body as a file, named by its kind and number of rows."""
    import msgpack  # noqa: PLC0415 - of the benchmark's own environment

    for count in (1, 32):
        pixels = rows(count)
        floats = pixels.astype("<f4")
        tensor = {"name": "inputs", "shape": list(pixels.shape), "datatype": "FP32", "data": floats.ravel().tolist()}
        bodies = {
            "json": orjson.dumps({"inputs": pixels.tolist()}),
            "raw": floats.tobytes(),
            "msgpack": msgpack.packb({"inputs": floats.tobytes()}),
            "oip": json.dumps({"inputs": [tensor]}).encode(),
        }
        for kind, body in bodies.items():
            (folder / f"{kind}-{count}").write_bytes(body)


if __name__ == "__main__":
    write(Path(sys.argv[1]))
