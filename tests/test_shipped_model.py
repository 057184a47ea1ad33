"""The shipped model has the accuracy on its card for 10,000 test images over HTTP, in fp32 and in int8."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from service import artifact
from tests.predictions import assert_metrics_match, predict
from tests.service.running import Running
from training.data import fashion_mnist
from training.data.dataset import TEST
from training.release import onnx_runtime

MODELS = Path(__file__).parents[1] / "models"
NAME = fashion_mnist.NAME


@pytest.mark.parametrize("precision", ["fp32", "int8"])
def test_the_accuracy_over_http_is_that_of_the_card(precision: str) -> None:
    version = max(artifact.versions(MODELS / NAME))
    published = artifact.read(MODELS / NAME / str(version))
    dataset = fashion_mnist.load(None)
    test = dataset.division.rows_of(TEST)
    inputs, labels = dataset.inputs[test], dataset.targets[test]
    graph = published.model if precision == "fp32" else published.model_int8
    assert graph is not None
    probabilities, classes = onnx_runtime.run(graph, inputs)
    with Running(MODELS, "--precision", precision, "--provider", "cpu", "--model", NAME) as server:
        images = inputs.reshape(-1, 28, 28)
        results = [predict(server, images[:2000], 1)] + [
            predict(server, images, batch_rows) for batch_rows in (7, 32, 1000)
        ]
        assert_metrics_match(server, results)
    for result in results:
        rows = len(result.classes)
        assert result.models == {(NAME, version)}
        assert np.array_equal(result.classes, classes[:rows])
        assert result.labels == [published.manifest.classes[index] for index in classes[:rows]]
        assert np.array_equal(result.probabilities, probabilities[:rows])
    # Near ties may be decided differently on another processor.
    accuracy = published.manifest.scores[precision]["accuracy"]
    assert (results[-1].classes == labels).mean() == pytest.approx(accuracy, abs=0.0005)
