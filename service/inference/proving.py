"""A model proves itself before it takes traffic: golden rows answered as torch did, and what a run costs."""

from __future__ import annotations

import io
import time
import zipfile
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from service.artifact import GOLDEN
from service.errors import ModelRefused
from service.inference.batcher import Costs
from service.inference.session import Outputs, Session
from service.manifest import REGRESSION, Manifest

# Of a probability, or of the range a regression's golden answers span. Other processors add the same products in
# another order; a wrong weight or scale shows a thousand times larger. In int8 that can carry an activation to the next
# of its 256 levels; a processor that saturates moves it much further.
TOLERANCE: Final = {"fp32": 1e-4, "int8": 0.02}
# Of a regression's largest golden answer, in steps of the dtype it is answered in: answers far from 0 are rounded that
# coarsely, however little they differ from each other.
ROUNDING_STEPS: Final = 8
_PREFIX: Final = {"fp32": "", "int8": "int8_"}

BATCH_ROWS: Final = 256
# The event loop answers nobody while a batch runs on it: what takes longer than this goes to a thread.
INLINE_BUDGET_S: Final = 1e-3
_REPEATS: Final = 5


def replay(session: Session, golden: bytes, manifest: Manifest, precision: str) -> None:
    """Run the held-out rows that were published with the model, alone and together.

    Raises `ModelRefused` where the graph does not run, or an answer is further than `TOLERANCE` from the one published:
    torch's own for ``fp32``, that of the int8 graph for ``int8``.
    """
    inputs, expected = _golden(golden, manifest, precision)
    tolerance: Any = TOLERANCE[precision]
    if manifest.task == REGRESSION:
        numbers = expected.prediction.astype(np.float64)
        rounding = ROUNDING_STEPS * float(np.finfo(manifest.output_dtype).eps)
        tolerance = tolerance * np.ptp(numbers, axis=0) + rounding * np.abs(numbers).max(axis=0)  # (targets,)
    # Together, and each alone: in traffic a row meets both.
    _compare(_answers(session, inputs), expected, manifest, tolerance)
    for row in range(len(inputs)):
        _compare(_answers(session, inputs[row : row + 1]), expected.rows(row, row + 1), manifest, tolerance)


def _golden(golden: bytes, manifest: Manifest, precision: str) -> tuple[NDArray[Any], Outputs]:
    regression = manifest.task == REGRESSION
    kinds = {"prediction": manifest.output_dtype}
    if not regression:
        kinds = {"probabilities": "float32", "prediction": "int64"}
    try:
        with np.load(io.BytesIO(golden), allow_pickle=False) as arrays:
            inputs = arrays["inputs"].astype(manifest.graph_dtype)
            answers = [arrays[_PREFIX[precision] + name].astype(kind) for name, kind in kinds.items()]
    except (KeyError, ValueError, OSError, EOFError, zipfile.BadZipFile) as error:
        raise ModelRefused(f"{GOLDEN} does not hold the golden rows ({error}); publish the model again") from error
    rows = inputs.shape[0] if inputs.ndim else 0
    fitting = ((rows, len(manifest.targets)),) if regression else ((rows, len(manifest.classes)), (rows,))
    shapes = tuple(array.shape for array in (inputs, *answers))
    if rows == 0 or shapes != ((rows, len(manifest.features)), *fitting):
        raise ModelRefused(f"{GOLDEN} holds arrays of shapes {shapes}, which do not fit the manifest")
    if not regression and not set(answers[-1].tolist()) <= set(range(len(manifest.classes))):
        raise ModelRefused(f"{GOLDEN} holds predictions that are no index of the manifest's classes")
    return np.ascontiguousarray(inputs), Outputs(None if regression else answers[0], answers[-1])


def _answers(session: Session, rows: NDArray[Any]) -> Outputs:
    try:
        outputs = session.run(rows)
    except Exception as error:
        reason = next(iter(str(error).splitlines()), type(error).__name__)
        raise ModelRefused(f"the graph does not run on {len(rows)} rows: {reason}; publish the model again") from error
    if len(outputs.prediction) != len(rows):
        raise ModelRefused(f"the graph gives {len(outputs.prediction)} answers to {len(rows)} rows")
    return outputs


def _compare(outputs: Outputs, expected: Outputs, manifest: Manifest, tolerance: Any) -> None:
    if outputs.probabilities is None or expected.probabilities is None:
        for row, target in np.argwhere(~(np.abs(outputs.prediction - expected.prediction) <= tolerance)).tolist():
            found, meant = (answer.prediction[row, target] for answer in (outputs, expected))
            name = manifest.targets[target]
            raise ModelRefused(
                f"a golden row is answered with {name!r} of {found:.6g}, {abs(found - meant):.2g} away from the "
                f"published {meant:.6g}; at most {tolerance[target]:.2g} is allowed; publish the model again"
            )
        return
    errors = np.abs(outputs.probabilities - expected.probabilities).max(axis=1)
    wrong = np.flatnonzero(~(errors <= tolerance) | (outputs.prediction != expected.prediction))
    if len(wrong):
        row = wrong[0]
        found, meant = (manifest.classes[answer.prediction[row]] for answer in (outputs, expected))
        raise ModelRefused(
            f"a golden row is answered with {found!r}, {errors[row]:.2g} away from the published {meant!r}; "
            f"at most {tolerance:g} is allowed; publish the model again"
        )


def measure(session: Session, features: int, dtype: str = "float32") -> Costs:
    """Warm the session up and measure one row and a full batch of ``dtype``, the best of a few runs each.

    Raises `ModelRefused`.
    """
    one_s = _best_s(session, np.zeros((1, features), dtype))
    full_s = _best_s(session, np.zeros((BATCH_ROWS, features), dtype))
    row_s = max(full_s - one_s, 1e-9) / (BATCH_ROWS - 1)
    run_s = max(one_s - row_s, 0.0)
    inline_rows = min(max(int((INLINE_BUDGET_S - run_s) / row_s), 1), BATCH_ROWS)
    return Costs(run_s=run_s, row_s=row_s, inline_rows=inline_rows, batch_rows=BATCH_ROWS)


def _best_s(session: Session, batch: NDArray[Any]) -> float:
    def timed_s() -> float:
        started_s = time.perf_counter()
        _answers(session, batch)
        return time.perf_counter() - started_s

    timed_s()
    return min(timed_s() for _ in range(_REPEATS))
