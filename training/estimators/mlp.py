"""`MLPClassifier` and `MLPRegressor`: scikit-learn's interface and results, and what it has refused to have.

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
from training.estimators.parameters import (
    ACTIVATION,
    HIDDEN_LAYER_SIZES,
    MAPPING,
    NOTHING,
    Function,
    parameter,
)


@dataclass(eq=False, repr=False)
class MLPClassifier(ClassifierMixin, BasePerceptron):  # type: ignore[misc]
    """A multi-layer perceptron that tells classes apart, or labels of which several may hold.

    Parameters, methods and attributes are those of `sklearn.neural_network.MLPClassifier`. In addition there are:
    the activations gelu and silu; ``dropout``, the share of hidden units left out; ``batch_norm``; ``device``;
    ``mixed_precision``, products in bfloat16 and all else as it is;
    ``callbacks``, each called as ``callback(estimator, epoch)`` after an epoch, and stopping where it returns True;
    ``class_weight``, "balanced" or a mapping; ``loss``: "log_loss", of which ``label_smoothing`` spreads a share over
    all classes, "focal", or a function of logits (rows, outputs) and targets, int64 (rows,) classes or float
    (rows, outputs) labels, both tensors, that gives one loss a row.
    """

    hidden_layer_sizes: int | Sequence[int] = parameter(*HIDDEN_LAYER_SIZES)
    activation: str = parameter(*ACTIVATION)
    _: KW_ONLY
    loss: str | Callable[[Tensor, Tensor], Tensor] = parameter(  # noqa: RUF009 - a field
        "log_loss", Options(("log_loss", "focal")), Function()
    )
    label_smoothing: float = parameter(0.0, Interval(0, 0.9))
    class_weight: str | Mapping[Any, float] | None = parameter(None, NOTHING, Options(("balanced",)), MAPPING)

    @available_if(lambda self: self._can_go_on())  # type: ignore[untyped-decorator]
    def partial_fit(self, X: Any, y: Any, sample_weight: Any = None, classes: Any = None) -> Self:
        """One pass over ``X`` and ``y``; the first call needs all ``classes`` there will ever be, or labels as such."""
        self._learn_all(classes, y)
        return self._fit(X, y, sample_weight, None, incremental=True)

    def predict(self, X: Any) -> NDArray[Any]:
        """The class of each row (rows,), or whether each label holds (rows, labels)."""
        answers = self._probabilities(X)
        predicted: NDArray[Any] = self._label_binarizer.inverse_transform(
            answers.ravel() if self.n_outputs_ == 1 else answers
        )
        return predicted

    def predict_proba(self, X: Any) -> NDArray[Any]:
        """The probability of each class, or of each label (rows, classes), in the order of ``classes_``."""
        answers = self._probabilities(X)
        return np.hstack([1 - answers, answers]) if self.n_outputs_ == 1 else answers

    def predict_log_proba(self, X: Any) -> NDArray[Any]:
        """The logarithms of the same."""
        with np.errstate(divide="ignore"):
            logarithms: NDArray[Any] = np.log(self.predict_proba(X))
        return logarithms

    def _probabilities(self, X: Any) -> NDArray[Any]:
        outputs = self._outputs(X)
        found: NDArray[Any] = (
            torch.softmax(outputs, dim=1) if self.out_activation_ == "softmax" else torch.sigmoid(outputs)
        ).numpy()
        return found

    def _answers(self, X: NDArray[Any]) -> NDArray[Any]:
        return self.predict_proba(X)

    def _learn_all(self, classes: Any, y: Any) -> None:
        known = getattr(self, "classes_", None)
        if classes is None:
            if known is None:
                raise ValueError("classes must be passed on the first call to partial_fit: all there will ever be")
            return
        if known is not None:
            if not np.array_equal(known, unique_labels(classes)):
                raise ValueError(f"classes is {classes!r}, and partial_fit began with {known}; it cannot change")
            return
        self._learn_labels(y if type_of_target(y).startswith("multilabel") else classes)

    def _learn_targets(self, y: NDArray[Any], *, incremental: bool) -> None:
        if not hasattr(self, "classes_") or not (self.warm_start or incremental):
            self._learn_labels(y)
        elif self.warm_start and set(unique_labels(y)) != set(self.classes_):
            raise ValueError(
                "warm_start can only be used where `y` has the same classes as in the previous call to fit. Previously "
                f"got {self.classes_}, `y` has {unique_labels(y)}"
            )
        self._factors = None
        if self.class_weight is None:
            return
        if self._label_binarizer.y_type_.startswith("multilabel"):
            raise ValueError("class_weight is for classes of which one holds; weigh rows with sample_weight")
        if incremental and self.class_weight == "balanced":
            raise ValueError(
                "class_weight 'balanced' needs all rows, and partial_fit sees a part; give the weights as a mapping"
            )
        self._factors = compute_class_weight(self.class_weight, classes=self.classes_, y=y)

    def _learn_labels(self, y: Any) -> None:
        self._label_binarizer = LabelBinarizer().fit(y)
        self.classes_ = self._label_binarizer.classes_

    def _encode(self, y: NDArray[Any]) -> NDArray[Any]:
        unknown = np.setdiff1d(unique_labels(y), self.classes_)
        if len(unknown):
            raise ValueError(f"y has classes that are not known: {unknown}; expected some of {self.classes_}")
        encoded: NDArray[Any] = self._label_binarizer.transform(y).astype(bool)
        return encoded

    def _targets(self, encoded: NDArray[Any]) -> Tensor:
        if self.out_activation_ == "softmax":
            return torch.from_numpy(encoded.argmax(axis=1))
        return torch.from_numpy(encoded.astype(np.float32))

    def _class_factors(self, encoded: NDArray[Any]) -> NDArray[Any] | None:
        if self._factors is None:
            return None
        factors: NDArray[Any] = self._factors[self._places_or_numbers(encoded)]
        return factors

    def _output_activation(self) -> str:
        return "softmax" if self._label_binarizer.y_type_ == "multiclass" else "logistic"

    def _answering(self) -> tuple[nn.Sequential, str]:
        body = copy.deepcopy(self.body_).cpu().double()
        if self.n_outputs_ > 1:
            return body, self.out_activation_
        # The logistic function of one output is the softmax of 0 and it: both classes have their probability.
        one = cast("nn.Linear", body[-1])
        body[-1] = two = nn.Linear(one.in_features, 2, dtype=torch.float64)
        with torch.no_grad():
            two.weight.copy_(torch.cat([torch.zeros_like(one.weight), one.weight]))
            two.bias.copy_(torch.cat([torch.zeros_like(one.bias), one.bias]))
        return body, "softmax"

    def _label_names(self) -> tuple[Label, ...]:
        if self._label_binarizer.y_type_.startswith("multilabel"):
            raise TrainingError("a model with several labels a row cannot be served; write it with export_onnx()")
        return labels_of(self.classes_)

    def _places_or_numbers(self, encoded: NDArray[Any]) -> NDArray[Any]:
        return encoded[:, 0].astype(np.int64) if encoded.shape[1] == 1 else encoded.argmax(axis=1)

    def _losses(self) -> tuple[Loss, Loss]:
        if callable(self.loss):
            loss = losses.own(self.loss)
            return loss, loss
        one_holds = self.out_activation_ == "softmax"
        if self.loss == "focal":
            if self.label_smoothing:
                raise ValueError("label_smoothing is for the loss 'log_loss'")
            loss = losses.focal() if one_holds else losses.binary_focal()
            return loss, loss
        make = losses.cross_entropy if one_holds else losses.binary_cross_entropy
        return make(self.label_smoothing), make()

    def _score_outputs(self, outputs: Tensor, rows: Rows) -> float:
        if self.out_activation_ == "softmax":
            right = outputs.argmax(dim=1) == rows.targets
        else:
            right = ((outputs > 0) == rows.targets.bool()).all(dim=1)
        return float(gradient.mean(right.to(outputs.dtype), rows.weights))

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_label = True
        return tags


@dataclass(eq=False, repr=False)
class MLPRegressor(RegressorMixin, BasePerceptron):  # type: ignore[misc]
    """A multi-layer perceptron that predicts numbers, one or several.

    Parameters, methods and attributes are those of `sklearn.neural_network.MLPRegressor`. In addition there are:
    the activations gelu and silu; ``dropout``, the share of hidden units left out; ``batch_norm``; ``device``;
    ``mixed_precision``, products in bfloat16 and all else as it is;
    ``callbacks``, each called as ``callback(estimator, epoch)`` after an epoch, and stopping where it returns True;
    ``loss``: half the "squared_error", "absolute_error", "huber" (squared up to an error of 1), "poisson", which
    predicts the exponential of the network's output, or a function of outputs and targets, both tensors
    (rows, targets), that gives one loss a row.
    """

    loss: str | Callable[[Tensor, Tensor], Tensor] = parameter(  # noqa: RUF009 - a field
        "squared_error", Options(tuple(losses.REGRESSION)), Function()
    )
    hidden_layer_sizes: int | Sequence[int] = parameter(*HIDDEN_LAYER_SIZES)
    activation: str = parameter(*ACTIVATION)

    @available_if(lambda self: self._can_go_on())  # type: ignore[untyped-decorator]
    def partial_fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:
        """One pass over ``X`` and ``y``."""
        return self._fit(X, y, sample_weight, None, incremental=True)

    def predict(self, X: Any) -> NDArray[Any]:
        """Predicted numbers (rows,), or (rows, targets) where there are several."""
        values: NDArray[Any] = self._values(self._outputs(X)).numpy()
        return values.ravel() if self.n_outputs_ == 1 else values

    def _answers(self, X: NDArray[Any]) -> NDArray[Any]:
        return self.predict(X).reshape(len(X), -1)

    def _values(self, outputs: Tensor) -> Tensor:
        return outputs.exp() if self.out_activation_ == "exp" else outputs

    def _learn_targets(self, y: NDArray[Any], *, incremental: bool) -> None:  # noqa: ARG002 - numbers need no learning
        if self.loss == "poisson" and y.min() < 0:
            raise ValueError(f"the loss 'poisson' is for counts, 0 or more, and y has {y.min():g}")

    def _encode(self, y: NDArray[Any]) -> NDArray[Any]:
        return y.reshape(-1, 1) if y.ndim == 1 else y

    def _targets(self, encoded: NDArray[Any]) -> Tensor:
        return torch.from_numpy(np.array(encoded, np.float64))

    def _class_factors(self, encoded: NDArray[Any]) -> NDArray[Any] | None:  # noqa: ARG002 - there are no classes
        return None

    def _output_activation(self) -> str:
        return "exp" if self.loss == "poisson" else "identity"

    def _answering(self) -> tuple[nn.Sequential, str]:
        return copy.deepcopy(self.body_).cpu().double(), self.out_activation_

    def _label_names(self) -> tuple[Label, ...]:
        return ()

    def _places_or_numbers(self, encoded: NDArray[Any]) -> NDArray[Any]:
        return encoded.astype(np.float64)

    def _losses(self) -> tuple[Loss, Loss]:
        loss = losses.own(self.loss) if callable(self.loss) else losses.REGRESSION[self.loss]
        return loss, loss

    def _score_outputs(self, outputs: Tensor, rows: Rows) -> float:
        weights = None if rows.weights is None else rows.weights.cpu().numpy()
        return float(r2_score(rows.exact_targets, self._values(outputs).cpu().double().numpy(), sample_weight=weights))
