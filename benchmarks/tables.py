"""Real tables: ours by default, ``--recipe best``, scikit-learn, boosted trees and RealMLP, on the same rows.

    python -m benchmarks.tables

Each set is split by several seeds, and every model gets the same training rows and is scored on the same test rows.
None of the sets was used to choose our defaults. Ours runs as a user runs it, as ``python -m training``, and its CPU
seconds are those of the whole process; the peers' are those of the fit alone, in an environment of their own. All run
on one processor with one thread; RealMLP takes most of the time. ``--methods`` measures some and keeps the figures of
the others, unless ``--sets`` chooses sets.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow.parquet as pq
from numpy.typing import NDArray

from benchmarks import provenance, report
from benchmarks.environments import python_of
from training.release import evaluate

PEERS: Final = Path(__file__).parent / "peers"
OURS: Final[dict[str, tuple[str, ...]]] = {"ours": (), "ours, best": ("--recipe", "best")}
MODELS: Final = ("scikit-learn MLP", "HistGradientBoosting", "LightGBM", "CatBoost", "RealMLP-TD")
METHODS: Final = (*OURS, *MODELS)
DRAWS: Final = 100

Run = dict[str, float]


def sets_of(folder: Path, seed: int) -> dict[str, dict[str, Any]]:
    """Write the training and test rows of each set for ``seed`` in ``folder``; return what is known of the sets."""
    script = PEERS / "table_sets.py"
    subprocess.run([python_of(script), script, folder, str(seed)], check=True)
    found: dict[str, dict[str, Any]] = json.loads((folder / "sets.json").read_text())
    return found


def ours(
    folder: Path, name: str, about: dict[str, Any], seed: int, arguments: Sequence[str], module: str = "training"
) -> Run:
    """Train and publish by the command line with no option but the target, and read the scores of its manifest.

    ``module`` is that of the command, with the options of `mlp-train`.
    """
    with tempfile.TemporaryDirectory() as models:
        command: list[str] = [
            *(sys.executable, "-m", module, str(folder / f"{name}.train.csv"), "--target", about["target"]),
            *("--test", str(folder / f"{name}.test.csv"), "--seed", str(seed), "--name", name, "--models", models),
            *arguments,
        ]
        before_s = os.times().children_user + os.times().children_system
        done = subprocess.run(command, stderr=subprocess.PIPE, text=True, cwd=provenance.ROOT, check=False)
        assert done.returncode == 0, f"{name}, seed {seed}: {done.stderr}"
        cpu_s = os.times().children_user + os.times().children_system - before_s
        manifest = json.loads((Path(models) / name / "1/metadata.json").read_text())
        probabilities = _probabilities(Path(models), name, folder / f"{name}.test.csv") if manifest["classes"] else None
    scores: dict[str, float] = manifest["scores"]["fp32"]
    assert manifest["task"] == about["task"], f"{name} was trained as a {manifest['task']}"
    if probabilities is not None:
        by_chance = ece_by_chance(probabilities, np.random.default_rng(seed))
        found = {"loss": scores["log_loss"], "score": scores["accuracy"], "ece": scores["ece"]}
        return found | {"ece_by_chance": by_chance, "cpu_s": cpu_s}
    return {"loss": scores["rmse"], "score": scores["r2"], "cpu_s": cpu_s}


def _probabilities(models: Path, name: str, test: Path) -> NDArray[np.float32]:
    """The probabilities (rows, classes) of the rows of ``test``."""
    scored = models / "scored.parquet"
    options = ("--models", str(models), "--precision", "fp32", "--keep", "--probabilities", "--quiet")
    command = (sys.executable, "-m", "service.scoring", name, str(test), str(scored), *options)
    subprocess.run(command, check=True, cwd=provenance.ROOT)
    answers = pq.read_table(scored)
    columns = [each for each in answers.column_names if each.startswith("probability_")]
    return np.stack([answers[each].to_numpy() for each in columns], axis=1)


def ece_by_chance(probabilities: NDArray[np.float32], random: np.random.Generator) -> float:
    """The mean expected calibration error of ``probabilities`` (rows, classes) for classes drawn from them."""
    likely = probabilities.astype(np.float64)
    likely /= likely.sum(axis=1, keepdims=True)
    draws = [random.multinomial(1, likely).argmax(axis=1) for _ in range(DRAWS)]
    return statistics.mean(evaluate.calibration_error(probabilities, labels) for labels in draws)


def peer(folder: Path, name: str, model: str, seed: int) -> Run:
    """Fit and score a peer in its environment."""
    script = PEERS / "table_models.py"
    command = [str(each) for each in (python_of(script), script, model, folder, name, seed)]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    found: Run = json.loads(done.stdout.splitlines()[-1])
    return found


def measure(
    method: str, seeds: int, sets: Mapping[str, dict[str, Any]], root: Path, say: Callable[[str], None]
) -> dict[str, Any]:
    """The runs of a method by set, one for each seed."""
    runs: dict[str, list[Run]] = {}
    for seed in range(seeds):
        folder = root / str(seed)
        for name, about in sets.items():
            began_s = time.monotonic()
            found = (
                ours(folder, name, about, seed, OURS[method]) if method in OURS else peer(folder, name, method, seed)
            )
            runs.setdefault(name, []).append(found)
            say(f"{method}: {name}, seed {seed}: loss {found['loss']:.5g} after {time.monotonic() - began_s:.1f} s")
    return runs


def main() -> None:
    parser = argparse.ArgumentParser("benchmarks.tables", description=__doc__)
    parser.add_argument("--seeds", type=int, default=5, help="splits of each set (default: 5)")
    parser.add_argument("--methods", nargs="+", choices=METHODS, default=METHODS, help="what to measure (default: all)")
    parser.add_argument("--sets", nargs="+", default=(), help="data sets (default: all)")
    parser.add_argument("--results", type=Path, default=report.RESULTS, help="folder for the results")
    options = parser.parse_args()
    os.environ |= {"OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""}
    about = provenance.of_run(
        f"python -m benchmarks.tables --seeds {options.seeds}",
        f"torch {version('torch')}; those of the peers are in the head of peers/table_models.py",
    )
    os.sched_setaffinity(0, [max(os.sched_getaffinity(0))])
    file = options.results / "tables.json"
    keeps = file.exists() and not options.sets
    before = json.loads(file.read_text()) if keeps else {}
    runs, measured = (before.get(key, {}) for key in ("runs", "measured"))
    with tempfile.TemporaryDirectory() as folder:
        for seed in range(options.seeds):
            sets = sets_of(Path(folder) / str(seed), seed)
        sets = {name: each for name, each in sets.items() if not options.sets or name in options.sets}
        for method in options.methods:
            runs[method] = measure(method, options.seeds, sets, Path(folder), lambda line: print(line, file=sys.stderr))
            now = provenance.now()
            measured[method] = f"{now}, commit {provenance.commit()[:12]}" if method in OURS else now
    about["measured"] = "; ".join(f"{method} {when}" for method, when in measured.items())
    report.save(file, {"provenance": about, "measured": measured, "sets": sets, "runs": runs})


if __name__ == "__main__":
    main()
