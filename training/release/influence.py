"""Which features move a network's outputs most, for the order in which drift is watched.

It needs no targets. How much the score depends on each feature is in `training.release.importance`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

# Each feature takes a run of these rows, whose cost grows with the number of features.
_MAX_ROWS: Final = 1000
_MAX_VALUES: Final = 200_000_000
MAX_FEATURES: Final = 2000


def most_influential(
    outputs_of: Callable[[NDArray[Any]], NDArray[Any]],
    inputs: NDArray[Any],
    weights: NDArray[np.float64] | None = None,
) -> list[int]:
    """The columns of ``inputs`` (rows, features), those first that move the outputs most; as they are if over 2,000.

    ``outputs_of`` gives the network's outputs (rows, outputs); ``weights`` (rows,) weight the rows. The values
    of each feature are shuffled among the rows, and the distance from the outputs before is what counts.
    """
    features = inputs.shape[1]
    if features > MAX_FEATURES:
        return [*range(features)]
    random = np.random.default_rng(0)
    rows = random.permutation(len(inputs))[: min(_MAX_ROWS, _MAX_VALUES // features**2)]
    chosen = inputs[rows]
    counts = None if weights is None or not weights[rows].any() else weights[rows]
    outputs = outputs_of(chosen).astype(np.float64)
    # An output that is always the same would otherwise count by its rounding.
    unit = outputs.std(axis=0) + 1e-6 * np.abs(outputs).max(axis=0) + np.finfo(np.float64).tiny
    moved = np.zeros(features)
    for column in range(features):
        shuffled = chosen.copy()
        shuffled[:, column] = random.permutation(shuffled[:, column])
        moved[column] = np.average((np.abs(outputs_of(shuffled) - outputs) / unit).mean(axis=1), weights=counts)
    order: list[int] = np.argsort(-moved, kind="stable").tolist()
    return order
