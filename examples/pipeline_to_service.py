"""Tune an estimator in a scikit-learn pipeline, publish it, and serve it."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

import httpx
from serving import serve
from sklearn.datasets import load_breast_cancer
from sklearn.feature_selection import SelectKBest
from sklearn.model_selection import GridSearchCV, train_test_split
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler

from training import MLPClassifier, publish

X, y = load_breast_cancer(return_X_y=True, as_frame=True)
X_train, X_test, y_train, y_test = train_test_split(X, y, random_state=0)

pipeline = Pipeline(
    [
        ("select", SelectKBest(k=8)),
        ("scale", StandardScaler()),
        ("mlp", MLPClassifier(hidden_layer_sizes=(16,), solver="lbfgs", max_iter=1000, random_state=0)),
    ]
)
search = GridSearchCV(pipeline, {"mlp__alpha": [0.01, 1.0]}, cv=3).fit(X_train, y_train)
best = search.best_estimator_
print(f"best alpha: {best['mlp'].alpha}, test accuracy: {best.score(X_test, y_test):.3f}")

# Publish the whole pipeline: its steps become part of the graph, so clients send raw columns.
with TemporaryDirectory() as folder:
    models = Path(folder)
    publish(best, models, "cancer", train=(X_train, y_train), test=(X_test, y_test))
    with serve(models) as url:
        rows = X_test.head(5).to_dict("records")
        unused = {"ignore_unknown": "true"}  # the columns that SelectKBest drops
        answer = httpx.post(f"{url}/predict", params=unused, json={"inputs": rows}).raise_for_status().json()
print(f"served: {answer['predictions']}")
print(f"pipeline: {best.predict(X_test.head(5)).tolist()}")
