"""Train a multi-layer perceptron in PyTorch and publish it for the service.

The command line is `python -m training`. `train_table` does the same on a DataFrame; `TableClassifier`,
`TableRegressor`, `MLPClassifier` and `MLPRegressor` have scikit-learn's interface.
"""

TYPE_CHECKING = False  # not imported from typing: the command line installs its signal handlers early
if TYPE_CHECKING:
    from training.engine.trainer import Epoch
    from training.estimators import MLPClassifier, MLPRegressor, TableClassifier, TableRegressor, publish
    from training.run.dataframe import train_table
    from training.run.trained_table import TrainedTable

__all__ = [
    "Epoch",
    "MLPClassifier",
    "MLPRegressor",
    "TableClassifier",
    "TableRegressor",
    "TrainedTable",
    "publish",
    "train_table",
]

_MODULES = {
    "Epoch": "training.engine.trainer",
    "TrainedTable": "training.run.trained_table",
    "train_table": "training.run.dataframe",
}


def __getattr__(name: str) -> object:
    """Import what is exported on first use: the command line starts without it."""
    if name in __all__:
        import importlib  # noqa: PLC0415

        return getattr(importlib.import_module(_MODULES.get(name, "training.estimators")), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
