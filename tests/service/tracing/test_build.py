"""Which requests become spans, their tree, times and attributes, and that a bad receiver costs spans alone."""

from __future__ import annotations

import logging
import socket
import threading
from collections.abc import Sequence

import pytest
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult
from opentelemetry.trace import SpanKind, StatusCode

from service.errors import StartError
from service.requests import RequestRecord
from service.tracing.build import RequestSpans, build
from service.tracing.options import TracingOptions

TRACE, SPAN = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
EPOCH_NS = 1_700_000_000_000_000_000
PATIENCE_S = 60.0


class Exporter(SpanExporter):
    """Keeps what it gets. While it is ``held``, an export waits; ``fails`` is how many fail."""

    def __init__(self) -> None:
        self.spans: list[ReadableSpan] = []
        self.began = threading.Event()
        self.released = threading.Event()
        self.released.set()
        self.fails = 0

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        self.began.set()
        assert self.released.wait(PATIENCE_S)
        if self.fails:
            self.fails -= 1
            return SpanExportResult.FAILURE
        self.spans += spans
        return SpanExportResult.SUCCESS


class Traced:
    """A sink of requests, its exporter, and the drops it counted."""

    def __init__(self, *, parent_decides: bool = True, ratio: float = 1.0, queued_spans: int = 2**20) -> None:
        self.exporter = Exporter()
        self.drops: list[int] = []
        options = TracingOptions("http://here", parent_decides, ratio, queued_spans)
        self.sink = RequestSpans(options, self.exporter, self.drops.append, lambda: 100.0, lambda: EPOCH_NS)

    def spans(self, *records: RequestRecord) -> list[ReadableSpan]:
        """What is exported of ``records``, in the order it was given."""
        self.sink(records)
        self.sink.close(PATIENCE_S)
        return self.exporter.spans


