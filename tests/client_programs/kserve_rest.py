"""KServe's InferenceRESTClient, V1 and V2. Arguments: the server's address, a file of expectations."""
# /// script
# dependencies = ["kserve==0.21.0"]
# ///

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path

import httpx
import numpy as np
from kserve import InferenceRESTClient, InferInput, InferRequest, RESTConfig

address = sys.argv[1]
expected = json.loads(Path(sys.argv[2]).read_text())
ROWS = np.array(expected["rows"])
PROBABILITIES = np.array(expected["probabilities"], np.float32)


async def v1() -> None:
    client = InferenceRESTClient(RESTConfig(protocol="v1"))
    assert await client.is_server_live(address)
    assert await client.is_model_ready(address, "fashion-mnist")
    answer = await client.infer(address, {"instances": ROWS.tolist()}, model_name="fashion-mnist")
    assert np.array_equal(np.array(answer["predictions"], np.float32), PROBABILITIES)
    await fails(client, {"instances": [[1, 2]]}, "row 0 has 2 values")


async def v2() -> None:
    client = InferenceRESTClient(RESTConfig(protocol="v2"))
    assert await client.is_server_live(address)
    assert await client.is_server_ready(address)
    assert await client.is_model_ready(address, "fashion-mnist")
    for binary in (True, False):
        for parameters in ({}, {"binary_data_output": True}):
            given = InferInput("input-0", list(ROWS.shape), "FP32")
            given.set_data_from_numpy(ROWS.astype(np.float32), binary_data=binary)
            request = InferRequest("fashion-mnist", [given], request_id="mine", parameters=parameters)
            answer = await client.infer(address, request, model_name="fashion-mnist")
            outputs = {output.name: output.as_numpy() for output in answer.outputs}
            assert np.array_equal(outputs["probabilities"], PROBABILITIES)
            assert outputs["prediction"].tolist() == expected["classes"]
            assert [str(each) for each in outputs["label"].tolist()] == expected["labels"]
            assert (answer.id, answer.model_name) == ("mine", "fashion-mnist")
    await fails(client, {"inputs": []}, "there are no inputs")


async def fails(client: InferenceRESTClient, body: dict[str, object], message: str) -> None:
    try:
        await client.infer(address, body, model_name="fashion-mnist")
    except httpx.HTTPStatusError as error:
        assert message in str(error), error
    else:
        raise AssertionError(message)


asyncio.run(v1())
asyncio.run(v2())
