"""Ray Serve with batching and its settings for throughput: https://docs.ray.io/en/latest/serve"""

# /// script
# dependencies = ["ray[serve]==2.60.0", "onnxruntime==1.32.0", "numpy==2.4.6"]
# ///

import os
import signal
import sys

os.environ |= {"RAY_SERVE_THROUGHPUT_OPTIMIZED": "1", "RAY_USAGE_STATS_ENABLED": "0"}

import numpy as np
import onnxruntime as ort
import ray
from ray import serve


@serve.deployment(max_ongoing_requests=256, ray_actor_options={"num_cpus": 0.1})
class Network:
    def __init__(self, graph):
        options = ort.SessionOptions()
        options.intra_op_num_threads = 1
        self.session = ort.InferenceSession(graph, options, providers=["CPUExecutionProvider"])

    @serve.batch(max_batch_size=64, batch_wait_timeout_s=0.001)
    async def predict(self, rows):
        probabilities, classes = self.session.run(["probabilities", "prediction"], {"inputs": np.concatenate(rows)})
        ends = np.cumsum([len(each) for each in rows])[:-1]
        pairs = zip(np.split(probabilities, ends), np.split(classes, ends), strict=True)
        return [{"probabilities": p.tolist(), "classes": c.tolist()} for p, c in pairs]

    async def __call__(self, request):
        return await self.predict(np.asarray((await request.json())["inputs"], np.float32))


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    ray.init(num_cpus=1, include_dashboard=False, log_to_driver=False, configure_logging=False)
    serve.start(
        http_options={"host": "127.0.0.1", "port": int(sys.argv[1])}, logging_config={"enable_access_log": False}
    )
    serve.run(Network.bind(sys.argv[2]), route_prefix="/predict")
    signal.pause()
