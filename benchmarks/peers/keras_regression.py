"""Keras's classic regression, three hidden layers of 512 units and mean absolute error, on the parts of a table.

https://keras.io/guides/training_with_built_in_methods/, https://keras.io/api/layers/preprocessing_layers/numerical/normalization/
"""

# /// script
# dependencies = ["keras==3.15.1", "jax==0.10.2", "numpy==2.4.6", "scikit-learn==1.9.1"]
# ///

import json
import os
import sys
import time

os.environ["KERAS_BACKEND"] = "jax"
import keras
import numpy as np
from sklearn.metrics import mean_absolute_error, r2_score, root_mean_squared_error

with np.load(sys.argv[1]) as parts:
    train, validation, test = parts["train"], parts["validation"], parts["test"]  # (rows, features and the target)
keras.utils.set_random_seed(int(sys.argv[2]))

normalise = keras.layers.Normalization()
normalise.adapt(train[:, :-1])
model = keras.Sequential(
    [
        keras.Input((train.shape[1] - 1,)),
        normalise,
        keras.layers.Dense(512, activation="relu"),
        keras.layers.Dense(512, activation="relu"),
        keras.layers.Dense(512, activation="relu"),
        keras.layers.Dense(1),
    ]
)
model.compile(optimizer="adam", loss="mae")
began_s = time.perf_counter()
model.fit(
    train[:, :-1],
    train[:, -1:],
    validation_data=(validation[:, :-1], validation[:, -1:]),
    batch_size=64,
    epochs=100,
    verbose=0,
)
fit_s = time.perf_counter() - began_s
true, values = test[:, -1], model.predict(test[:, :-1], verbose=0)[:, 0]
scores = {"mae": mean_absolute_error, "rmse": root_mean_squared_error, "r2": r2_score}
print(json.dumps({name: float(score(true, values)) for name, score in scores.items()} | {"fit_s": fit_s}))
