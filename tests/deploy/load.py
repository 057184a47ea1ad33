"""Clients that keep their connections and send again as soon as they are answered, counting what gets no answer."""

from __future__ import annotations

import threading
from collections import Counter
from types import TracebackType
from typing import Self

from tests.service.running import PATIENCE_S, Connection


class Load:
    """``clients`` threads with a connection each to ``port``, on which they send ``request`` until told to stop.

    ``answered`` counts the answers by their status. What was sent and got no whole answer is in ``lost``, with
    what happened. A client whose server says ``connection: close`` is done, and so is all once nobody listens.
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
            assert self._first.acquire(timeout=PATIENCE_S), "a client got no first answer"
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stopped.set()
        self.wait()

    def wait(self) -> None:
        """Until every client is done."""
        for thread in self._threads:
            thread.join(PATIENCE_S)
            assert not thread.is_alive(), "a client waits for an answer"

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
