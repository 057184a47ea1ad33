"""What `MLPClassifier` and `MLPRegressor` share: from rows and targets to a trained network, through the same loop.

What scikit-learn draws at random is drawn here in the same order and from the same generator: weights, split, order of
rows. With the same ``random_state`` the network is scikit-learn's, but for rounding.
"""

from __future__ import annotations

import copy
import math
import os
import time
import warnings
from abc import abstractmethod
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any, Final, Self, cast

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import sparse
from sklearn.base import BaseEstimator, is_regressor
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import train_test_split
from sklearn.utils import check_array, check_random_state
from sklearn.utils.validation import check_is_fitted, column_or_1d, validate_data
from torch import Tensor, nn

from training import device, export, gradient, lbfgs, loop, release, solvers
from training.data.dataset import Column
from training.errors import OptionError
from training.fit import Epoch
from training.flat import Flat
from training.loop import Rows
from training.network import Network, glorot_uniform, perceptron
from training.objective import Loss
from training.parameters import STOCHASTIC, Parameters
from training.patience import Patience
from training.prepare import Prepare
from training.solvers import Solver
from training.sparse import SparseRows

_CHUNK_ROWS: Final = 8192
_PLAIN: Final = (bool, int, float, str, tuple, type(None))  # what JSON has a word for


