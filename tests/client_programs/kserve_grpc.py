"""KServe's InferenceGRPCClient. Arguments: the server's gRPC address, a file of expectations."""
# /// script
# dependencies = ["kserve==0.21.0"]
# ///

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path

import grpc
import numpy as np
from kserve import InferenceGRPCClient, InferInput, InferRequest

address = sys.argv[1]
expected = json.loads(Path(sys.argv[2]).read_text())
ROWS = np.array(expected["rows"])
PROBABILITIES = np.array(expected["probabilities"], np.float32)


async def main() -> None:
    client = InferenceGRPCClient(address)
    assert await client.is_server_live()
    assert await client.is_server_ready()
    assert await client.is_model_ready("fashion-mnist")
    for binary in (True, False):
        given = InferInput("input-0", list(ROWS.shape), "FP32")
        given.set_data_from_numpy(ROWS.astype(np.float32), binary_data=binary)
        request = InferRequest("fashion-mnist", [given], request_id="mine")
        answer = await client.infer(request)
        outputs = {output.name: output.as_numpy() for output in answer.outputs}
        assert np.array_equal(outputs["probabilities"], PROBABILITIES)
        assert outputs["prediction"].tolist() == expected["classes"]
        assert (answer.id, answer.model_name) == ("mine", "fashion-mnist")
    try:
        await client.infer(InferRequest("other", [given]))
    except grpc.RpcError as error:
        assert error.code() is grpc.StatusCode.NOT_FOUND, error
    else:
        raise AssertionError("the model 'other' exists")
    await client.close()


asyncio.run(main())
