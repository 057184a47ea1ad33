"""`TableClassifier` and `TableRegressor`: the network of the command line with scikit-learn's interface."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.base import ClassifierMixin, RegressorMixin
from sklearn.utils.class_weight import compute_class_weight
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_array, column_or_1d

from training.config import Options
from training.data.dataset import Label, labels_of
from training.estimators.docstrings import inherit_sections
from training.estimators.parameters import MAPPING, NOTHING, parameter
from training.estimators.table_base import BaseTable


@inherit_sections
@dataclass(eq=False, repr=False, kw_only=True)
class TableClassifier(ClassifierMixin, BaseTable):  # type: ignore[misc]
    """Multi-layer perceptron for classes, from a DataFrame as it is.

    Trains the network of ``mlp-train`` with the same recipes: columns of numbers, booleans
    and strings, with missing values, are encoded and scaled inside the network; training
    stops early, and probabilities are calibrated on validation rows.

    Parameters
    ----------
    class_weight : 'balanced', dict or None, default=None
        Weight of each class in the losses; classes that a dict lacks weigh 1.
        ``'balanced'`` gives every class the same total weight. None weighs all the same.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        The classes, sorted.

    See Also
    --------
    TableRegressor : The same for numbers.
    MLPClassifier : The interface and results of scikit-learn's, for arrays of numbers.
    train_table : The same network, with a test split and the command line's checks.

    Notes
    -----
    An unknown category counts as a rare one, or as missing if no category was rare. The
    probabilities are divided by a temperature [1]_ that suits the validation rows.

    References
    ----------
    .. [1] C. Guo et al., "On calibration of modern neural networks", ICML 2017.
       https://arxiv.org/abs/1706.04599

    Examples
    --------
    >>> import pandas as pd
    >>> from training import TableClassifier
    >>> X = pd.DataFrame({"age": [21, 35, None, 64] * 30, "job": ["cook", "nurse", "cook", None] * 30})
    >>> y = ["no", "yes", "no", "yes"] * 30
    >>> model = TableClassifier(epochs=40, random_state=0).fit(X, y)
    >>> model.predict(pd.DataFrame({"age": [35, None], "job": ["nurse", "cook"]}))
    array(['yes', 'no'], dtype='<U3')
    """

    class_weight: str | Mapping[Any, float] | None = parameter(None, NOTHING, Options(("balanced",)), MAPPING)

    def predict(self, X: Any) -> NDArray[Any]:
        """Predict the class of each row.

        Parameters
        ----------
        X : DataFrame or array-like of shape (n_samples, n_features)
            The rows, with the columns of `fit`.

        Returns
        -------
        y : ndarray of shape (n_samples,)
            The classes.
        """
        index = self._outputs(X)[1]
        predicted: NDArray[Any] = self.classes_[index]
        return predicted

    def predict_proba(self, X: Any) -> NDArray[np.float32]:
        """Predict the probability of each class.

        Parameters
        ----------
        X : DataFrame or array-like of shape (n_samples, n_features)
            The rows, with the columns of `fit`.

        Returns
        -------
        probabilities : ndarray of shape (n_samples, n_classes)
            In the order of ``classes_``.
        """
        probabilities: NDArray[np.float32] = self._outputs(X)[0]
        return probabilities

    def predict_log_proba(self, X: Any) -> NDArray[np.float32]:
        """Predict the logarithm of the probability of each class.

        Parameters
        ----------
        X : DataFrame or array-like of shape (n_samples, n_features)
            The rows, with the columns of `fit`.

        Returns
        -------
        log_probabilities : ndarray of shape (n_samples, n_classes)
            In the order of ``classes_``.
        """
        with np.errstate(divide="ignore"):
            logarithms: NDArray[np.float32] = np.log(self.predict_proba(X))
        return logarithms

    def _check_targets(self, y: Any) -> NDArray[Any]:
        if hasattr(y, "isna") and str(getattr(y, "dtype", "")) == "string":
            y = y.astype(object).where(y.notna(), None)  # scikit-learn cannot compare pandas' NA
        checked: NDArray[Any] = column_or_1d(check_array(y, ensure_2d=False, dtype=None, input_name="y"), warn=True)
        if checked.dtype == object and len(missing := np.flatnonzero([each is None for each in checked])):
            rows = f"{len(missing)} rows, the first of them {missing[0]}" if len(missing) > 1 else f"row {missing[0]}"
            raise ValueError(f"y has no class in {rows}; leave them out")
        return checked

    def _fit_targets(self, y: NDArray[Any]) -> NDArray[Any]:
        check_classification_targets(y)
        self.classes_ = np.unique(y)
        if len(self.classes_) < 2:
            raise ValueError(f"y has only the class {self._labels()[0]!r}, expected at least two classes")
        return self._encode(y)

    def _encode(self, y: NDArray[Any]) -> NDArray[Any]:
        index = np.searchsorted(self.classes_, y)
        known = self.classes_[np.minimum(index, len(self.classes_) - 1)] == y
        if not known.all():
            raise ValueError(f"y has the unknown class {labels_of(y[~known])[0]!r}, expected some of {self.classes_}")
        codes: NDArray[np.int64] = index.astype(np.int64)
        return codes

    def _labels(self) -> tuple[Label, ...]:
        return labels_of(self.classes_)

    def _weigh_classes(self, targets: NDArray[Any], weights: NDArray[Any] | None) -> NDArray[Any] | None:
        if self.class_weight is None:
            return weights
        by_class = compute_class_weight(
            self.class_weight, classes=self.classes_, y=self.classes_[targets], sample_weight=weights
        )
        if (by_class < 0).any():
            raise ValueError(f"class_weight is {self.class_weight!r}, expected weights of at least 0")
        weighed: NDArray[Any] = by_class[targets] if weights is None else by_class[targets] * weights
        return weighed

    def _own_options(self) -> dict[str, Any]:
        return {}


@inherit_sections
@dataclass(eq=False, repr=False, kw_only=True)
class TableRegressor(RegressorMixin, BaseTable):  # type: ignore[misc]
    """Multi-layer perceptron for numbers, from a DataFrame as it is.

    Trains the network of ``mlp-train`` with the same recipes: columns of numbers, booleans
    and strings, with missing values, are encoded and scaled inside the network, as are the
    targets; training stops early.

    Parameters
    ----------
    loss : {'squared_error', 'absolute_error', 'huber'}, default='squared_error'
        Training loss, of targets that have mean 0 and variance 1. ``'huber'`` [1]_ equals
        the squared error up to an error of 1 and is linear beyond.

    Attributes
    ----------
    n_outputs_ : int
        Number of targets.

    See Also
    --------
    TableClassifier : The same for classes.
    MLPRegressor : The interface and results of scikit-learn's, for arrays of numbers.
    train_table : The same network, with a test split and the command line's checks.

    Notes
    -----
    An unknown category counts as a rare one, or as missing if no category was rare.

    References
    ----------
    .. [1] P. J. Huber, "Robust estimation of a location parameter", Annals of
       Mathematical Statistics 35, 1964. https://doi.org/10.1214/aoms/1177703732

    Examples
    --------
    >>> import pandas as pd
    >>> from training import TableRegressor
    >>> X = pd.DataFrame({"rooms": [1, 2, None, 4] * 30, "zone": ["A", "B", "A", None] * 30})
    >>> model = TableRegressor(epochs=40, random_state=0).fit(X, [100.0, 200.0, 150.0, 400.0] * 30)
    >>> model.score(X, [100.0, 200.0, 150.0, 400.0] * 30) > 0.9
    True
    """

    loss: str = parameter("squared_error", Options(("squared_error", "absolute_error", "huber")))

    def predict(self, X: Any) -> NDArray[Any]:
        """Predict the targets of each row.

        Parameters
        ----------
        X : DataFrame or array-like of shape (n_samples, n_features)
            The rows, with the columns of `fit`.

        Returns
        -------
        y : ndarray of shape (n_samples,) or (n_samples, n_outputs)
            The predicted numbers.
        """
        values = self._outputs(X)[0]
        return values.ravel() if values.shape[1] == 1 else values.astype(np.float64)  # as scikit-learn expects

    def _check_targets(self, y: Any) -> NDArray[Any]:
        checked: NDArray[Any] = check_array(y, ensure_2d=False, dtype=np.float64, input_name="y")
        if checked.ndim == 2 and checked.shape[1] == 1:
            checked = column_or_1d(checked, warn=True)
        return checked

    def _fit_targets(self, y: NDArray[Any]) -> NDArray[Any]:
        encoded = self._encode(y)
        self.n_outputs_ = encoded.shape[1]
        return encoded

    def _encode(self, y: NDArray[Any]) -> NDArray[Any]:
        return y.reshape(len(y), -1)

    def _labels(self) -> tuple[Label, ...]:
        return ()

    def _weigh_classes(self, targets: NDArray[Any], weights: NDArray[Any] | None) -> NDArray[Any] | None:  # noqa: ARG002
        return weights

    def _own_options(self) -> dict[str, Any]:
        return {"loss": self.loss}

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        return tags
