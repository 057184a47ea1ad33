"""What `MLPClassifier` and `MLPRegressor` share: `fit`, from rows and targets to a trained network.

Random numbers are drawn from the same generator in the same order as by scikit-learn: initial weights, validation
split, order of the rows. With the same ``random_state`` the network is scikit-learn's, up to rounding.
"""

from __future__ import annotations

import copy
import math
import os
import time
import warnings
from abc import abstractmethod
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from numbers import Integral
from pathlib import Path
from typing import Any, Self

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import sparse
from sklearn.base import BaseEstimator, is_regressor
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted, column_or_1d, validate_data
from torch import Tensor, nn

from training.data.dataset import Label
from training.engine import device, gradient
from training.engine.early_stopping import EarlyStopping
from training.engine.flat_parameters import flattened
from training.engine.loop import Rows
from training.engine.losses import Loss
from training.engine.trainer import Epoch
from training.errors import OptionError
from training.estimators import publishing, solvers
from training.estimators.parameters import STOCHASTIC, Parameters
from training.estimators.rows import forward, row_weights, split, to_inputs
from training.estimators.solvers import Problem, Solver
from training.model.network import glorot_uniform, perceptron
from training.release.estimator_run import Fitted


class BasePerceptron(Parameters, BaseEstimator):  # type: ignore[misc]
    """Training, prediction and publishing; subclasses encode targets and decode outputs.

    Attributes
    ----------
    best_loss_ : float or None
        Lowest training loss of an epoch; None with ``early_stopping``. Only set by
        ``'adam'`` and ``'sgd'``.
    best_validation_score_ : float or None
        Highest validation score of an epoch; None without ``early_stopping``. Only set
        by ``'adam'`` and ``'sgd'``.
    body_ : torch.nn.Sequential
        The trained network, from inputs to outputs before the output activation, in
        the dtype of the training data.
    coefs_ : list of ndarray of shape (n_inputs, n_units)
        Weights of each layer. With ``device='cpu'`` these are views: changing them
        changes the predictions.
    feature_names_in_ : ndarray of shape (n_features_in_,)
        Names of the features. Only set if `fit` got names, all of them strings.
    history_ : list of Epoch
        ``number``, ``train_loss``, ``validation_loss``, ``validation_score`` and
        ``duration_s`` of each epoch or iteration. Validation results are NaN without
        validation rows.
    intercepts_ : list of ndarray of shape (n_units,)
        Biases of each layer; views like ``coefs_``.
    loss_ : float
        Training loss of the last epoch or iteration.
    loss_curve_ : list of float
        Training loss of each epoch. Only set by ``'adam'`` and ``'sgd'``.
    n_features_in_ : int
        Number of features.
    n_iter_ : int
        Number of epochs or iterations of the last call.
    n_layers_ : int
        Number of layers, input and output included.
    n_outputs_ : int
        Number of outputs of the network.
    t_ : int
        Number of rows that ``'adam'`` or ``'sgd'`` has trained on, repeated ones
        included.
    validation_loss_curve_ : list of float or None
        Validation loss of each epoch; None without validation rows. Only set by
        ``'adam'`` and ``'sgd'``.
    validation_scores_ : list of float or None
        Validation score of each epoch, accuracy or R²; None without validation rows.
        Only set by ``'adam'`` and ``'sgd'``.
    """

    activation: str
    hidden_layer_sizes: int | Sequence[int]
    n_features_in_: int
    body_: nn.Sequential
    history_: list[Epoch]
    n_iter_: int
    t_: int
    loss_: float
    loss_curve_: list[float]
    best_loss_: float | None
    validation_scores_: list[float] | None
    validation_loss_curve_: list[float] | None
    best_validation_score_: float | None
    _optimizer: Solver | None
    _no_improvement_count: int

    @abstractmethod
    def _fit_targets(self, y: NDArray[Any], *, incremental: bool) -> None:
        """Learn the classes, or check that ``y`` has the known ones."""

    @abstractmethod
    def _encode(self, y: NDArray[Any]) -> NDArray[Any]:
        """Encode ``y`` as (rows, outputs): bool for classes, numbers otherwise."""

    @abstractmethod
    def _loss_targets(self, encoded: NDArray[Any]) -> Tensor:
        """Convert encoded targets to what the loss takes."""

    @abstractmethod
    def _dataset_targets(self, encoded: NDArray[Any]) -> NDArray[Any]:
        """Convert encoded targets to those of a `Dataset`: class indices int64 (rows,), or float64 (rows, targets)."""

    @abstractmethod
    def _class_weights(self, encoded: NDArray[Any]) -> NDArray[Any] | None:
        """Weight of each row (rows,) for its class; None if all classes weigh the same."""

    @abstractmethod
    def _output_activation(self) -> str:
        """Name of the output activation."""

    @abstractmethod
    def _losses(self) -> tuple[Loss, Loss]:
        """The loss for training and the loss for validation."""

    @abstractmethod
    def _score_outputs(self, outputs: Tensor, rows: Rows) -> float:
        """Accuracy or R² of finite ``outputs`` (rows, outputs)."""

    @abstractmethod
    def _graph_outputs(self, X: Any) -> NDArray[Any]:
        """Predict what the graph returns: probabilities (rows, classes), or values (rows, targets)."""

    @abstractmethod
    def _served_body(self) -> tuple[nn.Sequential, str]:
        """A copy of the network on the CPU in float64, and the activation of its outputs."""

    @abstractmethod
    def _labels(self) -> tuple[Label, ...]:
        """The classes as a `Dataset` has them, none for a regressor. Raises `TrainingError` if no server can answer."""

    def fit(self, X: Any, y: Any, sample_weight: Any = None, *, validation_data: tuple[Any, ...] | None = None) -> Self:
        """Train the network.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Training rows. The network is float32 for float32 rows, else float64.
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
            Targets: classes, 0 and 1 for each label, or numbers.
        sample_weight : array-like of shape (n_samples,), default=None
            Weight of each row in the loss; None weighs all rows the same.
        validation_data : tuple of (X, y) or (X, y, sample_weight), default=None
            Rows that ``'adam'`` and ``'sgd'`` evaluate after each epoch, and use for
            ``early_stopping``. They are not trained on.

        Returns
        -------
        self : object
            The fitted estimator.

        Raises
        ------
        ValueError
            If a parameter or an argument is invalid, or training diverged.

        Warns
        -----
        ConvergenceWarning
            If training ended before it converged.
        """
        return self._fit(X, y, sample_weight, validation_data, incremental=False)

    def _fit(
        self, X: Any, y: Any, sample_weight: Any, validation_data: tuple[Any, ...] | None, *, incremental: bool
    ) -> Self:
        """`fit`, or `partial_fit` if ``incremental``."""
        self.check()
        if incremental and self.early_stopping:
            raise ValueError("partial_fit does not support early_stopping=True: it trains for one epoch only")
        fresh = not hasattr(self, "body_") or not (self.warm_start or incremental)
        X, y = self._validate(X, y, reset=fresh)
        self._fit_targets(y, incremental=incremental)
        encoded = self._encode(y)
        weights = row_weights(X, sample_weight, self._class_weights(encoded))
        random = check_random_state(self.random_state)
        chosen_device = self._choose_device()
        if fresh:
            self._initialize(X, encoded.shape[1], random)
        elif encoded.shape[1] != self.n_outputs_:
            raise ValueError(f"y has {encoded.shape[1]} targets, expected {self.n_outputs_} as in the previous fit")
        if fresh or (self.solver in STOCHASTIC and not hasattr(self, "loss_curve_")):
            self._reset_progress()
        self.body_.to(chosen_device)
        train, validation = self._split(X, encoded, weights, validation_data, random)
        self._train(train, validation, random, incremental=incremental)
        if not all(bool(each.isfinite().all()) for each in self.body_.parameters()):
            raise ValueError(
                "Solver produced non-finite parameter weights. The input data may contain large values and need to be "
                "preprocessed."
            )
        return self

    def _train(self, train: Rows, validation: Rows | None, random: np.random.RandomState, *, incremental: bool) -> None:
        """Run the solver; after each epoch evaluate, record, call the callbacks, and stop if nothing improves."""
        solver = (self._optimizer if incremental else None) or solvers.create(self)
        early_stopping = None
        if self.solver in STOCHASTIC:
            self._optimizer = solver
            early_stopping = self._restore_early_stopping()
        loss, validation_loss = self._losses()
        started_s = time.perf_counter()

        def on_epoch(number: int, train_loss: float) -> bool:
            nonlocal started_s
            evaluated = (math.nan, math.nan) if validation is None else self._evaluate(validation, validation_loss)
            epoch = Epoch(number, train_loss, *evaluated, time.perf_counter() - started_s)
            self._record(epoch)
            if early_stopping is not None:
                self._record_progress(epoch, len(train.inputs), early_stopping, validated=validation is not None)
                solver.end_epoch(self.t_)
            stop = self._call_callbacks(epoch)
            if early_stopping is not None and not stop:
                stop = early_stopping.should_stop and not self._lower_rate(solver, early_stopping)
            started_s = time.perf_counter()
            return stop

        batch_rows = self._batch_rows(len(train.inputs))
        max_epochs = 1 if incremental else self.max_iter
        failure = ""
        with flattened(self.body_) as flat, self._seed_dropout(random), device.threads_for(self.body_, batch_rows):
            problem = Problem(self.body_, flat, train, loss, self, batch_rows, max_epochs, random)
            try:
                self.n_iter_, self.loss_, failure = solver.run(problem, on_epoch)
            except KeyboardInterrupt:
                if early_stopping is None:  # the weights may be in the middle of a line search
                    raise
                warnings.warn("Training was interrupted; the network keeps what it has learned.", stacklevel=4)
        if early_stopping is not None:
            self._no_improvement_count = early_stopping.no_improvement_count
            early_stopping.restore_best()
        if failure and not incremental:
            warnings.warn(failure, ConvergenceWarning, stacklevel=4)

    def _can_partial_fit(self) -> bool:
        """Whether there is a `partial_fit`, for scikit-learn's `available_if`."""
        if self.solver not in STOCHASTIC:
            raise AttributeError(f"partial_fit needs the solver 'adam' or 'sgd', and solver is {self.solver!r}")
        return True

    def _validate(self, X: Any, y: Any, *, reset: bool) -> tuple[Any, NDArray[Any]]:
        X, y = validate_data(
            self,
            X,
            y,
            accept_sparse=["csr", "csc"],
            multi_output=True,
            y_numeric=is_regressor(self),
            dtype=(np.float64, np.float32),
            reset=reset,
        )
        if y.ndim == 2 and y.shape[1] == 1:
            y = column_or_1d(y, warn=True)
        return X.tocsr() if sparse.issparse(X) else X, y

    def _initialize(self, X: Any, outputs: int, random: np.random.RandomState) -> None:
        """Create the network and draw its weights."""
        sizes = self.hidden_layer_sizes
        hidden = tuple(sizes) if isinstance(sizes, Iterable) else (sizes,)
        self.n_outputs_ = outputs
        self.n_layers_ = len(hidden) + 2
        self.out_activation_ = self._output_activation()
        with torch.device("meta"):  # no memory and no random numbers yet
            body = perceptron(X.shape[1], hidden, outputs, self.activation, self.dropout, batch_norm=self.batch_norm)
        self.body_ = body.to_empty(device="cpu").to(torch.from_numpy(np.empty(0, X.dtype)).dtype)
        for layer in self.body_:
            if isinstance(layer, nn.BatchNorm1d):
                layer.reset_parameters()
        glorot_uniform(self.body_, random)

    def _reset_progress(self) -> None:
        self.history_ = []
        self.n_iter_ = self.t_ = self._no_improvement_count = 0
        self._optimizer = None
        if self.solver in STOCHASTIC:
            self.loss_curve_ = []
            self.best_loss_ = None if self.early_stopping else math.inf
            self.validation_scores_ = None
            self.validation_loss_curve_ = None
            self.best_validation_score_ = -math.inf if self.early_stopping else None

    def _choose_device(self) -> torch.device:
        try:
            return device.choose(self.device)
        except OptionError as error:
            raise ValueError(str(error).removeprefix("--")) from error

    def _split(
        self,
        X: Any,
        encoded: NDArray[Any],
        weights: NDArray[Any] | None,
        validation_data: tuple[Any, ...] | None,
        random: np.random.RandomState,
    ) -> tuple[Rows, Rows | None]:
        """Rows to train on, and rows for validation if there are any."""
        if self.solver in STOCHASTIC and validation_data is not None:
            return self._rows(X, encoded, weights), self._validation_rows(*validation_data)
        if self.solver in STOCHASTIC and self.early_stopping:
            train, validation = (
                self._rows(X[part], encoded[part], None if weights is None else weights[part])
                for part in split(encoded, self.validation_fraction, random)
            )
            return train, validation
        return self._rows(X, encoded, weights), None

    def _validation_rows(self, X: Any, y: Any, sample_weight: Any = None) -> Rows:
        X, y = self._validate(X, y, reset=False)
        encoded = self._encode(y)
        return self._rows(X, encoded, row_weights(X, sample_weight, self._class_weights(encoded)))

    def _rows(self, X: Any, encoded: NDArray[Any], weights: NDArray[Any] | None) -> Rows:
        like = next(self.body_.parameters())
        targets = self._loss_targets(encoded)
        return Rows(
            to_inputs(X, self.body_),
            targets.to(like) if targets.is_floating_point() else targets.to(like.device),
            None if weights is None else torch.from_numpy(weights).to(like),
            encoded if is_regressor(self) else None,
        )

    def _batch_rows(self, rows: int) -> int:
        if self.solver not in STOCHASTIC:
            return rows
        if self.batch_size == "auto":
            return min(200, rows)
        if int(self.batch_size) > rows:
            warnings.warn(f"batch_size is {self.batch_size}, and there are {rows} rows; using {rows}", stacklevel=5)
        return min(int(self.batch_size), rows)

    def _restore_early_stopping(self) -> EarlyStopping:
        """Early stopping as the last fit left it, if this one continues it."""
        best = self.best_validation_score_ if self.early_stopping else self.best_loss_
        if best is None:
            best = -math.inf
        elif not self.early_stopping:
            best = -best
        return EarlyStopping(
            self.body_,
            self.n_iter_no_change,
            tolerance=self.tol,
            best=best,
            no_improvement_count=self._no_improvement_count,
            keep_best=self.early_stopping,
        )

    @contextmanager
    def _seed_dropout(self, random: np.random.RandomState) -> Iterator[None]:
        """Seed torch's generators, which only dropout uses, and restore them afterwards."""
        if not self.dropout:
            yield
            return
        seed = int(random.randint(2**31))
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            yield

    def _evaluate(self, rows: Rows, loss: Loss) -> tuple[float, float]:
        """Loss and score of validation rows; the score is NaN if an output is not finite."""
        outputs = forward(self.body_, rows.inputs)
        value = float(gradient.mean(loss.value(outputs, rows.targets), rows.weights))
        return value, self._score_outputs(outputs, rows) if bool(outputs.isfinite().all()) else math.nan

    def _record(self, epoch: Epoch) -> None:
        self.history_.append(epoch)
        self.n_iter_ = epoch.number
        self.loss_ = epoch.train_loss
        self._print(f"Iteration {epoch.number}, loss = {epoch.train_loss:.8f}")

    def _record_progress(self, epoch: Epoch, rows: int, early_stopping: EarlyStopping, *, validated: bool) -> None:
        """Update the attributes that only ``'adam'`` and ``'sgd'`` have."""
        self.t_ += rows
        self.loss_curve_.append(epoch.train_loss)
        if validated:
            if self.validation_scores_ is None or self.validation_loss_curve_ is None:
                self.validation_scores_, self.validation_loss_curve_ = [], []
            self.validation_scores_.append(epoch.validation_score)
            self.validation_loss_curve_.append(epoch.validation_loss)
            self._print(f"Validation score: {epoch.validation_score:f}, loss: {epoch.validation_loss:f}")
        early_stopping.update(epoch.validation_score if self.early_stopping else -epoch.train_loss)
        if self.early_stopping:
            self.best_validation_score_ = early_stopping.best
        else:
            self.best_loss_ = -early_stopping.best
        self._no_improvement_count = early_stopping.no_improvement_count

    def _lower_rate(self, solver: Solver, early_stopping: EarlyStopping) -> bool:
        """Lower the learning rate instead of stopping, if the solver can."""
        lowered = solver.lower_rate()
        measure = "Validation score" if self.early_stopping else "Training loss"
        consequence = f"the learning rate is now {solver.learning_rate:g}" if lowered else "stopping"
        self._print(
            f"{measure} did not improve by {self.tol:g} (tol) for {self.n_iter_no_change} epochs: {consequence}."
        )
        if lowered:
            early_stopping.no_improvement_count = 0
        return lowered

    def _call_callbacks(self, epoch: Epoch) -> bool:
        """Call all callbacks; return whether one of them asks to stop."""
        return any([callback(self, epoch) for callback in self.callbacks or ()])  # noqa: C419 - all of them are called

    def _print(self, text: str) -> None:
        if self.verbose:
            print(text)  # noqa: T201 - as scikit-learn's estimators do

    def _outputs(self, X: Any) -> Tensor:
        """Outputs (rows, outputs) on the CPU, before the output activation. Raises `NotFittedError`, `ValueError`."""
        check_is_fitted(self)
        X = validate_data(self, X, accept_sparse=["csr", "csc"], reset=False)
        return forward(self.body_, to_inputs(X, self.body_)).cpu()

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
        train_rows, test_rows = self._dataset_rows(*train), self._dataset_rows(*test)
        body, activation = self._served_body()
        features = self._feature_names()
        fitted = Fitted(
            network=publishing.network(body, features, train_rows),
            output_activation=activation,
            features=features,
            labels=self._labels(),
            hidden=[layer.out_features for layer in self._linear_layers()[:-1]],
            activation=self.activation,
            seed=int(self.random_state) if isinstance(self.random_state, Integral) else None,
            config=publishing.as_json(self.get_params(deep=False)),
            history=self.history_,
            best_epoch=self._best_epoch(),
            predictions=self._graph_outputs(test[0]),
        )
        return publishing.publish(fitted, Path(models_dir), name, train_rows, test_rows, breaking=breaking, force=force)

    def _dataset_rows(self, X: Any, y: Any) -> tuple[NDArray[Any], NDArray[Any]]:
        X, y = self._validate(X, y, reset=False)
        return X.toarray() if sparse.issparse(X) else X, self._dataset_targets(self._encode(y))

    def _feature_names(self) -> list[str]:
        return [str(each) for each in getattr(self, "feature_names_in_", map("x{}".format, range(self.n_features_in_)))]

    def _best_epoch(self) -> Epoch:
        """The epoch whose weights the network has."""
        if self.early_stopping and self.solver in STOCHASTIC:
            return max(self.history_, key=lambda epoch: epoch.validation_score)
        return self.history_[-1]

    def __getstate__(self) -> dict[str, Any]:
        """Move the network to the CPU, so that the pickle can be read on a machine without the device."""
        state: dict[str, Any] = super().__getstate__()
        if "body_" in state and state["body_"][-1].bias.device.type != "cpu":
            state = state | {"body_": copy.deepcopy(self.body_).cpu(), "_optimizer": None}
        return state

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        return tags
