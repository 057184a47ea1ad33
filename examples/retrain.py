"""Retrain on more data. A version that is worse than the newest one is not published."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

import httpx
from serving import serve
from sklearn.base import clone
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

from training import MLPClassifier

X, y = load_digits(return_X_y=True)
X_train, X_test, y_train, y_test = train_test_split(X, y, random_state=0)
model = MLPClassifier(hidden_layer_sizes=(32,), solver="lbfgs", max_iter=1000, random_state=0)

with TemporaryDirectory() as folder:
    models = Path(folder)

    # Last month there were 300 rows.
    current = clone(model).fit(X_train[:300], y_train[:300])
    current.publish(models, "digits", train=(X_train[:300], y_train[:300]), test=(X_test, y_test))

    # Today there are more. Both versions answer the rows of `test`; a worse one is refused with `NotPromoted`.
    candidate = clone(model).fit(X_train, y_train)
    published = candidate.publish(models, "digits", train=(X_train, y_train), test=(X_test, y_test))
    print(f"published version {published.name}")

    # A server serves the newest version. `mlp-models rollback digits` goes back to version 1.
    with serve(models) as url:
        answer = httpx.post(f"{url}/predict", json={"inputs": X_test[:1].tolist()}).raise_for_status().json()
    print(f"version {answer['version']} predicts {answer['predictions'][0]}, expected {y_test[0]}")
