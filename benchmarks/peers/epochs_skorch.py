"""skorch, one epoch per line of stdin: https://skorch.readthedocs.io/en/stable/user/quickstart.html"""

# /// script
# dependencies = ["skorch==1.4.0", "torch==2.13.0", "numpy==2.4.6"]
# ///

import json
import sys
import time

import numpy as np
import torch
from skorch import NeuralNetClassifier
from torch import nn

with np.load(sys.argv[1]) as data:
    inputs, targets, test_inputs, test_targets = (
        data[name] for name in ("inputs", "targets", "test_inputs", "test_targets")
    )
torch.manual_seed(0)
network = nn.Sequential(nn.Linear(784, 512), nn.ReLU(), nn.Linear(512, 512), nn.ReLU(), nn.Linear(512, 10))
model = NeuralNetClassifier(
    network,
    criterion=nn.CrossEntropyLoss,
    optimizer=torch.optim.Adam,
    lr=1e-3,
    max_epochs=1,
    batch_size=128,
    iterator_train__shuffle=True,
    train_split=None,
    verbose=0,
    classes=np.arange(10),
)
for _ in sys.stdin:
    began_s = time.perf_counter()
    model.partial_fit(inputs, targets)
    print(
        json.dumps({"epoch_s": time.perf_counter() - began_s, "accuracy": model.score(test_inputs, test_targets)}),
        flush=True,
    )
