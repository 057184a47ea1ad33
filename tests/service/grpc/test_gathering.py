"""RPCs are held while that brings several together."""

from __future__ import annotations

import asyncio

import pytest

from service.grpc.gathering import Gathering

pytestmark = pytest.mark.anyio


async def joined_at_once(gathering: Gathering) -> bool:
    """Whether an RPC was not held; if it was, wait until it is released."""
    task = asyncio.ensure_future(gathering.join())
    await asyncio.sleep(0)
    at_once = task.done()
    await task
    return at_once


async def test_rpcs_that_come_together_are_released_together() -> None:
    gathering = Gathering()
    for _ in range(3):
        tasks = [asyncio.ensure_future(gathering.join()) for _ in range(3)]
        await asyncio.sleep(0)
        assert not any(task.done() for task in tasks)
        await tasks[0]
        await asyncio.sleep(0)
        assert all(task.done() for task in tasks)


async def test_a_lonely_rpc_is_hardly_ever_held() -> None:
    gathering = Gathering()
    at_once = [await joined_at_once(gathering) for _ in range(20)]
    held = [index for index, each in enumerate(at_once) if not each]
    assert held == [0, 2, 5, 10, 19]  # 1, 2, 4, 8, … between them
    many = [await joined_at_once(gathering) for _ in range(2000)]
    assert many.count(False) <= 12


async def test_a_cancelled_rpc_does_not_keep_the_others() -> None:
    gathering = Gathering()
    first, second = (asyncio.ensure_future(gathering.join()) for _ in range(2))
    await asyncio.sleep(0)
    first.cancel()
    await second
    assert first.cancelled()
