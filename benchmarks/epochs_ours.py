"""Our estimator, one epoch per line of stdin: python -m benchmarks.epochs_ours DATA float32|bfloat16"""

from __future__ import annotations

import json
import sys
import time

import numpy as np

from training import MLPClassifier


def main() -> None:
    with np.load(sys.argv[1]) as data:
        inputs, targets = data["inputs"], data["targets"]
        test_inputs, test_targets = data["test_inputs"], data["test_targets"]
    half = sys.argv[2] == "bfloat16"
    model = MLPClassifier((512, 512), batch_size=128, random_state=np.random.RandomState(0), mixed_precision=half)
    for _ in sys.stdin:
        began_s = time.perf_counter()
        model.partial_fit(inputs, targets, classes=np.arange(10))
        epoch_s = time.perf_counter() - began_s
        accuracy = model.score(test_inputs, test_targets)
        print(json.dumps({"epoch_s": epoch_s, "accuracy": accuracy}), flush=True)


if __name__ == "__main__":
    main()
