"""The states of a server: forward only, each told once."""

from __future__ import annotations

import pytest

from service.lifecycle import Lifecycle, State


def test_each_state_says_what_may_be_done_in_it() -> None:
    told: list[State] = []
    lifecycle = Lifecycle(changed=told.append)
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
    assert told == [State.READY, State.DRAINING, State.STOPPED]


@pytest.mark.parametrize("later", [State.READY, State.DRAINING, State.STOPPED])
@pytest.mark.parametrize("state", State)
def test_there_is_no_way_back(later: State, state: State) -> None:
    told: list[State] = []
    lifecycle = Lifecycle(changed=told.append)
    lifecycle.advance(later)
    lifecycle.advance(state)
    order = list(State)
    assert lifecycle.state == max(later, state, key=order.index)
    assert told == sorted({later, lifecycle.state}, key=order.index)
