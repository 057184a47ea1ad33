"""mlp-score as a process: signals, a full disk, light imports."""

from __future__ import annotations

import resource
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from pyarrow import parquet

from tests.service.running import PATIENCE_S, environment


def command(models: Path, *arguments: str | Path) -> list[str]:
    return [sys.executable, "-m", "service.scoring", *map(str, arguments), "--models", str(models)]


@pytest.fixture(scope="module")
def rows(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """More rows than are scored before a signal arrives."""
    table = pa.table({f"f{at}": np.zeros(2**20, np.float32) for at in range(4)})
    path = tmp_path_factory.mktemp("rows") / "rows.parquet"
    with parquet.ParquetWriter(path, table.schema) as file:
        for _ in range(20):
            file.write_table(table)
    return path


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_leaves_nothing(models: Path, rows: Path, tmp_path: Path, number: int) -> None:
    arguments = command(models, "small", rows, tmp_path / "x.parquet")
    process = subprocess.Popen(arguments, env=environment(), stderr=subprocess.PIPE, text=True)
    while not list(tmp_path.glob(".x.parquet.*.tmp")):
        assert process.poll() is None
    process.send_signal(number)
    _, err = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 128 + number
    assert err.splitlines()[-1] == f"mlp-score: stopped by {signal.Signals(number).name}"
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("option", [[], ["--resume"]])
def test_a_full_disk_is_one_sentence(models: Path, rows: Path, tmp_path: Path, option: list[str]) -> None:
    ended = subprocess.run(
        command(models, "small", rows, tmp_path / "x.parquet", *option),
        env=environment(),
        preexec_fn=_limit_files,
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 1
    assert len(ended.stderr.splitlines()) == 1
    assert "cannot be written: File too large; free some space, or give another place" in ended.stderr
    assert list(tmp_path.iterdir()) == []


def _limit_files() -> None:
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))


def test_imports() -> None:
    """The help needs no pyarrow, and no run needs training."""
    script = (
        "import sys; from service.scoring.run import run; from service.scoring.stop import Stop\n"
        "assert run([], Stop()) == 2; assert 'pyarrow' not in sys.modules, 'pyarrow'\n"
        "import service.scoring.score\n"
        "assert not {'torch', 'pandas', 'fsspec', 'rich', 'onnx'} & set(sys.modules)\n"
    )
    ended = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr


def test_numbers_in_parquet_are_scored_without_pandas(models: Path, tmp_path: Path) -> None:
    """pyarrow imports it, if it is installed, for some of its functions; that takes as long as all other imports."""
    parquet.write_table(pa.table({f"f{at}": np.zeros(3, np.float32) for at in range(4)}), tmp_path / "rows.parquet")
    arguments = ["small", str(tmp_path / "rows.parquet"), str(tmp_path / "x.parquet"), "--models", str(models)]
    script = (
        "import sys; from service.scoring.__main__ import main\n"
        f"assert main({arguments!r}) == 0\n"
        "assert 'pandas' not in sys.modules\n"
    )
    ended = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr
    assert parquet.read_table(tmp_path / "x.parquet").num_rows == 3
