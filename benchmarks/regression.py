"""Keras's classic regression beside ours, on the same rows: python -m benchmarks.regression

The same network, loss, batches and epochs, once more as the command line trains without being told; each with several
seeds, of the split and of the first weights. Keras runs on JAX in an environment of its own, which uv makes.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from sklearn import datasets

from benchmarks import provenance, report
from training import cli
from training.data import source
from training.data.split import split

PEER = Path(__file__).parent / "peers" / "keras_regression.py"
CLASSIC = (
    *("--hidden", "512", "512", "512", "--loss", "absolute_error", "--batch-size", "64", "--epochs", "100"),
    *("--patience", "0", "--optimizer", "adam", "--weight-decay", "0"),
)
OURS = {"ours, the same": CLASSIC, "ours, by default": ()}


def tables(folder: Path) -> dict[str, Path]:
    """scikit-learn's diabetes (442 rows), and 20,000 rows of Friedman's first problem with noise."""
    diabetes = datasets.load_diabetes(scaled=False)
    friedman = datasets.make_friedman1(20_000, noise=1.0, random_state=0)
    return {
        "diabetes": _written(folder / "diabetes.csv", diabetes.data, diabetes.target),
        "friedman1": _written(folder / "friedman1.csv", *friedman),
    }


def _written(path: Path, inputs: NDArray[np.float64], target: NDArray[np.float64]) -> Path:
    header = ",".join([*(f"x{place}" for place in range(inputs.shape[1])), "y"])
    np.savetxt(path, np.column_stack([inputs, target]), "%.9g", ",", header=header, comments="")
    return path


def arguments_of(path: Path, seed: int) -> list[str]:
    return [str(path), "--target", "y", "--task", "regression", "--seed", str(seed)]


def keras(path: Path, seed: int) -> dict[str, float]:
    """On the rows that the command line takes for each part."""
    command = cli.parse(arguments_of(path, seed))
    dataset = source.load(command.data, choices=command.table)
    parts = split(dataset, command.config(images=False))
    rows = np.column_stack([dataset.inputs, dataset.targets])
    file = path.with_suffix(".npz")
    np.savez(file, train=rows[parts.train], validation=rows[parts.validation], test=rows[parts.test])
    run = [str(Path(sys.executable).with_name("uv")), "run", "--quiet", "--script", str(PEER), str(file), str(seed)]
    found: dict[str, float] = json.loads(subprocess.run(run, check=True, stdout=subprocess.PIPE, text=True).stdout)
    return found


def ours(path: Path, seed: int, arguments: tuple[str, ...]) -> dict[str, float]:
    models = tempfile.mkdtemp(dir=path.parent)
    command = [sys.executable, "-m", "training", *arguments_of(path, seed), "--models", models, *arguments]
    done = subprocess.run(command, check=True, stderr=subprocess.PIPE, text=True)
    trained = re.search(r"trained \d+ epochs in ([\d.]+) s", done.stderr)
    assert trained is not None, done.stderr
    manifest = json.loads((Path(models) / path.stem / "1" / "metadata.json").read_text())
    scores: dict[str, float] = manifest["scores"]["fp32"]
    return scores | {"fit_s": float(trained[1])}


def run(names: Sequence[str], seeds: int) -> report.Results:
    """Each of the data sets ``names`` with each of ``seeds`` seeds, by Keras and by both of `OURS`."""
    about = {
        "command": f"python -m benchmarks.regression --seeds {seeds}",
        "time": datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        "commit": provenance.commit(),
        "machine": f"{provenance.processor()}, {len(os.sched_getaffinity(0))} processors",
        "load before": f"{os.getloadavg()[0]:.2f} processes over the minute before",
        "libraries": f"torch {version('torch')}; Keras's are in the head of {PEER.relative_to(PEER.parents[2])}",
    }
    found: dict[str, dict[str, list[dict[str, float]]]] = {}
    with tempfile.TemporaryDirectory() as folder:
        for name, path in tables(Path(folder)).items():
            if name in names:
                by: dict[str, list[dict[str, float]]] = {who: [] for who in ("Keras", *OURS)}
                for seed in range(seeds):
                    by["Keras"].append(keras(path, seed))
                    for who, arguments in OURS.items():
                        by[who].append(ours(path, seed, arguments))
                found[name] = by
    return {"provenance": about, "runs": found}


def main() -> None:
    parser = argparse.ArgumentParser("benchmarks.regression", description=__doc__)
    parser.add_argument("--seeds", type=int, default=3, help="runs of each (default: 3)")
    parser.add_argument("--data", nargs="+", default=("diabetes", "friedman1"), help="which of them (default: both)")
    parser.add_argument("--results", type=Path, default=report.RESULTS, help="folder for the figures")
    chosen = parser.parse_args()
    report.save(chosen.results / "regression.json", run(chosen.data, chosen.seeds))


if __name__ == "__main__":
    main()
