"""Versions come and go under load: no request fails, memory stays flat, p99 of one row stays. Else it fails.

    python -m benchmarks.reloads

Every other version is spoiled, in turn half a graph or wrong answers to the held-out rows. Clients of one row ask all
the time from a process of their own. Their latency while versions come without a pause is compared with that while as
many versions are published in a folder that nobody serves. Memory is measured while they send fresh random rows without
a pause, for equal bodies would hide what a cache keeps.
"""

from __future__ import annotations

import argparse
import asyncio
import http.client
import io
import json
import multiprocessing
import shutil
import statistics
import sys
import tempfile
import time
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, Final

import numpy as np
import psutil
import uvloop

from benchmarks.servers import Running, ours
from service import artifact

GROWTH_MB: Final = 12.0
P99_TIMES: Final = 1.5
_CLIENTS: Final = 8
_PIXELS: Final = 784
_PAUSE_S: Final = 0.002
# Of each, in turn, so that both see the same machine.
_ROUNDS: Final = 5
_ROUND_S: Final = 4.0
# Between two versions: about as long as it takes to load one.
_PUBLISH_S: Final = 0.1
# A server reads new files again until they are that old.
_SETTLED_S: Final = 2.5
_WARM: Final = 40  # reloads after which memory has to be flat
_PATIENCE_S: Final = 60.0


