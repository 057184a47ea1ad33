"""The network of a fitted estimator as a graph: an ONNX file, or a published version."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from training.data import precision
from training.data.dataset import Column
from training.errors import OptionError, ParityError
from training.estimators.folding import Folded
from training.model import preprocess
from training.model.network import Network
from training.model.preprocess import Preprocess
from training.model.scaled_columns import ScaledColumns
from training.release import onnx_export, pipeline
from training.release.estimator_run import SCALE, Fitted, Rows, training_run

_JSON_TYPES: Final = (bool, int, float, str, tuple, type(None))


@torch.no_grad()
def network(body: nn.Sequential, features: Sequence[str], train: Rows | None = None) -> Network:
    """Put ``body``, which is on the CPU in float64 and is changed, into a `Network` that takes raw rows.

    Its layers become float32. Inputs and targets in ``train`` that need float64 are scaled outside of them, in float64;
    class indices never need it.
    """
    columns = tuple(map(Column, features))
    preparation = Preprocess(columns, torch.zeros(len(columns)), torch.ones(len(columns)))
    first, last = cast("nn.Linear", body[0]), cast("nn.Linear", body[-1])
    if train is not None and _needs_float64(train[0]):
        preparation = preprocess.fitted(columns, train[0].astype(np.float64), together=False)
        mean, per_deviation = preparation.float64_scaling
        first.bias.add_(first.weight @ mean)
        first.weight.div_(per_deviation)
    found = Network(preparation, body, last.out_features)
    if train is not None and train[1].dtype == np.float64 and _needs_float64(train[1]):
        found.output_scale = torch.ones_like(last.bias)
        found.output_offset = last.bias.clone()
        last.bias.zero_()
    body.float()
    return found.eval()


@torch.no_grad()
def folded_network(body: nn.Sequential, folded: Folded, dtype: torch.dtype) -> Network:
    """Put ``body``, which is on the CPU in float64 and is changed, into a `Network` that takes rows before the steps
    that were ``folded``; they are float32 or float64 as ``dtype``."""
    first = cast("nn.Linear", body[0])
    body[0] = merged = nn.Linear(folded.matrix.shape[0], first.out_features, dtype=torch.float64)
    merged.weight.copy_(torch.from_numpy(folded.matrix @ first.weight.numpy().T).T)
    merged.bias.copy_(first.bias + first.weight @ torch.tensor(folded.constant))
    mean, scale = (torch.tensor(each, dtype=dtype) for each in (folded.mean, folded.scale))
    last = cast("nn.Linear", body[-1])
    return Network(ScaledColumns(folded.columns, mean, scale), body.float(), last.out_features).eval()


def export(body: nn.Sequential, features: Sequence[str], *, activation: str, classifies: bool) -> bytes:
    """Export ``body``, which is changed, with the output ``activation`` as an ONNX graph."""
    exported = network(body, features)
    return onnx_export.export(exported, len(features), classifies=classifies, activation=activation)


def publish(
    fitted: Fitted, models_dir: Path, name: str, train: Rows, test: Rows, *, breaking: bool, force: bool
) -> Path:
    """Publish the next version of model ``name`` and return its folder.

    ``train`` and ``test`` are inputs (rows, features) and targets, as a `Dataset` has them. ``breaking`` and ``force``
    are those of `pipeline.release`. Raises `TrainingError`.
    """
    dtype = np.float64 if dtype_of(train[0]) == torch.float64 else np.float32
    train, test = ((np.ascontiguousarray(inputs, dtype), targets) for inputs, targets in (train, test))
    run = training_run(fitted, name, train, test)
    try:
        return pipeline.release(run, models_dir, breaking=breaking, force=force).folder
    except ParityError as error:
        raise ParityError(f"{error}; {SCALE}") from error


def check_rows(name: str, given: Any) -> None:
    """Raise `OptionError` unless ``given``, the argument ``name``, is a tuple (X, y) of as many rows."""
    if not isinstance(given, (tuple, list)) or len(given) != 2:
        raise OptionError(f"{name} is of type {type(given).__name__}, expected a tuple (X, y)")
    X, y = given
    count = len(next(iter(X.values()), ())) if isinstance(X, Mapping) else getattr(X, "shape", (len(y),))[0]
    if count != len(y):
        raise OptionError(f"{name} has {count:,} rows in X and {len(y):,} in y, expected as many")


def dtype_of(values: NDArray[Any]) -> torch.dtype:
    """The dtype that keeps different values of each column of ``values`` (rows, columns) apart."""
    return torch.float64 if _needs_float64(values) else torch.float32


def as_json(parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Replace values that JSON cannot hold by their `repr`."""
    return {key: value if isinstance(value, _JSON_TYPES) else repr(value) for key, value in parameters.items()}


def _needs_float64(values: NDArray[Any]) -> bool:
    """Whether float32 rounds different values of a column of ``values`` (rows, columns) to the same number."""
    return any(map(precision.needs_float64, values.T))
