"""Batch scoring of files beside ONNX Runtime alone: rows a second and memory, over sizes and formats.

    python -m benchmarks.scoring
    python -m benchmarks.scoring --floor     # prints what reading and writing Parquet takes without any of our code

The model is trained here, by default options, on scikit-learn's diabetes data: ten numbers in, one out. The rows are
random numbers with the means and deviations of its features. `mlp-score` runs as a process; its figures are those of
the whole process, start and writing included. The other side is ONNX Runtime by itself, in a process, too: the same
session in as many threads, on an array that is in memory already, in calls of the size that is fastest. Both take
turns.
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
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from pyarrow import csv, feather, parquet

from benchmarks import provenance, report
from service import artifact
from service.inference.loader import Bounds, Placement
from service.inference.model import Model
from service.models.prover import Prover
from service.scoring.writers.json_lines import JsonLinesWriter

THREADS: Final = len(os.sched_getaffinity(0))
BLOCK_ROWS: Final = 250_000
ALONE_ROWS: Final = 1_000_000
BATCH_ROWS: Final = 2**17
FLOOR_ROWS: Final = 10_000_000
LOOK_S: Final = 0.02
CALLS: Final = (256, 1024, 4096)
# As an installed package, which has its bytecode.
ENVIRONMENT: Final = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
# Rows, input, output, options.
CASES: Final = (
    (100_000, "parquet", "parquet", ()),
    (1_000_000, "parquet", "parquet", ()),
    (10_000_000, "parquet", "parquet", ()),
    (100_000_000, "parquet", "parquet", ()),
    (1_000_000, "parquet", "parquet", ("--keep",)),
    (10_000_000, "parquet", "parquet", ("--keep",)),
    (100_000_000, "parquet", "parquet", ("--keep",)),
    (1_000_000, "parquet", "csv", ()),
    (1_000_000, "arrow", "parquet", ()),
    (1_000_000, "npy", "parquet", ()),
    (1_000_000, "csv", "parquet", ()),
    (1_000_000, "csv", "csv", ()),
    (100_000, "jsonl", "jsonl", ()),
)

Run = dict[str, float]


def trained(models: Path) -> Path:
    """A version trained on the diabetes data."""
    arguments = ("diabetes", "--models", str(models), "--name", "diabetes", "--epochs", "20")
    subprocess.run([sys.executable, "-m", "training", *arguments], check=True, capture_output=True)
    return models / "diabetes" / "1"


def loaded(folder: Path) -> Model:
    """The model as a server has it."""
    return Prover(Placement("cpu", "auto"), Bounds(1, 1, 1.0)).load(folder)


def rows_of(folder: Path, count: int) -> Iterator[NDArray[np.float32]]:
    """Random rows (rows, features), in blocks."""
    features = artifact.read_manifest(folder).features
    random = np.random.default_rng(0)
    means, deviations = (np.array([getattr(each, name) for each in features]) for name in ("mean", "std"))
    for first in range(0, count, BLOCK_ROWS):
        size = (min(BLOCK_ROWS, count - first), len(features))
        yield random.normal(means, deviations, size).astype(np.float32)


def write(path: Path, model: Path, count: int) -> None:
    """Write random rows in the format of the suffix."""
    if path.suffix == ".npy":
        np.save(path, np.concatenate(list(rows_of(model, count))))
        return
    names = [each.name for each in artifact.read_manifest(model).features]
    tables = (pa.table(list(block.T.copy()), names) for block in rows_of(model, count))
    first = next(tables)
    if path.suffix == ".parquet":
        with parquet.ParquetWriter(path, first.schema) as file:
            _write_all(file.write_table, first, tables)
    elif path.suffix == ".csv":
        with csv.CSVWriter(path, first.schema) as file:
            _write_all(file.write_table, first, tables)
    elif path.suffix == ".jsonl":
        lines = JsonLinesWriter(path, first.schema, bytes)
        _write_all(lambda table: lines.write(lines.encoded(table.combine_chunks().to_batches()[0])), first, tables)
        lines.close()
    else:
        feather.write_feather(pa.concat_tables([first, *tables]), str(path), compression="uncompressed")


def _write_all(write_table: Callable[[Any], object], first: Any, rest: Iterator[Any]) -> None:
    write_table(first)
    for table in rest:
        write_table(table)


def measured(arguments: Sequence[str]) -> tuple[Run, str]:
    """The seconds, processor seconds and peak memory of a process, and what it prints."""
    began_s = time.perf_counter()
    command = [sys.executable, "-m", *arguments]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=ENVIRONMENT)
    assert process.stdout is not None
    peak_kb = 0
    # What wait4 gives as the most memory may be this process's own, before the other program began in its copy.
    while (ended := os.wait4(process.pid, os.WNOHANG))[0] == 0:
        peak_kb = max(peak_kb, _peak_kb(process.pid))
        time.sleep(LOOK_S)
    took_s = time.perf_counter() - began_s
    process.returncode = os.waitstatus_to_exitcode(ended[1])
    assert process.returncode == 0, arguments
    with process.stdout as stream:
        printed = stream.read()
    used = ended[2]
    return {"s": took_s, "cpu_s": used.ru_utime + used.ru_stime, "peak_mb": peak_kb / 1000}, printed


def _peak_kb(pid: int) -> int:
    """The most memory of a process so far; 0 if it has ended."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next((int(line.split()[1]) for line in lines if line.startswith("VmHWM:")), 0)


