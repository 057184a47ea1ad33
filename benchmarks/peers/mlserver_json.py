"""MLServer with adaptive batching and the Open Inference Protocol: https://mlserver.readthedocs.io"""

# /// script
# dependencies = ["mlserver==1.7.1", "onnxruntime==1.32.0", "numpy<3"]
# ///

import json
import os
import sys
import tempfile
from pathlib import Path

import onnxruntime as ort
from mlserver import MLModel
from mlserver.codecs import NumpyCodec
from mlserver.types import InferenceResponse


class Network(MLModel):
    async def load(self):
        options = ort.SessionOptions()
        options.intra_op_num_threads = 1
        self.session = ort.InferenceSession(self.settings.parameters.uri, options, providers=["CPUExecutionProvider"])
        return True

    async def predict(self, payload):
        rows = NumpyCodec.decode_input(payload.inputs[0]).astype("float32")
        probabilities, classes = self.session.run(["probabilities", "prediction"], {"inputs": rows})
        outputs = [
            NumpyCodec.encode_output("probabilities", probabilities),
            NumpyCodec.encode_output("prediction", classes),
        ]
        return InferenceResponse(model_name=self.name, outputs=outputs)


if __name__ == "__main__":
    folder = Path(tempfile.mkdtemp())
    port = int(sys.argv[1])
    (folder / "settings.json").write_text(
        json.dumps(
            {
                "http_port": port,
                "grpc_port": port + 1000,
                "metrics_port": port + 2000,
                "parallel_workers": 0,
                "debug": False,
                "access_log": False,
            }
        )
    )
    (folder / "model-settings.json").write_text(
        json.dumps(
            {
                "name": "network",
                "implementation": "mlserver_json.Network",
                "parameters": {"uri": sys.argv[2]},
                "max_batch_size": 64,
                "max_batch_time": 0.001,
            }
        )
    )
    os.environ["PYTHONPATH"] = str(Path(__file__).parent)
    os.execv(Path(sys.executable).with_name("mlserver"), ["mlserver", "start", str(folder)])
