"""Clients that send requests without pause over persistent connections, and count those without a response."""

from __future__ import annotations

import threading
from collections import Counter
from types import TracebackType
from typing import Self

from tests.service.running import PATIENCE_S, Connection


class Load:
    """``clients`` threads that each send ``request`` over a connection to ``port`` until the context ends.

    ``answered`` counts responses by status; ``lost`` has the error of each request without a complete response. A
    client ends at ``connection: close`` or at an error.
    """

    def __init__(self, port: int, request: bytes, clients: int = 16) -> None:
        self.answered: Counter[int] = Counter()
        self.lost: list[str] = []
        self._request = request
        self._stopped = threading.Event()
        self._first = threading.Semaphore(0)
        connections = [Connection(port) for _ in range(clients)]
        self._threads = [threading.Thread(target=self._send_all, args=(connection,)) for connection in connections]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        for _ in self._threads:
            assert self._first.acquire(timeout=PATIENCE_S), "a client got no response"
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stopped.set()
        self.wait()

    def wait(self) -> None:
        """Wait until every client has ended."""
        for thread in self._threads:
            thread.join(PATIENCE_S)
            assert not thread.is_alive(), "a client still waits for a response"

    def _send_all(self, connection: Connection) -> None:
        with connection:
            while not self._stopped.is_set():
                try:
                    connection.send(self._request)
                    answer = connection.answer()
                except (OSError, AssertionError) as error:
                    self.lost.append(repr(error))
                    return
                finally:
                    self._first.release()
                self.answered[answer.status] += 1
                if answer.headers.get("connection") == "close":
                    return
