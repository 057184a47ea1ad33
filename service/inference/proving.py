"""A model proves itself before it takes traffic: golden rows answered as torch did, and what a run costs."""

from __future__ import annotations

import io
import time
import zipfile
from typing import Final

import numpy as np
from numpy.typing import NDArray

from service.artifact import GOLDEN, Manifest
from service.errors import ModelRefused
from service.inference.batcher import Costs
from service.inference.session import Outputs, Session

# Other processors add the same products in another order; a wrong weight or scale shows a thousand times larger. In
# int8 that can carry an activation to the next of its 256 levels; a processor that saturates moves it much further.
TOLERANCE: Final = {"fp32": 1e-4, "int8": 0.02}
_EXPECTED: Final = {"fp32": ("probabilities", "prediction"), "int8": ("int8_probabilities", "int8_prediction")}

BATCH_ROWS: Final = 256
# The event loop answers nobody while a batch runs on it: what takes longer than this goes to a thread.
INLINE_BUDGET_S: Final = 1e-3
_REPEATS: Final = 5


def replay(session: Session, golden: bytes, manifest: Manifest, precision: str) -> None:
    """Run the held-out rows that were published with the model, alone and together.

    Raises `ModelRefused` where an answer is further than `TOLERANCE` from the one published: torch's own for ``fp32``,
    that of the int8 graph for ``int8``.
    """
    try:
        with np.load(io.BytesIO(golden), allow_pickle=False) as arrays:
            inputs, expected, labels = (arrays[key] for key in ("inputs", *_EXPECTED[precision]))
    except (KeyError, ValueError, OSError, EOFError, zipfile.BadZipFile) as error:
        raise ModelRefused(f"{GOLDEN} does not hold the golden rows ({error}); publish the model again") from error
    shapes = (inputs.shape, expected.shape, labels.shape)
    rows = len(inputs)
    if rows == 0 or shapes != ((rows, len(manifest.features)), (rows, len(manifest.classes)), (rows,)):
        raise ModelRefused(f"{GOLDEN} holds arrays of shapes {shapes}, which do not fit the manifest")
    inputs = np.ascontiguousarray(inputs, np.float32)
    # Together, and each alone: in traffic a row meets both.
    tolerance = TOLERANCE[precision]
    _compare(session.run(inputs), expected, labels, manifest, tolerance)
    for row in range(rows):
        only = slice(row, row + 1)
        _compare(session.run(inputs[only]), expected[only], labels[only], manifest, tolerance)


def _compare(
    outputs: Outputs,
    expected: NDArray[np.float32],
    labels: NDArray[np.int64],
    manifest: Manifest,
    tolerance: float,
) -> None:
    errors = np.abs(outputs.probabilities - expected).max(axis=1)
    wrong = np.flatnonzero(~(errors <= tolerance) | (outputs.prediction != labels))
    if len(wrong):
        row = wrong[0]
        found, meant = (manifest.classes[label[row]] for label in (outputs.prediction, labels))
        raise ModelRefused(
            f"a golden row is answered with {found!r}, {errors[row]:.2g} away from the published {meant!r}; "
            f"at most {tolerance:g} is allowed; publish the model again"
        )


def measure(session: Session, features: int) -> Costs:
    """Warm the session up and measure one row and a full batch, the best of a few runs each."""
    one_s = _best_s(session, np.zeros((1, features), np.float32))
    full_s = _best_s(session, np.zeros((BATCH_ROWS, features), np.float32))
    row_s = max(full_s - one_s, 1e-9) / (BATCH_ROWS - 1)
    run_s = max(one_s - row_s, 0.0)
    inline_rows = min(max(int((INLINE_BUDGET_S - run_s) / row_s), 1), BATCH_ROWS)
    return Costs(run_s=run_s, row_s=row_s, inline_rows=inline_rows, batch_rows=BATCH_ROWS)


def _best_s(session: Session, batch: NDArray[np.float32]) -> float:
    def timed_s() -> float:
        started_s = time.perf_counter()
        session.run(batch)
        return time.perf_counter() - started_s

    timed_s()
    return min(timed_s() for _ in range(_REPEATS))
