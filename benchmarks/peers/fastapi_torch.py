"""The obvious first version: a FastAPI route, a pydantic model of the request, torch."""

# /// script
# dependencies = ["fastapi==0.165.0", "uvicorn[standard]==0.54.0", "torch==2.13.0", "numpy==2.4.6", "onnx==1.23.2"]
# ///

import sys

import onnx
import torch
import uvicorn
from fastapi import FastAPI
from onnx import numpy_helper
from pydantic import BaseModel

torch.set_num_threads(1)


class Inputs(BaseModel):
    inputs: list[list[float]]


def network(path):
    """The published weights in torch: each Gemm's matrix and bias, in the graph's order."""
    graph = onnx.load(path).graph
    arrays = {each.name: torch.from_numpy(numpy_helper.to_array(each).copy()) for each in graph.initializer}
    layers = []
    for node in graph.node:
        if node.op_type == "Gemm":
            weight, bias = arrays[node.input[1]], arrays[node.input[2]]
            transposed = any(attribute.name == "transB" and attribute.i for attribute in node.attribute)
            weight = weight if transposed else weight.T
            linear = torch.nn.Linear(*reversed(weight.shape))
            linear.weight.data, linear.bias.data = weight.contiguous(), bias
            layers += [linear, torch.nn.ReLU()]
    return torch.nn.Sequential(*layers[:-1], torch.nn.Softmax(dim=1)).eval()


model = network(sys.argv[2])
app = FastAPI()


@app.post("/predict")
def predict(body: Inputs):
    with torch.inference_mode():
        probabilities = model(torch.tensor(body.inputs))
    return {"probabilities": probabilities.tolist(), "classes": probabilities.argmax(1).tolist()}


if __name__ == "__main__":
    uvicorn.run(app, port=int(sys.argv[1]), access_log=False, log_level="warning")
