"""Decides which finished requests become spans, and puts together what makes and sends them."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Sequence
from importlib.metadata import version
from typing import Final

from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import OTELResourceDetector, Resource
from opentelemetry.sdk.trace.export import SpanExporter
from opentelemetry.sdk.trace.sampling import TraceIdRatioBased
from opentelemetry.sdk.util.instrumentation import InstrumentationScope

from service.errors import StartError
from service.requests import RequestRecord
from service.tracing.export import SpanQueue
from service.tracing.options import TracingOptions
from service.tracing.spans import SpanMaker

_NAME: Final = "mlp-serving"


class RequestSpans:
    """A sink of finished requests. It comes before all others, which see the trace that it gives to a request.

    ``clock`` is the one of the records, in seconds; ``epoch_ns`` gives the time since the epoch.
    """

    def __init__(
        self,
        options: TracingOptions,
        exporter: SpanExporter,
        dropped: Callable[[int], None],
        clock: Callable[[], float],
        epoch_ns: Callable[[], int] = time.time_ns,
    ) -> None:
        self._parent_decides = options.parent_decides
        self._bound = TraceIdRatioBased.get_bound_for_rate(options.ratio)
        self._clock = clock
        self._epoch_ns = epoch_ns
        self._make = SpanMaker(_resource(), InstrumentationScope(_NAME, version(_NAME)))
        self._queue = SpanQueue(exporter, options.queued_spans, dropped, options.endpoint)

    def __call__(self, records: Sequence[RequestRecord]) -> None:
        """Queue the spans of those requests that are sampled."""
        sampled = [record for record in records if self._is_sampled(record)]
        if not sampled:
            return
        epoch_ns = self._epoch_ns() - int(self._clock() * 1e9)
        for record in sampled:
            self._queue.put(self._make(record, epoch_ns))

    def close(self, within_s: float) -> None:
        """Send what is queued, within so many seconds."""
        self._queue.close(within_s)

    def _is_sampled(self, record: RequestRecord) -> bool:
        """Whether a request is recorded; one that is gets a trace, unless it continues one."""
        if record.trace_id:
            if not self._parent_decides:
                record.sampled = self._is_chosen(int(record.trace_id, 16))
            return record.sampled
        if not self._bound:
            return False
        trace_id = random.getrandbits(128)
        if not self._is_chosen(trace_id):
            return False
        record.trace_id, record.sampled = f"{trace_id or 1:032x}", True
        return True

    def _is_chosen(self, trace_id: int) -> bool:
        return trace_id & TraceIdRatioBased.TRACE_ID_LIMIT < self._bound


def build(options: TracingOptions, dropped: Callable[[int], None], clock: Callable[[], float]) -> RequestSpans:
    """What sends spans by OTLP, as the SDK's variables say. Raises `StartError` if one of them is invalid."""
    try:
        return RequestSpans(options, OTLPSpanExporter(), dropped, clock)
    except (OSError, ValueError) as error:
        raise StartError(f"spans cannot be exported: {str(error).rstrip('.')}; see the OTEL_* variables") from error


def _resource() -> Resource:
    """What the spans are of: OTEL_SERVICE_NAME and OTEL_RESOURCE_ATTRIBUTES, and what these leave out."""
    return (
        Resource.create({})
        .merge(Resource({"service.name": _NAME, "service.version": version(_NAME)}))
        .merge(OTELResourceDetector().detect())
    )
