"""Sends spans from a thread: a bounded queue, drops that are counted, an end that does not wait for the receiver."""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Callable, Sequence
from typing import Final

from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult

_log = logging.getLogger(__name__)

_BATCH: Final = "OTEL_BSP_MAX_EXPORT_BATCH_SIZE"
_BATCH_SPANS: Final = 512
# The exporter logs each failure of each attempt here.
_EXPORTER_LOG: Final = "opentelemetry.exporter.otlp.proto.http.trace_exporter"


class SpanQueue:
    """Spans on their way to ``exporter``, at most ``max_spans``; ``dropped`` is called with the number of those lost.

    Safe to use from one thread.
    """

    def __init__(self, exporter: SpanExporter, max_spans: int, dropped: Callable[[int], None], endpoint: str) -> None:
        self._max_spans = max_spans
        self._dropped = dropped
        self._given = 0
        self._is_closed = False
        self._counting = _Counting(exporter, dropped, endpoint)
        batch_spans = None if _BATCH in os.environ else min(_BATCH_SPANS, max_spans)
        self._processor = BatchSpanProcessor(
            self._counting, max_queue_size=max_spans, max_export_batch_size=batch_spans
        )

    def put(self, spans: Sequence[ReadableSpan]) -> None:
        """Queue the spans of a request; drop all of them if there is no room."""
        if self._given - self._counting.done + len(spans) > self._max_spans:
            self._dropped(len(spans))
            return
        self._given += len(spans)
        for span in spans:
            self._processor.on_end(span)

    def close(self, within_s: float) -> None:
        """Send what is queued, within so many seconds; what is not sent by then is lost, and logged. Once is enough."""
        if self._is_closed:
            return
        self._is_closed = True
        closing = threading.Thread(target=self._processor.shutdown, name="spans-closing", daemon=True)
        closing.start()
        closing.join(within_s)
        left = self._given - self._counting.done
        if left:
            _log.warning("%d span(s) were not exported: the receiver did not take them in time", left)


class _Counting(SpanExporter):
    """Passes spans on, counts those ``done``, whether they were taken or lost, and logs when that changes."""

    def __init__(self, exporter: SpanExporter, dropped: Callable[[int], None], endpoint: str) -> None:
        self.done = 0
        self._exporter = exporter
        self._dropped = dropped
        self._endpoint = endpoint
        self._lost = 0
        self._reason = _LastMessage()
        logging.getLogger(_EXPORTER_LOG).addFilter(self._reason)

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        try:
            result = self._exporter.export(spans)
        except Exception:  # noqa: BLE001 - the thread goes on
            _log.exception("spans could not be exported")
            result = SpanExportResult.FAILURE
        if result is SpanExportResult.SUCCESS:
            if self._lost:
                _log.info("spans are exported again; %d were lost", self._lost)
            self._lost = 0
        else:
            if not self._lost:
                _log.warning("spans cannot be exported to %s: %s", self._endpoint, self._reason.text)
            self._lost += len(spans)
            self._dropped(len(spans))
        self.done += len(spans)
        return result

    def shutdown(self) -> None:
        self._exporter.shutdown()
        logging.getLogger(_EXPORTER_LOG).removeFilter(self._reason)


class _LastMessage(logging.Filter):
    """Keeps a logger's last message instead of logging it."""

    text = "it failed"

    def filter(self, record: logging.LogRecord) -> bool:
        self.text = record.getMessage()
        return False
