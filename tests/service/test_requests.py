"""Finished requests are told together: soon after the first, at once when they are many, and to whoever asks now."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from service.requests import FLUSH_BATCH, RequestRecord, RequestTracker


class Told:
    """A reader that keeps what it is told, and when."""

    def __init__(self) -> None:
        self.requests: list[list[str]] = []
        self.in_flight: list[int] = []
        self.once = asyncio.Event()

    def read(self, records: Sequence[RequestRecord]) -> None:
        self.requests.append([record.request_id for record in records])
        self.once.set()


def tracker_of(told: Told) -> RequestTracker:
    return RequestTracker([told.read], told.in_flight.append, asyncio.get_running_loop().time)


def test_few_are_told_together_after_a_moment() -> None:
    async def story() -> None:
        told = Told()
        tracker = tracker_of(told)
        first, second, third = (tracker.begin("POST", "/predict", name) for name in "abc")
        tracker.finish(first, 200)
        tracker.finish(second, 422)
        assert told.requests == []
        await told.once.wait()
        assert told.requests == [["a", "b"]]
        assert told.in_flight == [1]
        told.once.clear()
        tracker.finish(third, 200)
        await told.once.wait()
        assert told.requests == [["a", "b"], ["c"]]
        assert told.in_flight == [1, 0]
        assert (first.status, second.status) == (200, 422)

    asyncio.run(story())


def test_many_are_told_at_the_end_of_the_turn() -> None:
    async def story() -> None:
        told = Told()
        tracker = tracker_of(told)
        for number in range(FLUSH_BATCH):
            tracker.finish(tracker.begin("POST", "/predict", str(number)), 200)
        assert told.requests == []
        await asyncio.sleep(0)
        assert [len(records) for records in told.requests] == [FLUSH_BATCH]

    asyncio.run(story())


def test_who_asks_now_is_told_now_and_nothing_twice() -> None:
    async def story() -> None:
        told = Told()
        tracker = tracker_of(told)
        tracker.finish(tracker.begin("POST", "/predict", "a"), 200)
        tracker.flush()
        assert told.requests == [["a"]]
        tracker.flush()
        tracker.finish(tracker.begin("POST", "/predict", "b"), 200)
        tracker.flush()
        assert told.requests == [["a"], ["b"]]

    asyncio.run(story())


def test_a_request_whose_client_is_gone_is_not_told_and_no_longer_open() -> None:
    async def story() -> None:
        told = Told()
        tracker = tracker_of(told)
        tracker.begin("POST", "/predict", "gone")
        tracker.abandon()
        tracker.finish(tracker.begin("POST", "/predict", "there"), 200)
        await told.once.wait()
        assert (told.requests, told.in_flight) == ([["there"]], [0])

    asyncio.run(story())
