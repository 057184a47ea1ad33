"""scikit-learn's interface: estimators for arrays and for tables, and `publish` for pipelines that end with one."""

from training.estimators.mlp import MLPClassifier, MLPRegressor
from training.estimators.pipelines import publish
from training.estimators.tables import TableClassifier, TableRegressor

__all__ = ["MLPClassifier", "MLPRegressor", "TableClassifier", "TableRegressor", "publish"]
