"""The states of a server and the only moves between them: starting → ready → draining → stopped."""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum


class State(StrEnum):
    """Where the server is in its life."""

    STARTING = "starting"
    READY = "ready"
    DRAINING = "draining"
    STOPPED = "stopped"


class Lifecycle:
    """Holds the state; moves forward only, never back to an earlier one. ``changed`` is told of each new state."""

    def __init__(self, changed: Callable[[State], None]) -> None:
        self.state = State.STARTING
        self._changed = changed

    @property
    def ready(self) -> bool:
        """Whether new requests should be sent here."""
        return self.state is State.READY

    @property
    def draining(self) -> bool:
        """Whether the server answers what reaches it and closes each connection after that."""
        return self.state is State.DRAINING

    def advance(self, state: State) -> None:
        """Move to a later state; moving to the present one or an earlier one does nothing."""
        order = list(State)
        if order.index(state) > order.index(self.state):
            self.state = state
            self._changed(state)
