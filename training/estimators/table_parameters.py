"""The parameters that `TableClassifier` and `TableRegressor` share: default, valid values and meaning of each."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from training.config import DEFAULT, DEVICES, RECIPES, SEED_MAX, Interval, Options
from training.estimators.parameters import (
    BOOLEAN,
    CALLBACKS,
    NAMES,
    NOTHING,
    RANDOM_STATE,
    Sizes,
    check_fields,
    parameter,
)


@dataclass(eq=False, repr=False, kw_only=True)
class TableParameters:
    """Keyword parameters of both estimators. `inherit_sections` adds this documentation to theirs.

    Parameters
    ----------
    recipe : {recipes}, default='default'
        Preset of the options below that are None, as ``--recipe`` of the command line.
    hidden : sequence of int, default=None
        Number of units in each hidden layer.
    dropout : float, default=None
        Share of hidden units set to 0 in each training step, from 0 to 0.95.
    lr : float, default=None
        Highest learning rate of the one-cycle schedule.
    weight_decay : float, default=None
        Decoupled weight decay.
    batch_size : int, default=None
        Rows per training step.
    epochs : int, default=None
        Maximum number of passes over the training rows.
    patience : int, default=None
        Stop after this many epochs without a lower validation loss. The weights of the
        best epoch are kept. 0 trains all epochs.
    validation_fraction : float, default=0.15
        Share of the rows for early stopping and calibration, from 0.01 to 0.5; for
        classes, of each class. They are not trained on.
    categorical_features : sequence of str or int, default=None
        Columns, by name or position, whose numbers are categories. Strings, and columns of
        the type ``category``, always are.
    random_state : int, RandomState instance or None, default=None
        Source of the validation rows, the initial weights and the order of the rows. An
        int makes the result reproducible.
    device : {{'auto', 'cuda', 'mps', 'cpu'}}, default='cpu'
        Device for training. ``'auto'`` takes the first one available. Prediction is on the
        CPU.
    verbose : bool, default=False
        Whether to print the progress of each epoch.
    callbacks : sequence of callable, default=None
        Functions called as ``callback(estimator, epoch)`` after each epoch, where ``epoch``
        is an entry of ``history_``. Training stops when one of them returns True, and the
        weights of the best epoch so far are kept.
    """

    recipe: str = parameter(DEFAULT, Options(tuple(name for name, kinds in RECIPES.items() if "table" in kinds)))
    hidden: Sequence[int] | None = parameter(None, NOTHING, Sizes())
    dropout: float | None = parameter(None, NOTHING, Interval(0, 0.95))
    lr: float | None = parameter(None, NOTHING, Interval(1e-7, 10))
    weight_decay: float | None = parameter(None, NOTHING, Interval(0, 10))
    batch_size: int | None = parameter(None, NOTHING, Interval(1, 65536, integer=True))
    epochs: int | None = parameter(None, NOTHING, Interval(1, 100_000, integer=True))
    patience: int | None = parameter(None, NOTHING, Interval(0, 100_000, integer=True))
    validation_fraction: float = parameter(0.15, Interval(0.01, 0.5))
    categorical_features: Sequence[str | int] | None = parameter(None, NOTHING, NAMES)
    random_state: Any = parameter(None, NOTHING, Interval(0, SEED_MAX, integer=True), RANDOM_STATE)  # noqa: RUF009 - a field
    device: str = parameter("cpu", Options(DEVICES))
    verbose: bool = parameter(False, BOOLEAN)
    callbacks: Sequence[Callable[..., Any]] | None = parameter(None, NOTHING, CALLBACKS)

    def check(self) -> None:
        """Check the parameters without fitting.

        Raises
        ------
        ValueError
            If a parameter is invalid.
        """
        check_fields(self)


if TableParameters.__doc__ is not None:  # python -OO
    _recipes = ", ".join(repr(name) for name, kinds in RECIPES.items() if "table" in kinds)
    TableParameters.__doc__ = TableParameters.__doc__.format(recipes=f"{{{_recipes}}}")
