"""Request bodies have the same rows in every format, and responses of every format are read."""

from __future__ import annotations

import io
import json

import msgpack
import numpy as np
import pytest

from benchmarks import payloads


def read(kind: str, body: bytes) -> np.ndarray:
    match kind:
        case "json":
            return np.array(json.loads(body)["inputs"])
        case "raw":
            return np.frombuffer(body, "<f4").reshape(-1, 784)
        case "npy":
            return np.load(io.BytesIO(body), allow_pickle=False)
        case "msgpack":
            return np.frombuffer(msgpack.unpackb(body)["inputs"], "<f4").reshape(-1, 784)
    (tensor,) = json.loads(body)["inputs"]
    return np.array(tensor["data"]).reshape(tensor["shape"])


@pytest.mark.parametrize("kind", ["json", "raw", "npy", "msgpack", "oip"])
@pytest.mark.parametrize("count", [1, 32])
def test_every_format_has_the_same_rows(kind: str, count: int) -> None:
    np.testing.assert_array_equal(read(kind, payloads.body(kind, count)), payloads.rows(count))


def test_a_json_row_has_the_size_that_python_clients_send() -> None:
    assert 4000 < len(payloads.body("json", 1)) < 4600


def test_an_unknown_format_is_rejected() -> None:
    with pytest.raises(ValueError, match="kind is 'xml', expected json, raw, npy, msgpack, oip, mlflow or named"):
        payloads.body("xml", 1)


def test_responses_of_each_format_are_read() -> None:
    classes = np.array([3, 9])
    outputs = [{"name": "prediction", "shape": [2, 1], "data": [3, 9]}, {"name": "probabilities", "data": [0.1]}]
    assert payloads.classes("json", json.dumps({"classes": [3, 9]}).encode()) == [3, 9]
    assert payloads.classes("msgpack", msgpack.packb({"classes": classes.tobytes()})) == [3, 9]
    assert payloads.classes("oip", json.dumps({"outputs": outputs}).encode()) == [3, 9]
