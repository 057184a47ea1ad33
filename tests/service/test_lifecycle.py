"""The states of a server: forward only, each reported once."""

from __future__ import annotations

import pytest

from service.lifecycle import Lifecycle, State


def test_each_state_has_its_flags() -> None:
    reported: list[State] = []
    lifecycle = Lifecycle(changed=reported.append)
    seen = [(lifecycle.state, lifecycle.ready, lifecycle.answering, lifecycle.draining)]
    for state in (State.READY, State.DRAINING, State.STOPPED):
        lifecycle.advance(state)
        seen.append((lifecycle.state, lifecycle.ready, lifecycle.answering, lifecycle.draining))
    assert seen == [
        (State.STARTING, False, False, False),
        (State.READY, True, True, False),
        (State.DRAINING, False, True, True),
        (State.STOPPED, False, False, False),
    ]
    assert reported == [State.READY, State.DRAINING, State.STOPPED]


@pytest.mark.parametrize("later", [State.READY, State.DRAINING, State.STOPPED])
@pytest.mark.parametrize("state", State)
def test_earlier_states_are_ignored(later: State, state: State) -> None:
    reported: list[State] = []
    lifecycle = Lifecycle(changed=reported.append)
    lifecycle.advance(later)
    lifecycle.advance(state)
    order = list(State)
    assert lifecycle.state == max(later, state, key=order.index)
    assert reported == sorted({later, lifecycle.state}, key=order.index)
