"""Export and publish the network of a fitted estimator."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from numbers import Integral
from pathlib import Path
from typing import Any, Final, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from training.data import precision
from training.data.dataset import Column, Label
from training.engine.trainer import Epoch
from training.model import preprocess as prepared
from training.model.network import Network
from training.model.preprocess import Prepare
from training.release import onnx_export, pipeline

_JSON_TYPES: Final = (bool, int, float, str, tuple, type(None))

Arrays = tuple[NDArray[Any], NDArray[Any]]


@dataclass(frozen=True, slots=True)
class FittedNetwork:
    """A trained ``body`` on the CPU in float64, free to be changed, and how it was trained.

    ``hidden`` are the units of the hidden layers, ``parameters`` those of the estimator; ``best_epoch`` is the epoch
    whose weights the body has.
    """

    body: nn.Sequential
    output_activation: str
    classifies: bool
    features: Sequence[str]
    hidden: Sequence[int]
    parameters: Mapping[str, Any]
    history: Sequence[Epoch]
    best_epoch: Epoch


def export(fitted: FittedNetwork) -> bytes:
    """Export the network as an ONNX graph from raw rows float32 to answers."""
    return onnx_export.export(
        _network(fitted), len(fitted.features), classifies=fitted.classifies, activation=fitted.output_activation
    )


def publish(
    fitted: FittedNetwork,
    labels: tuple[Label, ...],
    models_dir: Path,
    name: str,
    train: Arrays,
    test: Arrays,
    *,
    expected: NDArray[Any],
) -> Path:
    """Publish the next version of model ``name`` and return its folder.

    ``train`` and ``test`` are inputs (rows, features) and targets, as a `Dataset` has them; ``labels`` are the classes,
    none for a regressor; ``expected`` is what the estimator predicts for the test rows. Raises `TrainingError`.
    """
    seed = fitted.parameters["random_state"]
    run = pipeline.Fitted(
        network=_network(fitted, train),
        activation=fitted.output_activation,
        features=fitted.features,
        labels=labels,
        hidden=fitted.hidden,
        hidden_activation=fitted.parameters["activation"],
        seed=int(seed) if isinstance(seed, Integral) else None,
        chosen={
            key: value if isinstance(value, _JSON_TYPES) else repr(value) for key, value in fitted.parameters.items()
        },
        history=fitted.history,
        kept=fitted.best_epoch,
        expected=expected,
    )
    dtype = np.float64 if _needs_float64(train[0]) else np.float32
    train, test = ((np.ascontiguousarray(inputs, dtype), targets) for inputs, targets in (train, test))
    return pipeline.release(run, models_dir, name, train, test)


@torch.no_grad()
def _network(fitted: FittedNetwork, train: Arrays | None = None) -> Network:
    """Put the body into a `Network` that takes raw rows.

    Its layers are float32. Inputs or targets in ``train`` that need float64 are scaled outside of them, in float64.
    """
    body = fitted.body
    columns = tuple(map(Column, fitted.features))
    prepare = Prepare(columns, torch.zeros(len(columns)), torch.ones(len(columns)))
    first, last = cast("nn.Linear", body[0]), cast("nn.Linear", body[-1])
    if train is not None and _needs_float64(train[0]):
        prepare = prepared.fitted(columns, train[0].astype(np.float64), together=False)
        mean, per_deviation = prepare.standard
        first.bias.add_(first.weight @ mean)
        first.weight.div_(per_deviation)
    network = Network(prepare, body, last.out_features)
    if train is not None and not fitted.classifies and _needs_float64(train[1]):
        network.output_scale = torch.ones_like(last.bias)
        network.output_offset = last.bias.clone()
        last.bias.zero_()
    body.float()
    return network.eval()


def _needs_float64(values: NDArray[Any]) -> bool:
    """Whether float32 rounds different values of a column of ``values`` (rows, columns) to the same number."""
    return any(map(precision.float32_blurs, values.T))
