"""Only the matrix products of an epoch, once per line of stdin: a lower bound for the time of any training loop.

python -m benchmarks.epochs_products ROWS float32|bfloat16
"""

from __future__ import annotations

import json
import sys
import time
from itertools import pairwise
from typing import Final

import torch

from training.engine import products

LAYERS: Final = (784, 512, 512, 10)
BATCH_ROWS: Final = 128


def main() -> None:
    steps = -(-int(sys.argv[1]) // BATCH_ROWS)
    dtype = getattr(torch, sys.argv[2])
    values = [torch.rand(BATCH_ROWS, width, dtype=dtype) for width in LAYERS]
    weights = [torch.rand(out, into, dtype=dtype) for into, out in pairwise(LAYERS)]
    for _ in sys.stdin:
        began_s = time.perf_counter()
        for _ in range(steps):
            for layer, weight in enumerate(weights):
                products.linear(values[layer], weight)
                products.linear(values[layer + 1].t(), values[layer].t())
                if layer:
                    products.linear(values[layer + 1], weight.t())
        print(json.dumps({"epoch_s": time.perf_counter() - began_s, "accuracy": 0}), flush=True)


if __name__ == "__main__":
    main()
