"""ONNX Runtime against torch over every test row: what differs is not published."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from training.errors import ParityError
from training.release import onnx_runtime

# Of probabilities as they are; of values in the target's unit, as a share of the range that they span.
TOLERANCE: Final = 1e-5
# Of a target's largest value, in steps of the dtype it is answered in: values far from 0 are rounded that coarsely,
# however little they differ from each other.
_ROUNDING_STEPS: Final = 8


def prove(graph: bytes, inputs: NDArray[Any], expected: Sequence[NDArray[Any]]) -> dict[str, float]:
    """How far ``graph`` is from torch's ``expected`` outputs for raw ``inputs``, for the manifest.

    ``expected`` is probabilities float32 (rows, classes) and prediction int64 (rows,), or values float32 or float64
    (rows, targets). Raises `ParityError` where numbers are more than `TOLERANCE` apart or a label differs.
    """
    found = onnx_runtime.run(graph, inputs)
    numbers = expected[0]
    apart = np.abs(found[0].astype(np.float64) - numbers)
    error = float((apart if len(expected) > 1 else apart / _unit(numbers)).max())
    if not error <= TOLERANCE:  # NaN compares false
        raise ParityError(
            f"ONNX Runtime {onnx_runtime.VERSION} and torch are {error:.2g} apart, expected {TOLERANCE:g} at most; "
            "nothing is published"
        )
    if len(expected) == 1:
        return {"rows": len(inputs), "max_relative_error": error}
    changed = int((found[1] != expected[1]).sum())
    if changed:
        raise ParityError(
            f"ONNX Runtime {onnx_runtime.VERSION} and torch differ in {changed} of {len(inputs)} labels; "
            "nothing is published"
        )
    return {"rows": len(inputs), "max_probability_error": error, "labels_changed": changed}


def _unit(values: NDArray[Any]) -> NDArray[np.float64]:
    """What differences of each target's ``values`` (rows, targets) are measured by, (targets,): the range of these, or
    more where they are rounded so coarsely that `TOLERANCE` of the range could not be told."""
    exact = values.astype(np.float64)
    rounding = _ROUNDING_STEPS * float(np.finfo(values.dtype).eps) * np.abs(exact).max(axis=0)
    unit: NDArray[np.float64] = np.maximum(np.ptp(exact, axis=0), rounding / TOLERANCE)
    return np.where(unit > 0, unit, 1.0)
