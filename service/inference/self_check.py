"""The self-check of a model before it takes traffic: golden rows are answered as in training, and runs are timed."""

from __future__ import annotations

import io
import math
import time
import zipfile
from collections.abc import Callable
from typing import Any, Final, Protocol

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from service import int8
from service.artifact import GOLDEN
from service.errors import ModelRefused
from service.inference.batcher import Costs
from service.inference.session import AGAIN, Outputs
from service.manifest import REGRESSION, Manifest

# Of a probability, or of the range of a regression's golden answers. Other processors sum in another order, which in
# int8 can move an activation by one of its 256 levels. A wrong weight or scale, or a processor that saturates, moves it
# much further.
TOLERANCE: Final = {"fp32": 1e-4, "int8": 0.02}
# Of a regression's largest golden answer, in units of its dtype's precision: answers far from 0 are rounded that
# coarsely, however close they are to each other.
ROUNDING_STEPS: Final = 8
# Training publishes 32. Each is run alone, so a bound keeps the start short.
_MAX_GOLDEN_ROWS: Final = 4096
# A graph with a loop may never end. Others take milliseconds; one of a gibibyte some ten seconds.
LIMIT_S: Final = 60.0
_NUMBERS: Final = "fiu"
_PREFIX: Final = {"fp32": "", "int8": "int8_"}
_SMALLEST_PROBABILITY: Final = 1e-12  # for ratios

BATCH_ROWS: Final = 256
# A batch on the event loop blocks it. Requests that take longer than this go to a thread.
INLINE_BUDGET_S: Final = 1e-3
_REPEATS: Final = 5


class Network(Protocol):
    """What is checked."""

    def run(self, inputs: NDArray[Any], /) -> Outputs:
        """Run ``inputs`` (rows, features) through the network."""
        ...


def replay(session: Network, golden: bytes, manifest: Manifest, precision: str) -> None:
    """Run the held-out rows that were published with the model, one by one and together.

    Raises `ModelRefused` if the graph does not run, or if an answer differs from the published one by more than
    `TOLERANCE`. The published answers are torch's for ``fp32``, and those of the int8 graph for ``int8``.
    """
    inputs, expected = _golden(golden, manifest, precision)
    tolerance: Any = TOLERANCE[precision]
    if manifest.task == REGRESSION:
        numbers = expected.prediction.astype(np.float64)
        rounding = ROUNDING_STEPS * float(np.finfo(manifest.output_dtype).eps)
        tolerance = tolerance * np.ptp(numbers, axis=0) + rounding * np.abs(numbers).max(axis=0)  # (targets,)
    # Traffic has both batches and single rows.
    _compare(_answers(session, inputs), expected, manifest, tolerance)
    for row in range(len(inputs)):
        _compare(_answers(session, inputs[row : row + 1]), expected.rows(row, row + 1), manifest, tolerance)


def int8_fault(golden: bytes, manifest: Manifest) -> str | None:
    """Why the int8 graph is not as good as the fp32 graph on the golden rows, as a clause; None if it is.

    The published answers of both are compared: `replay` has shown that the int8 graph gives its own. A regression's
    int8 graph has no proof. Raises `ModelRefused` if the answers cannot be read.
    """
    if manifest.task == REGRESSION:
        return "a regression is served in fp32 alone"
    _, fp32 = _golden(golden, manifest, "fp32")
    _, in_int8 = _golden(golden, manifest, "int8")
    before, after = (
        np.maximum(np.asarray(each.probabilities, np.float64), _SMALLEST_PROBABILITY) for each in (fp32, in_int8)
    )
    in_tail = np.maximum(before, after) < int8.TAIL
    return int8.golden_fault(
        float(np.abs(after - before).max()),
        float(np.where(in_tail, 1.0, np.maximum(before / after, after / before)).max()),
    )


def _golden(golden: bytes, manifest: Manifest, precision: str) -> tuple[NDArray[Any], Outputs]:
    width, classes, prefix = len(manifest.features), len(manifest.classes), _PREFIX[precision]
    try:
        with zipfile.ZipFile(io.BytesIO(golden)) as archive:
            inputs = _array(archive, "inputs", None, (width,))
            rows = len(inputs)
            if manifest.task == REGRESSION:
                numbers = _array(archive, f"{prefix}prediction", rows, (len(manifest.targets),))
                return _inputs(inputs, manifest), Outputs(None, numbers.astype(manifest.output_dtype))
            probabilities = _array(archive, f"{prefix}probabilities", rows, (classes,)).astype(np.float32)
            prediction = _array(archive, f"{prefix}prediction", rows, ())
    except ModelRefused:
        raise
    except Exception as error:  # zipfile and its decompressors raise many types for damaged bytes
        raise ModelRefused(f"{GOLDEN} is no archive of arrays ({_reason(error)}); {AGAIN}") from error
    if not set(prediction.tolist()) <= set(range(classes)):
        raise ModelRefused(f"{GOLDEN} holds predictions that are no index of the manifest's classes; {AGAIN}")
    return _inputs(inputs, manifest), Outputs(probabilities, prediction.astype(np.int64))


