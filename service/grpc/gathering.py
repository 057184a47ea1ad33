"""Lets RPCs that arrive close together run as one batch.

gRPC starts one RPC in each turn of the event loop, so that rows never meet in a turn as those of HTTP do. An RPC is
held for a moment. If another one came in the meantime, the next is held, too. If none came, the next is not, and after
each further hold in vain twice as many are not, so that a client with one RPC in flight hardly ever waits.
"""

from __future__ import annotations

import asyncio
from typing import Final

_HOLD_S: Final = 0.001
_MOST_SKIPPED: Final = 256


class Gathering:
    """Holds RPCs for a moment while that brings several together."""

    def __init__(self) -> None:
        self._held: list[asyncio.Future[None]] = []
        self._pause = 0  # how many RPCs are not held after a hold in vain
        self._skipped = 0

    async def join(self) -> None:
        """Wait for others, if there may be some."""
        if not self._held:
            if self._skipped < self._pause:
                self._skipped += 1
                return
            asyncio.get_running_loop().call_later(_HOLD_S, self._release)
        turn = asyncio.get_running_loop().create_future()
        self._held.append(turn)
        await turn

    def _release(self) -> None:
        held, self._held = self._held, []
        self._pause = min(max(2 * self._pause, 1), _MOST_SKIPPED) if len(held) == 1 else 0
        self._skipped = 0
        for each in held:
            if not each.done():  # its RPC was cancelled
                each.set_result(None)
