"""Run a graph in ONNX Runtime as the service does, and quantize it. The only importer of onnxruntime in training."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
import onnx
from numpy.typing import NDArray

from training.release.quiet import quiet

# Since 1.29 ONNX Runtime sends telemetry from the time it is imported.
# https://github.com/microsoft/onnxruntime/blob/main/docs/Privacy.md
os.environ["ORT_DISABLE_TELEMETRY"] = "1"
import onnxruntime as ort
from onnxruntime import quantization

VERSION: Final[str] = ort.__version__
_BATCH_ROWS: Final = 2048
_FATAL: Final = 4  # ONNX Runtime also raises what it would log
# Clips outliers of each tensor, which would cost all other values precision. On Fashion-MNIST probabilities change less
# on average, and more in the rare row with an outlier.
_PERCENTILE: Final = 99.99


def run(graph: bytes, inputs: NDArray[Any]) -> list[NDArray[Any]]:
    """All outputs of ``graph`` for raw ``inputs`` (rows, features), on one CPU thread as in the service."""
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    options.add_session_config_entry("session.x64quantprecision", "1")
    session = ort.InferenceSession(graph, options, providers=["CPUExecutionProvider"])
    dtype = np.float64 if session.get_inputs()[0].type == "tensor(double)" else np.float32
    batches = [
        session.run(None, {"inputs": inputs[first : first + _BATCH_ROWS].astype(dtype)})
        for first in range(0, len(inputs), _BATCH_ROWS)
    ]
    return [np.concatenate(parts) for parts in zip(*batches, strict=True)]


class ForeignSession:
    """A graph of another framework, with its own inputs and ``outputs``. ONNX Runtime raises its errors."""

    def __init__(self, graph: bytes, outputs: Sequence[str]) -> None:
        options = ort.SessionOptions()
        options.intra_op_num_threads = 1
        options.log_severity_level = _FATAL
        self._session = ort.InferenceSession(graph, options, providers=["CPUExecutionProvider"])
        self._outputs = list(outputs)

    def run(self, feeds: Mapping[str, NDArray[Any]]) -> list[Any]:
        """The outputs for these inputs."""
        found: list[Any] = self._session.run(self._outputs, dict(feeds))
        return found


def quantize(graph: bytes, calibration: NDArray[Any], nodes: Sequence[str], *, clip_outliers: bool) -> bytes:
    """Return ``graph`` with the matrix products called ``nodes`` in int8.

    Scales are taken from raw ``calibration`` rows (rows, features). They cover the whole range of each activation
    there, or, to ``clip_outliers``, `_PERCENTILE` of its values. Weights get 7 bits, the nearest to theirs.

    Static, per channel: with dynamic scales a row's output would depend on the other rows of its batch. The outputs of
    products stay float32, so that logits keep their order.
    https://onnxruntime.ai/docs/performance/model-optimizations/quantization.html
    """
    with tempfile.TemporaryDirectory() as folder, quiet():
        source, target = Path(folder) / "fp32.onnx", Path(folder) / "int8.onnx"
        model = onnx.load_model_from_string(graph)
        onnx.save(model, source)
        dtype = onnx.helper.tensor_dtype_to_np_dtype(model.graph.input[0].type.tensor_type.elem_type)
        method = quantization.CalibrationMethod
        quantization.quantize_static(
            source,
            target,
            _Rows(calibration.astype(dtype)),
            quant_format=quantization.QuantFormat.QDQ,
            activation_type=quantization.QuantType.QUInt8,
            weight_type=quantization.QuantType.QInt8,
            per_channel=True,
            reduce_range=True,
            calibrate_method=method.Percentile if clip_outliers else method.MinMax,
            op_types_to_quantize=["Gemm"],
            nodes_to_quantize=list(nodes),
            extra_options={"CalibPercentile": _PERCENTILE, "OpTypesToExcludeOutputQuantization": ["Gemm"]},
        )
        return target.read_bytes()


class _Rows(quantization.CalibrationDataReader):  # type: ignore[misc]
    """Gives all calibration rows at once."""

    def __init__(self, rows: NDArray[Any]) -> None:
        self._feeds = iter([{"inputs": rows}])

    def get_next(self) -> dict[str, NDArray[Any]] | None:
        return next(self._feeds, None)
