"""A receiver of OTLP over HTTP, in a thread: it parses what arrives, and may be slow, refuse, or never answer."""

from __future__ import annotations

import gzip
import threading
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

PATIENCE_S = 60.0


@dataclass(frozen=True)
class Received:
    """A span, with its ids in hexadecimal, its attributes by name, and those of its resource."""

    name: str
    trace_id: str
    span_id: str
    parent: str
    kind: int
    start_ns: int
    end_ns: int
    status: int
    state: str
    attributes: dict[str, Any]
    resource: dict[str, Any]


class Receiver:
    """Answers each export with ``status``; while ``hangs`` is set, not at all."""

    def __init__(self, status: int = 200) -> None:
        self.status = status
        self.hangs = threading.Event()
        self.spans: list[Received] = []
        self.arrived = threading.Event()
        self._changed = threading.Condition()
        self._let_go = threading.Event()
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                receiver.arrived.set()
                if receiver.hangs.is_set():
                    receiver._let_go.wait(PATIENCE_S)
                receiver._take(gzip.decompress(body) if self.headers.get("content-encoding") == "gzip" else body)
                self.send_response(receiver.status)
                self.send_header("content-length", "0")
                self.end_headers()

            def log_message(self, *_arguments: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.endpoint = f"http://127.0.0.1:{self._server.server_port}"

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._let_go.set()
        self._server.shutdown()
        self._server.server_close()

    def wait_for(self, count: int) -> list[Received]:
        """The spans, once there are at least ``count``."""
        with self._changed:
            assert self._changed.wait_for(lambda: len(self.spans) >= count, PATIENCE_S), self.spans
            return list(self.spans)

    def variables(self, **more: str) -> dict[str, str]:
        """What makes a server send its spans here, soon."""
        return {
            "OTEL_EXPORTER_OTLP_ENDPOINT": self.endpoint,
            "OTEL_BSP_SCHEDULE_DELAY": "20",
            "NO_PROXY": "127.0.0.1",
        } | more

    def _take(self, body: bytes) -> None:
        request = ExportTraceServiceRequest.FromString(body)
        found = [
            Received(
                span.name,
                span.trace_id.hex(),
                span.span_id.hex(),
                span.parent_span_id.hex(),
                span.kind,
                span.start_time_unix_nano,
                span.end_time_unix_nano,
                span.status.code,
                span.trace_state,
                _values(span.attributes),
                _values(group.resource.attributes),
            )
            for group in request.resource_spans
            for scope in group.scope_spans
            for span in scope.spans
        ]
        with self._changed:
            if self.status == 200:
                self.spans += found
            self._changed.notify_all()


def _values(attributes: Any) -> dict[str, Any]:
    return {each.key: getattr(each.value, each.value.WhichOneof("value")) for each in attributes}
