"""The states of a server, the transitions between them, and the signals that end it.

starting → ready → draining → stopped
"""

from __future__ import annotations

import signal
from collections.abc import Callable
from enum import StrEnum


class State(StrEnum):
    """A state of the server."""

    STARTING = "starting"
    READY = "ready"
    DRAINING = "draining"
    STOPPED = "stopped"


class Lifecycle:
    """Holds the state, which only moves forward, and calls ``changed`` with each new one.

    ``ready`` is whether new requests should be sent here, ``answering`` whether requests are answered, and ``draining``
    whether the connection is closed after the response.
    """

    def __init__(self, changed: Callable[[State], None]) -> None:
        self.state = State.STARTING
        self.ready = self.answering = self.draining = False
        self._changed = changed

    def advance(self, state: State) -> None:
        """Move to a later state. Does nothing for the current or an earlier one."""
        order = list(State)
        if order.index(state) > order.index(self.state):
            self.state = state
            self.ready = state is State.READY
            self.draining = state is State.DRAINING
            self.answering = self.ready or self.draining
            self._changed(state)


def stop_signals() -> tuple[signal.Signals, ...]:
    """The signals that drain the server: SIGHUP only if the parent does not ignore it, as nohup does."""
    ignored = signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    return (signal.SIGTERM, signal.SIGINT, *(() if ignored else (signal.SIGHUP,)))
