"""Search of settings: `mlp-tune` and `mlp-train` on the same rows of real tables, by their loss on the test rows.

    python -m benchmarks.search

The spaces were chosen by the validation and test losses of `CHOOSING`, and are measured on `REPORTING`, which nothing
about the search was chosen with. A search has 30 trials; it selects by validation rows that it draws from the training
rows, as the default does for early stopping. Both run as users run them, on one thread.
"""

from __future__ import annotations

import argparse
import os
import tempfile
from concurrent.futures import ProcessPoolExecutor, as_completed
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

from benchmarks import provenance, report
from benchmarks.tables import Run, ours, sets_of

CHOOSING: Final = ("phoneme", "wages", "cells")
REPORTING: Final = (
    *("homes", "german", "incomes", "visits", "spam"),
    *("remote", "insurance", "flchain", "satimage", "marketing"),
)


def compare(folder: Path, name: str, about: dict[str, Any], seed: int, trials: int) -> dict[str, Run]:
    """The scores of the default and of a search, each on the test rows of a set."""
    with tempfile.TemporaryDirectory() as study:
        options = ("--trials", str(trials), "--storage", f"{study}/study.db")
        return {
            "default": ours(folder, name, about, seed, ()),
            "search": ours(folder, name, about, seed, options, "training.cli.tune"),
        }


def main() -> None:
    parser = argparse.ArgumentParser("benchmarks.search", description=__doc__)
    parser.add_argument("--trials", type=int, default=30, help="trials of each search (default: 30)")
    parser.add_argument("--seed", type=int, default=0, help="seed of the split and of all that is random (default: 0)")
    parser.add_argument("--processes", type=int, default=1, help="sets that are measured at a time (default: 1)")
    parser.add_argument("--sets", nargs="+", default=REPORTING, help="data sets (default: those to report)")
    parser.add_argument("--results", type=Path, default=report.RESULTS, help="folder for the results")
    options = parser.parse_args()
    os.environ |= {"OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""}
    about = provenance.of_run(
        f"python -m benchmarks.search --seed {options.seed} --processes {options.processes}",
        f"torch {version('torch')}, optuna {version('optuna')}",
    )
    about |= {"threads": "one each", "trials": str(options.trials)}
    about["sets that spaces were chosen with"] = ", ".join(CHOOSING)
    with tempfile.TemporaryDirectory() as folder, ProcessPoolExecutor(options.processes) as workers:
        sets = sets_of(Path(folder), options.seed)
        waiting = {
            workers.submit(compare, Path(folder), name, sets[name], options.seed, options.trials): name
            for name in options.sets
        }
        runs: dict[str, dict[str, Run]] = {}
        for done in as_completed(waiting):
            runs[waiting[done]] = done.result()
            ordered = {name: runs[name] for name in options.sets if name in runs}
            report.save(options.results / "search.json", {"provenance": about, "runs": ordered})


if __name__ == "__main__":
    main()
