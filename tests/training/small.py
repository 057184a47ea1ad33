"""Small generated data sets."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from training.data.dataset import Column, Dataset, Label, last_rows_test


def classes(
    inputs: NDArray[Any],
    targets: Sequence[int] | NDArray[Any],
    labels: tuple[Label, ...] = ("ape", "bee"),
    *,
    columns: tuple[Column, ...] = (),
    shape: tuple[int, ...] = (),
    test_rows: int = 0,
) -> Dataset:
    """A classification; ``targets`` are indices in ``labels``. By default columns are numeric and rows are flat."""
    return Dataset(
        name="small",
        inputs=inputs,
        targets=np.asarray(targets, np.int64),
        labels=labels,
        columns=columns or tuple(Column(f"f{index}") for index in range(inputs.shape[1])),
        target_names=("animal",),
        shape=shape or (inputs.shape[1],),
        division=last_rows_test(len(inputs), test_rows),
        source={"name": "small", "from": "the tests", "sha256": "0" * 64},
    )


def values(inputs: NDArray[Any], targets: NDArray[np.float32], names: tuple[str, ...] = ("weight",)) -> Dataset:
    """A regression; ``targets`` are (rows,) or (rows, targets)."""
    return Dataset(
        name="small",
        inputs=inputs,
        targets=targets.reshape(len(inputs), -1),
        labels=(),
        columns=tuple(Column(f"f{index}") for index in range(inputs.shape[1])),
        target_names=names,
        shape=(inputs.shape[1],),
        source={"name": "small", "from": "the tests", "sha256": "0" * 64},
    )


def noise(rows: int, features: int, seed: int = 0) -> NDArray[np.float32]:
    """Normal numbers float32 (rows, features)."""
    return np.random.default_rng(seed).normal(0, 1, (rows, features)).astype(np.float32)


def sides(rows: int, features: int = 3, seed: int = 0) -> Dataset:
    """Two linearly separable classes: the sign of the sum of the first two features."""
    inputs = noise(rows, features, seed)
    return classes(inputs, (inputs[:, 0] + inputs[:, 1] > 0).astype(np.int64))
