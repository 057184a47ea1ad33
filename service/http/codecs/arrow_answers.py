"""A prediction's answer as an Arrow stream: a table with a row for each row of the request."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from service.http.options import Options
from service.inference.session import Outputs
from service.manifest import Label, Manifest

DESCRIPTION: Final = (
    "an Arrow stream: of a classifier the columns prediction, class, probability_<label> of each label, with top_k= "
    "top_<n>_prediction and top_<n>_probability; of a regressor prediction, or each target by name; with on_error=row "
    "error, which is null for good rows"
)


def encode(manifest: Manifest, options: Options, outputs: Outputs) -> bytes:
    """The answer for ``outputs``."""
    import pyarrow as pa  # noqa: PLC0415 - an extra

    columns = columns_of(manifest, options, outputs)
    bad = None if options.faults is None else options.faults.mask(len(outputs.prediction))
    arrays = {name: values if bad is None else with_nulls(values, bad) for name, values in columns.items()}
    if options.faults is not None:
        errors: list[str | None] = [None] * len(outputs.prediction)
        for row, fault in zip(options.faults.rows(), options.faults.faults(), strict=True):
            errors[row] = fault.detail
        arrays["error" if "error" not in arrays else "error_"] = pa.array(errors, pa.string())
    table = pa.table(arrays).replace_schema_metadata({"model": manifest.name, "version": str(manifest.version)})
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    found: bytes = sink.getvalue().to_pybytes()
    return found


def columns_of(manifest: Manifest, options: Options, outputs: Outputs) -> dict[str, Any]:
    """The Arrow arrays (rows,) of an answer, by the names of their columns."""
    return _numbers(manifest, outputs) if outputs.probabilities is None else _classes(manifest, options, outputs)


def _numbers(manifest: Manifest, outputs: Outputs) -> dict[str, Any]:
    names = list(manifest.targets) if len(manifest.targets) > 1 else ["prediction"]
    values = outputs.prediction.reshape(-1, len(manifest.targets))
    return {name: _array(values[:, index]) for index, name in enumerate(names)}


def _classes(manifest: Manifest, options: Options, outputs: Outputs) -> dict[str, Any]:
    probabilities = outputs.probabilities
    assert probabilities is not None  # noqa: S101 - a classifier has them
    labels = _labels(manifest.classes)
    columns: dict[str, Any] = {
        "prediction": labels.take(_array(outputs.prediction)),
        "class": _array(outputs.prediction),
    }
    if options.probabilities:
        for index, label in enumerate(manifest.classes):
            columns[f"probability_{label}"] = _array(probabilities[:, index])
    if options.top_k:
        best = np.argsort(-probabilities, axis=1, kind="stable")[:, : options.top_k]
        for place in range(options.top_k):
            chosen = best[:, place]
            columns[f"top_{place + 1}_prediction"] = labels.take(_array(chosen))
            columns[f"top_{place + 1}_probability"] = _array(
                np.take_along_axis(probabilities, chosen[:, np.newaxis], axis=1).reshape(-1)
            )
    return columns


def _labels(labels: Sequence[Label]) -> Any:
    import pyarrow as pa  # noqa: PLC0415 - an extra

    if not all(type(label) is str for label in labels):
        return pa.array(labels)
    texts = [str(label).encode() for label in labels]
    ends = np.cumsum([0, *map(len, texts)], dtype=np.int32)
    return pa.Array.from_buffers(pa.string(), len(texts), [None, pa.py_buffer(ends), pa.py_buffer(b"".join(texts))])


def _array(numbers: NDArray[Any]) -> Any:
    """The Arrow array of ``numbers`` (rows,). `pyarrow.array` would import pandas, if it is installed."""
    import pyarrow as pa  # noqa: PLC0415 - an extra

    values = pa.py_buffer(np.ascontiguousarray(numbers))
    return pa.Array.from_buffers(pa.from_numpy_dtype(numbers.dtype), len(numbers), [None, values])


def with_nulls(values: Any, bad: NDArray[np.bool_]) -> Any:
    """An Arrow array of ``values`` (rows,) that is null where ``bad`` (rows,) is true."""
    import pyarrow as pa  # noqa: PLC0415 - an extra
    from pyarrow import compute  # noqa: PLC0415 - an extra

    return compute.if_else(pa.array(bad), pa.scalar(None, values.type), values)
