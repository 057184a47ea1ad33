"""Check that ONNX Runtime computes what torch computes, on every test row."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from training.errors import ParityError
from training.release import onnx_runtime

# Absolute for probabilities; for values, relative to the range of the target.
TOLERANCE: Final = 1e-5
# Values far from 0 differ by rounding, however small their range: allow so many steps of the dtype at the largest one.
_ROUNDING_STEPS: Final = 8


def check(graph: bytes, inputs: NDArray[Any], expected: Sequence[NDArray[Any]]) -> dict[str, float]:
    """Return the largest differences of ``graph`` from torch's ``expected`` outputs, for the manifest.

    ``inputs`` are raw (rows, features). ``expected`` is probabilities float32 (rows, classes) and prediction int64
    (rows,), or values float32 or float64 (rows, targets). Raises `ParityError` if numbers differ by more than
    `TOLERANCE`, or any label differs.
    """
    found = onnx_runtime.run(graph, inputs)
    numbers = expected[0]
    difference = np.abs(found[0].astype(np.float64) - numbers)
    error = float((difference if len(expected) > 1 else difference / _unit(numbers)).max())
    if not error <= TOLERANCE:  # NaN compares false
        raise ParityError(
            f"ONNX Runtime {onnx_runtime.VERSION} and torch differ by {error:.2g}, expected at most {TOLERANCE:g}; "
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
    """What errors are relative to, (targets,): the range of the target's ``values`` (rows, targets), or more if they
    are rounded more coarsely than `TOLERANCE` of the range."""
    exact = values.astype(np.float64)
    rounding = _ROUNDING_STEPS * float(np.finfo(values.dtype).eps) * np.abs(exact).max(axis=0)
    unit: NDArray[np.float64] = np.maximum(np.ptp(exact, axis=0), rounding / TOLERANCE)
    return np.where(unit > 0, unit, 1.0)
