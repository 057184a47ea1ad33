"""Fit a multi-layer perceptron in PyTorch and publish it for the service.

`python -m training --help` is the command line; `MLPClassifier` and `MLPRegressor` are scikit-learn's interface to it.
"""

from typing import TYPE_CHECKING, Any

import torch

if TYPE_CHECKING:
    from training.estimators import MLPClassifier, MLPRegressor

__all__ = ["MLPClassifier", "MLPRegressor"]

# Adam's moments fade into subnormal numbers, on which a processor is many times slower. Threads take the mode over from
# the one that starts them, so it is set before any work is done.
torch.set_flush_denormal(True)


def __getattr__(name: str) -> Any:
    """The estimators, once they are asked for: the command line starts without them."""
    if name in __all__:
        from training import estimators  # noqa: PLC0415

        return getattr(estimators, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
