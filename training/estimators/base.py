"""What `MLPClassifier` and `MLPRegressor` share: `fit`, from rows and targets to a trained network.

Random numbers are drawn from the same generator in the same order as by scikit-learn: initial weights, validation
split, order of the rows. With the same ``random_state`` the network is scikit-learn's, up to rounding.
"""

from __future__ import annotations

import copy
import math
import time
import warnings
from abc import abstractmethod
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Self

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import sparse
from sklearn.base import is_regressor
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted, column_or_1d, validate_data
from torch import Tensor, nn

from training.engine import device, gradient
from training.engine.flat_parameters import flattened
from training.engine.loop import Rows
from training.engine.losses import Loss
from training.engine.trainer import Epoch
from training.errors import OptionError
from training.estimators import solvers
from training.estimators.parameters import STOCHASTIC
from training.estimators.rows import forward, other_types, row_weights, split, to_inputs
from training.estimators.served import Served
from training.estimators.solvers import Problem
from training.model.network import glorot_uniform, perceptron


class BasePerceptron(Served):
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
    feature_names_in_ : ndarray of shape (`n_features_in_`,)
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

    hidden_layer_sizes: int | Sequence[int]

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
        if incremental and self.schedule is not None:
            raise ValueError(f"partial_fit does not support schedule={self.schedule!r}: it does not know the last step")
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
        with other_types(X):
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

    def _outputs(self, X: Any) -> Tensor:
        """Outputs (rows, outputs) on the CPU, before the output activation. Raises `NotFittedError`, `ValueError`."""
        check_is_fitted(self)
        X = validate_data(self, X, accept_sparse=["csr", "csc"], reset=False)
        return forward(self.body_, to_inputs(X, self.body_)).cpu()

    def _dataset_rows(self, X: Any, y: Any) -> tuple[NDArray[Any], NDArray[Any]]:
        X, y = self._validate(X, y, reset=False)
        return X.toarray() if sparse.issparse(X) else X, self._dataset_targets(self._encode(y))

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
