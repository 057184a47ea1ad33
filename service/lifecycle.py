"""The states of a server, the only moves between them, and the signals that end it.

starting → ready → draining → stopped
"""

from __future__ import annotations

import signal
from collections.abc import Callable
from enum import StrEnum


class State(StrEnum):
    """Where the server is in its life."""

    STARTING = "starting"
    READY = "ready"
    DRAINING = "draining"
    STOPPED = "stopped"


class Lifecycle:
    """Holds the state; moves forward only, never back to an earlier one. ``changed`` is told of each new state.

    ``ready`` says whether new requests should be sent here, ``answering`` whether those that come are answered, and
    ``draining`` whether the connection is closed after that.
    """

    def __init__(self, changed: Callable[[State], None]) -> None:
        self.state = State.STARTING
        self.ready = self.answering = self.draining = False
        self._changed = changed

    def advance(self, state: State) -> None:
        """Move to a later state; moving to the present one or an earlier one does nothing."""
        order = list(State)
        if order.index(state) > order.index(self.state):
            self.state = state
            self.ready = state is State.READY
            self.draining = state is State.DRAINING
            self.answering = self.ready or self.draining
            self._changed(state)


def stop_signals() -> tuple[signal.Signals, ...]:
    """The signals that drain the server; SIGHUP only where the parent does not have it ignored, as nohup does."""
    ignored = signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    return (signal.SIGTERM, signal.SIGINT, *(() if ignored else (signal.SIGHUP,)))
