"""tritonclient over HTTP: every call that a client of this server makes. Arguments: host:port, a file of expectations.

The file has rows, and the probabilities and labels that our own protocol answers for them.
"""
# /// script
# dependencies = ["tritonclient[http]==2.73.0"]
# ///

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import tritonclient.http as triton
import tritonclient.http.aio as triton_aio
from tritonclient.utils import InferenceServerException

address = sys.argv[1]
expected = json.loads(Path(sys.argv[2]).read_text())
ROWS = np.array(expected["rows"])
PROBABILITIES = np.array(expected["probabilities"], np.float32)
client = triton.InferenceServerClient(address, concurrency=4)


def check(result: Any, *, binary: bool) -> None:
    assert np.array_equal(result.as_numpy("probabilities"), PROBABILITIES)
    assert result.as_numpy("prediction").tolist() == expected["classes"]
    labels = [each.decode() if binary else each for each in result.as_numpy("label").tolist()]
    assert labels == expected["labels"]


def tensor(datatype: str, dtype: type, shape: tuple[int, ...], *, binary: bool) -> Any:
    given = triton.InferInput("inputs", list(shape), datatype)
    given.set_data_from_numpy(ROWS.astype(dtype).reshape(shape), binary_data=binary)
    return given


DATATYPES = {
    "FP32": np.float32,
    "FP64": np.float64,
    "UINT8": np.uint8,
    "INT32": np.int32,
    "INT64": np.int64,
    "FP16": np.float16,
}


def predictions() -> None:
    shapes = (ROWS.shape, (len(ROWS), ROWS[0].size))
    for datatype, dtype in DATATYPES.items():
        for binary in (True, False):
            for coding in (None, "gzip", "deflate"):
                for shape in shapes:
                    given = [tensor(datatype, dtype, shape, binary=binary)]
                    codings = {"request_compression_algorithm": coding, "response_compression_algorithm": coding}
                    check(client.infer("fashion-mnist", given, **codings), binary=True)


def options() -> None:
    given = [tensor("FP32", np.float32, ROWS.shape, binary=True)]
    names = ("probabilities", "prediction", "label")
    for binary in (True, False):
        outputs = [triton.InferRequestedOutput(name, binary_data=binary) for name in names]
        result = client.infer(
            "fashion-mnist",
            given,
            model_version="1",
            outputs=outputs,
            request_id="my id",
            priority=2,
            timeout=10**7,
            parameters={"anything": "else"},
        )
        check(result, binary=binary)
        assert result.get_response()["id"] == "my id"
        assert result.get_output("label")["shape"] == [len(ROWS)]
    ranked = triton.InferRequestedOutput("probabilities", class_count=2)
    best = client.infer("fashion-mnist", given, outputs=[ranked]).as_numpy("probabilities")
    assert [row[0].decode().split(":")[2] for row in best] == expected["labels"]
    check(client.async_infer("fashion-mnist", given).get_result(), binary=True)


def resources() -> None:
    assert client.is_server_live() and client.is_server_ready()
    assert client.is_model_ready("fashion-mnist") and client.is_model_ready("fashion-mnist", "1")
    assert not client.is_model_ready("other")
    assert client.get_server_metadata()["name"] == "mlp-serving"
    assert client.get_model_metadata("fashion-mnist", "1")["versions"] == ["1"]
    assert client.get_model_config("fashion-mnist")["max_batch_size"] > 0
    assert [model["name"] for model in client.get_model_repository_index()] == ["fashion-mnist"]
    (found,) = client.get_inference_statistics("fashion-mnist")["model_stats"]
    assert found["inference_stats"]["success"]["count"] > 0
    assert client.get_inference_statistics()["model_stats"][0]["name"] == "fashion-mnist"


def errors() -> None:
    calls = {
        "explicit model load / unload is not allowed": lambda: client.load_model("fashion-mnist"),
        "there is no model 'other'": lambda: client.get_model_metadata("other"),
        "there is no output 'x'": lambda: client.infer(
            "fashion-mnist",
            [tensor("FP32", np.float32, ROWS.shape, binary=True)],
            outputs=[triton.InferRequestedOutput("x")],
        ),
        "has shape": lambda: client.infer("fashion-mnist", [tensor("FP32", np.float32, (1, ROWS.size), binary=False)]),
    }
    for message, call in calls.items():
        try:
            call()
        except InferenceServerException as error:
            assert message in error.message(), error
        else:
            raise AssertionError(message)


async def asynchronous() -> None:
    async with triton_aio.InferenceServerClient(address) as aio:
        assert await aio.is_server_ready()
        given = triton_aio.InferInput("inputs", list(ROWS.shape), "FP32")
        given.set_data_from_numpy(ROWS.astype(np.float32))
        for result in await asyncio.gather(*(aio.infer("fashion-mnist", [given]) for _ in range(20))):
            check(result, binary=True)


predictions()
options()
resources()
if len(ROWS) > 1:
    errors()
asyncio.run(asynchronous())
