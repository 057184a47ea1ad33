"""scikit-learn's interface: `MLPClassifier`, `MLPRegressor`, `TableClassifier` and `TableRegressor`."""

from training.estimators.mlp import MLPClassifier, MLPRegressor
from training.estimators.tables import TableClassifier, TableRegressor

__all__ = ["MLPClassifier", "MLPRegressor", "TableClassifier", "TableRegressor"]
