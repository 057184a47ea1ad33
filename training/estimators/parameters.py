"""What `MLPClassifier` and `MLPRegressor` can be told: each parameter once, with its default and what it may be.

Names, defaults and ranges of the first part are scikit-learn's; those of the second part are ours.
https://scikit-learn.org/stable/modules/generated/sklearn.neural_network.MLPClassifier.html
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from numbers import Integral, Real
from typing import Any, Final, Protocol

import numpy as np

from training.config import ACTIVATIONS, DEVICES, SEED_MAX

STOCHASTIC: Final = ("adam", "sgd")


class Takes(Protocol):
    """One kind of value that a parameter may have; its text says which."""

    def takes(self, value: Any) -> bool:
        """Whether ``value`` is of this kind."""
        ...


@dataclass(frozen=True, slots=True)
class Among:
    """One of some texts."""

    texts: tuple[str, ...]

    def takes(self, value: Any) -> bool:
        """Whether ``value`` is one of them."""
        return isinstance(value, str) and value in self.texts

    def __str__(self) -> str:
        return " or ".join(map(repr, self.texts))


@dataclass(frozen=True, slots=True)
class Within:
    """A number from ``low`` to ``high``, an integer where ``whole``; the ends belong to it unless they are ``open``."""

    low: float
    high: float = math.inf
    whole: bool = False
    open_low: bool = False
    open_high: bool = False

    def takes(self, value: Any) -> bool:
        """Whether ``value`` is such a number."""
        if not isinstance(value, Integral if self.whole else Real):
            return False
        number = float(value)
        above = number > self.low if self.open_low else number >= self.low
        return above and (number < self.high if self.open_high else number <= self.high)

    def __str__(self) -> str:
        kind = "an integer" if self.whole else "a number"
        low = f"{'above' if self.open_low else 'from'} {self.low:g}"
        if self.high == math.inf:
            return f"{kind} {low}{'' if self.open_low else ' on'}"
        return f"{kind} {low} {'to below' if self.open_high else 'to'} {self.high:g}"


@dataclass(frozen=True, slots=True)
class OfType:
    """A value of some types."""

    types: tuple[type, ...]
    text: str

    def takes(self, value: Any) -> bool:
        """Whether ``value`` is of one of them."""
        return isinstance(value, self.types)

    def __str__(self) -> str:
        return self.text


@dataclass(frozen=True, slots=True)
class Sizes:
    """Units of each hidden layer."""

    def takes(self, value: Any) -> bool:
        """Whether ``value`` is a sequence of integers from 1 on."""
        one = Within(1, whole=True)
        return isinstance(value, Iterable) and not isinstance(value, str) and all(map(one.takes, value))

    def __str__(self) -> str:
        return "a sequence of them"


@dataclass(frozen=True, slots=True)
class Function:
    """Something to call."""

    def takes(self, value: Any) -> bool:
        """Whether ``value`` can be called."""
        return callable(value)

    def __str__(self) -> str:
        return "a function"


BOOLEAN: Final = OfType((bool, np.bool_), "True or False")
NOTHING: Final = OfType((type(None),), "None")
RANDOM_STATE: Final = OfType((np.random.RandomState,), "a numpy RandomState")
CALLBACKS: Final = OfType((Sequence,), "a sequence of functions")
MAPPING: Final = OfType((Mapping,), "a mapping from each class to its weight")


def parameter(default: Any, *kinds: Takes) -> Any:
    """A parameter whose value is of one of ``kinds``."""
    return field(default=default, metadata={"kinds": kinds})


HIDDEN_LAYER_SIZES: Final = ((100,), Within(1, whole=True), Sizes())
ACTIVATION: Final = ("relu", Among(ACTIVATIONS))


@dataclass(eq=False, repr=False, kw_only=True)
class Parameters:
    """All that both estimators have in common, but for what can be given by place: each has that in its own order."""

    solver: str = parameter("adam", Among(("lbfgs", *STOCHASTIC)))
    alpha: float = parameter(0.0001, Within(0))
    batch_size: int | str = parameter("auto", Among(("auto",)), Within(1, whole=True))
    learning_rate: str = parameter("constant", Among(("constant", "invscaling", "adaptive")))
    learning_rate_init: float = parameter(0.001, Within(0, open_low=True))
    power_t: float = parameter(0.5, Within(0))
    max_iter: int = parameter(200, Within(1, whole=True))
    shuffle: bool = parameter(True, BOOLEAN)
    random_state: Any = parameter(None, NOTHING, Within(0, SEED_MAX, whole=True), RANDOM_STATE)  # noqa: RUF009 - a field
    tol: float = parameter(1e-4, Within(0))
    verbose: bool | int = parameter(False, BOOLEAN, Within(0, whole=True))
    warm_start: bool = parameter(False, BOOLEAN)
    momentum: float = parameter(0.9, Within(0, 1))
    nesterovs_momentum: bool = parameter(True, BOOLEAN)
    early_stopping: bool = parameter(False, BOOLEAN)
    validation_fraction: float = parameter(0.1, Within(0, 1, open_high=True))
    beta_1: float = parameter(0.9, Within(0, 1, open_high=True))
    beta_2: float = parameter(0.999, Within(0, 1, open_high=True))
    epsilon: float = parameter(1e-8, Within(0, open_low=True))
    n_iter_no_change: float = parameter(10, Within(1, whole=True), Within(math.inf))
    max_fun: int = parameter(15000, Within(1, whole=True))

    dropout: float = parameter(0.0, Within(0, 0.95))
    batch_norm: bool = parameter(False, BOOLEAN)
    mixed_precision: bool = parameter(False, BOOLEAN)
    device: str = parameter("cpu", Among(DEVICES))
    callbacks: Sequence[Callable[..., Any]] | None = parameter(None, NOTHING, CALLBACKS)

    def chosen(self) -> dict[str, Any]:
        """Every parameter by name."""
        return {each.name: getattr(self, each.name) for each in fields(self)}

    def check(self) -> None:
        """Raise `ValueError` where a parameter is not what it may be, or two do not go together."""
        for each in fields(self):
            value = getattr(self, each.name)
            if not any(kind.takes(value) for kind in each.metadata["kinds"]):
                expected = ", or ".join(map(str, each.metadata["kinds"]))
                raise ValueError(f"{type(self).__name__}: {each.name} is {value!r}, expected {expected}")
        for name in ("dropout", "batch_norm"):
            if self.solver == "lbfgs" and getattr(self, name):
                raise ValueError(
                    f"{type(self).__name__}: {name} changes from batch to batch and the solver 'lbfgs' has none; "
                    "choose the solver 'adam' or 'sgd'"
                )
