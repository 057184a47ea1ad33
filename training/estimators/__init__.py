"""scikit-learn's interface: `MLPClassifier` and `MLPRegressor`."""

from training.estimators.mlp import MLPClassifier, MLPRegressor

__all__ = ["MLPClassifier", "MLPRegressor"]
