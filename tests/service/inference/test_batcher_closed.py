"""A batcher that is drained and closed: the garbage collector does not see how much memory its network holds."""

from __future__ import annotations

import asyncio
import gc
import time
import weakref
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from service.errors import RequestError
from service.inference.batcher import Batcher, Costs
from service.inference.session import Outputs
from tests.service.running import PATIENCE_S

COSTS = Costs(run_s=0.01, row_s=0.001, inline_rows=4, batch_rows=8)
SMALL, LARGE = 1, 100


class _Network:
    def run(self, batch: NDArray[Any]) -> Outputs:
        return Outputs(None, batch)


@pytest.fixture(autouse=True)
def _without_collections() -> Iterator[None]:
    gc.disable()
    yield
    gc.enable()


@pytest.mark.parametrize("counts", [(), (SMALL,), (LARGE,), (SMALL, LARGE)])
def test_the_network_of_a_closed_batcher_is_freed(counts: tuple[int, ...]) -> None:
    async def story() -> None:
        network = _Network()
        batcher = Batcher(network.run, COSTS, features=2, queue_rows=1000, clock=time.perf_counter, ran=lambda *_: None)
        outcomes: list[Outputs | RequestError] = []
        for count in counts:
            batcher.submit(np.zeros((count, 2), np.float32), time.perf_counter() + PATIENCE_S, outcomes.append)
        await batcher.drain()
        batcher.close()
        assert [type(each) for each in outcomes] == [Outputs] * len(counts)
        freed = asyncio.Event()
        weakref.finalize(network, asyncio.get_running_loop().call_soon_threadsafe, freed.set)
        del network, batcher
        await asyncio.wait_for(freed.wait(), PATIENCE_S)  # the thread of large requests has to end

    asyncio.run(story())
