"""BentoML with adaptive batching: https://docs.bentoml.com"""

# /// script
# dependencies = ["bentoml==1.4.40", "onnxruntime==1.32.0", "numpy==2.4.6"]
# ///

import os
import sys
from pathlib import Path

import bentoml
import numpy as np
import onnxruntime as ort


@bentoml.service(workers=1, traffic={"timeout": 30}, logging={"access": {"enabled": False}}, metrics={"enabled": False})
class Network:
    def __init__(self):
        options = ort.SessionOptions()
        options.intra_op_num_threads = 1
        self.session = ort.InferenceSession(os.environ["MODEL"], options, providers=["CPUExecutionProvider"])

    @bentoml.api(route="/predict")
    def predict(self, inputs: list[list[float]]) -> dict[str, list]:
        rows = np.asarray(inputs, np.float32)
        probabilities, classes = self.session.run(["probabilities", "prediction"], {"inputs": rows})
        return {"probabilities": probabilities.tolist(), "classes": classes.tolist()}


if __name__ == "__main__":
    os.environ |= {"MODEL": sys.argv[2], "BENTOML_DO_NOT_TRACK": "true"}
    os.chdir(Path(__file__).parent)
    command = ["-m", "bentoml", "serve", "bentoml_json:Network", "--host", "127.0.0.1", "--port", sys.argv[1]]
    os.execv(sys.executable, [sys.executable, *command])