@pytest.fixture(autouse=True)
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_BSP_SCHEDULE_DELAY", "5")
    monkeypatch.setenv("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "10")


def predicted(traceparent: str = "", *, sampled: bool = True) -> RequestRecord:
    """A request at 90 s that took 6 s: decoded from 91 s on, run from 93 s on, encoded from 95.25 s on."""
    record = RequestRecord("POST", "/models/small/predict", "an-id", 90.0)
    record.route, record.status = "/models/{name}/predict", 200
    record.model, record.version, record.rows = "small", 3, 2
    record.decode_at_s, record.decode_s, record.queue_s, record.duration_s = 91.0, 0.5, 1.5, 6.0
    record.inference_at_s, record.inference_s, record.batch_rows = 93.0, 2.0, 64
    record.encode_at_s, record.encode_s = 95.25, 0.5
    if traceparent:
        record.trace_id, record.parent_span_id, record.sampled = traceparent, SPAN, sampled
    return record


def seconds(span: ReadableSpan) -> tuple[float, float]:
    """When a span began and ended, on the clock of the records."""
    assert span.start_time is not None
    assert span.end_time is not None
    start, end = ((each - EPOCH_NS) / 1e9 + 100.0 for each in (span.start_time, span.end_time))
    return round(start, 6), round(end, 6)


def test_a_prediction_has_a_span_for_each_stage_within_that_of_the_server() -> None:
    record = predicted(TRACE)
    record.tracestate = "a=1,b=2"
    server, *stages = Traced().spans(record)
    assert [(span.name, *seconds(span)) for span in (server, *stages)] == [
        ("POST /models/{name}/predict", 90.0, 96.0),
        ("decode", 91.0, 91.5),
        ("queue", 91.5, 93.0),
        ("infer", 93.0, 95.0),
        ("encode", 95.25, 95.75),
    ]
    assert server.parent is not None
    assert (f"{server.context.trace_id:032x}", f"{server.parent.span_id:016x}") == (TRACE, SPAN)
    assert server.kind is SpanKind.SERVER
    assert record.span_id == f"{server.context.span_id:016x}"
    for stage in stages:
        assert stage.parent == server.context
        assert stage.context.trace_id == server.context.trace_id
        assert stage.kind is SpanKind.INTERNAL
    assert len({span.context.span_id for span in (server, *stages)}) == 5
    assert all(span.context.trace_state.to_header() == "a=1,b=2" for span in (server, *stages))
    assert server.attributes == {
        "http.request.method": "POST",
        "http.route": "/models/{name}/predict",
        "http.response.status_code": 200,
        "url.path": "/models/small/predict",
        "url.scheme": "http",
        "mlp.request_id": "an-id",
        "mlp.model": "small",
        "mlp.version": 3,
        "mlp.rows": 2,
    }
    assert stages[2].attributes == {"mlp.batch_rows": 64}
    assert server.status.status_code is StatusCode.UNSET
    assert server.resource.attributes["service.name"] == "mlp-serving"


def test_the_resource_is_as_the_variables_say(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_SERVICE_NAME", "houses")
    monkeypatch.setenv("OTEL_RESOURCE_ATTRIBUTES", "deployment.environment.name=test,service.name=other")
    (server, *_) = Traced().spans(predicted())
    found = server.resource.attributes
    assert (found["service.name"], found["deployment.environment.name"]) == ("houses", "test")


@pytest.mark.parametrize(
    ("method", "route", "status", "problem", "name", "error"),
    [
        ("GET", "/models", 200, "", "GET /models", None),
        ("GET", "unmatched", 404, "not-found", "GET", None),
        ("PROPFIND", "unmatched", 405, "method-not-allowed", "HTTP", None),
        ("", "unmatched", 400, "malformed-request", "HTTP", None),
        ("POST", "/predict", 503, "not-ready", "POST /predict", "not-ready"),
        ("POST", "/predict", 500, "", "POST /predict", "500"),
    ],
)
def test_a_request_without_a_prediction_is_one_span(
    method: str, route: str, status: int, problem: str, name: str, error: str | None
) -> None:
    record = RequestRecord(method, "/somewhere", "an-id", 90.0)
    record.route, record.status, record.problem = route, status, problem
    (span,) = Traced().spans(record)
    assert span.attributes is not None
    assert span.name == name
    assert span.attributes.get("error.type") == error
    assert (span.status.status_code is StatusCode.ERROR) == (error is not None)
    assert span.attributes.get("mlp.problem") == (problem or None)
    assert span.attributes.get("http.request.method_original") == ("PROPFIND" if method == "PROPFIND" else None)


@pytest.mark.parametrize(
    ("status", "problem", "is_error"),
    [("OK", "", False), ("INVALID_ARGUMENT", "invalid-input", False), ("UNAVAILABLE", "not-ready", True)],
)
def test_an_rpc_has_the_names_of_its_conventions(status: str, problem: str, is_error: bool) -> None:
    record = RequestRecord("POST", "/inference.GRPCInferenceService/ModelInfer", "an-id", 90.0)
    record.rpc_status, record.problem = status, problem
    (span,) = Traced().spans(record)
    expected: dict[str, object] = {
        "rpc.system.name": "grpc",
        "rpc.method": "inference.GRPCInferenceService/ModelInfer",
        "rpc.response.status_code": status,
        "mlp.request_id": "an-id",
    }
    expected |= {"mlp.problem": problem} if problem else {}
    expected |= {"error.type": problem} if is_error else {}
    assert (span.name, span.attributes) == ("inference.GRPCInferenceService/ModelInfer", expected)
    assert (span.status.status_code is StatusCode.ERROR) == is_error


def test_a_malformed_state_is_left_out_and_not_logged(caplog: pytest.LogCaptureFixture) -> None:
    record = predicted(TRACE)
    record.tracestate = "no state\n" * 10
    assert not Traced().spans(record)[0].context.trace_state
    assert caplog.text == ""


def test_a_request_that_waited_in_vain_has_its_wait() -> None:
    record = predicted()
    record.status, record.problem, record.inference_at_s, record.encode_s = 504, "deadline-exceeded", 0.0, 0.0
    spans = Traced().spans(record)
    assert [(span.name, *seconds(span)) for span in spans[1:]] == [("decode", 91.0, 91.5), ("queue", 91.5, 96.0)]


@pytest.mark.parametrize(
    ("parent_decides", "ratio", "recorded"),
    [
        (True, 1.0, ["sampled", "none"]),
        (True, 0.0, ["sampled"]),
        (False, 1.0, ["sampled", "unsampled", "none"]),
        (False, 0.0, []),
    ],
)
def test_who_decides_what_is_recorded(parent_decides: bool, ratio: float, recorded: list[str]) -> None:
    records = {
        "sampled": predicted(TRACE),
        "unsampled": predicted(TRACE[::-1], sampled=False),
        "none": predicted(),
    }
    spans = Traced(parent_decides=parent_decides, ratio=ratio).spans(*records.values())
    assert len(spans) == 5 * len(recorded)
    assert [name for name, record in records.items() if record.sampled] == recorded
    assert [name for name, record in records.items() if record.span_id] == recorded
    assert (records["none"].trace_id != "") == ("none" in recorded)


def test_a_share_of_the_requests_is_recorded() -> None:
    records = [predicted() for _ in range(4000)]
    spans = Traced(ratio=0.05).spans(*records)
    traces = {span.context.trace_id for span in spans}
    assert len(spans) == 5 * len(traces)
    assert 120 < len(traces) < 290  # 200, and more than six standard deviations
    assert {f"{trace:032x}" for trace in traces} == {record.trace_id for record in records if record.sampled}


def test_the_ratio_of_a_trace_is_decided_by_its_id_alone() -> None:
    low, high = f"{1:016x}{2**62:016x}", f"{2**63:016x}{2**63 + 2**62:016x}"
    records = [predicted(low, sampled=False), predicted(high)]
    spans = Traced(parent_decides=False, ratio=0.5).spans(*records)
    assert {f"{span.context.trace_id:032x}" for span in spans} == {low}


def test_a_full_queue_drops_whole_requests_and_counts_them() -> None:
    traced = Traced(queued_spans=20)
    traced.exporter.released.clear()
    traced.sink([predicted() for _ in range(2)])
    assert traced.exporter.began.wait(PATIENCE_S)
    traced.sink([predicted() for _ in range(5)])  # two of them fit
    assert traced.drops == [5, 5, 5]
    traced.exporter.released.set()
    traced.sink.close(PATIENCE_S)
    assert len(traced.exporter.spans) == 20
    assert len({span.context.trace_id for span in traced.exporter.spans}) == 4


def test_what_a_receiver_refuses_is_counted_and_logged_once(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    traced = Traced()
    traced.exporter.fails = 3
    traced.spans(*[predicted() for _ in range(8)])
    assert traced.drops == [10, 10, 10]
    assert len(traced.exporter.spans) == 10
    assert [record.getMessage() for record in caplog.records] == [
        "spans cannot be exported to http://here: it failed",
        "spans are exported again; 30 were lost",
    ]


def test_a_receiver_that_is_away_is_named_with_the_reason(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    with socket.socket() as bound:  # it does not listen
        bound.bind(("127.0.0.1", 0))
        endpoint = f"http://127.0.0.1:{bound.getsockname()[1]}"
        for name, value in {"ENDPOINT": endpoint, "TIMEOUT": "0.1"}.items():
            monkeypatch.setenv(f"OTEL_EXPORTER_OTLP_{name}", value)
        drops: list[int] = []
        options = TracingOptions(endpoint, parent_decides=True, ratio=1.0, queued_spans=100)
        sink = build(options, drops.append, lambda: 100.0)
        sink([predicted()])
        sink.close(PATIENCE_S)
    assert drops == [5]
    (line,) = caplog.messages
    assert line.startswith(f"spans cannot be exported to {endpoint}: Failed to export spans batch")


def test_a_variable_that_the_exporter_refuses_is_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_BSP_SCHEDULE_DELAY", "0")
    with pytest.raises(StartError, match="spans cannot be exported: schedule_delay_millis must be positive; see"):
        build(TracingOptions("http://here", parent_decides=True, ratio=1.0, queued_spans=100), print, lambda: 0.0)


def test_a_receiver_that_hangs_does_not_hold_up_the_end(caplog: pytest.LogCaptureFixture) -> None:
    traced = Traced()
    traced.exporter.released.clear()
    traced.sink([predicted()])
    assert traced.exporter.began.wait(PATIENCE_S)
    traced.sink.close(0.01)
    assert "5 span(s) were not exported" in caplog.text
    traced.exporter.released.set()
