"""mosec with raw float32 in msgpack, its fastest documented format: https://mosecorg.github.io/mosec/"""

# /// script
# dependencies = ["mosec==0.9.8", "msgpack==1.2.4", "onnxruntime==1.32.0", "numpy==2.4.6"]
# ///

import os
import sys

import numpy as np
import onnxruntime as ort
from mosec import Server, Worker
from mosec.mixin import MsgpackMixin


class Network(MsgpackMixin, Worker):
    def __init__(self):
        options = ort.SessionOptions()
        options.intra_op_num_threads = 1
        self.session = ort.InferenceSession(os.environ["MODEL"], options, providers=["CPUExecutionProvider"])

    def forward(self, data):
        rows = [np.frombuffer(each["inputs"], np.float32).reshape(-1, 784) for each in data]
        probabilities, classes = self.session.run(["probabilities", "prediction"], {"inputs": np.concatenate(rows)})
        ends = np.cumsum([len(each) for each in rows])[:-1]
        pairs = zip(np.split(probabilities, ends), np.split(classes, ends), strict=True)
        return [{"probabilities": p.tobytes(), "classes": c.tobytes()} for p, c in pairs]


if __name__ == "__main__":
    os.environ["MODEL"] = sys.argv[2]
    sys.argv[1:] = ["--port", sys.argv[1], "--address", "127.0.0.1", "--log-level", "error"]
    server = Server()
    server.append_worker(Network, num=1, max_batch_size=64, max_wait_time=2)
    server.run()
