"""LitServe with batching: https://lightning.ai/docs/litserve"""

# /// script
# dependencies = ["litserve==0.2.19", "onnxruntime==1.32.0", "numpy==2.4.6"]
# ///

import sys

import litserve
import numpy as np
import onnxruntime as ort


class Network(litserve.LitAPI):
    def setup(self, device):
        options = ort.SessionOptions()
        options.intra_op_num_threads = 1
        self.session = ort.InferenceSession(sys.argv[2], options, providers=["CPUExecutionProvider"])

    def decode_request(self, request):
        return np.asarray(request["inputs"], np.float32)

    def batch(self, inputs):
        return list(inputs)

    def predict(self, rows):
        probabilities, classes = self.session.run(["probabilities", "prediction"], {"inputs": np.concatenate(rows)})
        ends = np.cumsum([len(each) for each in rows])[:-1]
        return list(zip(np.split(probabilities, ends), np.split(classes, ends), strict=True))

    def unbatch(self, output):
        return output

    def encode_response(self, output):
        return {"probabilities": output[0].tolist(), "classes": output[1].tolist()}


if __name__ == "__main__":
    api = Network(max_batch_size=64, batch_timeout=0.001)
    server = litserve.LitServer(api, accelerator="cpu", workers_per_device=1)
    server.run(port=int(sys.argv[1]), generate_client_file=False, log_level="error")
