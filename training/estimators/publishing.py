"""What becomes of a fitted estimator: an ONNX file, or a version that `mlp-serve` serves."""

from __future__ import annotations

import os
from abc import abstractmethod
from numbers import Integral
from pathlib import Path
from typing import Any, Final, cast

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import sparse
from sklearn.base import is_regressor
from sklearn.utils.validation import check_is_fitted
from torch import nn

from training.data import precision
from training.data.dataset import Column, Label
from training.engine.trainer import Epoch
from training.estimators.fitting import Solving
from training.estimators.parameters import STOCHASTIC
from training.model import preprocess as prepared
from training.model.network import Network
from training.model.preprocess import Prepare
from training.release import onnx_export, pipeline

_PLAIN: Final = (bool, int, float, str, tuple, type(None))  # what JSON has a word for


class Serving(Solving):
    """The way out of Python."""

    activation: str
    n_features_in_: int

    @abstractmethod
    def _answering(self) -> tuple[nn.Sequential, str]:
        """A network on the CPU in float64, and what is applied to its outputs to answer a client."""

    @abstractmethod
    def _label_names(self) -> tuple[Label, ...]:
        """The classes in their own type, none for numbers. Raises `TrainingError` where no server can answer them."""

    @abstractmethod
    def _places_or_numbers(self, encoded: NDArray[Any]) -> NDArray[Any]:
        """Encoded targets as a `Dataset` has them."""

    @abstractmethod
    def _validated(self, X: Any, y: Any, *, reset: bool) -> tuple[Any, NDArray[Any]]:
        """Rows and targets as scikit-learn has checked them."""

    @abstractmethod
    def _encode(self, y: NDArray[Any]) -> NDArray[Any]:
        """Targets (rows, outputs) of ``y``: bool for classes, else numbers."""

    def export_onnx(self, path: str | os.PathLike[str]) -> None:
        """Write the network as an ONNX file that takes raw rows and answers as this does, in float32.

        ``inputs`` (rows, features) → ``probabilities`` (rows, classes) and ``prediction`` int64 (rows,), the place of
        the class in ``classes_``; for labels of which several may hold both are (rows, labels); for numbers
        ``prediction`` (rows, targets).
        """
        check_is_fitted(self)
        network, activation = self._served()
        classifies = not is_regressor(self)
        graph = onnx_export.export(network, self.n_features_in_, classifies=classifies, activation=activation)
        Path(path).write_bytes(graph)

    def publish(
        self, models_dir: str | os.PathLike[str], name: str, *, train: tuple[Any, Any], test: tuple[Any, Any]
    ) -> Path:
        """Write the next version of model ``name`` for `mlp-serve`, with manifest, proof and card; its folder.

        ``train`` is (X, y) as given to `fit`, for what features look like; ``test`` is (X, y) that had no part in it,
        for the scores and for what the server proves itself on. Where float32 cannot hold the values of a feature or a
        target in ``train`` apart, the graph takes or gives float64. Raises `TrainingError` where that cannot be done.
        """
        check_is_fitted(self)
        trained, tested = self._given(*train), self._given(*test)
        dtype = np.float64 if any(map(precision.float32_blurs, trained[0].T)) else np.float32
        network, activation = self._served(*trained)
        fitted = pipeline.Fitted(
            network=network,
            activation=activation,
            features=self._features(),
            labels=self._label_names(),
            hidden=[layer.out_features for layer in list(self.body_)[:-1] if isinstance(layer, nn.Linear)],
            hidden_activation=self.activation,
            seed=int(self.random_state) if isinstance(self.random_state, Integral) else None,
            chosen={key: value if isinstance(value, _PLAIN) else repr(value) for key, value in self.chosen().items()},
            history=self.history_,
            kept=self._kept(),
            expected=self._answers(test[0]),
        )
        train, test = ((np.ascontiguousarray(inputs, dtype), targets) for inputs, targets in (trained, tested))
        return pipeline.release(fitted, Path(models_dir), name, train, test)

    def _given(self, X: Any, y: Any) -> pipeline.Rows:
        X, y = self._validated(X, y, reset=False)
        return X.toarray() if sparse.issparse(X) else X, self._places_or_numbers(self._encode(y))

    @abstractmethod
    def _answers(self, X: NDArray[Any]) -> NDArray[Any]:
        """What this answers itself: probabilities (rows, classes), or numbers (rows, targets)."""

    def _features(self) -> list[str]:
        return [str(each) for each in getattr(self, "feature_names_in_", map("x{}".format, range(self.n_features_in_)))]

    @torch.no_grad()
    def _served(self, inputs: NDArray[Any] | None = None, targets: NDArray[Any] | None = None) -> tuple[Network, str]:
        """A network that takes raw rows, and the activation of its outputs; what float32 cannot hold apart of the
        training rows' ``inputs`` (rows, features) and ``targets`` it takes and gives in float64."""
        columns = tuple(map(Column, self._features()))
        prepare = Prepare(columns, torch.zeros(len(columns)), torch.ones(len(columns)))
        body, activation = self._answering()
        first, last = (cast("nn.Linear", body[place]) for place in (0, -1))
        if inputs is not None and any(map(precision.float32_blurs, inputs.T)):
            prepare = prepared.fitted(columns, inputs.astype(np.float64), together=False)
            mean, per_deviation = prepare.standard
            first.bias.add_(first.weight @ mean)
            first.weight.div_(per_deviation)
        network = Network(prepare, body, last.out_features)
        if targets is not None and is_regressor(self) and any(map(precision.float32_blurs, targets.T)):
            network.output_scale = torch.ones_like(last.bias)
            network.output_offset = last.bias.clone()
            last.bias.zero_()
        body.float()
        return network.eval(), activation

    def _kept(self) -> Epoch:
        """The epoch whose weights stayed."""
        if self.early_stopping and self.solver in STOCHASTIC:
            return max(self.history_, key=lambda epoch: epoch.validation_score)
        return self.history_[-1]
