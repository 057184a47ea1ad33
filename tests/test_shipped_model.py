"""The model that comes with the repository: 10,000 test images over HTTP are answered as its card says."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from service import artifact
from tests.asked import ask, assert_counted
from tests.service.running import Running
from training.data import fashion_mnist
from training.release import onnx_runtime

MODELS = Path(__file__).parents[1] / "models"
NAME = fashion_mnist.NAME


@pytest.mark.parametrize("precision", ["fp32", "int8"])
def test_every_test_image_is_answered_as_on_the_card(precision: str) -> None:
    version = max(artifact.versions(MODELS / NAME))
    published = artifact.read(MODELS / NAME / str(version))
    dataset = fashion_mnist.load(None)
    inputs, labels = dataset.inputs[-dataset.test_rows :], dataset.targets[-dataset.test_rows :]
    graph = published.model if precision == "fp32" else published.model_int8
    assert graph is not None
    probabilities, classes = onnx_runtime.run(graph, inputs)
    with Running(MODELS, "--precision", precision, "--provider", "cpu", "--model", NAME) as server:
        images = inputs.reshape(-1, 28, 28)
        found = [ask(server, images[:2000], 1)] + [ask(server, images, batch_rows) for batch_rows in (7, 32, 1000)]
        assert_counted(server, found)
    for asked in found:
        rows = len(asked.classes)
        assert asked.models == {(NAME, version)}
        assert np.array_equal(asked.classes, classes[:rows])
        assert asked.predictions == [published.manifest.classes[place] for place in classes[:rows]]
        assert np.array_equal(asked.probabilities, probabilities[:rows])
    # on another processor than it was trained on, the last bits may decide otherwise about a row that nearly ties
    accuracy = published.manifest.scores[precision]["accuracy"]
    assert (found[-1].classes == labels).mean() == pytest.approx(accuracy, abs=0.0005)
