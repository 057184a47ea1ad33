"""The folder of the workers' metrics: removed with its server, however that ends; other folders stay."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from service.errors import StartError
from service.metrics import folder as metrics_folder

PATIENCE_S = 30
KILLED = """
import os, signal, sys
from service.metrics import folder as metrics_folder
with metrics_folder.locked() as folder:
    (folder / "counter_0.db").touch()
    print(folder, flush=True)
    if sys.stdin.readline() == "fork\\n" and os.fork() == 0:
        print(os.getpid(), flush=True)
        signal.pause()
    os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.fixture(autouse=True)
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(tempfile, "tempdir", None)
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    return tmp_path


class Server:
    """A process that locks a folder until it kills itself on request."""

    def __init__(self) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", KILLED], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        self.folder = Path(self.read())

    def read(self) -> str:
        assert self.process.stdout is not None
        return self.process.stdout.readline().strip()

    def end(self, how: str) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(f"{how}\n")
        self.process.stdin.flush()
        assert self.process.wait(PATIENCE_S) == -signal.SIGKILL

    def close(self) -> None:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.close()
        self.process.stdout.close()


def test_the_folder_is_removed_with_its_contents(temporary: Path) -> None:
    with metrics_folder.locked() as folder:
        assert folder.parent == temporary
        assert folder.stat().st_mode & 0o077 == 0
        (folder / "counter_0.db").touch()
    assert list(temporary.iterdir()) == []


def test_the_folder_is_removed_if_the_server_fails(temporary: Path) -> None:
    with pytest.raises(StartError), metrics_folder.locked():
        raise StartError
    assert list(temporary.iterdir()) == []


def test_the_folder_of_a_killed_server_is_removed_by_the_next_one(temporary: Path) -> None:
    """1. Two servers run. 2. One is killed. 3. A third starts: one folder is gone, two are there."""
    killed, alive = Server(), Server()
    killed.end("alone")
    assert killed.folder.exists()
    with metrics_folder.locked() as folder:
        assert set(temporary.iterdir()) == {alive.folder, folder}
        assert (alive.folder / "counter_0.db").exists()
    alive.end("alone")
    killed.close()
    alive.close()


def test_the_folder_of_a_killed_server_is_kept_while_a_worker_lives() -> None:
    server = Server()
    server.end("fork")
    worker = int(server.read())
    with metrics_folder.locked():
        assert server.folder.exists()
    os.kill(worker, signal.SIGKILL)
    assert server.read() == ""  # the pipe ends with the worker
    with metrics_folder.locked():
        assert not server.folder.exists()
    server.close()


def test_other_files_and_folders_with_such_a_name_stay(temporary: Path) -> None:
    elsewhere = temporary / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "counter_0.db").touch()
    link = temporary / "mlp-serving-metrics-link"
    link.symlink_to(elsewhere)
    file = temporary / "mlp-serving-metrics-file"
    file.touch()
    notes = temporary / "mlp-serving-metrics-notes"
    notes.mkdir()
    (notes / "notes.txt").touch()
    with metrics_folder.locked():
        pass
    assert set(temporary.rglob("*")) == {elsewhere, elsewhere / "counter_0.db", link, file, notes, notes / "notes.txt"}


def test_a_folder_that_cannot_be_made_is_a_clear_error(temporary: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(temporary / "none"))
    with pytest.raises(StartError) as refused, metrics_folder.locked():
        pass
    assert str(refused.value) == (
        "cannot create a folder for the workers' metrics: No such file or directory; "
        "set TMPDIR to a folder with space, such as a memory volume"
    )
