"""Small data sets that come with scikit-learn.

https://scikit-learn.org/stable/datasets/toy_dataset.html
"""

from __future__ import annotations

import hashlib
from typing import Any, Final

import numpy as np

from training.data.dataset import Column, Dataset, labels_of
from training.data.kind import DataKind

NAMES: Final = ("digits", "iris", "wine", "breast_cancer", "diabetes")
_REGRESSION: Final = ("diabetes",)


def load(name: str) -> Dataset:
    """Load one of `NAMES`."""
    import sklearn  # noqa: PLC0415 - takes a second, and other data does not need it
    from sklearn import datasets  # noqa: PLC0415

    bunch: Any = getattr(datasets, f"load_{name}")()
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
    names=NAMES,
)
