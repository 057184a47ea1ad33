"""One published version that is served, and everything that belongs to it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final

from service.inference.batcher import Batcher, Costs, Run
from service.inference.schema import Schema
from service.manifest import Manifest

_PLAN_KEY_BYTES: Final = 8192
_PLANS: Final = 256


@dataclass(frozen=True, slots=True, eq=False)
class Model:
    """A version that passed its self-check. Whoever serves a request holds on to the model it began with.

    ``example`` is a request body that works. ``provider`` and ``precision`` say where the network runs and in which
    arithmetic, ``why_not_int8`` why that is not int8, ``load_s`` how long it took to load. ``run`` runs the network
    at once, past the queue. ``row_bytes`` is what large bodies took per row, by their format. ``plans`` has, for
    protocols, what parts that requests repeat mean for this model. ``on_close`` is called once the model takes no more
    requests.
    """

    manifest: Manifest
    example: bytes
    provider: str
    precision: str
    load_s: float
    schema: Schema
    batcher: Batcher
    run: Run
    why_not_int8: str | None = None
    on_close: Callable[[], None] = lambda: None
    row_bytes: dict[str, float] = field(default_factory=dict)
    plans: dict[bytes, Any] = field(default_factory=dict)

    @property
    def costs(self) -> Costs:
        """What a run of the network takes."""
        return self.batcher.costs

    def keep_plan(self, key: bytes, plan: Any) -> None:
        """Keep a ``plan`` under the part of a request that it was made from, unless that is long."""
        if len(key) <= _PLAN_KEY_BYTES:
            if len(self.plans) >= _PLANS:
                self.plans.clear()
            self.plans[key] = plan

    async def drain(self) -> None:
        """Wait until every request that the model accepted is answered."""
        await self.batcher.drain()

    def close(self) -> None:
        """Take no more requests, and answer those that wait with `NotReady`."""
        self.batcher.close()
        self.on_close()
