"""A fitted estimator's network becomes a published version, proved and with a card, as the command line's do."""

from __future__ import annotations

import hashlib
import platform
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray

from training.data.dataset import Column, Dataset, Label
from training.data.split import Split
from training.engine.trainer import Epoch
from training.errors import ParityError
from training.model.network import Network
from training.recipe.train import outputs_of
from training.release import evaluate, onnx_export, parity, publish
from training.release.training_run import TrainingRun


@dataclass(frozen=True, slots=True)
class Fitted:
    """What is known of a fitted estimator: its network, the ``activation`` of the outputs, and how it came about.

    ``labels`` are the classes in their own type, none where numbers are predicted; ``seed`` is None where there was
    none; ``expected`` is what the estimator itself answers for the test rows.
    """

    network: Network
    activation: str
    features: Sequence[str]
    labels: tuple[Label, ...]
    hidden: Sequence[int]
    hidden_activation: str
    seed: int | None
    chosen: Mapping[str, Any]
    history: Sequence[Epoch]
    kept: Epoch
    expected: NDArray[Any]


_KEPT_WITHIN: Final = 0.01  # of a probability, or of the range of what is answered

Rows = tuple[NDArray[Any], NDArray[Any]]


def release(fitted: Fitted, models_dir: Path, name: str, train: Rows, test: Rows) -> Path:
    """Write ``models_dir/<name>/<next version>``; its folder.

    ``train`` and ``test`` are inputs (rows, features), as a `Dataset` has them, and targets: int64 (rows,) places in
    ``fitted.labels`` or float64 (rows, targets). Raises `TrainingError` where the name or the folder will not do, or
    the proof fails.
    """
    dataset = _dataset(fitted, name, train, test)
    publish.check(models_dir, name)
    publish.check_names(dataset)
    rows = np.arange(len(dataset.inputs))
    parts = Split(rows[: len(train[0])], rows[:0], rows[len(train[0]) :])
    outputs = torch.from_numpy(outputs_of(fitted.network, test[0]))
    answers = [each.numpy() for each in onnx_export.ANSWERS[fitted.activation](outputs)]
    _check_kept(answers[0], fitted.expected, classifies=dataset.classifies)
    graph = onnx_export.export(
        fitted.network, len(fitted.features), classifies=dataset.classifies, activation=fitted.activation
    )
    judge = evaluate.classification if dataset.classifies else evaluate.regression
    outcome = TrainingRun(
        name=name,
        command=f"publish() in Python {platform.python_version()}",
        dataset=dataset,
        split=parts,
        chosen=fitted.chosen,
        hidden=fitted.hidden,
        activation=fitted.hidden_activation,
        seed=fitted.seed,
        device="cpu",
        history=fitted.history,
        teacher_history=(),
        kept=fitted.kept,
        fit_s=sum(epoch.duration_s for epoch in fitted.history),
        temperature=None,
        graph=graph,
        answers=answers,
        parity=parity.prove(graph, test[0], answers),
        int8=None,
        scores={"fp32": judge(answers[0], test[1])},
    )
    return publish.publish(outcome, models_dir)


def _check_kept(answers: NDArray[Any], expected: NDArray[Any], *, classifies: bool) -> None:
    """Raise `ParityError` where the published network, whose layers are in float32, is not the estimator any more."""
    apart = np.abs(answers.astype(np.float64) - expected)
    allowed = _KEPT_WITHIN * (np.ones(1) if classifies else np.ptp(expected, axis=0))
    if not (apart <= allowed).all():  # NaN compares false
        raise ParityError(
            f"in float32, as it would be served, the network answers up to {apart.max():.2g} away from what it says "
            "itself; scale features and targets before fit, such as with StandardScaler; nothing is published"
        )


def _dataset(fitted: Fitted, name: str, train: Rows, test: Rows) -> Dataset:
    inputs, targets = (np.concatenate(pair) for pair in zip(train, test, strict=True))
    digest = hashlib.sha256(inputs.tobytes() + targets.tobytes()).hexdigest()
    numbers = 1 if targets.ndim == 1 else targets.shape[1]
    return Dataset(
        name=name,
        inputs=inputs,
        targets=targets,
        labels=fitted.labels,
        columns=tuple(map(Column, fitted.features)),
        target_names=("target",) if numbers == 1 else tuple(f"target_{place}" for place in range(numbers)),
        shape=(len(fitted.features),),
        source={"name": name, "from": "arrays given to publish()", "sha256": digest},
    )
