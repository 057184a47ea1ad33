"""All that is known of a finished run, for its manifest and its card."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from numpy.typing import NDArray

from training.data.dataset import Dataset
from training.data.split import Split
from training.engine.trainer import Epoch
from training.release.quantize import Comparison


@dataclass(frozen=True, slots=True)
class TrainingRun:
    """``answers`` are torch's for the test rows: probabilities and prediction, or values. ``int8`` is None where the
    network was not compared in int8; ``scores`` has those of each precision that is published, over the test rows.
    ``chosen`` is every choice that was made, for the manifest; ``kept`` the epoch whose weights stayed.
    ``teacher_history`` has its teacher's epochs, none where it had no teacher. ``seed`` is None where chance was left
    to itself, ``temperature`` where nothing was calibrated."""

    name: str
    command: str
    dataset: Dataset
    split: Split
    chosen: Mapping[str, Any]
    hidden: Sequence[int]
    activation: str
    seed: int | None
    device: str
    history: Sequence[Epoch]
    teacher_history: Sequence[Epoch]
    kept: Epoch
    fit_s: float
    temperature: float | None
    graph: bytes
    answers: Sequence[NDArray[Any]]
    parity: Mapping[str, float]
    int8: Comparison | None
    scores: Mapping[str, Mapping[str, float]]

    @property
    def test_inputs(self) -> NDArray[Any]:
        """Raw test rows (rows, features)."""
        inputs: NDArray[Any] = self.dataset.inputs[self.split.test]
        return inputs

    @property
    def test_targets(self) -> NDArray[Any]:
        """Their true targets."""
        targets: NDArray[Any] = self.dataset.targets[self.split.test]
        return targets

    @property
    def int8_graph(self) -> bytes | None:
        """The graph in int8 where it may be published."""
        return self.int8.graph if self.int8 is not None and self.int8.as_good else None
