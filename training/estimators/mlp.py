"""`MLPClassifier` and `MLPRegressor`: scikit-learn's interface and results, with more losses, layers and devices.

https://scikit-learn.org/stable/modules/neural_networks_supervised.html
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, Sequence
from dataclasses import KW_ONLY, dataclass
from typing import Any, Self, cast

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.base import ClassifierMixin, RegressorMixin
from sklearn.metrics import r2_score
from sklearn.preprocessing import LabelBinarizer
from sklearn.utils.class_weight import compute_class_weight
from sklearn.utils.metaestimators import available_if
from sklearn.utils.multiclass import type_of_target, unique_labels
from torch import Tensor, nn

from training.config import Interval, Options
from training.data.dataset import Label, labels_of
from training.engine import gradient, losses
from training.engine.loop import Rows
from training.engine.losses import Loss
from training.errors import TrainingError
from training.estimators.base import BasePerceptron
from training.estimators.docstrings import inherit_sections
from training.estimators.parameters import (
    ACTIVATION,
    FUNCTION,
    HIDDEN_LAYER_SIZES,
    MAPPING,
    NOTHING,
    parameter,
)


@inherit_sections
@dataclass(eq=False, repr=False)
class MLPClassifier(ClassifierMixin, BasePerceptron):  # type: ignore[misc]
    """Multi-layer perceptron for classification.

    Predicts one class per row, or several labels per row. Has the parameters, methods
    and attributes of scikit-learn's `MLPClassifier`, gives the same results up to
    rounding for the same ``random_state``, and adds losses, activations, class weights,
    dropout, batch normalisation, devices, callbacks and publishing.

    Parameters
    ----------
    loss : {'log_loss', 'focal'} or callable, default='log_loss'
        Training loss. ``'focal'`` reduces the weight of rows that are classified well
        already [5]_. A callable gets two tensors, the logits (rows, outputs) and the
        targets, and returns the loss of each row (rows,). The targets are int64
        (rows,) for three or more classes, else float (rows, outputs) with 0 and 1.
    label_smoothing : float, default=0.0
        Share of each label spread evenly over all classes, from 0 to 0.9. Only for
        ``'log_loss'``.
    class_weight : 'balanced', dict or None, default=None
        Weight of each class in the loss; classes that a dict lacks weigh 1.
        ``'balanced'`` gives every class the same total weight, and is not available
        in `partial_fit`. None weighs all classes the same. Not for several labels
        per row.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        The classes, sorted; for several labels per row their indices.
    out_activation_ : {'softmax', 'logistic'}
        Output activation; ``'logistic'`` for two classes, which share one output, and
        for several labels per row.

    See Also
    --------
    MLPRegressor : Multi-layer perceptron for regression.
    TableClassifier : Takes DataFrames with texts and missing values, with the recipes of
        the command line.
    sklearn.neural_network.MLPClassifier : The estimator whose interface this is.

    Notes
    -----
    Initial weights are drawn from a Glorot uniform distribution [1]_. ``'adam'`` is
    described in [2]_, dropout in [3]_ and batch normalisation in [4]_. Scale the
    features before training: none of the solvers works well without.

    References
    ----------
    .. [1] X. Glorot and Y. Bengio, "Understanding the difficulty of training deep
       feedforward neural networks", AISTATS 2010.
       https://proceedings.mlr.press/v9/glorot10a.html
    .. [2] D. P. Kingma and J. Ba, "Adam: A method for stochastic optimization",
       ICLR 2015. https://arxiv.org/abs/1412.6980
    .. [3] N. Srivastava et al., "Dropout: A simple way to prevent neural networks from
       overfitting", JMLR 15, 2014. https://jmlr.org/papers/v15/srivastava14a.html
    .. [4] S. Ioffe and C. Szegedy, "Batch normalization", ICML 2015.
       https://arxiv.org/abs/1502.03167
    .. [5] T.-Y. Lin et al., "Focal loss for dense object detection", ICCV 2017.
       https://arxiv.org/abs/1708.02002
    .. [6] L. N. Smith and N. Topin, "Super-convergence: Very fast training of neural
       networks using large learning rates", 2017. https://arxiv.org/abs/1708.07120
    .. [7] I. Loshchilov and F. Hutter, "SGDR: Stochastic gradient descent with warm
       restarts", ICLR 2017. https://arxiv.org/abs/1608.03983

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from sklearn.model_selection import train_test_split
    >>> from sklearn.pipeline import make_pipeline
    >>> from sklearn.preprocessing import StandardScaler
    >>> from training import MLPClassifier
    >>> X, y = load_iris(return_X_y=True)
    >>> X_train, X_test, y_train, y_test = train_test_split(X, y, random_state=0)
    >>> model = make_pipeline(StandardScaler(), MLPClassifier(solver="lbfgs", random_state=0))
    >>> model.fit(X_train, y_train).predict(X_test[:3])
    array([2, 1, 0])
    >>> model.score(X_test, y_test) > 0.9
    True
    """

    hidden_layer_sizes: int | Sequence[int] = parameter(*HIDDEN_LAYER_SIZES)
    activation: str = parameter(*ACTIVATION)
    _: KW_ONLY
    loss: str | Callable[[Tensor, Tensor], Tensor] = parameter(  # noqa: RUF009 - a field
        "log_loss", Options(tuple(losses.LOSSES["classes"])), FUNCTION
    )
    label_smoothing: float = parameter(0.0, Interval(0, 0.9))
    class_weight: str | Mapping[Any, float] | None = parameter(None, NOTHING, Options(("balanced",)), MAPPING)

    @available_if(lambda self: self._can_partial_fit())  # type: ignore[untyped-decorator]
    def partial_fit(self, X: Any, y: Any, sample_weight: Any = None, classes: Any = None) -> Self:
        """Train for one epoch on a part of the data.

        Only with the solvers ``'adam'`` and ``'sgd'``.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Training rows.
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
            Their classes, or 0 and 1 for each label.
        sample_weight : array-like of shape (n_samples,), default=None
            Weight of each row in the loss; None weighs all rows the same.
        classes : array-like of shape (n_classes,), default=None
            All classes that any part has, or an example of ``y`` with several labels
            per row. Required in the first call.

        Returns
        -------
        self : object
            The fitted estimator.
        """
        self._fit_classes(classes, y)
        return self._fit(X, y, sample_weight, None, incremental=True)

    def predict(self, X: Any) -> NDArray[Any]:
        """Predict the class of each row.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            The rows.

        Returns
        -------
        y : ndarray of shape (n_samples,) or (n_samples, n_labels)
            The classes, or 0 and 1 for each label.
        """
        probabilities = self._output_probabilities(X)
        predicted: NDArray[Any] = self._label_binarizer.inverse_transform(
            probabilities.ravel() if self.n_outputs_ == 1 else probabilities
        )
        return predicted

    def predict_proba(self, X: Any) -> NDArray[Any]:
        """Predict the probability of each class or label.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            The rows.

        Returns
        -------
        probabilities : ndarray of shape (n_samples, n_classes)
            In the order of ``classes_``.
        """
        probabilities = self._output_probabilities(X)
        return np.hstack([1 - probabilities, probabilities]) if self.n_outputs_ == 1 else probabilities

    def predict_log_proba(self, X: Any) -> NDArray[Any]:
        """Predict the logarithm of the probability of each class or label.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            The rows.

        Returns
        -------
        log_probabilities : ndarray of shape (n_samples, n_classes)
            In the order of ``classes_``.
        """
        with np.errstate(divide="ignore"):
            logarithms: NDArray[Any] = np.log(self.predict_proba(X))
        return logarithms

    def _output_probabilities(self, X: Any) -> NDArray[Any]:
        """One probability per output of the network: two classes have one."""
        outputs = self._outputs(X)
        probabilities: NDArray[Any] = (
            torch.softmax(outputs, dim=1) if self.out_activation_ == "softmax" else torch.sigmoid(outputs)
        ).numpy()
        return probabilities

    def _graph_outputs(self, X: Any) -> NDArray[Any]:
        return self.predict_proba(X)

    def _fit_classes(self, classes: Any, y: Any) -> None:
        """Learn the ``classes`` of the first `partial_fit`, or check that later calls do not change them."""
        known = getattr(self, "classes_", None)
        if classes is None:
            if known is None:
                raise ValueError("classes must be passed on the first call to partial_fit: all that any part has")
            return
        if known is not None:
            if not np.array_equal(known, unique_labels(classes)):
                raise ValueError(f"classes is {classes!r}, and was {known} before; it must stay the same")
            return
        self._fit_labels(y if type_of_target(y).startswith("multilabel") else classes)

    def _fit_targets(self, y: NDArray[Any], *, incremental: bool) -> None:
        if not hasattr(self, "classes_") or not (self.warm_start or incremental):
            self._fit_labels(y)
        elif self.warm_start and set(unique_labels(y)) != set(self.classes_):
            raise ValueError(
                "warm_start can only be used where `y` has the same classes as in the previous call to fit. Previously "
                f"got {self.classes_}, `y` has {unique_labels(y)}"
            )
        self._weight_by_class = None
        if self.class_weight is None:
            return
        if self._is_multilabel():
            raise ValueError("class_weight does not apply to several labels per row; use sample_weight")
        if incremental and self.class_weight == "balanced":
            raise ValueError("class_weight 'balanced' needs all rows, and partial_fit sees only some; use a dict")
        self._weight_by_class = compute_class_weight(self.class_weight, classes=self.classes_, y=y)

    def _fit_labels(self, y: Any) -> None:
        self._label_binarizer = LabelBinarizer().fit(y)
        self.classes_ = self._label_binarizer.classes_

    def _is_multilabel(self) -> bool:
        return bool(self._label_binarizer.y_type_.startswith("multilabel"))

    def _encode(self, y: NDArray[Any]) -> NDArray[Any]:
        unknown = np.setdiff1d(unique_labels(y), self.classes_)
        if len(unknown):
            raise ValueError(f"y has unknown classes: {unknown}; expected some of {self.classes_}")
        encoded: NDArray[Any] = self._label_binarizer.transform(y).astype(bool)
        return encoded

    def _loss_targets(self, encoded: NDArray[Any]) -> Tensor:
        if self.out_activation_ == "softmax":
            return torch.from_numpy(encoded.argmax(axis=1))
        return torch.from_numpy(encoded.astype(np.float32))

    def _dataset_targets(self, encoded: NDArray[Any]) -> NDArray[Any]:
        return encoded[:, 0].astype(np.int64) if encoded.shape[1] == 1 else encoded.argmax(axis=1)

    def _class_weights(self, encoded: NDArray[Any]) -> NDArray[Any] | None:
        if self._weight_by_class is None:
            return None
        weights: NDArray[Any] = self._weight_by_class[self._dataset_targets(encoded)]
        return weights

    def _output_activation(self) -> str:
        return "softmax" if self._label_binarizer.y_type_ == "multiclass" else "logistic"

    def _losses(self) -> tuple[Loss, Loss]:
        if callable(self.loss):
            loss = losses.custom(self.loss)
            return loss, loss
        loss = losses.LOSSES["classes" if self.out_activation_ == "softmax" else "labels"][self.loss]
        return losses.smooth(loss, self.label_smoothing), loss

    def _score_outputs(self, outputs: Tensor, rows: Rows) -> float:
        if self.out_activation_ == "softmax":
            correct = outputs.argmax(dim=1) == rows.targets
        else:
            correct = ((outputs > 0) == rows.targets.bool()).all(dim=1)
        return float(gradient.mean(correct.to(outputs.dtype), rows.weights))

    def _served_body(self) -> tuple[nn.Sequential, str]:
        body = copy.deepcopy(self.body_).cpu().double()
        if self.n_outputs_ > 1:
            return body, self.out_activation_
        # The sigmoid of one logit is the softmax of (0, logit), which gives a probability for both classes.
        one = cast("nn.Linear", body[-1])
        body[-1] = two = nn.Linear(one.in_features, 2, dtype=torch.float64)
        with torch.no_grad():
            two.weight.copy_(torch.cat([torch.zeros_like(one.weight), one.weight]))
            two.bias.copy_(torch.cat([torch.zeros_like(one.bias), one.bias]))
        return body, "softmax"

    def _labels(self) -> tuple[Label, ...]:
        if self._is_multilabel():
            raise TrainingError("a model with several labels per row cannot be served; use export_onnx()")
        return labels_of(self.classes_)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_label = True
        return tags


@inherit_sections
@dataclass(eq=False, repr=False)
class MLPRegressor(RegressorMixin, BasePerceptron):  # type: ignore[misc]
    """Multi-layer perceptron for regression.

    Predicts one number per row, or several. Has the parameters, methods and attributes
    of scikit-learn's `MLPRegressor`, gives the same results up to rounding for the same
    ``random_state``, and adds losses, activations, dropout, batch normalisation,
    devices, callbacks and publishing.

    Parameters
    ----------
    loss : {'squared_error', 'absolute_error', 'huber', 'poisson'} or callable, default='squared_error'
        Training loss, summed over the targets of a row. ``'squared_error'`` is half
        the squared error; ``'huber'`` equals it up to an error of 1 and is linear
        beyond. ``'poisson'`` is half the Poisson deviance, for targets of at least 0:
        predictions are the exponential of the outputs. A callable gets two tensors
        (rows, targets), outputs and targets, and returns the loss of each row (rows,).

    Attributes
    ----------
    out_activation_ : {'identity', 'exp'}
        Output activation; ``'exp'`` for the loss ``'poisson'``.

    See Also
    --------
    MLPClassifier : Multi-layer perceptron for classification.
    TableRegressor : Takes DataFrames with texts and missing values, with the recipes of
        the command line.
    sklearn.neural_network.MLPRegressor : The estimator whose interface this is.

    Notes
    -----
    Initial weights are drawn from a Glorot uniform distribution [1]_. ``'adam'`` is
    described in [2]_, dropout in [3]_, batch normalisation in [4]_ and the Huber loss
    in [5]_. Scale features and targets before training: none of the solvers works well
    without.

    References
    ----------
    .. [1] X. Glorot and Y. Bengio, "Understanding the difficulty of training deep
       feedforward neural networks", AISTATS 2010.
       https://proceedings.mlr.press/v9/glorot10a.html
    .. [2] D. P. Kingma and J. Ba, "Adam: A method for stochastic optimization",
       ICLR 2015. https://arxiv.org/abs/1412.6980
    .. [3] N. Srivastava et al., "Dropout: A simple way to prevent neural networks from
       overfitting", JMLR 15, 2014. https://jmlr.org/papers/v15/srivastava14a.html
    .. [4] S. Ioffe and C. Szegedy, "Batch normalization", ICML 2015.
       https://arxiv.org/abs/1502.03167
    .. [5] P. J. Huber, "Robust estimation of a location parameter", Annals of
       Mathematical Statistics 35, 1964. https://doi.org/10.1214/aoms/1177703732
    .. [6] L. N. Smith and N. Topin, "Super-convergence: Very fast training of neural
       networks using large learning rates", 2017. https://arxiv.org/abs/1708.07120
    .. [7] I. Loshchilov and F. Hutter, "SGDR: Stochastic gradient descent with warm
       restarts", ICLR 2017. https://arxiv.org/abs/1608.03983

    Examples
    --------
    >>> from sklearn.datasets import load_diabetes
    >>> from sklearn.model_selection import train_test_split
    >>> from sklearn.preprocessing import scale
    >>> from training import MLPRegressor
    >>> X, y = load_diabetes(return_X_y=True)
    >>> X_train, X_test, y_train, y_test = train_test_split(scale(X), scale(y), random_state=0)
    >>> model = MLPRegressor(solver="lbfgs", alpha=100, random_state=0).fit(X_train, y_train)
    >>> model.predict(X_test[:2]).shape
    (2,)
    >>> model.score(X_test, y_test) > 0.3
    True
    """

    loss: str | Callable[[Tensor, Tensor], Tensor] = parameter(  # noqa: RUF009 - a field
        "squared_error", Options(tuple(losses.LOSSES["numbers"])), FUNCTION
    )
    hidden_layer_sizes: int | Sequence[int] = parameter(*HIDDEN_LAYER_SIZES)
    activation: str = parameter(*ACTIVATION)

    @available_if(lambda self: self._can_partial_fit())  # type: ignore[untyped-decorator]
    def partial_fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:
        """Train for one epoch on a part of the data.

        Only with the solvers ``'adam'`` and ``'sgd'``.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Training rows.
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
            Their targets.
        sample_weight : array-like of shape (n_samples,), default=None
            Weight of each row in the loss; None weighs all rows the same.

        Returns
        -------
        self : object
            The fitted estimator.
        """
        return self._fit(X, y, sample_weight, None, incremental=True)

    def predict(self, X: Any) -> NDArray[Any]:
        """Predict the targets of each row.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            The rows.

        Returns
        -------
        y : ndarray of shape (n_samples,) or (n_samples, n_outputs)
            The predicted numbers.
        """
        values: NDArray[Any] = self._values(self._outputs(X)).numpy()
        return values.ravel() if self.n_outputs_ == 1 else values

    def _graph_outputs(self, X: Any) -> NDArray[Any]:
        predictions = self.predict(X)
        return predictions.reshape(len(predictions), -1)

    def _values(self, outputs: Tensor) -> Tensor:
        return outputs.exp() if self.out_activation_ == "exp" else outputs

    def _fit_targets(self, y: NDArray[Any], *, incremental: bool) -> None:  # noqa: ARG002 - there are no classes
        if self._losses()[0].log_outputs and y.min() < 0:
            raise ValueError(f"y has {y.min():g}, expected numbers of at least 0 for the loss {self.loss!r}")

    def _encode(self, y: NDArray[Any]) -> NDArray[Any]:
        return y.reshape(-1, 1) if y.ndim == 1 else y

    def _loss_targets(self, encoded: NDArray[Any]) -> Tensor:
        return torch.from_numpy(np.array(encoded, np.float64))

    def _dataset_targets(self, encoded: NDArray[Any]) -> NDArray[Any]:
        return encoded.astype(np.float64)

    def _class_weights(self, encoded: NDArray[Any]) -> NDArray[Any] | None:  # noqa: ARG002 - there are no classes
        return None

    def _output_activation(self) -> str:
        return "exp" if self._losses()[0].log_outputs else "identity"

    def _losses(self) -> tuple[Loss, Loss]:
        loss = losses.custom(self.loss) if callable(self.loss) else losses.LOSSES["numbers"][self.loss]
        return loss, loss

    def _score_outputs(self, outputs: Tensor, rows: Rows) -> float:
        weights = None if rows.weights is None else rows.weights.cpu().numpy()
        return float(r2_score(rows.exact_targets, self._values(outputs).cpu().double().numpy(), sample_weight=weights))

    def _served_body(self) -> tuple[nn.Sequential, str]:
        return copy.deepcopy(self.body_).cpu().double(), self.out_activation_

    def _labels(self) -> tuple[Label, ...]:
        return ()
