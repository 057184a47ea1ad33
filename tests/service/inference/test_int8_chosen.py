"""Which graph serves, and why not the int8 graph."""

from __future__ import annotations

import io
import logging
from pathlib import Path

import numpy as np
import onnxruntime as ort
import pytest

from service import artifact
from service.errors import ModelRefused
from tests.service.inference.loading import load_newest
from tests.service.published import Network, publish, rewrite
from tests.service.quantized import publish_int8, quantized
from tests.service.trapped import replace


def publish_another(models: Path, change: float) -> None:
    """Publish an int8 graph, and its golden answers, of a network whose last weights are ``change`` times larger."""
    network = publish_int8(models)
    version_dir = models / "small" / "1"
    with np.load(version_dir / artifact.GOLDEN) as golden:
        arrays = dict(golden)
    random = np.random.default_rng(5).normal(0, 1, (512, arrays["inputs"].shape[1])).astype(np.float32)
    graph = quantized(Network(network.first, network.last * np.float32(change)).graph(), random)
    probabilities, prediction = ort.InferenceSession(graph).run(None, {"inputs": arrays["inputs"]})
    file = io.BytesIO()
    np.savez(file, **(arrays | {"int8_probabilities": probabilities, "int8_prediction": prediction}))
    replace(version_dir, artifact.GOLDEN, file.getvalue())
    replace(version_dir, artifact.MODEL_INT8, graph)


def test_a_graph_that_agrees_with_fp32_serves(tmp_path: Path) -> None:
    publish_another(tmp_path, 1.0)
    model = load_newest(tmp_path)
    assert (model.precision, model.why_not_int8) == ("int8", None)


def test_a_graph_that_does_not_serve_is_neither_built_nor_checked(tmp_path: Path) -> None:
    publish_int8(tmp_path)
    replace(tmp_path / "small" / "1", artifact.MODEL, b"no graph")
    assert load_newest(tmp_path).precision == "int8"
    with pytest.raises(ModelRefused, match="the graph does not load"):
        load_newest(tmp_path, precision="fp32")


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        (0.01, "it changes a probability of a golden row by 0."),
        (1.3, "it changes a probability of a golden row by "),
    ],
)
def test_a_graph_whose_golden_rows_disagree_with_fp32_runs_only_on_request(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, change: float, fault: str
) -> None:
    """As of a table in raw units, published by limits that looked at labels alone."""
    publish_another(tmp_path, change)
    caplog.clear()
    with caplog.at_level(logging.WARNING):
        model = load_newest(tmp_path)
        requested = load_newest(tmp_path, precision="int8")
    assert model.precision == "fp32"
    assert str(model.why_not_int8).startswith(f"the int8 graph is not as good: {fault}")
    assert (requested.precision, requested.why_not_int8) == ("int8", None)
    refused, forced = (record.getMessage() for record in caplog.records)
    assert refused.startswith(f"small runs in fp32: its int8 graph is not as good: {fault}")
    assert refused.endswith("; publish it again")
    assert forced.startswith(f"small runs in int8, as --precision asks, though {fault}")


def test_a_graph_that_was_published_without_int8_says_why(tmp_path: Path) -> None:
    publish(tmp_path)
    assert load_newest(tmp_path).why_not_int8 == "it was published without int8"
    rewrite(tmp_path / "small" / "1", lambda document: document.update(no_int8="it would have 8 weights in int8"))
    assert load_newest(tmp_path).why_not_int8 == "it was published without int8: it would have 8 weights in int8"
    assert load_newest(tmp_path, precision="fp32").why_not_int8 == "--precision (MLP_PRECISION) is fp32"
