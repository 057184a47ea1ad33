"""Starting and stopping what is measured, each server in an environment of its own, bound to given processors."""

from __future__ import annotations

import hashlib
import os
import re
import signal
import socket
import subprocess
import sys
import time
import tomllib
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).parent
ENVIRONMENTS = HERE / ".venvs"
_SCRIPT = re.compile(r"^# /// script\n(?P<content>(?:^#.*\n)+?)^# ///$", re.MULTILINE)


@dataclass(frozen=True)
class Server:
    """A command that serves on ``port``, and how to ask it."""

    name: str
    command: tuple[str, ...]
    port: int
    path: str = "/predict"


def ours(name: str, port: int, models: Path, *arguments: str) -> Server:
    """This project's server, logging to a file as in production."""
    command = (sys.executable, "-m", "service", "--models", str(models), "--port", str(port), *arguments)
    return Server(name, command, port)


def peer(name: str, script: str, port: int, model: Path, path: str) -> Server:
    """A server of ``peers/``, in the environment that its own header names."""
    file = HERE / "peers" / script
    return Server(name, (str(_environment(file) / "bin/python"), str(file), str(port), str(model)), port, path)


def _environment(script: Path) -> Path:
    """An environment with a script's dependencies: https://packaging.python.org/specifications/inline-script-metadata"""
    header = _SCRIPT.search(script.read_text())
    assert header is not None, f"{script} does not say what it needs"
    content = "".join(line[2:] or "\n" for line in header["content"].splitlines(keepends=True))
    needs = tomllib.loads(content)["dependencies"]
    folder = ENVIRONMENTS / f"{script.stem}-{hashlib.sha256(repr(needs).encode()).hexdigest()[:8]}"
    if not (folder / ".complete").exists():
        print(f"installing {script.stem} ...", file=sys.stderr)
        subprocess.run([sys.executable, "-m", "venv", "--clear", folder], check=True)
        subprocess.run([folder / "bin/pip", "install", "--quiet", *needs], check=True, stderr=subprocess.DEVNULL)
        (folder / ".complete").touch()
    return folder


class Running:
    """A started server; leave the context to stop it."""

    def __init__(self, server: Server, processors: str, log: Path) -> None:
        self.server = server
        with log.open("wb") as output:
            self._process = subprocess.Popen(
                ["taskset", "-c", processors, *server.command],
                stdout=output,
                stderr=output,
                start_new_session=True,
                env=os.environ | {"PYTHONUNBUFFERED": "1"},
            )
        started_s = time.perf_counter()
        while not self._accepts():
            assert self._process.poll() is None, f"{server.name} ended: {log.read_text()[-2000:]}"
            assert time.perf_counter() - started_s < 120, f"{server.name} does not listen: {log.read_text()[-2000:]}"
            time.sleep(0.05)
        self.start_s = time.perf_counter() - started_s

    def _accepts(self) -> bool:
        with socket.socket() as probe:
            probe.settimeout(1)
            return probe.connect_ex(("127.0.0.1", self.server.port)) == 0

    def memory_mb(self) -> float:
        """Proportional set size of the whole process group: shared pages count once."""
        group = os.getpgid(self._process.pid)
        total_kb = 0
        for folder in Path("/proc").glob("[0-9]*"):
            try:
                if os.getpgid(int(folder.name)) == group:
                    rollup = (folder / "smaps_rollup").read_text()
                    total_kb += int(re.search(r"^Pss:\s+(\d+)", rollup, re.MULTILINE)[1])  # type: ignore[index]
            except (ProcessLookupError, FileNotFoundError, PermissionError):
                continue
        return total_kb / 1024

    def stop(self) -> None:
        for sent in (signal.SIGTERM, signal.SIGKILL):
            try:
                os.killpg(self._process.pid, sent)
                self._process.wait(timeout=15)
            except subprocess.TimeoutExpired:
                continue
            except ProcessLookupError:
                break
        self._process.wait()
