"""scikit-learn, one epoch per line of stdin: https://scikit-learn.org/stable/modules/neural_networks_supervised.html"""

# /// script
# dependencies = ["scikit-learn==1.9.1", "numpy==2.4.6"]
# ///

import json
import sys
import time

import numpy as np
from sklearn.neural_network import MLPClassifier

with np.load(sys.argv[1]) as data:
    inputs, targets, test_inputs, test_targets = (
        data[name] for name in ("inputs", "targets", "test_inputs", "test_targets")
    )
model = MLPClassifier((512, 512), batch_size=128, random_state=np.random.RandomState(0))
for _ in sys.stdin:
    began_s = time.perf_counter()
    model.partial_fit(inputs, targets, classes=np.arange(10))
    print(
        json.dumps({"epoch_s": time.perf_counter() - began_s, "accuracy": model.score(test_inputs, test_targets)}),
        flush=True,
    )
