"""The batcher with a fake network and clock: each request is answered once, with its own rows, in time."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import math
import threading
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from service.errors import DeadlineExceeded, InvalidInput, ModelFailed, NotReady, Overloaded, RequestError
from service.inference.batcher import Batcher, Costs, Job, Rows
from service.inference.session import Outputs

COSTS = Costs(run_s=0.01, row_s=0.001, inline_rows=4, batch_rows=8)
FAILS = 666.0
FAILED = "the model failed on this input; the server's log has the reason under this request id"


def rows(*ids: float) -> NDArray[np.float32]:
    """Rows whose first feature is their id."""
    return np.array([[each, 1.0] for each in ids], np.float32)


@dataclass
class Network:
    """Answers a row with its id; a batch waits until ``open`` is set, and fails with the row `FAILS` in it."""

    batches: list[list[float]] = field(default_factory=list)
    open: threading.Event = field(default_factory=threading.Event)
    entered: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(0))

    def __call__(self, batch: NDArray[np.float32]) -> Outputs:
        ids = batch[:, 0]
        self.batches.append(ids.tolist())
        self.entered.release()
        assert self.open.wait(10)
        if FAILS in ids:
            raise RuntimeError("no answer to this one")
        with np.errstate(invalid="ignore"):
            return Outputs(np.stack([ids, 1 - ids], axis=1), ids.astype(np.int64))


class Bench:
    """A batcher between a fake network and callers that record their outcomes."""

    def __init__(
        self,
        queue_rows: int = 100,
        costs: Costs = COSTS,
        max_queue_s: float = math.inf,
        ran: Callable[[Rows, Outputs], None] | None = None,
    ) -> None:
        self.now = self.now_per_run_s = 0.0
        self.network = Network()
        self.network.open.set()
        self.run_rows: list[int] = []
        self.outcomes: dict[str, list[Outputs | RequestError]] = {}
        self.batcher = Batcher(
            self.ran,
            costs,
            features=2,
            queue_rows=queue_rows,
            clock=lambda: self.now,
            ran=ran or (lambda _, outputs: self.run_rows.append(len(outputs.prediction))),
            max_queue_s=max_queue_s,
        )

    def ran(self, batch: NDArray[np.float32]) -> Outputs:
        self.now += self.now_per_run_s
        return self.network(batch)

    def submit(self, name: str, *ids: float, deadline_s: float = 1e9) -> Job:
        self.outcomes[name] = []
        return self.batcher.submit(rows(*ids), deadline_s, self.outcomes[name].append)

    async def settled(self) -> None:
        await self.batcher.drain()

    def answer(self, name: str) -> list[float] | RequestError:
        """The ids, or the error, that a caller got; exactly one outcome."""
        (outcome,) = self.outcomes[name]
        if isinstance(outcome, RequestError):
            return outcome
        assert outcome.probabilities is not None
        assert outcome.probabilities[:, 0].tolist() == outcome.prediction.tolist()
        return outcome.prediction.tolist()


def run(story: Coroutine[Any, Any, None]) -> None:
    asyncio.run(asyncio.wait_for(story, 30))


def test_float64_rows_reach_the_network_unchanged_in_both_lanes() -> None:
    async def story() -> None:
        seen: list[NDArray[Any]] = []
        answers: list[Outputs | RequestError] = []

        def network(batch: NDArray[Any]) -> Outputs:
            seen.append(batch.copy())
            return Outputs(None, batch)

        batcher = Batcher(
            network,
            COSTS,
            features=1,
            queue_rows=100,
            clock=lambda: 0.0,
            ran=lambda *_: None,
            dtype="float64",
        )
        now = np.arange(1_700_000_000, 1_700_000_010)[:, None]
        sent = [now[:2], now[:3].astype(np.float64), now]
        for rows in sent:
            batcher.submit(rows, 1e9, answers.append)
        while len(answers) < len(sent):
            await asyncio.sleep(0)
        assert {batch.dtype for batch in seen} == {np.dtype(np.float64)}
        for rows, answer in zip(sent, answers, strict=True):
            assert isinstance(answer, Outputs)
            np.testing.assert_array_equal(answer.prediction, rows)

    run(story())


def test_rows_of_one_turn_run_as_one_call_and_each_caller_gets_its_own() -> None:
    async def story() -> None:
        bench = Bench()
        bench.submit("a", 1)
        bench.submit("b", 2, 3)
        bench.submit("c", 4)
        assert bench.network.batches == []
        await asyncio.sleep(0)
        assert bench.network.batches == [[1, 2, 3, 4]]
        assert [bench.answer(name) for name in "abc"] == [[1], [2, 3], [4]]
        assert bench.run_rows == [4]
        bench.submit("alone", 5)
        await asyncio.sleep(0)
        assert bench.answer("alone") == [5]

    run(story())


def test_rows_beyond_one_call_run_in_the_next_turn() -> None:
    async def story() -> None:
        bench = Bench()
        for index in range(7):
            bench.submit(str(index), index, index, index)
        await asyncio.sleep(0)
        assert bench.network.batches == [[0, 0, 0, 1, 1, 1]]
        await bench.settled()
        assert [len(batch) for batch in bench.network.batches] == [6, 6, 6, 3]
        assert [bench.answer(str(index)) for index in range(7)] == [[index] * 3 for index in range(7)]

    run(story())


def test_large_requests_are_answered_one_after_the_other_in_slices() -> None:
    async def story() -> None:
        bench = Bench()
        for first in (100, 200, 300):
            bench.submit(str(first), *range(first, first + 20))
        await bench.settled()
        assert [batch[0] for batch in bench.network.batches] == [
            *(100, 108, 116),
            *(200, 208, 216),
            *(300, 308, 316),
        ]
        assert [bench.answer(str(first)) for first in (100, 200, 300)] == [
            list(range(first, first + 20)) for first in (100, 200, 300)
        ]

    run(story())


def test_short_jobs_overtake_long_ones_without_starving_them() -> None:
    async def story() -> None:
        bench = Bench(queue_rows=10_000)
        bench.submit("long", *range(1000, 1080))
        for first in range(100, 200, 5):
            bench.submit(str(first), *range(first, first + 5))
        await bench.settled()
        order = [batch[0] for batch in bench.network.batches]
        assert order.index(100) <= 1
        assert order.index(1072) < order.index(195), "the oldest has every other call"
        assert bench.answer("long") == list(range(1000, 1080))

    run(story())


def test_a_call_in_the_thread_runs_many_slices_of_several_jobs_and_ends_in_time() -> None:
    quick = Costs(run_s=0.0005, row_s=0.0001, inline_rows=4, batch_rows=8)  # 11 slices in a call

    async def story() -> None:
        ran_by_report: list[int] = []
        bench = Bench(costs=quick, queue_rows=10_000, ran=lambda *_: ran_by_report.append(len(bench.network.batches)))

        def slices_by_call() -> list[int]:
            """A call is reported after all its slices ran, and before the next one begins."""
            return np.diff(sorted({0, *ran_by_report})).tolist()

        for first in range(0, 100, 10):
            bench.submit(str(first), *range(first, first + 10))
        await bench.settled()
        assert slices_by_call() == [12, 8]
        assert [bench.answer(str(first)) for first in (0, 90)] == [list(range(10)), list(range(90, 100))]
        bench.now_per_run_s = 0.006
        bench.submit("slower than measured", *range(1000, 1100))
        await bench.settled()
        assert slices_by_call() == [12, 8, 3, 3, 3, 3, 1]
        assert bench.answer("slower than measured") == list(range(1000, 1100))

    run(story())


def test_small_requests_are_answered_while_a_large_one_runs() -> None:
    async def story() -> None:
        bench = Bench()
        network = bench.network
        network.open.clear()
        bench.submit("large", *range(10))
        await asyncio.to_thread(network.entered.acquire)  # its first slice is blocked in the thread
        network.open.set()
        bench.submit("small", 50)
        await asyncio.sleep(0)
        assert bench.answer("small") == [50]
        assert bench.outcomes["large"] == []
        await bench.settled()
        assert bench.answer("large") == list(range(10))

    run(story())


def test_a_small_request_needs_no_time_for_large_ones_before_it() -> None:
    async def story() -> None:
        bench = Bench(queue_rows=10_000)
        bench.submit("large", *range(5_000))
        bench.submit("small", 1, deadline_s=0.1)
        with pytest.raises(DeadlineExceeded):
            bench.submit("another large", *range(5), deadline_s=0.1)
        await asyncio.sleep(0)
        assert bench.answer("small") == [1]
        bench.batcher.close()

    run(story())


def test_a_full_large_lane_rejects_at_once_with_retry_after() -> None:
    async def story() -> None:
        bench = Bench(queue_rows=10)
        bench.submit("a", *range(8))
        with pytest.raises(Overloaded) as refused:
            bench.submit("b", *range(9))
        assert str(refused.value) == (
            "8 rows wait already, and 9 more would exceed 10; send fewer requests at once, or add replicas"
        )
        assert refused.value.retry_after_s == pytest.approx(COSTS.of(8))
        bench.submit("small ones have other room", 1, 2)
        for first in range(100, 200, 10):
            bench.submit(f"what one call can run has it there, too: {first}", *range(first, first + 7))
        await bench.settled()
        for first in range(100, 200, 10):
            answer = bench.answer(f"what one call can run has it there, too: {first}")
            assert answer == list(range(first, first + 7))
        assert bench.answer("a") == list(range(8))
        assert bench.answer("small ones have other room") == [1, 2]
        bench.submit("all the room is back", *range(10))
        await bench.settled()

    run(story())


def test_retry_after_grows_if_runs_are_slower_than_measured() -> None:
    async def story() -> None:
        bench = Bench(queue_rows=100)
        bench.now_per_run_s = 10 * COSTS.of(8)
        bench.submit("a", *range(100))
        while len(bench.network.batches) < 9:
            await asyncio.sleep(0)
        with pytest.raises(Overloaded) as refused:
            bench.submit("c", *range(9 + 80))
        # Of 100 rows, 72 ran, and the loop knows of the last 8 or not yet.
        assert 9 * COSTS.of(28) < refused.value.retry_after_s <= 10 * COSTS.of(36) * 1.001
        await bench.settled()

    run(story())


def test_a_full_small_lane_runs_a_batch_instead_of_rejecting() -> None:
    async def story() -> None:
        bench = Bench(queue_rows=10)
        for index in range(100):
            bench.submit(str(index), index)
        assert 90 <= sum(map(len, bench.network.batches)) < 100
        await bench.settled()
        assert [bench.answer(str(index)) for index in range(100)] == [[index] for index in range(100)]
        with pytest.raises(Overloaded, match="0 rows wait already, and 4 more would exceed 3"):
            Bench(queue_rows=3).submit("can never fit", 1, 2, 3, 4)

    run(story())


def test_clients_that_submit_from_their_answer_do_not_recurse() -> None:
    """In a full lane each answer would run the next batch, whose answers would run the one after, and so on."""

    async def story() -> None:
        bench = Bench(queue_rows=800)
        depth = deepest = 0

        def again(_outcome: object) -> None:
            nonlocal depth, deepest
            depth, deepest = depth + 1, max(deepest, depth + 1)
            for _ in range(10):
                with contextlib.suppress(Overloaded):
                    bench.batcher.submit(rows(1, 2, 3, 4), 1e9, lambda _: None)
            depth -= 1

        for _ in range(200):
            bench.batcher.submit(rows(1, 2, 3, 4), 1e9, again)
        await bench.settled()
        assert deepest == 1

    run(story())


def test_arriving_rows_count_against_new_large_bodies_only() -> None:
    async def story() -> None:
        bench = Bench(queue_rows=20)
        bench.batcher.arriving_rows += 12
        bench.batcher.check_arriving(8, 1e9)
        with pytest.raises(Overloaded):
            bench.batcher.check_arriving(9, 1e9)
        with pytest.raises(DeadlineExceeded):
            bench.batcher.check_arriving(8, COSTS.of(8) / 2)
        bench.submit("whole before them", *range(20))
        bench.submit("small", 1)
        await bench.settled()
        assert bench.answer("small") == [1]

    run(story())


def test_a_large_request_that_can_no_longer_meet_its_deadline_ends_early() -> None:
    async def story() -> None:
        bench = Bench(queue_rows=1000)
        bench.now_per_run_s = 2 * COSTS.of(8)
        bench.submit("late", *range(80), deadline_s=1.5 * COSTS.of(80))
        bench.submit("in time", *range(100, 120))
        await bench.settled()
        error = bench.answer("late")
        assert isinstance(error, DeadlineExceeded)
        assert str(error).startswith("the rest of these rows would take ")
        assert bench.now < 1.5 * COSTS.of(80) + 3 * bench.now_per_run_s
        assert bench.answer("in time") == list(range(100, 120))
        bench.submit("all the room is back", *range(1000))
        bench.batcher.close()

    run(story())


def test_nothing_is_accepted_after_close() -> None:
    async def story() -> None:
        bench = Bench()
        bench.batcher.close()
        for count in (1, 10):
            with pytest.raises(NotReady):
                bench.submit("late", *range(count))
        bench.batcher.close()

    run(story())


def test_a_deadline_that_cannot_be_met_is_rejected_at_once() -> None:
    async def story() -> None:
        bench = Bench()
        bench.now = 5.0
        bench.submit("a", 1, 2, 3)
        with pytest.raises(DeadlineExceeded) as refused:
            bench.submit("b", 4, deadline_s=5.01)
        assert str(refused.value) == (
            "these rows would take 0.019 s with those before them, and 0.01 s are left; "
            "allow more time, or send fewer rows"
        )
        await asyncio.sleep(0)
        assert bench.network.batches == [[1, 2, 3]]

    run(story())


def test_expired_and_cancelled_rows_never_run() -> None:
    async def story() -> None:
        bench = Bench()
        bench.submit("expires", 1, deadline_s=1.0)
        bench.submit("stays", 2, 3)
        bench.submit("is cancelled", 4).cancel()
        bench.submit("stays too", 5)
        bench.submit("large, expires", *range(10, 20), deadline_s=1.0)
        bench.submit("large, is cancelled", *range(20, 30)).cancel()
        bench.now = 2.0
        await bench.settled()
        assert bench.network.batches == [[2, 3, 5]]
        assert bench.answer("stays") == [2, 3]
        assert bench.answer("stays too") == [5]
        for name in ("expires", "large, expires"):
            assert str(bench.answer(name)) == "the time for this request ran out after 2 s; allow more, or retry"
        assert bench.outcomes["is cancelled"] == bench.outcomes["large, is cancelled"] == []

    run(story())


def test_a_large_request_stops_where_it_expires_or_is_cancelled() -> None:
    async def story() -> None:
        bench = Bench()
        network = bench.network
        network.open.clear()
        bench.submit("expires", *range(20), deadline_s=1.0)
        cancelled = bench.submit("is cancelled", *range(100, 120))
        await asyncio.to_thread(network.entered.acquire)
        cancelled.cancel()
        bench.now = 2.0
        network.open.set()
        await bench.settled()
        assert network.batches == [list(range(8))]
        assert isinstance(bench.answer("expires"), DeadlineExceeded)
        assert bench.outcomes["is cancelled"] == []
        bench.submit("all the room is back", *range(100))
        await bench.settled()

    run(story())


def test_a_failing_run_fails_its_own_rows(caplog: pytest.LogCaptureFixture) -> None:
    async def story() -> None:
        bench = Bench()
        bench.submit("with it", 1)
        bench.submit("bad", FAILS)
        bench.submit("large", *range(10), FAILS, *range(20, 40))
        bench.submit("another large", *range(50, 70))
        await bench.settled()
        assert [str(bench.answer(name)) for name in ("with it", "bad", "large")] == [FAILED] * 3
        assert all(isinstance(bench.answer(name), ModelFailed) for name in ("with it", "bad", "large"))
        assert bench.answer("another large") == list(range(50, 70))
        assert [20] not in [batch[:1] for batch in bench.network.batches]  # nothing more of it ran
        bench.submit("next", 2)
        await asyncio.sleep(0)
        assert bench.answer("next") == [2]

    with caplog.at_level(logging.ERROR):
        run(story())
    assert [record.getMessage() for record in caplog.records] == [
        "the network failed on a batch of 2 rows",
        "the network failed on a batch of 8 rows",
    ]


def test_a_row_that_overflows_fails_its_own_request_and_is_named(caplog: pytest.LogCaptureFixture) -> None:
    async def story() -> None:
        bench = Bench()
        infinite = float("inf")
        bench.submit("with it", 1)
        bench.submit("bad", 2, infinite)
        bench.submit("large", *range(9), infinite)
        await bench.settled()
        assert bench.answer("with it") == [1]
        faults = [bench.answer(name) for name in ("bad", "large")]
        assert all(isinstance(fault, InvalidInput) for fault in faults)
        assert [fault.fault.row for fault in faults if isinstance(fault, InvalidInput)] == [1, 9]
        assert bench.run_rows == [2, 8, 1]

    run(story())
    assert caplog.records == []


def test_an_error_in_the_metrics_loses_no_answer(caplog: pytest.LogCaptureFixture) -> None:
    def ran(_probabilities: object, _prediction: object) -> None:
        raise OSError("no space left")

    async def story() -> None:
        bench = Bench(ran=ran)
        bench.submit("small", 1)
        bench.submit("large", *range(20))
        await bench.settled()
        assert bench.answer("small") == [1]
        assert bench.answer("large") == list(range(20))

    with caplog.at_level(logging.ERROR):
        run(story())
    assert {record.getMessage() for record in caplog.records} == {"a run of the network is not counted"}


def test_a_batch_is_answered_before_its_run_is_reported() -> None:
    async def story() -> None:
        order: list[object] = []
        bench = Bench(ran=lambda batch, _: order.append(batch.tolist()))
        for row in (1, 2):
            bench.batcher.submit(rows(row), 1e9, lambda _: order.append("answered"))
        await bench.settled()
        assert order == ["answered", "answered", rows(1, 2).tolist()]

    run(story())


def test_a_failing_callback_does_not_affect_the_others(caplog: pytest.LogCaptureFixture) -> None:
    def done(_outcome: object) -> None:
        raise RuntimeError("the connection is closed")

    async def story() -> None:
        bench = Bench()
        for ids in (range(1), range(20)):
            bench.batcher.submit(rows(*ids), 1e9, done)
        bench.submit("small", 1)
        bench.submit("large", *range(20))
        await bench.settled()
        assert bench.answer("small") == [1]
        assert bench.answer("large") == list(range(20))
        bench.submit("all the room is back", *range(100))

    with caplog.at_level(logging.ERROR):
        run(story())
    assert [record.getMessage() for record in caplog.records] == [
        f"an answer of {count} rows could not be given" for count in (1, 20)
    ]


def test_close_rejects_waiting_rows_once() -> None:
    async def story() -> None:
        bench = Bench()
        network = bench.network
        network.open.clear()
        bench.submit("running", *range(20))
        bench.submit("large", *range(30, 50))
        await asyncio.to_thread(network.entered.acquire)
        bench.submit("small", 1)
        bench.submit("gone", 2).cancel()
        network.open.set()
        bench.batcher.close()
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert network.batches == [list(range(8))]
        for name in ("running", "large", "small"):
            error = bench.answer(name)
            assert isinstance(error, NotReady)
            assert str(error) == "the server stopped before these rows had their turn; try again"
        assert bench.outcomes["gone"] == []

    run(story())


@pytest.mark.parametrize("announced", [[2], list(range(20))], ids=["small", "large"])
def test_it_is_idle_once_everything_accepted_or_acquired_is_answered(announced: list[float]) -> None:
    async def story() -> None:
        bench = Bench()
        batcher = bench.batcher
        await batcher.drain()
        bench.submit("small", 1)
        bench.submit("large", *range(20))
        batcher.acquire()
        drained = asyncio.ensure_future(batcher.drain())
        while not bench.outcomes["large"]:
            await asyncio.sleep(0)
        assert bench.answer("large") == list(range(20))
        assert not batcher.idle()
        assert not drained.done()
        bench.submit("was announced", *announced)
        batcher.release()
        assert not batcher.idle()
        await drained
        assert batcher.idle()
        assert bench.answer("was announced") == announced
        batcher.close()
        await batcher.drain()

    run(story())


def test_a_burst_does_not_keep_its_memory() -> None:
    async def story() -> None:
        bench = Bench(queue_rows=10_000)
        for index in range(2_000):
            bench.submit(str(index), *([index] * 4))
        await bench.settled()
        assert len(bench.network.batches) == 1_000
        assert len(bench.batcher._spare) <= 4

    run(story())


@dataclass(frozen=True)
class Request:
    """A generated request; ``cancelled_after`` and ``pause`` are turns of the event loop."""

    count: int
    fails: bool
    cancelled_after: int | None
    allowed_s: float
    pause: int


class Lived:
    """Runs generated requests, and records which were accepted and which were cancelled."""

    def __init__(self) -> None:
        self.bench = Bench(queue_rows=60)
        self.accepted: dict[str, tuple[Request, list[float]]] = {}
        self.left: set[str] = set()
        self._leaving: list[tuple[int, str, Job]] = []
        self._turn = 0

    def ask(self, name: str, request: Request, ids: list[float]) -> None:
        try:
            job = self.bench.submit(name, *ids, deadline_s=self.bench.now + request.allowed_s)
        except (Overloaded, DeadlineExceeded):
            return
        self.accepted[name] = request, ids
        if request.cancelled_after is not None:
            self._leaving.append((self._turn + request.cancelled_after, name, job))

    async def turn(self) -> None:
        await asyncio.sleep(0)
        self._turn += 1
        self.bench.now += 0.01
        for leaving in [each for each in self._leaving if each[0] <= self._turn]:
            self._leaving.remove(leaving)
            _, name, job = leaving
            if not self.bench.outcomes[name]:
                job.cancel()
                self.left.add(name)

    def check(self, name: str) -> None:
        request, ids = self.accepted[name]
        if name in self.left:
            assert self.bench.outcomes[name] == []
            return
        answer = self.bench.answer(name)
        if isinstance(answer, ModelFailed):
            assert any(FAILS in batch and set(ids) & set(batch) for batch in self.bench.network.batches)
        elif isinstance(answer, DeadlineExceeded):
            assert request.allowed_s < 1e9
        else:
            assert answer == ids


requests = st.builds(
    Request,
    count=st.integers(1, 20),
    fails=st.integers(0, 9).map(lambda number: number == 0),
    cancelled_after=st.one_of(st.none(), st.integers(0, 3)),
    allowed_s=st.sampled_from([0.02, 0.1, 1e9]),
    pause=st.integers(0, 3),
)


@given(st.lists(requests, max_size=25))
def test_every_accepted_request_is_answered_once_and_with_its_own_rows(story: list[Request]) -> None:
    async def live() -> None:
        lived = Lived()
        for index, request in enumerate(story):
            ids = [float(100 * index + row) for row in range(request.count)]
            lived.ask(str(index), request, [*ids[:-1], FAILS] if request.fails else ids)
            for _ in range(request.pause):
                await lived.turn()
        for _ in range(5):
            await lived.turn()
        await lived.bench.settled()
        for name in lived.accepted:
            lived.check(name)
        ran = [each for batch in lived.bench.network.batches for each in batch if each != FAILS]
        assert len(ran) == len(set(ran))
        lived.bench.submit("all the room is back", *range(60))
        await lived.bench.settled()
        lived.bench.batcher.close()

    run(live())
