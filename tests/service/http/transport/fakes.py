"""A connection of the fast path with a fake transport and fake predictions."""

from __future__ import annotations

import asyncio
from typing import Any

import uvicorn
from uvicorn.server import ServerState

from service.http.admission import Arrival
from service.http.limits import BodyBudget, Limits
from service.http.messages import JSON_HEADERS, Request, Response
from service.http.paths import AnyProtocol, RouteTable
from service.http.predict import Predict, Reply
from service.http.protocols.native import NativeProtocol
from service.http.transport.fast_path import protocol_factory
from service.http.transport.lifetime import Lifetime
from service.http.transport.prediction_cycle import FastPathContext, PredictionCycle
from service.http.transport.request_ids import RequestIds
from service.lifecycle import Lifecycle
from service.requests import RequestRecord, RequestTracker


class FakeTransport(asyncio.Transport):
    """The server's side of a connection: ``ended`` once it has sent its end, ``gone`` once it is closed."""

    def __init__(self) -> None:
        super().__init__()
        self.sent = bytearray()
        self.ended = self.gone = False
        self.reading = True

    @property
    def closed(self) -> bool:
        return self.ended or self.gone

    def write(self, data: bytes | bytearray | memoryview) -> None:
        assert not self.ended
        if not self.gone:
            self.sent += data

    def can_write_eof(self) -> bool:
        return True

    def write_eof(self) -> None:
        self.ended = True

    def close(self) -> None:
        self.gone = True

    def is_closing(self) -> bool:
        return self.gone

    def get_extra_info(self, name: str, default: Any = None) -> Any:  # noqa: ARG002 - as in the base class
        return default

    def pause_reading(self) -> None:
        self.reading = False

    def resume_reading(self) -> None:
        self.reading = True


class FakePending:
    cancelled = False

    def cancel(self) -> None:
        self.cancelled = True


class FakePredict(Predict):
    """Answers when the test says so."""

    def __init__(self) -> None:
        self.bodies: list[bytes] = []
        self.pending: list[FakePending] = []
        self._replies: list[Reply] = []

    def __call__(
        self,
        _wire_protocol: AnyProtocol,
        request: Request,
        _record: RequestRecord,
        reply: Reply,
        _arrival: Arrival | None = None,
    ) -> FakePending:
        self.bodies.append(request.body)
        self.pending.append(FakePending())
        self._replies.append(reply)
        return self.pending[-1]

    def identify(self, _request: Request, record: RequestRecord) -> None:
        record.model = "small"

    def answer(self) -> None:
        self._replies.pop(0)(Response(200, JSON_HEADERS, b"{}"))


class Connection:
    """A connection of the fast path to a fake service."""

    def __init__(self, loop: Any = None, keep_alive_s: int = 75, lifetime: Lifetime | None = None) -> None:
        self.transport, self.predict = FakeTransport(), FakePredict()
        self.budget = BodyBudget(max_bytes=1000)
        loop = loop or asyncio.get_running_loop()
        context = FastPathContext(
            RequestTracker([], lambda _: None, loop.time),
            RequestIds(),
            Limits(max_body_bytes=100, receive_timeout_s=10.0, max_rows=10),
            self.budget,
            self.predict,
            Lifecycle(lambda _: None),
            RouteTable([NativeProtocol(100)]),
            lifetime=lifetime or Lifetime(),
        )
        config = uvicorn.Config(unused, log_config=None, ws="none", lifespan="off", timeout_keep_alive=keep_alive_s)
        self.protocol = protocol_factory(context)(config, ServerState(), {}, loop)
        self.protocol.connection_made(self.transport)

    def send(self, data: bytes) -> PredictionCycle:
        """Return the prediction that was parsed last."""
        self.protocol.data_received(data)
        cycle = self.protocol.cycle
        assert isinstance(cycle, PredictionCycle)
        return cycle


async def unused(scope: Any, receive: Any, send: Any) -> None:  # noqa: ARG001 - as in ASGI
    raise AssertionError("only predictions are sent")
