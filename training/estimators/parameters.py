"""The parameters that `MLPClassifier` and `MLPRegressor` share: default, valid values and meaning of each."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any, Final

import numpy as np

from training.config import ACTIVATIONS, DEVICES, SCHEDULES, SEED_MAX, Constraint, Interval, Options, mismatch

STOCHASTIC: Final = ("adam", "sgd")


@dataclass(frozen=True, slots=True)
class OfType:
    """A value of one of ``types``."""

    types: tuple[Any, ...]  # not `type`, which excludes Callable for mypy
    text: str

    def accepts(self, value: object) -> bool:
        """Whether ``value`` has one of the types."""
        return isinstance(value, self.types)

    def __str__(self) -> str:
        return self.text


@dataclass(frozen=True, slots=True)
class Sizes:
    """Sizes of the hidden layers."""

    def accepts(self, value: object) -> bool:
        """Whether ``value`` is a sequence of integers of at least 1."""
        one = Interval(1, integer=True)
        return isinstance(value, Iterable) and not isinstance(value, str) and all(map(one.accepts, value))

    def __str__(self) -> str:
        return "a sequence of integers of at least 1"


BOOLEAN: Final = OfType((bool, np.bool_), "True or False")
NOTHING: Final = OfType((type(None),), "None")
RANDOM_STATE: Final = OfType((np.random.RandomState,), "a numpy RandomState")
FUNCTION: Final = OfType((Callable,), "a function")
CALLBACKS: Final = OfType((Sequence,), "a sequence of functions")
MAPPING: Final = OfType((Mapping,), "a mapping from classes to weights")
NAMES: Final = OfType((Sequence, np.ndarray), "a sequence of names or positions")


def parameter(default: Any, *constraints: Constraint) -> Any:
    """Declare a parameter whose value must satisfy one of ``constraints``."""
    return field(default=default, metadata={"constraints": constraints})


def check_fields(estimator: Any) -> None:
    """Raise `ValueError` if a field of ``estimator``, declared with `parameter`, has an invalid value."""
    for each in fields(estimator):
        found = mismatch(each.name, getattr(estimator, each.name), *each.metadata["constraints"])
        if found is not None:
            raise ValueError(f"{type(estimator).__name__}: {found}")


HIDDEN_LAYER_SIZES: Final = ((100,), Interval(1, integer=True), Sizes())
ACTIVATION: Final = ("relu", Options(ACTIVATIONS))


@dataclass(eq=False, repr=False, kw_only=True)
class Parameters:
    """Keyword parameters of both estimators. `inherit_sections` adds this documentation to theirs.

    Parameters
    ----------
    hidden_layer_sizes : int or sequence of int, default=(100,)
        Number of units in each hidden layer. An int means one hidden layer, an empty
        sequence a linear model.
    activation : {'relu', 'tanh', 'logistic', 'gelu', 'silu', 'identity'}, default='relu'
        Activation function of the hidden layers.
    solver : {'lbfgs', 'adam', 'sgd'}, default='adam'
        Training algorithm. ``'adam'`` and ``'sgd'`` take one step per mini-batch.
        ``'lbfgs'`` uses all rows in each step, which suits small data sets.
    alpha : float, default=0.0001
        Strength of the L2 penalty: ``alpha / 2`` times the sum of the squared weights,
        divided by the rows of the step (or the sum of their weights), is added to the
        mean loss. Biases are not penalised.
    batch_size : int or 'auto', default='auto'
        Rows per mini-batch of ``'adam'`` and ``'sgd'``. ``'auto'`` means
        ``min(200, n_samples)``.
    learning_rate : {'constant', 'invscaling', 'adaptive'}, default='constant'
        Learning rate schedule of ``'sgd'``.

        - ``'constant'``: the rate stays at ``learning_rate_init``.
        - ``'invscaling'``: after each epoch the rate becomes
          ``learning_rate_init / (t_ + 1) ** power_t``.
        - ``'adaptive'``: instead of stopping, training divides the rate by 5 until
          it is at most 1e-6.
    learning_rate_init : float, default=0.001
        Initial learning rate of ``'adam'`` and ``'sgd'``.
    power_t : float, default=0.5
        Exponent of the ``'invscaling'`` schedule.
    max_iter : int, default=200
        Maximum number of epochs (``'adam'``, ``'sgd'``) or iterations (``'lbfgs'``).
    shuffle : bool, default=True
        Whether to shuffle the rows before each epoch of ``'adam'`` and ``'sgd'``.
    random_state : int, RandomState instance or None, default=None
        Source of the initial weights, the validation split, the order of the rows and
        dropout. An int makes the result reproducible.
    tol : float, default=0.0001
        Smallest improvement of the training loss, or of the validation score with
        ``early_stopping``, that counts as one. ``'lbfgs'`` stops when no component of
        the gradient is larger than ``tol``.
    verbose : bool or int, default=False
        Whether to print the progress of each epoch or iteration.
    warm_start : bool, default=False
        Whether `fit` continues from the current weights instead of drawing new ones.
    momentum : float, default=0.9
        Momentum of ``'sgd'``, from 0 to 1.
    nesterovs_momentum : bool, default=True
        Whether ``'sgd'`` uses Nesterov's momentum.
    early_stopping : bool, default=False
        Whether ``'adam'`` and ``'sgd'`` stop when the validation score, and not the
        training loss, no longer improves, and restore the weights of the best epoch.
        The validation rows are set aside from the training rows, unless `fit` gets
        ``validation_data``.
    validation_fraction : float, default=0.1
        Share of the training rows to set aside for ``early_stopping``.
    beta_1 : float, default=0.9
        Decay rate of the first moment estimates of ``'adam'``, in [0, 1).
    beta_2 : float, default=0.999
        Decay rate of the second moment estimates of ``'adam'``, in [0, 1).
    epsilon : float, default=1e-08
        Added to the denominator of the step of ``'adam'``, for numerical stability.
    n_iter_no_change : int or inf, default=10
        Number of consecutive epochs without an improvement of ``tol`` after which
        ``'adam'`` and ``'sgd'`` tolerate no further one.
    max_fun : int, default=15000
        Maximum number of evaluations of the loss by ``'lbfgs'``.
    dropout : float, default=0.0
        Share of hidden units set to 0 in each training step, from 0 to 0.95, to the
        nearest 1/256. Not available with ``'lbfgs'``.
    batch_norm : bool, default=False
        Whether to apply batch normalisation before each hidden activation. Not
        available with ``'lbfgs'``.
    mixed_precision : bool, default=False
        Whether ``'adam'`` and ``'sgd'`` multiply matrices in bfloat16, which is faster
        for large layers on hardware that supports it. Parameters keep the dtype of
        the training data.
    device : {'auto', 'cuda', 'mps', 'cpu'}, default='cpu'
        Device for training and prediction. ``'auto'`` takes the first one available.
    schedule : {'one_cycle', 'cosine'} or None, default=None
        Learning rate of each step of ``'adam'`` and ``'sgd'``, over all of ``max_iter``
        epochs; None leaves it to ``learning_rate``, as in scikit-learn. Not available in
        `partial_fit`.

        - ``'one_cycle'`` [6]_: up to ``learning_rate_init`` over the first 30 % of the
          steps, then down to almost 0.
        - ``'cosine'`` [7]_: from ``learning_rate_init`` down to 0.

        Training stops early all the same when nothing improves;
        ``n_iter_no_change=float('inf')`` completes the schedule.
    callbacks : sequence of callable, default=None
        Functions called as ``callback(estimator, epoch)`` after each epoch or
        iteration, where ``epoch`` is an entry of ``history_``. Training stops when one
        of them returns True.
    """

    solver: str = parameter("adam", Options(("lbfgs", *STOCHASTIC)))
    alpha: float = parameter(0.0001, Interval(0))
    batch_size: int | str = parameter("auto", Options(("auto",)), Interval(1, integer=True))
    learning_rate: str = parameter("constant", Options(("constant", "invscaling", "adaptive")))
    learning_rate_init: float = parameter(0.001, Interval(0, open_low=True))
    power_t: float = parameter(0.5, Interval(0))
    max_iter: int = parameter(200, Interval(1, integer=True))
    shuffle: bool = parameter(True, BOOLEAN)
    random_state: Any = parameter(None, NOTHING, Interval(0, SEED_MAX, integer=True), RANDOM_STATE)  # noqa: RUF009 - a field
    tol: float = parameter(1e-4, Interval(0))
    verbose: bool | int = parameter(False, BOOLEAN, Interval(0, integer=True))
    warm_start: bool = parameter(False, BOOLEAN)
    momentum: float = parameter(0.9, Interval(0, 1))
    nesterovs_momentum: bool = parameter(True, BOOLEAN)
    early_stopping: bool = parameter(False, BOOLEAN)
    validation_fraction: float = parameter(0.1, Interval(0, 1, open_high=True))
    beta_1: float = parameter(0.9, Interval(0, 1, open_high=True))
    beta_2: float = parameter(0.999, Interval(0, 1, open_high=True))
    epsilon: float = parameter(1e-8, Interval(0, open_low=True))
    n_iter_no_change: float = parameter(10, Interval(1, integer=True), Options((math.inf,)))
    max_fun: int = parameter(15000, Interval(1, integer=True))

    dropout: float = parameter(0.0, Interval(0, 0.95))
    batch_norm: bool = parameter(False, BOOLEAN)
    mixed_precision: bool = parameter(False, BOOLEAN)
    device: str = parameter("cpu", Options(DEVICES))
    schedule: str | None = parameter(None, NOTHING, Options(tuple(SCHEDULES)))
    callbacks: Sequence[Callable[..., Any]] | None = parameter(None, NOTHING, CALLBACKS)

    def check(self) -> None:
        """Check the parameters without fitting.

        Raises
        ------
        ValueError
            If a parameter is invalid, or two of them exclude each other.
        """
        check_fields(self)
        for name in ("dropout", "batch_norm", "schedule"):
            if self.solver == "lbfgs" and getattr(self, name):
                raise ValueError(
                    f"{type(self).__name__}: {name} needs mini-batches, and the solver 'lbfgs' has none; choose the "
                    "solver 'adam' or 'sgd'"
                )
        if self.schedule is not None and self.learning_rate != "constant":
            raise ValueError(
                f"{type(self).__name__}: schedule is {self.schedule!r} and learning_rate {self.learning_rate!r}, and "
                "both set the rate; leave one of them out"
            )
