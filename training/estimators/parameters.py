"""What `MLPClassifier` and `MLPRegressor` can be told: each parameter once, with its default and what it may be.

Names, defaults and ranges of the first part are scikit-learn's; those of the second part are ours.
https://scikit-learn.org/stable/modules/generated/sklearn.neural_network.MLPClassifier.html
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any, Final

import numpy as np

from training.config import ACTIVATIONS, DEVICES, SEED_MAX, Constraint, Interval, Options, mismatch

STOCHASTIC: Final = ("adam", "sgd")


@dataclass(frozen=True, slots=True)
class OfType:
    """A value of some types."""

    types: tuple[type, ...]
    text: str

    def accepts(self, value: object) -> bool:
        """Whether ``value`` is of one of them."""
        return isinstance(value, self.types)

    def __str__(self) -> str:
        return self.text


@dataclass(frozen=True, slots=True)
class Sizes:
    """Units of each hidden layer."""

    def accepts(self, value: object) -> bool:
        """Whether ``value`` is a sequence of integers from 1 on."""
        one = Interval(1, integer=True)
        return isinstance(value, Iterable) and not isinstance(value, str) and all(map(one.accepts, value))

    def __str__(self) -> str:
        return "a sequence of them"


@dataclass(frozen=True, slots=True)
class Function:
    """Something to call."""

    def accepts(self, value: object) -> bool:
        """Whether ``value`` can be called."""
        return callable(value)

    def __str__(self) -> str:
        return "a function"


BOOLEAN: Final = OfType((bool, np.bool_), "True or False")
NOTHING: Final = OfType((type(None),), "None")
RANDOM_STATE: Final = OfType((np.random.RandomState,), "a numpy RandomState")
CALLBACKS: Final = OfType((Sequence,), "a sequence of functions")
MAPPING: Final = OfType((Mapping,), "a mapping from each class to its weight")


def parameter(default: Any, *constraints: Constraint) -> Any:
    """A parameter whose value satisfies one of ``constraints``."""
    return field(default=default, metadata={"constraints": constraints})


HIDDEN_LAYER_SIZES: Final = ((100,), Interval(1, integer=True), Sizes())
ACTIVATION: Final = ("relu", Options(ACTIVATIONS))


@dataclass(eq=False, repr=False, kw_only=True)
class Parameters:
    """All that both estimators have in common, but for what can be given by place: each has that in its own order."""

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
    callbacks: Sequence[Callable[..., Any]] | None = parameter(None, NOTHING, CALLBACKS)

    def chosen(self) -> dict[str, Any]:
        """Every parameter by name."""
        return {each.name: getattr(self, each.name) for each in fields(self)}

    def check(self) -> None:
        """Raise `ValueError` where a parameter is not what it may be, or two do not go together."""
        for each in fields(self):
            found = mismatch(each.name, getattr(self, each.name), *each.metadata["constraints"])
            if found is not None:
                raise ValueError(f"{type(self).__name__}: {found}")
        for name in ("dropout", "batch_norm"):
            if self.solver == "lbfgs" and getattr(self, name):
                raise ValueError(
                    f"{type(self).__name__}: {name} changes from batch to batch and the solver 'lbfgs' has none; "
                    "choose the solver 'adam' or 'sgd'"
                )