def _array(archive: zipfile.ZipFile, name: str, rows: int | None, row_shape: tuple[int, ...]) -> NDArray[Any]:
    """The array called ``name``: finite numbers, (``rows``, *``row_shape``), with any small number of rows for None.

    The headers of archive and array are checked first, so nothing larger is unpacked or allocated.
    """
    try:
        packed = archive.getinfo(f"{name}.npy")
    except KeyError:
        raise ModelRefused(f"{GOLDEN} has no array {name!r}; {AGAIN}") from None
    with archive.open(packed) as file:
        version = npy.read_magic(file)
        read_header = npy.read_array_header_1_0 if version == (1, 0) else npy.read_array_header_2_0
        shape, fortran_order, dtype = read_header(file)
        fits = len(shape) == 1 + len(row_shape) and shape[1:] == row_shape and 1 <= shape[0] <= _MAX_GOLDEN_ROWS
        if not fits or (rows is not None and shape[0] != rows):
            wanted = (f"1 to {_MAX_GOLDEN_ROWS} rows" if rows is None else rows, *row_shape)
            raise ModelRefused(f"{GOLDEN} has {name!r} of shape {_shown(shape)}, expected {_shown(wanted)}; {AGAIN}")
        if dtype.kind not in _NUMBERS or dtype.itemsize > 8:
            found = f"{GOLDEN} has {name!r} of dtype {dtype!s:.60}, expected numbers of up to 64 bits"
            raise ModelRefused(f"{found}; {AGAIN}")
        size = math.prod(shape) * dtype.itemsize
        content = file.read(size + 1)
    if len(content) != size:
        raise ModelRefused(f"{GOLDEN} has {name!r} of another length than its shape {_shown(shape)} has; {AGAIN}")
    array = np.frombuffer(content, dtype).reshape(shape, order="F" if fortran_order else "C")
    if name != "inputs" and not np.isfinite(array).all():
        raise ModelRefused(f"{GOLDEN} has {name!r} with values that are no finite numbers; {AGAIN}")
    return array


def _inputs(array: NDArray[Any], manifest: Manifest) -> NDArray[Any]:
    """Golden rows in the graph's dtype. Raises `ModelRefused` if a value is missing that may not be."""
    bare = np.isinf(array) | (np.isnan(array) & ~np.array([feature.missing for feature in manifest.features]))
    for _, index in np.argwhere(bare).tolist():
        name = manifest.features[index].name
        raise ModelRefused(f"{GOLDEN} has a row without a finite value of {name!r:.60}; {AGAIN}")
    return np.ascontiguousarray(array, manifest.graph_dtype)


def _shown(shape: tuple[object, ...]) -> str:
    return f"({', '.join(map(str, shape)):.60})"


def _reason(error: Exception) -> str:
    return next(iter(str(error).splitlines()), type(error).__name__)[:200]


def _answers(session: Network, rows: NDArray[Any]) -> Outputs:
    try:
        outputs = session.run(rows)
    except Exception as error:
        raise ModelRefused(f"the graph does not run on {len(rows)} rows: {_reason(error)}; {AGAIN}") from error
    if len(outputs.prediction) != len(rows):
        raise ModelRefused(f"the graph gives {len(outputs.prediction)} answers to {len(rows)} rows; {AGAIN}")
    return outputs


def _compare(outputs: Outputs, expected: Outputs, manifest: Manifest, tolerance: Any) -> None:
    if outputs.probabilities is None or expected.probabilities is None:
        for row, target in np.argwhere(~(np.abs(outputs.prediction - expected.prediction) <= tolerance)).tolist():
            found, meant = (answer.prediction[row, target] for answer in (outputs, expected))
            name = manifest.targets[target]
            raise ModelRefused(
                f"a golden row is answered with {name!r} of {found:.6g}, {abs(found - meant):.2g} away from the "
                f"published {meant:.6g}; at most {tolerance[target]:.2g} is allowed; {AGAIN}"
            )
        return
    errors = np.abs(outputs.probabilities - expected.probabilities).max(axis=1)
    wrong = np.flatnonzero(~(errors <= tolerance) | (outputs.prediction != expected.prediction))
    if len(wrong):
        row = wrong[0]
        found, meant = (manifest.classes[answer.prediction[row]] for answer in (outputs, expected))
        raise ModelRefused(
            f"a golden row is answered with {found!r}, {errors[row]:.2g} away from the published {meant!r}; "
            f"at most {tolerance:g} is allowed; {AGAIN}"
        )


def measure(
    session: Network, features: int, dtype: str = "float32", clock: Callable[[], float] = time.perf_counter
) -> Costs:
    """Warm the session up, and time one row and a full batch of ``dtype`` by ``clock``: the best of a few runs each.

    Raises `ModelRefused` if the graph does not run.
    """
    one_s = _best_s(session, np.zeros((1, features), dtype), clock)
    full_s = _best_s(session, np.zeros((BATCH_ROWS, features), dtype), clock)
    row_s = max(full_s - one_s, 1e-9) / (BATCH_ROWS - 1)
    run_s = max(one_s - row_s, 0.0)
    inline_rows = min(max(int((INLINE_BUDGET_S - run_s) / row_s), 1), BATCH_ROWS)
    return Costs(run_s=run_s, row_s=row_s, inline_rows=inline_rows, batch_rows=BATCH_ROWS)


def _best_s(session: Network, batch: NDArray[Any], clock: Callable[[], float]) -> float:
    def timed_s() -> float:
        started_s = clock()
        _answers(session, batch)
        return clock() - started_s

    timed_s()
    return min(timed_s() for _ in range(_REPEATS))
