"""Training time of ours, scikit-learn, Keras, skorch and the PyTorch tutorial's loop: python -m benchmarks.training

Fashion-MNIST through 784-512-512-10 with Adam in batches of 128. All are started first, then each trains an epoch in
turn, so a machine that slows down slows them all. Our command line also takes part, with its one-cycle schedule over
few epochs and batches of 512. Then small data sets, where overhead dominates, by our `fit` and scikit-learn's in turn.
Each peer runs in its own environment, created by uv.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from sklearn import datasets, neural_network
from sklearn.preprocessing import scale

from benchmarks import provenance, report
from training import MLPClassifier
from training.data import fashion_mnist
from training.data.dataset import REST, TEST

PEERS: Final = Path(__file__).parent / "peers"
COMMAND_LINE_EPOCHS: Final = 10
COMMAND_LINE: Final = f"ours, by the command line (batches of 512) in {COMMAND_LINE_EPOCHS} epochs"
Arrays = tuple[NDArray[np.float32], NDArray[np.int64]]


def commands(data: Path, rows: int) -> dict[str, list[str]]:
    """The command of each tool."""
    peers = {
        "scikit-learn": "epochs_scikit_learn.py",
        "Keras (JAX)": "epochs_keras.py",
        "skorch": "epochs_skorch.py",
        "PyTorch tutorial": "epochs_tutorial.py",
    }
    ours = [sys.executable, "-m", "benchmarks.epochs_ours", str(data)]
    uv = [str(Path(sys.executable).with_name("uv")), "run", "--quiet", "--no-project", "--script"]
    products = [sys.executable, "-m", "benchmarks.epochs_products", str(rows)]
    return {
        "ours, float32": [*ours, "float32"],
        "ours, bfloat16": [*ours, "bfloat16"],
        COMMAND_LINE: [sys.executable, "-m", "benchmarks.epochs_command_line", str(COMMAND_LINE_EPOCHS)],
        **{name: [*uv, str(PEERS / file), str(data)] for name, file in peers.items()},
        "the products alone, float32": [*products, "float32"],
        "the products alone, bfloat16": [*products, "bfloat16"],
    }


def epochs(names: Sequence[str], count: int, rows: int) -> dict[str, list[dict[str, float]]]:
    """``count`` epochs of each tool, in turn, over the first ``rows`` images; the first epoch warms up."""
    found: dict[str, list[dict[str, float]]] = {name: [] for name in names}
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        data = written(Path(folder) / "images.npz", rows)
        running = {}
        for name, command in commands(data, rows).items():
            if name in names:
                running[name] = stack.enter_context(started(command))
        for number in range(1, count + 1):
            for name, process in running.items():
                if name != COMMAND_LINE or len(found[name]) < COMMAND_LINE_EPOCHS:
                    found[name].append(epoch(process))
            print(f"epoch {number} of {count}", file=sys.stderr)
    return found


def started(command: Sequence[str], folder: Path | None = None) -> subprocess.Popen[str]:
    """Start a process that trains an epoch for each line of its stdin."""
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=folder)


def epoch(process: subprocess.Popen[str]) -> dict[str, float]:
    """Train one epoch; returns its seconds and the accuracy on the test rows."""
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write("\n")
    process.stdin.flush()
    result: dict[str, float] = json.loads(process.stdout.readline())
    return result


def written(path: Path, rows: int) -> Path:
    """Write the first ``rows`` training images and all test images to a file that every peer can read."""
    images = fashion_mnist.load(None)
    inputs = (images.inputs / np.float32(255)).astype(np.float32)
    train, test = images.division.rows_of(REST)[:rows], images.division.rows_of(TEST)
    np.savez(
        path,
        inputs=inputs[train],
        targets=images.targets[train],
        test_inputs=inputs[test],
        test_targets=images.targets[test],
    )
    return path


def small() -> dict[str, Arrays]:
    """Data sets of 150 to 10,000 rows."""
    made = {
        "iris": datasets.load_iris(return_X_y=True),
        "wine": datasets.load_wine(return_X_y=True),
        "breast cancer": datasets.load_breast_cancer(return_X_y=True),
        "digits": datasets.load_digits(return_X_y=True),
        "generated, 10,000": datasets.make_classification(10_000, 20, n_informative=10, random_state=0),
    }
    return {name: (scale(inputs).astype(np.float32), targets) for name, (inputs, targets) in made.items()}


def fits(rounds: int) -> dict[str, dict[str, list[float]]]:
    """Seconds of each ``fit`` with all defaults, in turn; the first of each warms up and is not kept."""
    estimators: dict[str, Callable[[], Any]] = {
        "ours": lambda: MLPClassifier(random_state=0),
        "scikit-learn": lambda: neural_network.MLPClassifier(random_state=0),
    }
    found: dict[str, dict[str, list[float]]] = {}
    for name, (inputs, targets) in small().items():
        found[name] = {tool: [] for tool in estimators}
        for turn in range(rounds + 1):
            for tool, make in estimators.items():
                model = make()
                began_s = time.perf_counter()
                model.fit(inputs, targets)
                if turn:
                    found[name][tool].append(time.perf_counter() - began_s)
        print(f"small data sets: {name}", file=sys.stderr)
    return found


def main() -> None:
    parser = argparse.ArgumentParser("benchmarks.training", description=__doc__)
    parser.add_argument("--epochs", type=int, default=20, help="epochs of each tool; the first warms up (default: 20)")
    parser.add_argument("--rows", type=int, default=60_000, help="images to train on (default: 60000, all)")
    parser.add_argument("--rounds", type=int, default=5, help="fits of each small data set (default: 5)")
    parser.add_argument("--only", nargs="+", default=list(commands(Path(), 0)), help="names to measure (default: all)")
    parser.add_argument("--results", type=Path, default=report.RESULTS, help="folder for the results")
    options = parser.parse_args()
    warnings.simplefilter("ignore")  # small data sets need not converge here
    about = provenance.of_run(
        " ".join(["python -m benchmarks.training", *sys.argv[1:]]),
        f"torch {version('torch')}, scikit-learn {version('scikit-learn')}; the peers' in their heads",
    )
    results = {
        "provenance": about,
        "epochs": epochs(options.only, options.epochs, options.rows),
        "fits": fits(options.rounds),
    }
    report.save(options.results / "training.json", results)


if __name__ == "__main__":
    main()
