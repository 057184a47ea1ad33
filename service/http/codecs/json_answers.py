"""A prediction's answer as JSON, in columns; a large one in steps."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import numpy as np
import orjson
from numpy.typing import NDArray

from service.http.options import Options
from service.inference.session import Outputs
from service.inference.steps import Steps
from service.manifest import Label, Manifest

_LARGE_VALUES: Final = 50_000  # numbers and labels, which take 2 ms
_STEP_VALUES: Final = 20_000
# The most work that a row can be, in numbers for each of its probabilities: two classes, and the best of as many.
_MAX_WORK: Final = 6


def encode(manifest: Manifest, options: Options, outputs: Outputs) -> bytes | Steps[bytes]:
    """The answer for ``outputs``; in steps if it is large."""
    probabilities, prediction = outputs
    values = prediction.size if probabilities is None else probabilities.size
    if values * _MAX_WORK > _LARGE_VALUES and len(prediction) * _row_values(outputs, options) > _LARGE_VALUES:
        return encode_in_steps(manifest, options, outputs)
    return encode_at_once(manifest, options, outputs)


def encode_at_once(manifest: Manifest, options: Options, outputs: Outputs) -> bytes:
    """The answer for ``outputs``."""
    answer: dict[str, Any] = {"model": manifest.name, "version": manifest.version}
    _add_columns(answer, manifest, options, outputs)
    if options.faults is not None:
        _set_null(answer, options.faults.rows())
        answer["errors"] = [fault.as_dict() for fault in options.faults.faults()]
    return orjson.dumps(answer, option=orjson.OPT_SERIALIZE_NUMPY)


def encode_in_steps(manifest: Manifest, options: Options, outputs: Outputs) -> Steps[bytes]:
    """The same, some rows in each step."""
    step_rows = max(1, _STEP_VALUES // _row_values(outputs, options))
    parts: dict[tuple[str, ...], list[bytes]] = {}
    bad = None if options.faults is None else options.faults.mask(len(outputs.prediction))
    for first in range(0, len(outputs.prediction), step_rows):
        columns: dict[str, Any] = {}
        _add_columns(columns, manifest, options, outputs.rows(first, first + step_rows))
        if bad is not None:
            _set_null(columns, np.flatnonzero(bad[first : first + step_rows]).tolist())
        for name, column in columns.items():
            for path, values in _leaves((name,), column):
                parts.setdefault(path, []).append(_dumped(values)[1:-1])
        yield
    answer: dict[str, Any] = {"model": manifest.name, "version": manifest.version}
    for (*outer, name), pieces in parts.items():
        into = answer
        for key in outer:
            into = into.setdefault(key, {})
        into[name] = orjson.Fragment(b"[%b]" % b",".join(pieces))
    if options.faults is not None:
        answer["errors"] = [fault.as_dict() for fault in options.faults.faults()]
    return _dumped(answer)


def _row_values(outputs: Outputs, options: Options) -> int:
    """How much work a row is, in numbers."""
    if outputs.probabilities is None:
        return outputs.prediction.size // max(len(outputs.prediction), 1)
    classes = outputs.probabilities.shape[1] if options.probabilities or options.top_k else 0
    return 2 + classes + 4 * options.top_k


def _leaves(path: tuple[str, ...], column: Any) -> list[tuple[tuple[str, ...], Any]]:
    if isinstance(column, dict):
        return [leaf for name, each in column.items() for leaf in _leaves((*path, name), each)]
    return [(path, column)]


def _add_columns(answer: dict[str, Any], manifest: Manifest, options: Options, outputs: Outputs) -> None:
    prediction, probabilities = outputs.prediction, outputs.probabilities
    if probabilities is None:
        answer["predictions"] = prediction.reshape(-1) if len(manifest.targets) == 1 else prediction
        return
    classes = prediction.tolist()
    labels = manifest.classes
    answer["predictions"] = list(map(labels.__getitem__, classes))  # faster than a comprehension
    answer["classes"] = classes
    if options.probabilities:
        answer["probabilities"] = probabilities
    if options.top_k:
        answer["top_k"] = _top_k(probabilities, options.top_k, labels)


def _top_k(probabilities: NDArray[np.float32], k: int, labels: Sequence[Label]) -> dict[str, Any]:
    best = np.argsort(-probabilities, axis=1, kind="stable")[:, :k]
    return {
        "predictions": [[labels[index] for index in row] for row in best.tolist()],
        "probabilities": np.ascontiguousarray(np.take_along_axis(probabilities, best, axis=1)),
    }


def _set_null(columns: dict[str, Any], rows: Sequence[int]) -> None:
    """Make the values of ``rows`` null in all columns of an answer."""
    for name, column in columns.items():
        if isinstance(column, dict):
            _set_null(column, rows)
        elif isinstance(column, list | np.ndarray):
            values = list(column) if isinstance(column, list) or column.ndim > 1 else column.tolist()
            for row in rows:
                values[row] = None
            columns[name] = values


def _dumped(value: Any) -> bytes:
    return orjson.dumps(value, option=orjson.OPT_SERIALIZE_NUMPY)
