"""Our estimators and scikit-learn's on its bundled and generated data sets: python -m benchmarks.accuracy

For each seed, a quarter of the rows is held out for testing, features are scaled by the training rows, and both
estimators are fitted with their defaults. Differences are tested with a paired t-test over the seeds.
"""

from __future__ import annotations

import argparse
import sys
import warnings
from pathlib import Path
from typing import Any, Final

from numpy.typing import NDArray
from sklearn import datasets, neural_network
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from benchmarks import provenance, report
from training import MLPClassifier, MLPRegressor

Arrays = tuple[NDArray[Any], NDArray[Any]]
CLASSES: Final = {"ours": MLPClassifier, "scikit-learn": neural_network.MLPClassifier}
NUMBERS: Final = {"ours": MLPRegressor, "scikit-learn": neural_network.MLPRegressor}


def classification() -> dict[str, Arrays]:
    """Four data sets bundled with scikit-learn, five that it generates."""
    return {
        "iris": datasets.load_iris(return_X_y=True),
        "wine": datasets.load_wine(return_X_y=True),
        "breast cancer": datasets.load_breast_cancer(return_X_y=True),
        "digits": datasets.load_digits(return_X_y=True),
        "moons": datasets.make_moons(1000, noise=0.3, random_state=0),
        "circles": datasets.make_circles(1000, noise=0.15, factor=0.5, random_state=0),
        "quantiles": datasets.make_gaussian_quantiles(n_samples=2000, n_features=5, n_classes=4, random_state=0),
        "informative": datasets.make_classification(
            3000, 30, n_informative=10, n_classes=5, flip_y=0.05, random_state=0
        ),
        "hastie": datasets.make_hastie_10_2(4000, random_state=0),
    }


def regression() -> dict[str, Arrays]:
    """One data set bundled with scikit-learn, two that it generates; targets in standard deviations."""
    found = {
        "diabetes": datasets.load_diabetes(return_X_y=True),
        "friedman1": datasets.make_friedman1(2000, noise=1.0, random_state=0),
        "linear": datasets.make_regression(1000, 20, noise=20.0, random_state=0),
    }
    return {name: (inputs, (targets - targets.mean()) / targets.std()) for name, (inputs, targets) in found.items()}


def scores(estimators: dict[str, type], data: Arrays, seeds: int, *, by_class: bool) -> dict[str, list[float]]:
    """Accuracy or R² of each estimator on the test rows, one number per seed."""
    found: dict[str, list[float]] = {name: [] for name in estimators}
    inputs, targets = data
    for seed in range(seeds):
        parts = train_test_split(inputs, targets, random_state=seed, stratify=targets if by_class else None)
        train, test, train_targets, test_targets = parts
        for name, estimator in estimators.items():
            model = make_pipeline(StandardScaler(), estimator(random_state=seed)).fit(train, train_targets)
            found[name].append(float(model.score(test, test_targets)))
    return found


def main() -> None:
    parser = argparse.ArgumentParser("benchmarks.accuracy", description=__doc__)
    parser.add_argument("--seeds", type=int, default=5, help="fits per data set (default: 5)")
    parser.add_argument("--results", type=Path, default=report.RESULTS, help="folder for the results")
    options = parser.parse_args()
    warnings.simplefilter("ignore")  # neither has converged on every set after 200 epochs
    command = " ".join(["python -m benchmarks.accuracy", *sys.argv[1:]])
    about = provenance.of_run(command, ", ".join(provenance.versions(("torch", "scikit-learn", "numpy"))))
    runs = {
        **{name: scores(CLASSES, data, options.seeds, by_class=True) for name, data in classification().items()},
        **{name: scores(NUMBERS, data, options.seeds, by_class=False) for name, data in regression().items()},
    }
    report.save(options.results / "accuracy.json", {"provenance": about, "runs": runs})


if __name__ == "__main__":
    main()
