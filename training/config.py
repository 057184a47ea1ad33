"""Every choice of a training run once: name, default, bounds, meaning. The command line is made from it."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any, Final, Literal

from training.errors import OptionError

ACTIVATIONS: Final = ("relu", "tanh", "logistic", "gelu", "silu", "identity")
OPTIMIZERS: Final = ("adamw", "adam", "sgd")
LOSSES: Final = ("auto", "log_loss", "squared_error", "absolute_error", "huber")
CLASS_WEIGHTS: Final = ("none", "balanced")
DEVICES: Final = ("auto", "cuda", "mps", "cpu")
SEED_MAX: Final = 2**32 - 1


def _choice(
    default: Any, meaning: str, *, ge: float | None = None, le: float | None = None, among: tuple[str, ...] = ()
) -> Any:
    return field(default=default, metadata={"meaning": meaning, "ge": ge, "le": le, "among": among})


@dataclass(frozen=True, slots=True)
class Config:
    """What a run does with its data. Raises `OptionError` where a value is out of its bounds."""

    hidden: tuple[int, ...] = _choice((512, 512), "units of each hidden layer", ge=1, le=65536)
    activation: str = _choice("relu", "of the hidden layers", among=ACTIVATIONS)
    dropout: float = _choice(0.0, "share of hidden units left out at each step", ge=0, le=0.95)
    batch_norm: bool = _choice(False, "normalise each hidden layer over the batch; folded away at export")
    whiten: float = _choice(
        0.0,
        "bring inputs that vary together apart, down to this share of the largest variance; folded away at export, and "
        "0 does without",
        ge=0,
        le=1,
    )
    optimizer: str = _choice("adamw", "how weights are moved", among=OPTIMIZERS)
    lr: float = _choice(1e-3, "highest learning rate of the one-cycle schedule", ge=1e-7, le=10)
    weight_decay: float = _choice(0.01, "decoupled for adamw, else in the gradient", ge=0, le=10)
    batch_size: int = _choice(128, "rows a step", ge=1, le=65536)
    epochs: int = _choice(40, "passes over the training rows", ge=1, le=100_000)
    loss: str = _choice(
        "auto", "what training makes small; auto: log_loss for classes, squared_error for numbers", among=LOSSES
    )
    class_weight: str = _choice(
        "none",
        "balanced: each class counts alike, however few its rows; probabilities then suppose so",
        among=CLASS_WEIGHTS,
    )
    label_smoothing: float = _choice(0.0, "share of each label spread over all of them", ge=0, le=0.9)
    flip: bool = _choice(
        False, "images: mirror half of them, left to right; fashion-mnist does so unless told otherwise"
    )
    shift_pixels: int = _choice(0, "images: move each by up to this many pixels", ge=0, le=64)
    erase_pixels: int = _choice(0, "images: blank a square of this edge in half of them", ge=0, le=1024)
    local_pixels: int = _choice(
        0,
        "images: let each unit of the first layer begin with one place of them, about so many pixels around it; 0 lets "
        "it begin with all of them",
        ge=0,
        le=1024,
    )
    teacher_epochs: int = _choice(
        0,
        "images: epochs of a convolutional network that is trained first and whose probabilities are then learned with "
        "the labels; 0 does without",
        ge=0,
        le=100_000,
    )
    patience: int = _choice(
        0, "epochs without a better validation loss before training stops; 0 trains them all", ge=0, le=100_000
    )
    validation_fraction: float = _choice(0.1, "share of the rows to choose and calibrate by", ge=0.01, le=0.5)
    test_fraction: float = _choice(
        0.2, "share of the rows for the card, where the data has no test split of its own", ge=0.01, le=0.5
    )
    seed: int = _choice(0, "of the split, the first weights and the order of rows", ge=0, le=SEED_MAX)
    device: str = _choice("auto", "where to train; auto takes the first that is there", among=DEVICES)

    def __post_init__(self) -> None:
        if self.loss == "cross_entropy":  # its name in 0.1
            warnings.warn("--loss cross_entropy is now called log_loss", FutureWarning, stacklevel=3)
            object.__setattr__(self, "loss", "log_loss")
        for each in fields(self):
            check(each.name, getattr(self, each.name), each.metadata)
        if not self.hidden:
            raise OptionError("--hidden is empty, expected one or more sizes such as: --hidden 256 128")
        if self.batch_norm and self.batch_size == 1:
            raise OptionError("--batch-size is 1, expected 2 or more with --batch-norm, which measures rows together")


def check(name: str, value: Any, bounds: Mapping[str, Any]) -> None:
    """`OptionError` where ``value``, or an item of it, is not ``among`` its choices or not from ``ge`` to ``le``."""
    flag = flag_of(name)
    if bounds["among"] and value not in bounds["among"]:
        raise OptionError(f"{flag} is {value!r}, expected one of {', '.join(bounds['among'])}")
    if bounds["ge"] is not None:
        for each in value if isinstance(value, tuple) else (value,):
            if not bounds["ge"] <= each <= bounds["le"]:  # NaN compares false
                raise OptionError(f"{flag} is {each!r}, expected {range_of(bounds)}")


def range_of(bounds: Mapping[str, Any]) -> str:
    """The least and the largest value in words."""
    least, largest = (f"{end:,}" if isinstance(end, int) else f"{end:g}" for end in (bounds["ge"], bounds["le"]))
    return f"{least} to {largest}"


def flag_of(name: str) -> str:
    """The command line's word for a field."""
    return f"--{name.replace('_', '-')}"


Kind = Literal["image", "table"]
DEFAULT: Final = "default"
RECIPES_MEANING: Final = (
    "choices that go together; best, for images: the network learns from a convolutional teacher, which takes longer"
)

# The classic network with what keeps it from learning its 55,000 images by heart.
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
    "batch_size": 32,
    "epochs": 200,
    "patience": 20,
    "validation_fraction": 0.15,
}

# Chosen with as many validation rows as the default has; trained with fewer of them, to have more to learn from.
_BEST_IMAGE: Final[dict[str, Any]] = _IMAGE | {
    "whiten": 0.05,
    "epochs": 1200,
    "teacher_epochs": 14,
    "validation_fraction": 1 / 60,
}

# What suits a kind of data where nothing else was asked for, by the recipe's name. Those of images were chosen on
# Fashion-MNIST's validation rows.
RECIPES: Final[dict[str, dict[Kind, dict[str, Any]]]] = {
    DEFAULT: {"image": _IMAGE, "table": _TABLE},
    "best": {"image": _BEST_IMAGE},
}
