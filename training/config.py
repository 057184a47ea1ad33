"""The options of a training run: name, default, bounds and help text of each, and the language of bounds.

The command line is generated from `Config`. The estimators state their parameters in the same bounds.
"""

from __future__ import annotations

import math
import warnings
from dataclasses import dataclass, field, fields
from numbers import Integral, Real
from typing import Any, Final, Literal, Protocol

from training.errors import OptionError

ACTIVATIONS: Final = ("relu", "tanh", "logistic", "gelu", "silu", "identity")
OPTIMIZERS: Final = ("adamw", "adam", "sgd")
ARITHMETICS: Final = ("auto", "float32", "bfloat16")
LOSSES: Final = ("auto", "log_loss", "squared_error", "absolute_error", "huber")
CLASS_WEIGHTS: Final = ("none", "balanced")
SCHEDULES: Final = ("one_cycle", "cosine")
DEVICES: Final = ("auto", "cuda", "mps", "cpu")
SEED_MAX: Final = 2**32 - 1


class Constraint(Protocol):
    """A set of valid values; its text completes the sentence "expected ..."."""

    def accepts(self, value: object) -> bool:
        """Whether ``value`` is valid."""
        ...


@dataclass(frozen=True, slots=True)
class Options:
    """One of a few strings or numbers."""

    values: tuple[Any, ...]

    def accepts(self, value: object) -> bool:
        """Whether ``value`` is one of them."""
        return isinstance(value, (str, Real)) and value in self.values

    def __str__(self) -> str:
        listed = ", ".join(map(repr, self.values))
        return listed if len(self.values) == 1 else f"one of {listed}"


@dataclass(frozen=True, slots=True)
class Interval:
    """A number from ``low`` to ``high``, both included unless ``open_low`` or ``open_high``; see ``integer``."""

    low: float
    high: float = math.inf
    integer: bool = False
    open_low: bool = False
    open_high: bool = False

    def accepts(self, value: object) -> bool:
        """Whether ``value`` is a number in the interval; NaN is not."""
        if not isinstance(value, Integral if self.integer else Real):
            return False
        number = float(value)
        above = number > self.low if self.open_low else number >= self.low
        return above and (number < self.high if self.open_high else number <= self.high)

    def __str__(self) -> str:
        number = "an integer" if self.integer else "a number"
        low, high = _shown(self.low), _shown(self.high)
        if not (self.open_low or self.open_high or self.high == math.inf):
            return f"{number} from {low} to {high}"
        above = f"above {low}" if self.open_low else f"of at least {low}"
        if self.high == math.inf:
            return f"{number} {above}"
        return f"{number} {above} and {'below' if self.open_high else 'at most'} {high}"


def _shown(end: float) -> str:
    return f"{end:,}" if isinstance(end, int) else f"{end:g}"


def mismatch(name: str, value: object, *constraints: Constraint) -> str | None:
    """Return what is wrong with the ``value`` of option ``name``, or None if one of the ``constraints`` accepts it."""
    if any(each.accepts(value) for each in constraints):
        return None
    return f"{name} is {value!r}, expected {', or '.join(map(str, constraints))}"


def _option(default: Any, text: str, bounds: Constraint | None = None) -> Any:
    return field(default=default, metadata={"help": text, "bounds": bounds})


def _integer(low: int, high: int) -> Interval:
    return Interval(low, high, integer=True)