def alone(folder: Path) -> Run:
    """ONNX Runtime's own seconds for `ALONE_ROWS` rows, at the fastest of `CALLS`."""
    model = loaded(folder)
    rows = np.concatenate(list(rows_of(folder, ALONE_ROWS)))

    def run(size: int, part: NDArray[np.float32]) -> None:
        for first in range(0, len(part), size):
            model.run(part[first : first + size])

    found = []
    with ThreadPoolExecutor(THREADS) as pool:
        for size in CALLS:
            began_s, used_s = time.perf_counter(), time.process_time()
            list(pool.map(lambda part, size=size: run(size, part), np.array_split(rows, THREADS)))
            found.append({"s": time.perf_counter() - began_s, "cpu_s": time.process_time() - used_s, "call": size})
    model.close()
    return min(found, key=lambda each: each["s"])


def copied(given: Path, output: Path) -> Run:
    """pyarrow's own seconds to read a Parquet file of numbers, and to write its columns into another."""
    began_s, used_s = time.perf_counter(), time.process_time()
    with parquet.ParquetFile(given, pre_buffer=False, buffer_size=2**20) as file:
        options = {"use_dictionary": False, "max_rows_per_page": BATCH_ROWS}
        with parquet.ParquetWriter(output, file.schema_arrow, **options) as written:
            for batch in file.iter_batches(BATCH_ROWS):
                written.write_batch(batch)
    return {"s": time.perf_counter() - began_s, "cpu_s": time.process_time() - used_s}


def floor(rounds: int) -> str:
    """What ONNX Runtime and pyarrow take by themselves, in turn, for the same rows."""
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        model, given, output = trained(folder / "models"), folder / "rows.parquet", folder / "copy.parquet"
        write(given, model, FLOOR_ROWS)
        network, files = [], []
        for _ in range(rounds):
            network.append(json.loads(measured(["benchmarks.scoring", "--alone", str(model)])[1])["cpu_s"])
            files.append(json.loads(measured(["benchmarks.scoring", "--copy", str(given), str(output)])[1])["cpu_s"])
    network_us, files_us = statistics.median(network) / ALONE_ROWS * 1e6, statistics.median(files) / FLOOR_ROWS * 1e6
    return (
        f"a row takes ONNX Runtime {network_us:.3f} µs of a processor, and pyarrow {files_us:.3f} to read and write: "
        f"with nothing beside them, scoring has {network_us / (network_us + files_us):.2f} of ONNX Runtime's rate"
    )


def started(folder: Path, files: Path, rounds: int) -> list[Run]:
    """Runs on a file without rows: what each run takes before and after its rows. One before them writes bytecode."""
    names = [each.name for each in artifact.read_manifest(folder).features]
    parquet.write_table(pa.table({name: pa.array([], pa.float32()) for name in names}), files / "none.parquet")
    paths = (str(folder), str(files / "none.parquet"), str(files / "none.csv"))
    return [measured(("service.scoring", *paths, "--quiet", "--overwrite"))[0] for _ in range(rounds + 1)][1:]


def case(folder: Path, given: Path, output: Path, options: Sequence[str], rounds: int) -> dict[str, list[Run]]:
    """Runs of mlp-score and of ONNX Runtime, in turn."""
    runs: dict[str, list[Run]] = {"scored": [], "alone": []}
    for _ in range(rounds):
        _, printed = measured(["benchmarks.scoring", "--alone", str(folder)])
        runs["alone"].append(json.loads(printed))
        output.unlink(missing_ok=True)  # or its memory would be freed at the end of the run
        arguments = ("service.scoring", str(folder), str(given), str(output), "--quiet", *options)
        runs["scored"].append(measured(arguments)[0])
    return runs


def run(rounds: int, most_rows: int) -> report.Results:
    """All cases of up to ``most_rows`` rows."""
    cases = []
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        model = trained(folder / "models")
        command = "python -m benchmarks.scoring"
        about = provenance.of(model, command) | {"pyarrow": version("pyarrow"), "threads": str(THREADS)}
        start = started(model, folder, rounds)
        about["runs"] = f"{rounds} rounds of both in turn, {ALONE_ROWS:,} rows of ONNX Runtime alone"
        for rows, kind, written, options in CASES:
            if rows > most_rows:
                continue
            given, output = folder / f"rows.{kind}", folder / f"scored.{written}"
            write(given, model, rows)
            found = case(model, given, output, options, rounds)
            name = f"{kind} → {written}{' ' + ' '.join(options) if options else ''}"
            cases.append({"case": name, "rows": rows, "input_mb": given.stat().st_size / 1e6} | found)
            given.unlink()
            output.unlink()
    return {"provenance": about, "start": start, "cases": cases}


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3, help="how often each case is run (default: 3)")
    parser.add_argument("--most-rows", type=int, default=100_000_000, help="leave out larger files")
    parser.add_argument("--results", type=Path, default=report.RESULTS, help="folder the figures go to")
    parser.add_argument("--floor", action="store_true", help="print what ONNX Runtime and pyarrow take by themselves")
    parser.add_argument("--alone", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--copy", type=Path, nargs=2, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.alone is not None:
        print(json.dumps(alone(given.alone)))
        return
    if given.copy is not None:
        print(json.dumps(copied(*given.copy)))
        return
    if given.floor:
        print(floor(given.rounds))
        return
    report.save(given.results / "scoring.json", run(given.rounds, given.most_rows))


if __name__ == "__main__":
    main()
