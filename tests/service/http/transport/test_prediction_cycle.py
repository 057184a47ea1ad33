"""The states of a prediction, from its head to its response."""

from __future__ import annotations

import asyncio

import pytest

from service.http.transport.prediction_cycle import CycleState
from tests.service.http.transport.fakes import Connection
from tests.service.running import post

pytestmark = pytest.mark.anyio

FIRST, SECOND = post(b"first"), post(b"second")
TOO_LARGE = post(b"x" * 101)
FAR_TOO_LARGE = post(b"x" * 1_000_000)[:1000]


@pytest.fixture
async def connection() -> Connection:
    return Connection()


async def test_a_prediction_is_received_run_and_answered(connection: Connection) -> None:
    cycle = connection.send(FIRST[:-1])
    assert cycle.state is CycleState.RECEIVING
    assert connection.budget.buffered_bytes > 0
    connection.send(FIRST[-1:])
    assert cycle.state is CycleState.RUNNING
    assert connection.budget.buffered_bytes == 0
    connection.predict.answer()
    assert cycle.state is CycleState.DONE
    assert cycle.response_complete
    assert connection.predict.bodies == [b"first"]


@pytest.mark.parametrize(
    ("sent", "queued", "in_turn"),
    [
        (SECOND[:-1], CycleState.QUEUED, CycleState.RECEIVING),
        (SECOND, CycleState.QUEUED_COMPLETE, CycleState.RUNNING),
        (TOO_LARGE, CycleState.QUEUED_REJECTED, CycleState.REJECTED),
    ],
)
async def test_a_pipelined_prediction_waits_for_its_turn(
    connection: Connection, sent: bytes, queued: CycleState, in_turn: CycleState
) -> None:
    connection.send(FIRST)
    second = connection.send(sent)
    assert second.state is queued
    connection.predict.answer()
    assert second.state is in_turn


async def test_a_rejection_far_from_the_end_of_the_body_is_sent_at_once(connection: Connection) -> None:
    cycle = connection.send(FAR_TOO_LARGE)
    assert cycle.state is CycleState.DONE
    assert connection.transport.sent.startswith(b"HTTP/1.1 413 ")
    assert b"\r\nconnection: close\r\n" in connection.transport.sent
    sent = bytes(connection.transport.sent)
    await asyncio.sleep(0)
    assert connection.transport.sent == sent
    assert connection.transport.ended


async def test_a_rejection_is_sent_in_the_next_turn_of_the_event_loop(connection: Connection) -> None:
    cycle = connection.send(TOO_LARGE)
    assert cycle.state is CycleState.REJECTED
    assert not connection.transport.sent
    await asyncio.sleep(0)
    assert cycle.state is CycleState.DONE
    assert connection.transport.sent.startswith(b"HTTP/1.1 413 ")
    assert connection.predict.bodies == []


@pytest.mark.parametrize("sent", [FIRST[:-1], FIRST, FIRST + SECOND[:-1], TOO_LARGE])
async def test_a_disconnect_cancels_what_is_pending(connection: Connection, sent: bytes) -> None:
    cycle = connection.send(sent)
    connection.protocol.connection_lost(None)
    await asyncio.sleep(0)
    assert (cycle.state, cycle.disconnected) == (CycleState.DONE, True)
    assert all(pending.cancelled for pending in connection.predict.pending)
    assert connection.budget.buffered_bytes == 0
    assert not connection.transport.sent
