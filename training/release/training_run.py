"""What is known of a finished training run, and of the version made from it: the input of the manifest and the card."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from service.importance import Importance
from training.data.dataset import Dataset
from training.data.split import Split
from training.engine.trainer import Epoch
from training.model.network import Network
from training.release.promotion import Judgement
from training.release.quantize import Comparison
from training.release.search_result import SearchResult
from training.release.thresholds import Thresholds


@dataclass(frozen=True, slots=True)
class TrainingRun:
    """A trained network, its data, and how it was trained.

    ``hidden`` are the units of each of the ``members`` of an ensemble, one for a single network. ``activation`` is that
    of the hidden layers, ``output_activation`` a key of `onnx_export.OUTPUT_ACTIVATIONS`.
    ``config`` maps every option to its value. ``history`` has the epochs in order, ``teacher_history`` those of the
    teacher, if there was one; ``best_epoch`` is the epoch whose weights the network has. ``fit_s`` is the training time
    in seconds. ``seed`` is None for an unseeded run, ``temperature`` for an uncalibrated network, ``search`` if nobody
    searched the options.
    """

    name: str
    command: str
    dataset: Dataset
    split: Split
    network: Network
    hidden: Sequence[int]
    activation: str
    output_activation: str
    config: Mapping[str, Any]
    seed: int | None
    device: str
    history: Sequence[Epoch]
    best_epoch: Epoch
    fit_s: float
    members: int = 1
    temperature: float | None = None
    teacher_history: Sequence[Epoch] = ()
    search: SearchResult | None = None

    @property
    def test_inputs(self) -> NDArray[Any]:
        """Raw test rows (rows, features)."""
        inputs: NDArray[Any] = self.dataset.inputs[self.split.test]
        return inputs

    @property
    def test_targets(self) -> NDArray[Any]:
        """Their targets, int64 (rows,) or float64 (rows, targets)."""
        targets: NDArray[Any] = self.dataset.targets[self.split.test]
        return targets

    @property
    def test_weights(self) -> NDArray[np.float64] | None:
        """Their weights (rows,); None for equal weights."""
        return self.dataset.weights_of(self.split.test)

    @property
    def commonest_class(self) -> str:
        """The class with the largest weight in the training rows."""
        dataset, train = self.dataset, self.split.train
        totals = np.bincount(dataset.targets[train], dataset.weights_of(train), len(dataset.labels))
        return dataset.class_names[int(totals.argmax())]


@dataclass(frozen=True, slots=True)
class Candidate:
    """A run that is evaluated, exported and checked, ready to be published.

    ``outputs`` are those of torch for the test rows, as the graph has them: probabilities and prediction, or values.
    ``int8`` is None if the network was not quantized. ``no_int8`` says, as a clause, why no int8 graph may be
    published; it is None if one may. ``scores`` maps each published precision to its test scores; ``baseline`` has
    those of a constant answer. ``thresholds`` is None unless there are two classes. ``influence`` are
    the columns, those that move the outputs most first; empty for images, as ``importance`` is None. ``judgement``
    compares it with the newest version.
    """

    run: TrainingRun
    graph: bytes
    outputs: Sequence[NDArray[Any]]
    parity: Mapping[str, float]
    int8: Comparison | None
    scores: Mapping[str, Mapping[str, float]]
    judgement: Judgement = field(default_factory=Judgement)
    no_int8: str | None = None
    baseline: Mapping[str, float] = field(default_factory=dict)
    thresholds: Thresholds | None = None
    influence: Sequence[int] = ()
    importance: Importance | None = None

    @property
    def int8_graph(self) -> bytes | None:
        """The int8 graph, if it may be published."""
        return self.int8.graph if self.int8 is not None and self.no_int8 is None else None
