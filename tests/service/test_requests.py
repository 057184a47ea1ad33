"""Finished requests reach the sinks in batches: soon after the first, at once when there are many, or on flush."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest

from service.requests import FLUSH_BATCH, RequestRecord, RequestTracker

pytestmark = pytest.mark.anyio


class RecordingSink:
    """Keeps the batches and the numbers of open requests."""

    def __init__(self) -> None:
        self.batches: list[list[str]] = []
        self.in_flight: list[int] = []
        self.called = asyncio.Event()

    def __call__(self, records: Sequence[RequestRecord], /) -> None:
        self.batches.append([record.request_id for record in records])
        self.called.set()


@pytest.fixture
async def sink() -> RecordingSink:
    return RecordingSink()


@pytest.fixture
async def tracker(sink: RecordingSink) -> RequestTracker:
    return RequestTracker([sink], sink.in_flight.append, asyncio.get_running_loop().time)


async def test_a_few_requests_are_reported_after_a_moment(sink: RecordingSink, tracker: RequestTracker) -> None:
    first, second, third = (tracker.begin("POST", "/predict", name) for name in "abc")
    tracker.finish(first, 200)
    tracker.finish(second, 422)
    assert sink.batches == []
    await sink.called.wait()
    assert (sink.batches, sink.in_flight) == ([["a", "b"]], [1])
    sink.called.clear()
    tracker.finish(third, 200)
    await sink.called.wait()
    assert (sink.batches, sink.in_flight) == ([["a", "b"], ["c"]], [1, 0])
    assert (first.status, second.status) == (200, 422)


async def test_many_requests_are_reported_at_the_end_of_the_turn(sink: RecordingSink, tracker: RequestTracker) -> None:
    for number in range(FLUSH_BATCH):
        tracker.finish(tracker.begin("POST", "/predict", str(number)), 200)
    assert sink.batches == []
    await asyncio.sleep(0)
    assert [len(batch) for batch in sink.batches] == [FLUSH_BATCH]


async def test_flush_reports_each_request_at_once_and_once(sink: RecordingSink, tracker: RequestTracker) -> None:
    tracker.finish(tracker.begin("POST", "/predict", "a"), 200)
    tracker.flush()
    assert sink.batches == [["a"]]
    tracker.flush()
    tracker.finish(tracker.begin("POST", "/predict", "b"), 200)
    tracker.flush()
    assert sink.batches == [["a"], ["b"]]


async def test_an_abandoned_request_is_neither_reported_nor_open(sink: RecordingSink, tracker: RequestTracker) -> None:
    tracker.begin("POST", "/predict", "gone")
    tracker.abandon()
    tracker.finish(tracker.begin("POST", "/predict", "there"), 200)
    await sink.called.wait()
    assert (sink.batches, sink.in_flight) == ([["there"]], [0])
