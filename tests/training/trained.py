"""Run the command line in this process, and train the same network again to compare with what was published."""

from __future__ import annotations

import contextlib
import io
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from service import artifact
from service.artifact import Artifact
from training.cli import parser
from training.cli.run import main
from training.config import Config
from training.data import source
from training.data.dataset import Dataset
from training.data.split import Split, split
from training.model.network import Network
from training.recipe.train import outputs_of, train_network
from training.release import onnx_export


@dataclass(frozen=True)
class Trained:
    """A published run. ``log`` is its stderr; ``network`` was trained again, with the same seed."""

    folder: Path
    log: str
    dataset: Dataset
    config: Config
    parts: Split
    network: Network

    @property
    def published(self) -> Artifact:
        return artifact.read(self.folder)

    @property
    def test_inputs(self) -> NDArray[Any]:
        return np.asarray(self.dataset.inputs[self.parts.test])

    @property
    def test_targets(self) -> NDArray[Any]:
        return np.asarray(self.dataset.targets[self.parts.test])

    @property
    def outputs(self) -> list[NDArray[Any]]:
        """Torch's outputs for the test rows: probabilities and prediction, or values."""
        activation = "softmax" if self.dataset.classifies else "identity"
        return onnx_export.outputs_of(outputs_of(self.network, self.test_inputs), activation)


def golden_of(published: Artifact) -> dict[str, NDArray[Any]]:
    """The golden rows of a published version and their outputs."""
    with np.load(io.BytesIO(published.golden), allow_pickle=False) as file:
        return dict(file)


def run(models: Path, *arguments: str) -> tuple[int, str]:
    """The exit status and stderr of the command line."""
    with contextlib.redirect_stderr(io.StringIO()) as log:
        status = main([*arguments, "--models", str(models)])
    return status, log.getvalue()


def train(models: Path, name: str, *options: str) -> Trained:
    """Train on a bundled data set and publish version 1."""
    status, log = run(models, name, *options)
    assert status == 0, log
    dataset = source.load(name)
    config = parser.parse([name, *options]).config(images=dataset.images)
    parts = split(dataset, config)
    network = train_network(dataset, parts, config, torch.device("cpu"), lambda _: None).network
    return Trained(models / dataset.name / "1", log, dataset, config, parts, network)
