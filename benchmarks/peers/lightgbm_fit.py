"""LightGBM with its defaults, one fit per line of stdin: https://lightgbm.readthedocs.io/en/stable/Python-API.html"""

# /// script
# dependencies = ["lightgbm==4.7.0", "scikit-learn==1.9.1", "numpy==2.4.6"]
# ///

import json
import sys
import time

import numpy as np
from lightgbm import LGBMClassifier
from sklearn.metrics import log_loss

with np.load(sys.argv[1]) as data:
    inputs, targets, test_inputs, test_targets = (
        data[name] for name in ("inputs", "targets", "test_inputs", "test_targets")
    )
for _ in sys.stdin:
    model = LGBMClassifier(random_state=0, verbose=-1)
    began_s, began_cpu_s = time.perf_counter(), time.process_time()
    model.fit(inputs, targets)
    fit = {"fit_s": time.perf_counter() - began_s, "cpu_s": time.process_time() - began_cpu_s}
    print(json.dumps({**fit, "log_loss": log_loss(test_targets, model.predict_proba(test_inputs))}), flush=True)
