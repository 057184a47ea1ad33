"""Keras on JAX, one epoch per line of stdin: https://keras.io/guides/training_with_built_in_methods/"""

# /// script
# dependencies = ["keras==3.15.1", "jax==0.10.2", "numpy==2.4.6"]
# ///

import json
import os
import sys
import time

os.environ["KERAS_BACKEND"] = "jax"
import keras
import numpy as np

with np.load(sys.argv[1]) as data:
    inputs, targets, test_inputs, test_targets = (
        data[name] for name in ("inputs", "targets", "test_inputs", "test_targets")
    )
keras.utils.set_random_seed(0)
model = keras.Sequential(
    [
        keras.Input((784,)),
        keras.layers.Dense(512, activation="relu"),
        keras.layers.Dense(512, activation="relu"),
        keras.layers.Dense(10),
    ]
)
loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
model.compile(optimizer="adam", loss=loss, metrics=["accuracy"])
for _ in sys.stdin:
    began_s = time.perf_counter()
    model.fit(inputs, targets, batch_size=128, epochs=1, verbose=0)
    epoch_s = time.perf_counter() - began_s
    accuracy = float(model.evaluate(test_inputs, test_targets, batch_size=2048, verbose=0)[1])
    print(json.dumps({"epoch_s": epoch_s, "accuracy": accuracy}), flush=True)
