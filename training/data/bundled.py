"""Small data sets that come with scikit-learn.

https://scikit-learn.org/stable/datasets/toy_dataset.html
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import Any, Final

import numpy as np
import sklearn
from sklearn import datasets

from training.data.dataset import Column, Dataset, labels_of
from training.data.kind import DataKind

LOADERS: Final[dict[str, Callable[[], Any]]] = {
    "digits": datasets.load_digits,
    "iris": datasets.load_iris,
    "wine": datasets.load_wine,
    "breast_cancer": datasets.load_breast_cancer,
    "diabetes": datasets.load_diabetes,
}
_REGRESSION: Final = ("diabetes",)


def load(name: str) -> Dataset:
    """Load one of `LOADERS`."""
    bunch = LOADERS[name]()
    inputs = np.ascontiguousarray(bunch.data, np.float32)
    regression = name in _REGRESSION
    targets = np.asarray(bunch.target, np.float64 if regression else np.int64)
    digest = hashlib.sha256(inputs.tobytes() + targets.tobytes()).hexdigest()
    return Dataset(
        name=name.replace("_", "-"),
        inputs=inputs,
        targets=targets.reshape(-1, 1) if regression else targets,
        labels=() if regression else labels_of(bunch.target_names),
        columns=tuple(Column(str(column).replace(" ", "_")) for column in bunch.feature_names),
        target_names=("progression",) if regression else ("class",),
        shape=(8, 8) if name == "digits" else (inputs.shape[1],),
        source={"name": name, "from": f"scikit-learn {sklearn.__version__}", "sha256": digest},
    )


KIND: Final = DataKind(
    description="a data set bundled with scikit-learn",
    load=lambda name, _options, _track: load(name),
    names=tuple(LOADERS),
)