@dataclass(frozen=True, slots=True)
class Config:
    """The options of one training run. Raises `OptionError` if a value is out of bounds."""

    hidden: tuple[int, ...] = _option((512, 512), "units of each hidden layer", _integer(1, 65536))
    members: int = _option(
        1, "networks of this size, trained side by side, whose outputs are averaged", _integer(1, 256)
    )
    activation: str = _option("relu", "activation function of the hidden layers", Options(ACTIVATIONS))
    dropout: float = _option(0.0, "share of hidden units dropped at each step", Interval(0, 0.95))
    batch_norm: bool = _option(False, "batch normalization after each hidden layer; folded into the weights at export")
    numeric_bins: int = _option(
        0,
        "tables: piecewise-linear encoding of each numeric feature, with up to this many bins of about as many rows "
        "each, fewer if there are more than 128 features; 0: none",
        _integer(0, 256),
    )
    whiten: float = _option(
        0.0,
        "ZCA-whiten the inputs, with this share of the largest variance added to all; folded into the weights at "
        "export; 0: off",
        Interval(0, 1),
    )
    optimizer: str = _option("adamw", "optimizer", Options(OPTIMIZERS))
    lr: float = _option(1e-3, "peak learning rate of the one-cycle schedule; 0: by the batch size", Interval(0, 10))
    weight_decay: float = _option(0.01, "decoupled for adamw, part of the gradient otherwise", Interval(0, 10))
    batch_size: int = _option(128, "rows per step; 0: by the number of training rows", _integer(0, 65536))
    epochs: int = _option(
        40, "passes over the training rows; 0: few, by the number of training rows", _integer(0, 100_000)
    )
    average_weights: bool = _option(
        False, "evaluate and keep the average of the weights over about the last fifth of the steps"
    )
    loss: str = _option("auto", "training loss; auto: log_loss for classes, squared_error for numbers", Options(LOSSES))
    class_weight: str = _option(
        "none",
        "balanced: every class has the same total weight; probabilities then assume equally frequent classes",
        Options(CLASS_WEIGHTS),
    )
    label_smoothing: float = _option(0.0, "share of each label spread evenly over all classes", Interval(0, 0.9))
    flip: bool = _option(False, "images: mirror half of them left to right; fashion-mnist does so by default")
    shift_pixels: int = _option(0, "images: shift each by up to this many pixels", _integer(0, 64))
    erase_pixels: int = _option(
        0, "images: blank a square with edges of this length in half of them", _integer(0, 1024)
    )
    local_pixels: int = _option(
        0,
        "images: initialize each unit of the first layer around one point, with a Gaussian of this standard deviation; "
        "0: over the whole image",
        _integer(0, 1024),
    )
    teacher_epochs: int = _option(
        0,
        "images: epochs of a convolutional teacher, trained first, from whose probabilities the network is distilled; "
        "0: no teacher",
        _integer(0, 100_000),
    )
    patience: int = _option(
        0,
        "stop after this many epochs without a lower validation loss and keep the best weights; 0: train all epochs",
        _integer(0, 100_000),
    )
    validation_fraction: float = _option(
        0.1, "share of the rows for early stopping and calibration", Interval(0.01, 0.5)
    )
    test_fraction: float = _option(
        0.2, "share of the rows for test scores, if the data has no test split of its own", Interval(0.01, 0.5)
    )
    seed: int = _option(0, "seed of the split, the initial weights and the order of the rows", _integer(0, SEED_MAX))
    arithmetic: str = _option(
        "auto",
        "arithmetic of matrix products; auto: bfloat16 if it is faster, measured at the start for large layers",
        Options(ARITHMETICS),
    )
    device: str = _option("auto", "device to train on; auto: the first one available", Options(DEVICES))

    def __post_init__(self) -> None:
        if self.loss == "cross_entropy":  # its name in 0.1
            warnings.warn("--loss cross_entropy is now called log_loss", FutureWarning, stacklevel=3)
            object.__setattr__(self, "loss", "log_loss")
        if not isinstance(self.hidden, tuple):
            raise OptionError(f"--hidden is {self.hidden!r:.100}, expected one or more sizes such as: --hidden 256 128")
        for each in fields(self):
            _check(each.name, getattr(self, each.name), each.metadata["bounds"])
        if not self.hidden:
            raise OptionError("--hidden is empty, expected one or more sizes such as: --hidden 256 128")
        if self.members > 1 and self.batch_norm:
            raise OptionError(f"--members is {self.members}, expected 1 with --batch-norm; add --no-batch-norm")
        if self.batch_norm and self.batch_size == 1:
            raise OptionError("--batch-size is 1, expected 2 or more with --batch-norm, which averages over the batch")


def _check(name: str, value: Any, bounds: Constraint | None) -> None:
    """Raise `OptionError` if ``value``, or an item of a tuple, is out of ``bounds``."""
    if bounds is None:
        return
    for each in value if isinstance(value, tuple) else (value,):
        if found := mismatch(flag_of(name), each, bounds):
            raise OptionError(found)


def flag_of(name: str) -> str:
    """The command-line flag of a field, such as ``--batch-size``."""
    return f"--{name.replace('_', '-')}"


Kind = Literal["image", "table"]
DEFAULT: Final = "default"
RECIPES_HELP: Final = (
    "preset of options; best takes longer: images are distilled from a convolutional teacher, tables use the mean of 8 "
    "networks; fast, for tables only: few epochs"
)

# The classic network, regularized against overfitting 55,000 images.
_IMAGE: Final[dict[str, Any]] = {
    "batch_norm": True,
    "dropout": 0.05,
    "lr": 4e-3,
    "weight_decay": 0.03,
    "batch_size": 512,
    "epochs": 180,
    "shift_pixels": 1,
    "erase_pixels": 8,
    "local_pixels": 3,
    "validation_fraction": 1 / 12,
}
_TABLE: Final[dict[str, Any]] = {
    "hidden": (128, 128),
    "numeric_bins": 32,
    "dropout": 0.1,
    "batch_size": 0,
    "lr": 0.0,
    "epochs": 200,
    "average_weights": True,
    "patience": 20,
    "validation_fraction": 0.15,
}

_BEST_TABLE: Final[dict[str, Any]] = _TABLE | {"members": 8, "hidden": (64, 64)}

# 30 columns of a million rows take 10 to 20 seconds on two cores. Its learning rate ends near 0, without averages.
_FAST_TABLE: Final[dict[str, Any]] = _TABLE | {
    "hidden": (64, 64),
    "numeric_bins": 8,
    "dropout": 0.0,
    "epochs": 0,
    "average_weights": False,
    "patience": 5,
}

# Selected with the default number of validation rows; trained with fewer of them, to leave more rows for training.
_BEST_IMAGE: Final[dict[str, Any]] = _IMAGE | {
    "whiten": 0.05,
    "epochs": 1200,
    "teacher_epochs": 14,
    "validation_fraction": 1 / 60,
}

# Defaults by recipe and kind of data. Those for images were selected on the validation rows of Fashion-MNIST.
RECIPES: Final[dict[str, dict[Kind, dict[str, Any]]]] = {
    DEFAULT: {"image": _IMAGE, "table": _TABLE},
    "best": {"image": _BEST_IMAGE, "table": _BEST_TABLE},
    "fast": {"table": _FAST_TABLE},
}
