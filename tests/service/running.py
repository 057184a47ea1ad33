"""A server in its own process: tests start it, read its log, send it HTTP or single bytes, and stop it."""

from __future__ import annotations

import http.client
import json
import os
import queue
import re
import signal
import socket
import ssl
import subprocess
import sys
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

import httpx
from prometheus_client.parser import text_string_to_metric_families

PATIENCE_S = 100.0


def command(*arguments: str, python: Path | str = sys.executable) -> list[str]:
    return [str(python), "-m", "service", "--port", "0", *arguments]


def environment(**variables: str) -> dict[str, str]:
    """This process's environment, with ``variables`` as the only options of the server."""
    return {
        name: value for name, value in os.environ.items() if not name.upper().startswith(("MLP_", "OTEL_"))
    } | variables


def refused(*arguments: str, **variables: str) -> str:
    """The error message of a server that cannot start: one sentence, the same from each worker, and exit status 1."""
    ended = subprocess.run(
        command(*arguments),
        env=environment(**variables),
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        check=False,
    )
    assert (ended.returncode, ended.stdout) == (1, ""), ended
    messages = {line for line in ended.stderr.splitlines() if not line.startswith("{")}
    assert len(messages) == 1, ended
    message = messages.pop()
    assert message.startswith("mlp-serve: "), ended
    return message.removeprefix("mlp-serve: ")


class Running:
    """A server whose workers are all ready. A thread reads its log, so that the server never waits for the test.

    ``log`` has the lines that `wait_for` has read. ``files`` limits the process's open files. ``tls`` is for clients.
    """

    def __init__(
        self,
        models: Path,
        *arguments: str,
        workers: int = 1,
        variables: Mapping[str, str] | None = None,
        python: Path | str = sys.executable,
        files: int | None = None,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self.tls = tls
        self.log: list[str] = []
        self.worker_count = workers
        self._connections: list[Connection] = []
        self._lines: queue.SimpleQueue[str | None] = queue.SimpleQueue()
        self._log_is_read = threading.Event()
        self._log_is_read.set()
        limit = [] if files is None else ["sh", "-c", f'ulimit -n {files}; exec "$@"', "sh"]
        self.process = subprocess.Popen(
            [*limit, *command("--models", str(models), "--workers", str(workers), *arguments, python=python)],
            env=environment(**(variables or {})),
            stderr=subprocess.PIPE,
            text=True,
        )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        try:
            for _ in range(workers):
                ready = self.wait_for("ready on")
        except AssertionError:
            self.kill()
            raise
        found = re.search(r"ready on (https?://\S+:(\d+)|unix:\S+) ", ready)
        assert found is not None
        self.address, self.port = found[1], int(found[2] or 0)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.kill()

    def kill(self) -> None:
        self._log_is_read.set()
        self.process.kill()
        self.process.wait()
        for connection in self._connections:
            connection.close()

    def terminate(self) -> None:
        self.process.send_signal(signal.SIGTERM)

    def drain(self) -> None:
        """Send SIGTERM, and wait until every worker drains."""
        self.terminate()
        for _ in range(self.worker_count):
            self.wait_for("draining")

    def exit_status(self, timeout_s: float = PATIENCE_S) -> int:
        return self.process.wait(timeout_s)

    def wait_for(self, text: str) -> str:
        """The next line of the log that contains ``text``."""
        while True:
            line = self._lines.get(timeout=PATIENCE_S)
            assert line is not None, f"the server ended without logging {text!r}: {self.log}"
            self.log.append(line)
            if text in line:
                return line

    def read_log(self, *, on: bool) -> None:
        """Start or stop reading the log."""
        (self._log_is_read.set if on else self._log_is_read.clear)()

    def whole_log(self) -> list[str]:
        """The whole log, once the server and all its workers have ended."""
        while (line := self._lines.get(timeout=PATIENCE_S)) is not None:
            self.log.append(line)
        return self.log

    def client(self) -> httpx.Client:
        return httpx.Client(base_url=self.address, timeout=PATIENCE_S, verify=self.tls or True)

    def connect(self) -> Connection:
        """A new connection, closed at the latest when the server is killed."""
        connection = Connection(self.port or self.address.removeprefix("unix:"), tls=self.tls)
        self._connections.append(connection)
        return connection

    def metrics(self) -> dict[str, float]:
        """The samples of one scrape, as `parsed` gives them."""
        with self.connect() as connection:
            connection.send(b"GET /metrics HTTP/1.1\r\nhost: test\r\n\r\n")
            return parsed(connection.answer().body.decode())

    def workers(self) -> list[int]:
        """The process ids of its workers."""
        pid = self.process.pid
        return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]

    def _read(self) -> None:
        assert self.process.stderr is not None
        with self.process.stderr as stream:
            for line in stream:
                self._lines.put(line)
                self._log_is_read.wait()
        self._lines.put(None)


def parsed(exposition: str) -> dict[str, float]:
    """Every sample by its name and the values of its labels, in the order of the labels, separated by spaces."""
    return {
        " ".join([sample.name, *(value for _, value in sorted(sample.labels.items()))]): sample.value
        for family in text_string_to_metric_families(exposition)
        for sample in family.samples
    }


@dataclass(frozen=True)
class Answer:
    """One response; its headers by lower-case name."""

    status: int
    headers: dict[str, str]
    body: bytes


class Connection:
    """One connection to a port or a Unix socket, for requests as bytes; over ``tls`` if it is given."""

    def __init__(
        self, to: int | str, receive_buffer_bytes: int | None = None, tls: ssl.SSLContext | None = None
    ) -> None:
        self.socket = socket.socket(socket.AF_UNIX if isinstance(to, str) else socket.AF_INET)
        if receive_buffer_bytes is not None:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer_bytes)
        self.socket.settimeout(PATIENCE_S)
        try:
            self.socket.connect(to if isinstance(to, str) else ("127.0.0.1", to))
            if tls is not None:
                self.socket = tls.wrap_socket(self.socket, server_hostname="127.0.0.1")
        except OSError:
            self.socket.close()
            raise
        self._reader = self.socket.makefile("rb")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        self._reader.close()
        self.socket.close()

    def send(self, data: bytes) -> None:
        self.socket.sendall(data)

    def answer(self) -> Answer:
        """The next response, which must have a content-length."""
        status_line = self._reader.readline()
        assert status_line.startswith(b"HTTP/1.1 "), status_line
        headers = http.client.parse_headers(self._reader)
        return Answer(
            int(status_line.split()[1]),
            {name.lower(): value for name, value in headers.items()},
            self._reader.read(int(headers["content-length"])),
        )

    def is_closed(self) -> bool:
        """Wait until the server sends something or closes the connection; return whether it has closed it."""
        return self._reader.peek(1) == b""


def post(body: bytes | Mapping[str, object], path: str = "/predict", *headers: str, version: str = "1.1") -> bytes:
    """A POST request as bytes; a mapping is sent as JSON."""
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    lines = [f"POST {path} HTTP/{version}", "host: test", f"content-length: {len(content)}", *headers]
    return "\r\n".join([*lines, "", ""]).encode() + content