class Publisher:
    """Publishes versions of ``original`` in a folder of models, and removes all but the newest ones."""

    def __init__(self, original: Path, models: Path) -> None:
        self.newest = 0
        self._original = original
        self._folder = models / original.parent.name
        self._folder.mkdir(parents=True)

    def publish(self, *, good: bool = True) -> int:
        """The number of the new version."""
        self.newest += 1
        new = self._folder / f".{self.newest}"
        shutil.copytree(self._original, new)
        document = json.loads((new / artifact.MANIFEST).read_text()) | {"version": self.newest}
        if not good and self.newest % 4:
            document["files"][artifact.GOLDEN] = artifact.sha256(_wrong_answers(new / artifact.GOLDEN))
        elif not good:
            graph = (new / artifact.MODEL).read_bytes()
            (new / artifact.MODEL).write_bytes(graph[: len(graph) // 2])
        (new / artifact.MANIFEST).write_text(json.dumps(document))
        new.rename(self._folder / str(self.newest))
        for old in range(self.newest - 6, self.newest - 3):
            shutil.rmtree(self._folder / str(old), ignore_errors=True)
        return self.newest


def _wrong_answers(path: Path) -> bytes:
    with np.load(path) as golden:
        arrays = {name: each if name == "inputs" else np.roll(each, 1, axis=0) for name, each in golden.items()}
    file = io.BytesIO()
    np.savez(file, **arrays)
    path.write_bytes(file.getvalue())
    return file.getvalue()


def _request(target: bytes, content_type: bytes, body: bytes) -> bytes:
    head = b"POST %s HTTP/1.1\r\nhost: b\r\ncontent-type: %s\r\ncontent-length: %d\r\n\r\n"
    return head % (target, content_type, len(body)) + body


def _ask(port: int, body: bytes | None, seconds: float, result: Connection) -> None:
    """In a process of its own: send the latencies in seconds, and the number of failed requests.

    Without a ``body``, each request is a fresh random row, and clients do not pause.
    """
    random = np.random.default_rng()
    same = None if body is None else _request(b"/predict", b"application/json", body)

    def fresh() -> bytes:
        return _request(b"/predict?dtype=uint8", b"application/octet-stream", random.bytes(_PIXELS))

    async def client(ends_s: float) -> tuple[list[float], int]:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        took_s, failed = [], 0
        while time.perf_counter() < ends_s:
            began_s = time.perf_counter()
            writer.write(fresh() if same is None else same)
            head = await reader.readuntil(b"\r\n\r\n")
            length = next(line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length: "))
            await reader.readexactly(int(length[16:]))
            took_s.append(time.perf_counter() - began_s)
            failed += not head.startswith(b"HTTP/1.1 200 ")
            if same is not None:
                await asyncio.sleep(_PAUSE_S)
        writer.close()
        return took_s, failed

    async def clients() -> list[tuple[list[float], int]]:
        ends_s = time.perf_counter() + seconds
        return await asyncio.gather(*(client(ends_s) for _ in range(_CLIENTS)))

    tallies = uvloop.run(clients())
    result.send(([each for took_s, _ in tallies for each in took_s], sum(failed for _, failed in tallies)))


class Load:
    """Requests for so many seconds, from a process of its own. `result` waits for its end."""

    def __init__(self, port: int, body: bytes | None, seconds: float) -> None:
        self._receiver, sender = multiprocessing.Pipe(duplex=False)
        self._process = multiprocessing.Process(target=_ask, args=(port, body, seconds, sender))
        self._process.start()

    def is_running(self) -> bool:
        return self._process.is_alive() and not self._receiver.poll()

    def result(self) -> tuple[list[float], int]:
        """The latencies in seconds, and the number of failed requests."""
        found: tuple[list[float], int] = self._receiver.recv()
        self._process.join()
        return found


def _settled(port: int, version: int, *, good: bool) -> None:
    """Wait until every worker has loaded or refused the version: ten connections in a row say so."""
    ends_s, agreed = time.monotonic() + _PATIENCE_S, 0
    while agreed < 10:
        assert time.monotonic() < ends_s, f"version {version} is neither served nor refused"
        connection = http.client.HTTPConnection("127.0.0.1", port)
        connection.request("GET", "/models")
        (model,) = json.loads(connection.getresponse().read())["models"]
        connection.close()
        states: dict[int, str] = {each["version"]: each["state"] for each in model["versions"]}
        agreed = agreed + 1 if states.get(version) == ("serving" if good else "refused") else 0


def _memory_mb(port: int) -> float:
    listeners = {
        each.pid
        for each in psutil.net_connections("tcp")
        if each.laddr and each.laddr.port == port and each.status == "LISTEN"
    }
    used_bytes: int = max(psutil.Process(pid).memory_info().rss for pid in listeners if pid)
    return used_bytes / 1e6


def latencies(
    port: int, publisher: Publisher, elsewhere: Publisher, body: bytes
) -> tuple[list[float], list[float], int]:
    """p99 in seconds of each round without and with reloads, and the number of failed requests.

    Without reloads, the versions are published ``elsewhere``: copying them takes time from the clients too.
    """
    quiet_s: list[float] = []
    loading_s: list[float] = []
    failed = 0
    for _ in range(_ROUNDS):
        for p99_s, into in ((quiet_s, elsewhere), (loading_s, publisher)):
            load = Load(port, body, _ROUND_S)
            while load.is_running():
                into.publish()
                time.sleep(_PUBLISH_S)
            took_s, lost = load.result()
            p99_s.append(statistics.quantiles(took_s, n=100)[-1])
            failed += lost
        _settled(port, publisher.newest, good=True)
        time.sleep(_SETTLED_S)
    return quiet_s, loading_s, failed


def growth(port: int, publisher: Publisher, reloads: int, requests: int) -> tuple[list[float], int, int]:
    """The memory in MB of the largest worker after each reload, the number of requests, and of those that failed.

    The versions are published evenly over at least so many requests.
    """
    used_mb: list[float] = []
    answered = failed = 0
    load = Load(port, None, _ROUND_S)
    while len(used_mb) < reloads or answered < requests:
        if len(used_mb) < reloads and len(used_mb) * requests <= answered * reloads:
            good = len(used_mb) % 2 == 0
            _settled(port, publisher.publish(good=good), good=good)
            used_mb.append(_memory_mb(port))
        if not load.is_running():
            took_s, lost = load.result()
            answered, failed = answered + len(took_s), failed + lost
            load = Load(port, None, _ROUND_S)
        elif len(used_mb) * requests > answered * reloads:
            time.sleep(_PAUSE_S)
    took_s, lost = load.result()
    return used_mb, answered + len(took_s), failed + lost


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--model", type=Path, default=Path("models/fashion-mnist/1"), help="the version that is copied")
    parser.add_argument("--reloads", type=int, default=1000)
    parser.add_argument("--requests", type=int, default=1_000_000, help="at least so many, of fresh random rows")
    parser.add_argument("--workers", type=int, default=1)
    given = parser.parse_args()
    figures: dict[str, Any] = {}
    body = (given.model / artifact.EXAMPLE).read_bytes()
    with tempfile.TemporaryDirectory() as folder:
        publisher = Publisher(given.model, Path(folder) / "models")
        publisher.publish()
        elsewhere = Publisher(given.model, Path(folder) / "elsewhere")
        options = ("--reload-interval-s", "0.02", "--workers", str(given.workers))
        server = ours("ours", Path(folder) / "models", *options)
        processors = sorted(psutil.Process().cpu_affinity())[: given.workers]
        with Running(server, processors, Path(folder) / "log"):
            quiet_s, loading_s, lost = latencies(server.port, publisher, elsewhere, body)
            used_mb, figures["requests"], failed = growth(server.port, publisher, given.reloads, given.requests)
    figures["p99_ms"] = round(statistics.median(quiet_s) * 1e3, 2)
    figures["p99_during_loads_ms"] = round(statistics.median(loading_s) * 1e3, 2)
    figures["failed"] = failed + lost
    quarter = max(len(used_mb) // 4, 1)
    figures["memory_mb"] = round(min(used_mb[_WARM : _WARM + quarter] or used_mb), 1)
    figures["memory_at_the_end_mb"] = round(min(used_mb[-quarter:]), 1)
    print(json.dumps(figures))
    grown = figures["memory_at_the_end_mb"] - figures["memory_mb"] > GROWTH_MB
    slow = figures["p99_during_loads_ms"] > P99_TIMES * figures["p99_ms"]
    return 1 if figures["failed"] or grown or slow else 0


if __name__ == "__main__":
    sys.exit(main())
