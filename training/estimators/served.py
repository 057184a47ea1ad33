"""What happens to a fitted estimator: its weights, a summary, an ONNX file, a published version."""

from __future__ import annotations

import os
from abc import abstractmethod
from collections.abc import Sequence
from numbers import Integral
from pathlib import Path
from typing import Any

from numpy.typing import NDArray
from sklearn.base import BaseEstimator, is_regressor
from sklearn.utils.validation import check_is_fitted
from torch import nn

from training.data.dataset import Column, Label
from training.estimators import publishing
from training.estimators.recording import Recording
from training.model.network import Network
from training.release.estimator_run import Fitted
from training.run import network_summary


class Served(Recording, BaseEstimator):  # type: ignore[misc]
    """Publishing; subclasses say what is published."""

    activation: str
    n_features_in_: int

    @abstractmethod
    def _dataset_rows(self, X: Any, y: Any) -> tuple[NDArray[Any], NDArray[Any]]:
        """Rows, dense, and their targets as a `Dataset` has them. Raises `ValueError`."""

    @abstractmethod
    def _graph_outputs(self, X: Any) -> NDArray[Any]:
        """Predict what the graph returns: probabilities (rows, classes), or values (rows, targets)."""

    @abstractmethod
    def _served_body(self) -> tuple[nn.Sequential, str]:
        """A copy of the network on the CPU in float64, and the activation of its outputs."""

    @abstractmethod
    def _labels(self) -> tuple[Label, ...]:
        """The classes as a `Dataset` has them, none for a regressor. Raises `TrainingError` if no server can answer."""

    @property
    def coefs_(self) -> list[NDArray[Any]]:
        """Weights of each layer (n_inputs, n_units); views of the network if it is on the CPU."""
        return [layer.weight.detach().cpu().numpy().T for layer in self._linear_layers()]

    @property
    def intercepts_(self) -> list[NDArray[Any]]:
        """Biases of each layer (n_units,); views of the network if it is on the CPU."""
        return [layer.bias.detach().cpu().numpy() for layer in self._linear_layers()]

    def _linear_layers(self) -> list[nn.Linear]:
        if not hasattr(self, "body_"):
            raise AttributeError(f"this {type(self).__name__} is not fitted yet")
        return [layer for layer in self.body_ if isinstance(layer, nn.Linear)]

    def export_onnx(self, path: str | os.PathLike[str]) -> None:
        """Write the network to an ONNX file, in float32.

        The graph has the input ``inputs`` (rows, features). For classes its outputs are ``probabilities``
        (rows, classes) and ``prediction`` int64 (rows,), an index of ``classes_``; with several labels per row both
        are (rows, labels). For a regressor its output is ``prediction`` (rows, targets).

        Parameters
        ----------
        path : str or path-like
            The file to write.
        """
        check_is_fitted(self)
        body, activation = self._served_body()
        graph = publishing.export(body, self._feature_names(), activation=activation, classifies=not is_regressor(self))
        Path(path).write_bytes(graph)

    def publish(
        self,
        models_dir: str | os.PathLike[str],
        name: str,
        *,
        train: tuple[Any, Any],
        test: tuple[Any, Any],
        breaking: bool = False,
        force: bool = False,
    ) -> Path:
        """Publish the next version of a model for `mlp-serve`.

        It is compared with the newest version of that name: it must take the same
        features, answer with the same labels, and not be worse on the rows of ``test``.
        Otherwise it is kept in a hidden folder and not published.

        The graph takes float64 if float32 would round different values of a feature in ``train`` to the same number,
        and returns float64 if that happens to a target.

        A classifier with 65,536 weights or more between its hidden layers is also quantized to int8: up to 2,000 rows
        of ``train``, selected by ``random_state``, calibrate it, and up to 10,000 others compare it with float32. It
        is published beside the float32 graph if it is as good.

        Parameters
        ----------
        models_dir : str or path-like
            The folder of all models.
        name : str
            The name of the model.
        train : tuple of (X, y)
            The rows that `fit` was given. They describe the features in the model card.
        test : tuple of (X, y)
            Rows that `fit` has not seen, for the scores and for the server's self-check.
        breaking : bool, default=False
            Publish even if clients of the newest version have to change.
        force : bool, default=False
            Publish even if it is worse than the newest version.

        Returns
        -------
        folder : pathlib.Path
            The folder of the new version, ``models_dir/name/<version>``.

        Raises
        ------
        TrainingError
            If the network cannot be served, or predicts something else than the estimator.
        NotPromoted
            A `TrainingError`: if the version breaks clients, or is worse.
        """
        check_is_fitted(self)
        publishing.check_rows("train", train)
        publishing.check_rows("test", test)
        train_rows, test_rows = self._dataset_rows(*train), self._dataset_rows(*test)
        body, _ = self._served_body()
        features = self._feature_names()
        network = publishing.network(body, features, train_rows)
        fitted = self._fitted(network, tuple(map(Column, features)), self._graph_outputs(test[0]))
        return publishing.publish(fitted, Path(models_dir), name, train_rows, test_rows, breaking=breaking, force=force)

    def _fitted(self, network: Network, columns: Sequence[Column], predictions: NDArray[Any]) -> Fitted:
        """What is published: ``network``, which takes ``columns``, and its ``predictions`` for the test rows."""
        return Fitted(
            network=network,
            output_activation=self._served_body()[1],
            columns=columns,
            labels=self._labels(),
            hidden=[layer.out_features for layer in self._linear_layers()[:-1]],
            activation=self.activation,
            seed=int(self.random_state) if isinstance(self.random_state, Integral) else None,
            config=publishing.as_json(self.get_params(deep=False)),
            history=self.history_,
            best_epoch=self._best_epoch(),
            predictions=predictions,
        )

    def _feature_names(self) -> list[str]:
        return [str(each) for each in getattr(self, "feature_names_in_", map("x{}".format, range(self.n_features_in_)))]

    def summary(self) -> str:
        """Describe the network and its training.

        Returns
        -------
        text : str
            A table of the layers with their parameters and sizes, where the time went,
            and the losses and scores.
        """
        check_is_fitted(self)
        score_name = "R²" if is_regressor(self) else "accuracy"
        title = f"{type(self).__name__}: {self.n_features_in_} features"
        return network_summary.describe(title, self.body_, self.history_, self._best_epoch(), {}, score_name)
