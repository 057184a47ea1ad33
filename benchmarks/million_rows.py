"""Seconds an epoch on a table of a million rows, beside LightGBM's whole fit: python -m benchmarks.million_rows

30 numbers, two classes, made by scikit-learn. In turn: LightGBM with its defaults, in an environment made by uv; our
recipe for large tables, `fast`, to its end; two epochs of the default recipe. Prints a table, writes nothing.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
import time
from importlib.metadata import version
from pathlib import Path
from typing import Final

import numpy as np
from sklearn import datasets
from sklearn.metrics import log_loss

from benchmarks import provenance
from benchmarks.markdown import listed, table
from benchmarks.training import epoch, started
from training import TableClassifier

PEER: Final = Path(__file__).parent / "peers" / "lightgbm_fit.py"
TEST_ROWS: Final = 100_000
DEFAULT_EPOCHS: Final = 2
Figures = dict[str, float]


def written(path: Path, rows: int) -> Path:
    """Write ``rows`` rows to train on and `TEST_ROWS` to score."""
    inputs, targets = datasets.make_classification(
        rows + TEST_ROWS, 30, n_informative=15, n_clusters_per_class=8, flip_y=0.1, random_state=0
    )
    inputs = inputs.astype(np.float32)
    train, test = slice(rows), slice(rows, None)
    np.savez(path, inputs=inputs[train], targets=targets[train], test_inputs=inputs[test], test_targets=targets[test])
    return path


def ours(data: Path, recipe: str, epochs: int | None) -> Figures:
    """One fit: its seconds, those of an epoch and of the processor, and the loss on the test rows."""
    with np.load(data) as arrays:
        model = TableClassifier(recipe=recipe, epochs=epochs, random_state=0)
        began_s, began_cpu_s = time.perf_counter(), time.process_time()
        model.fit(arrays["inputs"], arrays["targets"])
        fit = {"fit_s": time.perf_counter() - began_s, "cpu_s": time.process_time() - began_cpu_s}
        loss = log_loss(arrays["test_targets"], model.predict_proba(arrays["test_inputs"]))
    epochs_s = [each.duration_s for each in model.history_]
    return {**fit, "epochs": len(epochs_s), "epoch_s": statistics.median(epochs_s), "log_loss": float(loss)}


def measured(rows: int, rounds: int) -> dict[str, list[Figures]]:
    """The figures of each round, by what was fitted."""
    found: dict[str, list[Figures]] = {"LightGBM": [], "ours, fast": [], f"ours, {DEFAULT_EPOCHS} epochs": []}
    with tempfile.TemporaryDirectory() as folder:
        data = written(Path(folder) / "rows.npz", rows)
        uv = str(Path(sys.executable).with_name("uv"))
        with started([uv, "run", "--quiet", "--no-project", "--script", str(PEER), str(data)]) as peer:
            for number in range(1, rounds + 1):
                runs = epoch(peer), ours(data, "fast", None), ours(data, "default", DEFAULT_EPOCHS)
                for each, run in zip(found.values(), runs, strict=True):
                    each.append(run)
                print(f"round {number} of {rounds}", file=sys.stderr)
    return found


def shown(found: dict[str, list[Figures]]) -> str:
    """The medians of the rounds as a Markdown table."""
    rows = []
    for name, runs in found.items():
        middle = {figure: statistics.median(run[figure] for run in runs) for figure in runs[0]}
        epochs = (f"{middle['epochs']:.0f}", f"{middle['epoch_s']:.2f}") if "epochs" in middle else ("", "")
        rows.append((name, *epochs, f"{middle['fit_s']:.1f}", f"{middle['cpu_s']:.1f}", f"{middle['log_loss']:.4f}"))
    return table(("fitted", ">epochs", ">s an epoch", ">s of the fit", ">CPU s", ">log-loss"), rows)


def main() -> None:
    parser = argparse.ArgumentParser("benchmarks.million_rows", description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000, help="rows to train on (default: 1000000)")
    parser.add_argument("--rounds", type=int, default=3, help="fits of each (default: 3)")
    given = parser.parse_args()
    command = " ".join(["python -m benchmarks.million_rows", *sys.argv[1:]])
    print(listed(provenance.of_run(command, f"torch {version('torch')}")), end="\n\n")
    print(shown(measured(given.rows, given.rounds)))


if __name__ == "__main__":
    main()
