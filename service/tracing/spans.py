"""A finished request as spans: one of the server, and a child for each stage of a prediction.

They are made from the times in its record, after the response was sent. The names of attributes are those of the
semantic conventions, https://opentelemetry.io/docs/specs/semconv/http/http-spans/ and ``rpc/grpc/``, where these have
one; others begin with ``mlp.``.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from typing import Final

from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.id_generator import RandomIdGenerator
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import SpanContext, SpanKind, Status, StatusCode, TraceFlags, TraceState

from service.requests import UNMATCHED, RequestRecord

_METHODS: Final = frozenset({"CONNECT", "DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT", "QUERY", "TRACE"})
# Of these codes a server's span is an error; others are the client's.
_RPC_ERRORS: Final = frozenset(
    {"UNKNOWN", "DEADLINE_EXCEEDED", "UNIMPLEMENTED", "INTERNAL", "UNAVAILABLE", "DATA_LOSS"}
)
_STATE_LOG: Final = TraceState.__module__
_SAMPLED: Final = TraceFlags(TraceFlags.SAMPLED)
_ERROR: Final = Status(StatusCode.ERROR)
_UNSET: Final = Status(StatusCode.UNSET)

Attributes = dict[str, str | int]


class SpanMaker:
    """Makes spans of ``resource``, within the instrumentation ``scope``.

    They are made directly: a span of a tracer takes ten times as long, as it reads clocks and asks a sampler.
    """

    def __init__(self, resource: Resource, scope: InstrumentationScope) -> None:
        # It would log what clients send as tracestate if that is malformed.
        logging.getLogger(_STATE_LOG).setLevel(logging.ERROR)
        self._resource = resource
        self._scope = scope
        self._ids = RandomIdGenerator()

    def __call__(self, record: RequestRecord, epoch_ns: int) -> list[ReadableSpan]:
        """The spans of ``record``, whose trace has to be known; notes the id of the server's span there.

        ``epoch_ns`` is the time of the epoch at which the record's clock was 0.
        """
        state = TraceState.from_header([record.tracestate]) if record.tracestate else None
        trace_id = int(record.trace_id, 16)
        parent = None
        if record.parent_span_id:
            parent = SpanContext(trace_id, int(record.parent_span_id, 16), True, _SAMPLED, state)
        own = SpanContext(trace_id, self._ids.generate_span_id(), False, _SAMPLED, state)
        record.span_id = f"{own.span_id:016x}"
        start_ns = epoch_ns + _ns(record.started_s)
        end_ns = start_ns + _ns(record.duration_s)
        attributes, name, is_error = _http(record) if not record.rpc_status else _rpc(record)
        attributes |= _own(record, is_error=is_error)
        spans = [self._span(name, own, parent, attributes, start_ns, end_ns, is_error=is_error, kind=SpanKind.SERVER)]
        for stage, start_s, took_s, about in _stages(record):
            context = SpanContext(trace_id, self._ids.generate_span_id(), False, _SAMPLED, state)
            begun_ns = min(epoch_ns + _ns(start_s), end_ns)
            spans.append(self._span(stage, context, own, about, begun_ns, min(begun_ns + _ns(took_s), end_ns)))
        return spans

    def _span(
        self,
        name: str,
        context: SpanContext,
        parent: SpanContext | None,
        attributes: Attributes,
        start_ns: int,
        end_ns: int,
        *,
        is_error: bool = False,
        kind: SpanKind = SpanKind.INTERNAL,
    ) -> ReadableSpan:
        return ReadableSpan(
            name,
            context,
            parent,
            self._resource,
            attributes,
            kind=kind,
            status=_ERROR if is_error else _UNSET,
            start_time=start_ns,
            end_time=end_ns,
            instrumentation_scope=self._scope,
        )


def _ns(seconds: float) -> int:
    return int(seconds * 1e9)


def _http(record: RequestRecord) -> tuple[Attributes, str, bool]:
    """The attributes of a request over HTTP, its name, and whether it is an error of the server."""
    method = record.method if record.method in _METHODS else "_OTHER"
    attributes: Attributes = {
        "http.request.method": method,
        "url.scheme": "http",
        "url.path": record.path[:1024],
        "http.response.status_code": record.status,
    }
    if method != record.method and record.method:
        attributes["http.request.method_original"] = record.method
    name = "HTTP" if method == "_OTHER" else method
    if record.route != UNMATCHED:
        attributes["http.route"] = record.route
        name += f" {record.route}"
    return attributes, name, record.status >= 500


def _rpc(record: RequestRecord) -> tuple[Attributes, str, bool]:
    """The same for an RPC."""
    method = record.path.removeprefix("/")
    attributes: Attributes = {
        "rpc.system.name": "grpc",
        "rpc.method": method,
        "rpc.response.status_code": record.rpc_status,
    }
    return attributes, method, record.rpc_status in _RPC_ERRORS


def _own(record: RequestRecord, *, is_error: bool) -> Attributes:
    found: Attributes = {"mlp.request_id": record.request_id}
    if record.model:
        found["mlp.model"] = record.model
    if record.rows:
        found |= {"mlp.version": record.version, "mlp.rows": record.rows}
    if record.problem:
        found["mlp.problem"] = record.problem
    if is_error:
        found["error.type"] = record.problem or record.rpc_status or str(record.status)
    return found


def _stages(record: RequestRecord) -> Iterator[tuple[str, float, float, Attributes]]:
    """Name, start, duration and attributes of each stage that the request came to.

    What a request waits for between slices of its decoding counts as waiting in the queue.
    """
    if not record.decode_s:
        return
    yield "decode", record.decode_at_s, record.decode_s, {}
    queued_at_s = record.decode_at_s + record.decode_s
    if not record.inference_at_s:  # it waited in vain
        if record.rows:
            yield "queue", queued_at_s, record.started_s + record.duration_s - queued_at_s, {}
        return
    yield "queue", queued_at_s, max(record.inference_at_s - queued_at_s, 0.0), {}
    yield "infer", record.inference_at_s, record.inference_s, {"mlp.batch_rows": record.batch_rows}
    if record.encode_s:
        yield "encode", record.encode_at_s, record.encode_s, {}
