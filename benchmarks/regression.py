"""Keras's classic regression example and ours, on the same rows: python -m benchmarks.regression

The same network, loss, batches and epochs, trained by the estimator with a constant learning rate as in Keras, and by
the command line with its one-cycle schedule; and the command line with its defaults. Several seeds, for the split and
the initial weights. Keras runs on JAX in its own environment, created by uv.
"""

from __future__ import annotations

import argparse
import json
import re
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Sequence
from importlib.metadata import version
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from sklearn import datasets
from sklearn.exceptions import ConvergenceWarning
from sklearn.metrics import mean_absolute_error, r2_score, root_mean_squared_error
from sklearn.preprocessing import StandardScaler

from benchmarks import provenance, report
from training import MLPRegressor
from training.cli import parser
from training.data import source
from training.data.split import split

PEER = Path(__file__).parent / "peers" / "keras_regression.py"
CLASSIC = (
    *("--hidden", "512", "512", "512", "--loss", "absolute_error", "--batch-size", "64", "--epochs", "100"),
    *("--patience", "0", "--optimizer", "adam", "--weight-decay", "0"),
)


def tables(folder: Path) -> dict[str, Path]:
    """scikit-learn's diabetes (442 rows), and 20,000 rows of Friedman's first problem with noise."""
    diabetes = datasets.load_diabetes(scaled=False)
    friedman = datasets.make_friedman1(20_000, noise=1.0, random_state=0)
    return {
        "diabetes": _written(folder / "diabetes.csv", diabetes.data, diabetes.target),
        "friedman1": _written(folder / "friedman1.csv", *friedman),
    }


def _written(path: Path, inputs: NDArray[np.float64], target: NDArray[np.float64]) -> Path:
    header = ",".join([*(f"x{index}" for index in range(inputs.shape[1])), "y"])
    np.savetxt(path, np.column_stack([inputs, target]), "%.9g", ",", header=header, comments="")
    return path


def arguments_of(path: Path, seed: int) -> list[str]:
    return [str(path), "--target", "y", "--task", "regression", "--seed", str(seed)]


def parts_of(path: Path, seed: int) -> dict[str, NDArray[np.float64]]:
    """The rows (rows, features and target) of each part of the command line's split."""
    command = parser.parse(arguments_of(path, seed))
    dataset = source.load(command.data, command.data_options)
    parts = split(dataset, command.config(images=False))
    rows = np.column_stack([dataset.inputs, dataset.targets])
    return {"train": rows[parts.train], "validation": rows[parts.validation], "test": rows[parts.test]}


def keras(path: Path, seed: int) -> dict[str, float]:
    file = path.with_suffix(".npz")
    parts = parts_of(path, seed)
    np.savez(file, train=parts["train"], validation=parts["validation"], test=parts["test"])
    run = [str(Path(sys.executable).with_name("uv")), "run", "--quiet", "--script", str(PEER), str(file), str(seed)]
    found: dict[str, float] = json.loads(subprocess.run(run, check=True, stdout=subprocess.PIPE, text=True).stdout)
    return found


def estimator(path: Path, seed: int) -> dict[str, float]:
    parts = parts_of(path, seed)
    scaler = StandardScaler().fit(parts["train"][:, :-1])
    inputs = {name: scaler.transform(rows[:, :-1]).astype(np.float32) for name, rows in parts.items()}
    target = {name: rows[:, -1] for name, rows in parts.items()}
    model = MLPRegressor(
        hidden_layer_sizes=(512, 512, 512),
        loss="absolute_error",
        alpha=0,
        batch_size=64,
        max_iter=100,
        n_iter_no_change=100,
        random_state=seed,
    )
    began_s = time.perf_counter()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # all epochs are to be trained
        validation = inputs["validation"], target["validation"]
        model.fit(inputs["train"], target["train"], validation_data=validation)
    fit_s = time.perf_counter() - began_s
    values = model.predict(inputs["test"])
    scores = {"mae": mean_absolute_error, "rmse": root_mean_squared_error, "r2": r2_score}
    return {name: float(score(target["test"], values)) for name, score in scores.items()} | {"fit_s": fit_s}


def command_line(path: Path, seed: int, *arguments: str) -> dict[str, float]:
    models = tempfile.mkdtemp(dir=path.parent)
    command = [sys.executable, "-m", "training", *arguments_of(path, seed), "--models", models, *arguments]
    done = subprocess.run(command, check=True, stderr=subprocess.PIPE, text=True)
    trained = re.search(r"trained \d+ epochs in ([\d.]+) s", done.stderr)
    assert trained is not None, done.stderr
    manifest = json.loads((Path(models) / path.stem / "1" / "metadata.json").read_text())
    scores: dict[str, float] = manifest["scores"]["fp32"]
    return scores | {"fit_s": float(trained[1])}


METHODS: dict[str, Callable[[Path, int], dict[str, float]]] = {
    "Keras": keras,
    "ours, the same by the estimator": estimator,
    "ours, the same by the command line": lambda path, seed: command_line(path, seed, *CLASSIC),
    "ours, the command line by default": command_line,
}


def run(names: Sequence[str], seeds: int) -> report.Results:
    """Train on each data set of ``names`` with each seed by each of `METHODS`."""
    about = provenance.of_run(
        f"python -m benchmarks.regression --seeds {seeds}",
        f"torch {version('torch')}; Keras's are in the head of {PEER.relative_to(PEER.parents[2])}",
    )
    found: dict[str, dict[str, list[dict[str, float]]]] = {}
    with tempfile.TemporaryDirectory() as folder:
        for name, path in tables(Path(folder)).items():
            if name in names:
                by: dict[str, list[dict[str, float]]] = {method: [] for method in METHODS}
                for seed in range(seeds):
                    for method, trained in METHODS.items():
                        by[method].append(trained(path, seed))
                found[name] = by
    return {"provenance": about, "runs": found}


def main() -> None:
    parser = argparse.ArgumentParser("benchmarks.regression", description=__doc__)
    parser.add_argument("--seeds", type=int, default=3, help="runs per data set and method (default: 3)")
    parser.add_argument("--data", nargs="+", default=("diabetes", "friedman1"), help="data sets (default: both)")
    parser.add_argument("--results", type=Path, default=report.RESULTS, help="folder for the results")
    options = parser.parse_args()
    report.save(options.results / "regression.json", run(options.data, options.seeds))


if __name__ == "__main__":
    main()
