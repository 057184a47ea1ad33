"""ONNX Runtime against torch over every test row: what differs is not published."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from training import runtime
from training.errors import ProofFailed

# Of probabilities as they are; of values in the target's unit, as a share of the largest of them.
TOLERANCE: Final = 1e-5


def prove(graph: bytes, inputs: NDArray[Any], expected: Sequence[NDArray[Any]]) -> dict[str, float]:
    """How far ``graph`` is from torch's ``expected`` outputs for raw ``inputs``, for the manifest.

    ``expected`` is probabilities float32 (rows, classes) and prediction int64 (rows,), or values float32
    (rows, targets). Raises `ProofFailed` where numbers are more than `TOLERANCE` apart or a label differs.
    """
    found = runtime.run(graph, inputs)
    numbers = expected[0]
    largest = 1.0 if len(expected) > 1 else max(float(np.abs(numbers).max()), 1.0)
    error = float(np.abs(found[0] - numbers).max()) / largest
    if not error <= TOLERANCE:  # NaN compares false
        raise ProofFailed(
            f"ONNX Runtime {runtime.VERSION} and torch are {error:.2g} apart, expected {TOLERANCE:g} at most; "
            "nothing is published"
        )
    if len(expected) == 1:
        return {"rows": len(inputs), "max_relative_error": error}
    changed = int((found[1] != expected[1]).sum())
    if changed:
        raise ProofFailed(
            f"ONNX Runtime {runtime.VERSION} and torch differ in {changed} of {len(inputs)} labels; "
            "nothing is published"
        )
    return {"rows": len(inputs), "max_probability_error": error, "labels_changed": changed}
