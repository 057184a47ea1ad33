"""What `MLPClassifier` and `MLPRegressor` share: from rows and targets to a trained network, through the same loop.

What scikit-learn draws at random is drawn here in the same order and from the same generator: weights, split, order of
rows. With the same ``random_state`` the network is scikit-learn's, but for rounding.
"""

from __future__ import annotations

import copy
import math
from abc import abstractmethod
from collections.abc import Iterable
from typing import Any, Self

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import sparse
from sklearn.base import BaseEstimator, is_regressor
from sklearn.model_selection import train_test_split
from sklearn.utils import check_array, check_random_state
from sklearn.utils.validation import check_is_fitted, column_or_1d, validate_data
from torch import Tensor, nn

from training.engine import device, loop
from training.engine.loop import Rows
from training.errors import OptionError
from training.estimators.parameters import STOCHASTIC
from training.estimators.publishing import Serving
from training.estimators.sparse_rows import SparseRows
from training.model.network import glorot_uniform, perceptron


class BasePerceptron(Serving, BaseEstimator):  # type: ignore[misc]
    """`fit`, and what it comes to; what targets are and what is answered is left to the two estimators.

    ``body_`` is the trained network, in the dtype of ``X``; ``coefs_`` and ``intercepts_`` are its numbers.
    """

    @abstractmethod
    def _learn_targets(self, y: NDArray[Any], *, incremental: bool) -> None:
        """Find out what targets there are, or see that they are those known."""

    @abstractmethod
    def _targets(self, encoded: NDArray[Any]) -> Tensor:
        """What a `Loss` takes of them."""

    @abstractmethod
    def _class_factors(self, encoded: NDArray[Any]) -> NDArray[Any] | None:
        """By what each row (rows,) counts for its class; None where all count alike."""

    @abstractmethod
    def _output_activation(self) -> str:
        """The name of what is applied to the network's outputs."""

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
            self._descend(self._rows(X, encoded, weights), held, random, once=incremental)
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
        self.history_ = []
        self.n_iter_ = self.t_ = self._no_improvement_count = 0
        self._optimizer = None
        if self.solver in STOCHASTIC:
            self.loss_curve_ = []
            self.best_loss_ = None if self.early_stopping else math.inf
            self.validation_scores_ = None
            self.validation_loss_curve_ = None
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
            encoded if is_regressor(self) else None,
        )

    def _inputs(self, X: Any) -> loop.Inputs:
        like = next(self.body_.parameters())
        if sparse.issparse(X):
            return SparseRows(X.tocsr(), like.dtype, like.device)
        # Torch takes memory over as it is, and has no word for what is read-only or in the other byte order.
        plain = X.flags.writeable and X.dtype.isnative
        return torch.from_numpy(X if plain else np.array(X, X.dtype.newbyteorder("="))).to(like.device, like.dtype)

    def _outputs(self, X: Any) -> Tensor:
        """The same of rows as a caller brings them, on the CPU. Raises `NotFittedError` and `ValueError`."""
        check_is_fitted(self)
        X = validate_data(self, X, accept_sparse=["csr", "csc"], reset=False)
        return self._outputs_of(self._inputs(X)).cpu()

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