class BasePerceptron(Parameters, BaseEstimator):  # type: ignore[misc]
    """Fitting and its outcome; what targets are and what is answered is left to the two estimators.

    ``body_`` is the trained network, in the dtype of ``X``; ``coefs_`` and ``intercepts_`` are its numbers.
    """

    @abstractmethod
    def _learn_targets(self, y: NDArray[Any], *, incremental: bool) -> None:
        """Find out what targets there are, or see that they are those known."""

    @abstractmethod
    def _encode(self, y: NDArray[Any]) -> NDArray[Any]:
        """Targets (rows, outputs) of ``y``: bool for classes, else numbers."""

    @abstractmethod
    def _targets(self, encoded: NDArray[Any]) -> Tensor:
        """What a `Loss` takes of them."""

    @abstractmethod
    def _class_factors(self, encoded: NDArray[Any]) -> NDArray[Any] | None:
        """By what each row (rows,) counts for its class; None where all count alike."""

    @abstractmethod
    def _output_activation(self) -> str:
        """The name of what is applied to the network's outputs."""

    @abstractmethod
    def _answering(self) -> tuple[nn.Sequential, str]:
        """A network on the CPU in float32, and what is applied to its outputs to answer a client."""

    @abstractmethod
    def _label_names(self) -> tuple[str, ...]:
        """The classes' names, none for numbers. Raises `TrainingError` where no server can answer such targets."""

    @abstractmethod
    def _places_or_numbers(self, encoded: NDArray[Any]) -> NDArray[Any]:
        """Encoded targets as a `Dataset` has them."""

    @abstractmethod
    def _losses(self) -> tuple[Loss, Loss]:
        """What is trained on, and what validation rows are judged by."""

    @abstractmethod
    def _score_outputs(self, outputs: Tensor, rows: Rows) -> float:
        """Accuracy or R² of finite ``outputs`` (rows, outputs)."""

    def fit(self, X: Any, y: Any, sample_weight: Any = None, *, validation_data: tuple[Any, ...] | None = None) -> Self:
        """Train on rows ``X`` (rows, features), dense or sparse, and their targets ``y``.

        ``sample_weight`` (rows,) says by what each row counts. ``validation_data``, (X, y) or (X, y, sample_weight), is
        scored after each epoch, and is what ``early_stopping`` goes by. Raises `ValueError` where something does not
        fit, and warns with `ConvergenceWarning` where training ended before it was done.
        """
        return self._fit(X, y, sample_weight, validation_data, incremental=False)

    def _can_go_on(self) -> bool:
        """Whether there is a `partial_fit`; scikit-learn asks."""
        if self.solver not in STOCHASTIC:
            raise AttributeError(f"partial_fit is for the solvers adam and sgd, and this one is {self.solver!r}")
        return True

    def _fit(
        self, X: Any, y: Any, sample_weight: Any, validation_data: tuple[Any, ...] | None, *, incremental: bool
    ) -> Self:
        self.check()
        if incremental and self.early_stopping:
            raise ValueError(
                "partial_fit does not support early_stopping=True: it makes one pass over what it is given"
            )
        anew = not hasattr(self, "body_") or not (self.warm_start or incremental)
        X, y = self._validated(X, y, reset=anew)
        self._learn_targets(y, incremental=incremental)
        encoded = self._encode(y)
        weights = self._weights(sample_weight, X, encoded)
        random = check_random_state(self.random_state)
        place = self._device()
        if anew:
            self._begin(X, encoded.shape[1], random)
        elif encoded.shape[1] != self.n_outputs_:
            raise ValueError(f"y has {encoded.shape[1]} targets, expected {self.n_outputs_} as fitted before")
        self.body_.to(place)
        if self.solver == "lbfgs":
            self._minimise(self._rows(X, encoded, weights))
        else:
            held = None if validation_data is None else self._held(*validation_data)
            if self.early_stopping and held is None:
                part, rest = self._parted(encoded, random)
                held = self._rows(X[rest], encoded[rest], None if weights is None else weights[rest])
                X, encoded, weights = X[part], encoded[part], None if weights is None else weights[part]
            self._descend(self._rows(X, encoded, weights), held, random, incremental=incremental)
        if not all(bool(each.isfinite().all()) for each in self.body_.parameters()):
            raise ValueError(
                "Solver produced non-finite parameter weights. The input data may contain large values and need to be "
                "preprocessed."
            )
        return self

    def _validated(self, X: Any, y: Any, *, reset: bool) -> tuple[Any, NDArray[Any]]:
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

    def _weights(self, sample_weight: Any, X: Any, encoded: NDArray[Any]) -> NDArray[Any] | None:
        """By what each row counts: as the caller says, times what its class counts."""
        factors = self._class_factors(encoded)
        if sample_weight is None:
            return factors
        weights = check_array(sample_weight, ensure_2d=False, dtype=X.dtype, input_name="sample_weight")
        if weights.shape != (X.shape[0],):
            raise ValueError(f"sample_weight has the shape {weights.shape}, expected ({X.shape[0]},): one for each row")
        if not weights.any():
            raise ValueError("sample_weight is zero for all rows, expected one or more that count")
        found: NDArray[Any] = weights if factors is None else weights * factors
        return found

    def _begin(self, X: Any, outputs: int, random: np.random.RandomState) -> None:
        """A new network, of which nothing is known yet."""
        sizes = self.hidden_layer_sizes
        hidden = tuple(sizes) if isinstance(sizes, Iterable) else (sizes,)
        self.n_outputs_ = outputs
        self.n_layers_ = len(hidden) + 2
        self.out_activation_ = self._output_activation()
        with torch.device("meta"):  # its numbers are drawn below
            body = perceptron(X.shape[1], hidden, outputs, self.activation, self.dropout, batch_norm=self.batch_norm)
        self.body_ = body.to_empty(device="cpu").to(torch.from_numpy(np.empty(0, X.dtype)).dtype)
        for layer in self.body_:
            if isinstance(layer, nn.BatchNorm1d):
                layer.reset_parameters()
        glorot_uniform(self.body_, random)
        self.history_: list[Epoch] = []
        self.n_iter_ = self.t_ = self._no_improvement_count = 0
        self._optimizer: Solver | None = None
        if self.solver in STOCHASTIC:
            self.loss_curve_: list[float] = []
            self.best_loss_ = None if self.early_stopping else math.inf
            self.validation_scores_: list[float] | None = None
            self.validation_loss_curve_: list[float] | None = None
            self.best_validation_score_ = -math.inf if self.early_stopping else None

    def _device(self) -> torch.device:
        try:
            return device.choose(self.device)
        except OptionError as error:
            raise ValueError(str(error).removeprefix("--")) from error

    def _parted(
        self, encoded: NDArray[Any], random: np.random.RandomState
    ) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Places of the rows to train on and of those to stop by; two classes keep their shares."""
        by = encoded if encoded.dtype == bool and encoded.shape[1] == 1 else None
        part, rest = train_test_split(
            np.arange(len(encoded)), random_state=random, test_size=self.validation_fraction, stratify=by
        )
        if len(rest) < 2:
            raise ValueError(
                f"The validation set is too small: it has {len(rest)} of {len(encoded)} rows, and a score needs 2. "
                "Raise validation_fraction, or bring more rows."
            )
        return part, rest

    def _held(self, X: Any, y: Any, sample_weight: Any = None) -> Rows:
        X, y = self._validated(X, y, reset=False)
        encoded = self._encode(y)
        return self._rows(X, encoded, self._weights(sample_weight, X, encoded))

    def _rows(self, X: Any, encoded: NDArray[Any], weights: NDArray[Any] | None) -> Rows:
        like = next(self.body_.parameters())
        targets = self._targets(encoded)
        return Rows(
            self._inputs(X),
            targets.to(like) if targets.is_floating_point() else targets.to(like.device),
            None if weights is None else torch.from_numpy(weights).to(like),
        )

    def _inputs(self, X: Any) -> loop.Inputs:
        like = next(self.body_.parameters())
        if sparse.issparse(X):
            return SparseRows(X.tocsr(), like.dtype, like.device)
        # Torch takes memory over as it is, and has no word for what is read-only or in the other byte order.
        plain = X.flags.writeable and X.dtype.isnative
        return torch.from_numpy(X if plain else np.array(X, X.dtype.newbyteorder("="))).to(like.device, like.dtype)

    def _minimise(self, rows: Rows) -> None:
        began_s = time.perf_counter()

        def ended(number: int, loss: float) -> bool:
            nonlocal began_s
            now_s = time.perf_counter()
            self.history_.append(Epoch(number, loss, math.nan, math.nan, now_s - began_s))
            began_s = now_s
            self._say(f"Iteration {number}, loss = {loss:.8f}")
            return self._called(self.history_[-1])

        flat = Flat(self.body_)
        with device.threads_for(self.body_, len(rows.inputs)):
            result = lbfgs.minimise(
                flat,
                rows,
                gradient.of(self.body_, flat, self._losses()[0]),
                l2=self.alpha,
                gradient_tolerance=self.tol,
                max_iterations=self.max_iter,
                max_evaluations=self.max_fun,
                ended=ended,
            )
        flat.release()
        self.n_iter_ = min(result.nit, self.max_iter)
        self.loss_ = float(result.fun)
        if result.status:
            warnings.warn(
                f"lbfgs did not converge after {self.n_iter_} iterations (max_iter={self.max_iter}, max_fun="
                f"{self.max_fun}): {result.message}. Allow it more, or scale the features.",
                ConvergenceWarning,
                stacklevel=4,
            )

    def _descend(self, rows: Rows, held: Rows | None, random: np.random.RandomState, *, incremental: bool) -> None:
        flat = Flat(self.body_)
        if self._optimizer is None or not incremental:
            self._optimizer = solvers.of(flat, self)
        solver = self._optimizer
        size = self._batch_rows(len(rows.inputs))
        loss, validation_loss = self._losses()
        best = self.best_validation_score_ if self.early_stopping else self.best_loss_
        patience = Patience(
            self.body_,
            self.n_iter_no_change,
            tolerance=self.tol,
            best=-math.inf if best is None else best if self.early_stopping else -best,
            keep=self.early_stopping,
        )
        patience.waited = self._no_improvement_count
        self.n_iter_ = 0
        stopped = incremental
        began_s = time.perf_counter()

        def ended(number: int, train_loss: float) -> bool:
            nonlocal began_s, stopped
            judged = (math.nan, math.nan) if held is None else self._judge(held, validation_loss)
            now_s = time.perf_counter()
            epoch = Epoch(number, train_loss, *judged, now_s - began_s)
            began_s = now_s
            self._record(epoch, len(rows.inputs), patience, validated=held is not None)
            solver.epoch_ended(self.t_)
            stopped = self._called(epoch) or (patience.exhausted and self._stops(solver, patience)) or stopped
            return stopped

        with self._torch_seeded(random), device.threads_for(self.body_, size):
            try:
                loop.run(
                    rows,
                    gradient.of(self.body_, flat, loss, l2=self.alpha, half=self.mixed_precision),
                    lambda: solver.step(flat),
                    passes=self._passes(len(rows.inputs), size, random),
                    ended=ended,
                )
            except KeyboardInterrupt:
                stopped = True
                warnings.warn("Training was interrupted; what was learned so far is kept.", stacklevel=4)
        self._no_improvement_count = patience.waited
        patience.restore()
        flat.release()
        if not stopped:
            warnings.warn(
                f"{self.solver} made all {self.max_iter} passes (max_iter) and did not converge; allow it more.",
                ConvergenceWarning,
                stacklevel=4,
            )

    def _passes(self, rows: int, size: int, random: np.random.RandomState) -> Iterator[Iterable[Tensor]]:
        """The row numbers of the batches of each pass, in an order that is drawn anew for each."""
        place = next(self.body_.parameters()).device
        order = np.arange(rows)
        for _ in range(self.max_iter):
            if self.shuffle:
                places = np.arange(rows)
                random.shuffle(places)
                order = order[places]
            index = torch.from_numpy(order).to(place)
            # A batch norm can do nothing with a single row that is left over.
            yield index.tensor_split(math.ceil(rows / size)) if self.batch_norm else torch.split(index, size)

    def _batch_rows(self, rows: int) -> int:
        if self.batch_size == "auto":
            return min(200, rows)
        if int(self.batch_size) > rows:
            warnings.warn(f"batch_size is {self.batch_size}, of {rows} rows; all are taken at once", stacklevel=5)
        return min(int(self.batch_size), rows)

    def _torch_seeded(self, random: np.random.RandomState) -> AbstractContextManager[None]:
        """Torch's generator draws for dropout alone; outside it is left as it was."""
        if not self.dropout:
            return nullcontext()
        return _Seeded(int(random.randint(2**31)))

    @torch.no_grad()
    def _judge(self, rows: Rows, loss: Loss) -> tuple[float, float]:
        """Loss and score of validation rows, NaN where outputs are not finite."""
        outputs = self._outputs_of(rows.inputs)
        value = float(gradient.mean(loss.of(outputs, rows.targets), rows.weights))
        return value, self._score_outputs(outputs, rows) if bool(outputs.isfinite().all()) else math.nan

    def _record(self, epoch: Epoch, rows: int, patience: Patience, *, validated: bool) -> None:
        self.history_.append(epoch)
        self.n_iter_ = epoch.number
        self.t_ += rows
        self.loss_ = epoch.train_loss
        self.loss_curve_.append(self.loss_)
        self._say(f"Iteration {epoch.number}, loss = {epoch.train_loss:.8f}")
        if validated:
            self.validation_scores_ = [*(self.validation_scores_ or ()), epoch.validation_score]
            self.validation_loss_curve_ = [*(self.validation_loss_curve_ or ()), epoch.validation_loss]
            self._say(f"Validation score: {epoch.validation_score:f}, loss: {epoch.validation_loss:f}")
        patience.saw(epoch.validation_score if self.early_stopping else -epoch.train_loss)
        if self.early_stopping:
            self.best_validation_score_ = patience.best
        else:
            self.best_loss_ = -patience.best
        self._no_improvement_count = patience.waited

    def _stops(self, solver: Solver, patience: Patience) -> bool:
        measure = "Validation score" if self.early_stopping else "Training loss"
        goes_on = solver.stalled()
        next_ = f"the learning rate is now {solver.learning_rate:g}" if goes_on else "stopping"
        self._say(f"{measure} did not improve by {self.tol:g} (tol) for {self.n_iter_no_change} epochs: {next_}.")
        if goes_on:
            patience.waited = 0
        return not goes_on

    def _called(self, epoch: Epoch) -> bool:
        """Whether a callback asks to stop; each of them is told of the epoch."""
        return any([callback(self, epoch) for callback in self.callbacks or ()])  # noqa: C419 - all of them are called

    def _say(self, text: str) -> None:
        if self.verbose:
            print(text)  # noqa: T201 - where scikit-learn's go

    @torch.no_grad()
    def _outputs_of(self, inputs: loop.Inputs) -> Tensor:
        """The network's outputs (rows, outputs), before the output activation."""
        if self.body_.training:
            self.body_.eval()
        if len(inputs) <= _CHUNK_ROWS and isinstance(inputs, Tensor):
            outputs: Tensor = self.body_(inputs)
            return outputs
        index = torch.arange(len(inputs), device=inputs.device)
        return torch.cat([self.body_(inputs.index_select(0, part)) for part in torch.split(index, _CHUNK_ROWS)])

    def _outputs(self, X: Any) -> Tensor:
        """The same of rows as a caller brings them, on the CPU. Raises `NotFittedError` and `ValueError`."""
        check_is_fitted(self)
        X = validate_data(self, X, accept_sparse=["csr", "csc"], reset=False)
        return self._outputs_of(self._inputs(X)).cpu()

    def export_onnx(self, path: str | os.PathLike[str]) -> None:
        """Write the network as an ONNX file that takes raw rows and answers as this does, in float32.

        ``inputs`` (rows, features) → ``probabilities`` (rows, classes) and ``prediction`` int64 (rows,), the place of
        the class in ``classes_``; for labels of which several may hold both are (rows, labels); for numbers
        ``prediction`` (rows, targets).
        """
        check_is_fitted(self)
        network, activation = self._served()
        classifies = not is_regressor(self)
        graph = export.export(network, self.n_features_in_, classifies=classifies, activation=activation)
        Path(path).write_bytes(graph)

    def publish(
        self, models_dir: str | os.PathLike[str], name: str, *, train: tuple[Any, Any], test: tuple[Any, Any]
    ) -> Path:
        """Write the next version of model ``name`` for `mlp-serve`, with manifest, proof and card; its folder.

        ``train`` is (X, y) as given to `fit`, for what features look like; ``test`` is (X, y) that had no part in it,
        for the scores and for what the server proves itself on. Raises `TrainingError` where that cannot be done.
        """
        check_is_fitted(self)
        network, activation = self._served()
        fitted = release.Fitted(
            network=network,
            activation=activation,
            features=self._features(),
            labels=self._label_names(),
            hidden=[layer.out_features for layer in self._layers()[:-1]],
            hidden_activation=self.activation,
            chosen={
                key: value if isinstance(value, _PLAIN) else repr(value) for key, value in self.get_params().items()
            },
            history=self.history_,
            kept=max(self.history_, key=lambda epoch: epoch.validation_score)
            if self.early_stopping
            else self.history_[-1],
        )
        return release.release(fitted, Path(models_dir), name, self._given(*train), self._given(*test))

    def _given(self, X: Any, y: Any) -> tuple[NDArray[np.float32], NDArray[Any]]:
        X, y = self._validated(X, y, reset=False)
        dense = X.toarray() if sparse.issparse(X) else X
        return np.ascontiguousarray(dense, np.float32), self._places_or_numbers(self._encode(y))

    def _features(self) -> list[str]:
        return [str(each) for each in getattr(self, "feature_names_in_", map("x{}".format, range(self.n_features_in_)))]

    def _served(self) -> tuple[Network, str]:
        """A network that takes raw rows, and the activation of its outputs."""
        names = self._features()
        prepare = Prepare(tuple(map(Column, names)), torch.zeros(len(names)), torch.ones(len(names)))
        body, activation = self._answering()
        return Network(prepare, body, cast("nn.Linear", body[-1]).out_features).eval(), activation

    @property
    def coefs_(self) -> list[NDArray[Any]]:
        """Weights of each layer (inputs, units); those of a network on the CPU, not a copy."""
        return [layer.weight.detach().cpu().numpy().T for layer in self._layers()]

    @property
    def intercepts_(self) -> list[NDArray[Any]]:
        """Biases of each layer (units,); those of a network on the CPU, not a copy."""
        return [layer.bias.detach().cpu().numpy() for layer in self._layers()]

    def _layers(self) -> list[nn.Linear]:
        if not hasattr(self, "body_"):
            raise AttributeError(f"this {type(self).__name__} is not fitted yet")
        return [layer for layer in self.body_ if isinstance(layer, nn.Linear)]

    def __getstate__(self) -> dict[str, Any]:
        """What is written to a file must be readable where there is no such device."""
        state: dict[str, Any] = super().__getstate__()
        if "body_" in state and state["body_"][-1].bias.device.type != "cpu":
            state = state | {"body_": copy.deepcopy(self.body_).cpu(), "_optimizer": None}
        return state

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        return tags


class _Seeded(AbstractContextManager[None]):
    """Torch's generators begin at ``seed`` inside; outside they go on as if nothing had been drawn."""

    def __init__(self, seed: int) -> None:
        self._seed = seed
        self._fork = torch.random.fork_rng()

    def __enter__(self) -> None:
        self._fork.__enter__()
        torch.manual_seed(self._seed)

    def __exit__(self, *error: Any) -> None:
        self._fork.__exit__(*error)
