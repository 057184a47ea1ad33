"""Train a multi-layer perceptron in PyTorch and publish it for the service.

The command line is `python -m training`; `MLPClassifier` and `MLPRegressor` have scikit-learn's interface.
"""

TYPE_CHECKING = False  # not imported from typing: the command line installs its signal handlers early
if TYPE_CHECKING:
    from training.estimators import MLPClassifier, MLPRegressor

__all__ = ["MLPClassifier", "MLPRegressor"]


def __getattr__(name: str) -> object:
    """Import the estimators on first use: the command line starts without them."""
    if name in __all__:
        from training import estimators  # noqa: PLC0415

        return getattr(estimators, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
