"""Fit a multi-layer perceptron in PyTorch and publish it for the service.

`python -m training --help` is the command line; `MLPClassifier` and `MLPRegressor` are scikit-learn's interface to it.
"""

TYPE_CHECKING = False  # typing's word, without the import: a signal should find the command line's handler early
if TYPE_CHECKING:
    from training.estimators import MLPClassifier, MLPRegressor

__all__ = ["MLPClassifier", "MLPRegressor"]


def __getattr__(name: str) -> object:
    """The estimators, once they are asked for: the command line starts without them."""
    if name in __all__:
        from training import estimators  # noqa: PLC0415

        return getattr(estimators, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
