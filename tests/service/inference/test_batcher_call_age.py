"""A run that never ends in the batcher's thread is seen by its age."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from service.inference.batcher import Batcher, Costs
from service.inference.session import Outputs

pytestmark = pytest.mark.anyio

COSTS = Costs(run_s=0.01, row_s=0.001, inline_rows=4, batch_rows=8)


async def test_a_call_has_an_age_until_it_ends() -> None:
    now_s = 0.0
    entered, may_end = threading.Event(), threading.Event()

    def network(batch: NDArray[Any]) -> Outputs:
        entered.set()
        assert may_end.wait(60)
        return Outputs(None, batch)

    batcher = Batcher(
        network, COSTS, features=1, queue_rows=100, clock=lambda: now_s, ran=lambda *_: None, dtype=np.float64
    )
    now_s = 5.0
    assert batcher.call_age_s() == 0
    batcher.submit(np.zeros((8, 1)), 1e9, lambda _: None)
    await asyncio.to_thread(entered.wait, 60)
    now_s = 70.0
    assert batcher.call_age_s() == 65
    may_end.set()
    await batcher.drain()
    assert batcher.call_age_s() == 0
    batcher.close()
