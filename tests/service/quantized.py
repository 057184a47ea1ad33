"""A published model with an int8 graph, as training writes it."""

from __future__ import annotations

import io
import json
import tempfile
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort
from numpy.typing import NDArray
from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static

from service import artifact
from service.int8 import Int8
from tests.service.published import Network, publish
from tests.service.trapped import replace

# A comparison that shows an int8 graph of three classes to be as good.
EVIDENCE = Int8(
    rows=3000,
    log_loss_fp32=0.2,
    log_loss_int8=0.2,
    labels_changed=2,
    max_probability_change=0.01,
    class_rows=(1000, 1000, 1000),
    class_lost=(1, 0, 0),
    class_won=(0, 1, 0),
)


class _Rows(CalibrationDataReader):
    def __init__(self, rows: NDArray[np.float32]) -> None:
        self._rows: Iterator[dict[str, NDArray[np.float32]]] = iter([{"inputs": rows}])

    def get_next(self) -> dict[str, NDArray[np.float32]] | None:
        return next(self._rows, None)


def quantized(graph: bytes, rows: NDArray[np.float32]) -> bytes:
    """The graph with int8 weights and uint8 activations, calibrated on ``rows`` (rows, features)."""
    with tempfile.TemporaryDirectory() as folder:
        written = Path(folder) / "int8.onnx"
        quantize_static(
            onnx.load_from_string(graph),
            written,
            _Rows(rows),
            quant_format=QuantFormat.QDQ,
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
            op_types_to_quantize=["MatMul", "Gemm"],
        )
        return written.read_bytes()


def publish_int8(models_dir: Path, name: str = "small") -> Network:
    """Write ``models_dir/name/1`` with an int8 graph, its golden answers and its comparison."""
    network = publish(models_dir, name)
    version_dir = models_dir / name / "1"
    with np.load(version_dir / artifact.GOLDEN) as golden:
        arrays = dict(golden)
    features = arrays["inputs"].shape[1]
    graph = quantized(network.graph(), np.random.default_rng(5).normal(0, 1, (512, features)).astype(np.float32))
    probabilities, prediction = ort.InferenceSession(graph).run(None, {"inputs": arrays["inputs"]})
    file = io.BytesIO()
    np.savez(file, **arrays, int8_probabilities=probabilities, int8_prediction=prediction)
    replace(version_dir, artifact.GOLDEN, file.getvalue())
    replace(version_dir, artifact.MODEL_INT8, graph)
    manifest = json.loads((version_dir / artifact.MANIFEST).read_bytes())
    manifest["scores"]["int8"] = {"accuracy": 0.5}
    manifest["int8"] = asdict(EVIDENCE)
    (version_dir / artifact.MANIFEST).write_text(json.dumps(manifest))
    return network
