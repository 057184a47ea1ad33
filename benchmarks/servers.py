"""Start and stop the measured servers, each in its own environment and bound to given processors."""

from __future__ import annotations

import http.client
import os
import re
import resource
import signal
import socket
import ssl
import subprocess
import sys
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Final, Self

import psutil

from benchmarks.environments import python_of

HERE: Final = Path(__file__).parent
_START_S: Final = 120.0
_POLL_S: Final = 0.005


@dataclass(frozen=True)
class Server:
    """A command that serves on ``port``, and the ``path`` of its predictions. ``scheme`` is http or https."""

    name: str
    command: tuple[str, ...]
    port: int
    path: str = "/predict"
    scheme: str = "http"

    def connect(self, timeout_s: float) -> http.client.HTTPConnection:
        """A new connection, which trusts any certificate."""
        if self.scheme == "http":
            return http.client.HTTPConnection("127.0.0.1", self.port, timeout=timeout_s)
        anyone = ssl.create_default_context()  # the server's certificate is made for the run
        anyone.check_hostname, anyone.verify_mode = False, ssl.CERT_NONE
        return http.client.HTTPSConnection("127.0.0.1", self.port, timeout=timeout_s, context=anyone)


def ours(
    name: str,
    models: Path,
    *arguments: str,
    scheme: str = "http",
    module: str = "service",
    python: str = sys.executable,
) -> Server:
    """This project's server, the main program of ``module``, logging to a file as in production."""
    port = free_port()
    command = (python, "-m", module, "--models", str(models), "--port", str(port), *arguments)
    return Server(name, command, port, scheme=scheme)


def peer(name: str, script: str, model: Path, path: str) -> Server:
    """A server of ``peers/``, in the environment that its header specifies."""
    file, port = HERE / "peers" / script, free_port()
    return Server(name, (str(python_of(file)), str(file), str(port), str(model)), port, path)


def free_port() -> int:
    """A port that is free now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


class Running:
    """A running server on ``processors``, started in ``folder``; leave the context to stop it.

    ``start_s`` is the time from the start of its process to the first response.
    """

    def __init__(self, server: Server, processors: list[int], log: Path, folder: Path | None = None) -> None:
        self.server = server
        started_s = time.perf_counter()
        with log.open("wb") as output:
            self._process = subprocess.Popen(
                ["taskset", "--cpu-list", ",".join(map(str, processors)), *server.command],
                stdout=output,
                stderr=output,
                start_new_session=True,
                cwd=folder,
                env=os.environ | {"PYTHONUNBUFFERED": "1"},
                preexec_fn=_allow_many_connections,  # noqa: PLW1509 - it starts no thread
            )
        while not self._responds():
            assert self._process.poll() is None, f"{server.name} ended: {log.read_text()[-2000:]}"
            assert time.perf_counter() - started_s < _START_S, (
                f"{server.name} does not respond: {log.read_text()[-2000:]}"
            )
            time.sleep(_POLL_S)
        self.start_s = time.perf_counter() - started_s

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def _responds(self) -> bool:
        """Whether it responds over HTTP; ours listens once it is ready."""
        connection = self.server.connect(timeout_s=5)
        try:
            connection.request("GET", "/")
            return connection.getresponse().status < 502
        except (OSError, http.client.HTTPException):
            return False
        finally:
            connection.close()

    def wait_for(self, body: bytes, content_type: str, query: str = "") -> bytes:
        """The first successful response; some servers listen before the process behind them is ready."""
        ends_s = time.perf_counter() + _START_S
        while True:
            try:
                return self.post(body, content_type, query)
            except (AssertionError, OSError):
                if time.perf_counter() > ends_s:
                    raise
                time.sleep(_POLL_S)

    def post(self, body: bytes, content_type: str, query: str = "") -> bytes:
        """The body of the response to one request, whose status must be 200."""
        connection = self.server.connect(timeout_s=60)
        try:
            connection.request("POST", self.server.path + query, body, {"content-type": content_type})
            response = connection.getresponse()
            content = response.read()
        finally:
            connection.close()
        assert response.status == 200, f"{self.server.name} responds with {response.status}: {content[:500]!r}"
        return content

    def memory_mb(self) -> float:
        """Proportional set size of all its processes: shared pages count once."""
        return float(sum(process.memory_full_info().pss for process in self._processes())) / 2**20

    def peak_memory_mb(self) -> float:
        """Peak resident set of its first process."""
        status = Path(f"/proc/{self._process.pid}/status").read_text()
        return int(re.findall(r"VmHWM:\s+(\d+) kB", status)[0]) / 2**10

    def processor_s(self) -> float:
        """Processor time of all its processes so far, in user and kernel mode."""
        times = [process.cpu_times() for process in self._processes()]
        return float(sum(each.user + each.system for each in times))

    def workers(self) -> list[psutil.Process]:
        """The processes that its first process has started."""
        children: list[psutil.Process] = psutil.Process(self._process.pid).children()
        return children

    def _processes(self) -> list[psutil.Process]:
        """Its process and all descendants; some leave their parent's session and group."""
        parent = psutil.Process(self._process.pid)
        return [parent, *parent.children(recursive=True)]

    def stop(self) -> int:
        """Send SIGTERM, and after 15 s SIGKILL; return the exit status."""
        for number in (signal.SIGTERM, signal.SIGKILL):
            with suppress(ProcessLookupError, subprocess.TimeoutExpired):
                os.killpg(self._process.pid, number)
                return self._process.wait(timeout=15)
        return self._process.wait()


def _allow_many_connections() -> None:
    _, limit = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (limit, limit))
