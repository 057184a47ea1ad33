"""Servers that send spans to a real receiver of OTLP, over HTTP and gRPC, from each worker; and to one that hangs."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from tests.documents.log_fields import check_line
from tests.service.grpc.running_grpc import INFER, RunningGrpc, raw_request
from tests.service.published import publish
from tests.service.running import Running
from tests.service.tracing.receiver import Received, Receiver

ROW = [[1.0, 2.0, 3.0, 4.0]]
TRACE, SPAN = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
SAMPLED, UNSAMPLED = f"00-{TRACE}-{SPAN}-01", f"00-{TRACE}-{SPAN}-00"
SERVER = 2  # opentelemetry.proto.trace.v1.Span.SpanKind
STAGES = ["decode", "queue", "infer", "encode"]


@pytest.fixture(scope="module")
def models_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models")
    publish(folder)
    return folder


@pytest.fixture(scope="module")
def receiver() -> Iterator[Receiver]:
    with Receiver() as started:
        yield started


@pytest.fixture(scope="module")
def server(models_folder: Path, receiver: Receiver) -> Iterator[RunningGrpc]:
    variables = receiver.variables(OTEL_SERVICE_NAME="houses", OTEL_EXPORTER_OTLP_COMPRESSION="gzip")
    with RunningGrpc(models_folder, workers=2, variables=variables) as started:
        yield started


@pytest.fixture
def empty(receiver: Receiver) -> Receiver:
    receiver.spans.clear()
    return receiver


def check_tree(spans: list[Received], parent: str) -> Received:
    """One request's spans are a tree whose times are nested and in order; returns the server's."""
    (server,) = (span for span in spans if span.kind == SERVER)
    stages = sorted((span for span in spans if span is not server), key=lambda span: span.start_ns)
    assert [span.name for span in stages] == STAGES
    assert server.parent == parent
    assert {span.parent for span in stages} == {server.span_id}
    assert len({span.trace_id for span in spans}) == 1
    assert len({span.span_id for span in spans}) == len(spans)
    edges = [server.start_ns, *(edge for span in stages for edge in (span.start_ns, span.end_ns)), server.end_ns]
    assert edges == sorted(edges)
    assert server.resource["service.name"] == "houses"
    assert stages[2].attributes == {"mlp.batch_rows": 1}
    return server


@pytest.mark.parametrize("path", ["/predict", "/models/small/versions/1/predict", "/v2/models/small/infer"])
def test_a_prediction_over_http_continues_the_trace_of_its_caller(
    path: str, server: RunningGrpc, empty: Receiver
) -> None:
    body = {"inputs": [{"name": "inputs", "shape": [1, 4], "datatype": "FP32", "data": ROW[0]}]}
    headers = {"traceparent": SAMPLED, "tracestate": "a=1,b=2", "x-request-id": "mine"}
    with server.client() as client:
        assert client.post(path, json=body if "v2" in path else ROW, headers=headers).status_code == 200
    spans = empty.wait_for(5)
    found = check_tree(spans, SPAN)
    assert (found.trace_id, {span.state for span in spans}) == (TRACE, {"a=1,b=2"})
    assert found.attributes["url.path"] == path
    about = {name: found.attributes[f"mlp.{name}"] for name in ("request_id", "model", "version", "rows")}
    assert about == {"request_id": "mine", "model": "small", "version": 1, "rows": 1}
    line = json.loads(server.wait_for('"mine"'))
    assert (line["trace_id"], line["sampled"]) == (TRACE, True)
    assert (line["parent_span_id"], line["span_id"]) == (SPAN, found.span_id)


def test_an_rpc_does_too(server: RunningGrpc, empty: Receiver) -> None:
    metadata = (("traceparent", SAMPLED), ("tracestate", "a=1"), ("tracestate", "b=2"))
    server.call("ModelInfer", raw_request(np.array(ROW, np.float32)), metadata=metadata)
    found = check_tree(empty.wait_for(5), SPAN)
    assert (found.trace_id, found.state) == (TRACE, "a=1,b=2")
    assert found.name == INFER[1:]
    assert found.attributes["rpc.response.status_code"] == "OK"


def test_the_caller_decides_and_an_invalid_trace_is_none(server: RunningGrpc, empty: Receiver) -> None:
    with server.client() as client:
        for traceparent in (UNSAMPLED, SAMPLED.upper()):
            client.post("/predict", json=ROW, headers={"traceparent": traceparent})
        client.get("/models/none")
    server.call("ServerLive", metadata=[("traceparent", SAMPLED.upper())])
    spans = empty.wait_for(7)
    assert sorted(span.name for span in spans if span.kind == SERVER) == [
        "GET /models/{name}",
        "POST /predict",
        "inference.GRPCInferenceService/ServerLive",
    ]
    assert all(span.trace_id != TRACE for span in spans)
    assert {span.parent for span in spans if span.kind == SERVER} == {""}


def test_each_worker_sends_its_own(server: RunningGrpc, empty: Receiver) -> None:
    for asked in range(1, 100):
        with server.client() as client:  # a new connection, to any worker
            client.get("/models")
        if len({span.resource["service.instance.id"] for span in empty.wait_for(asked)}) == 2:
            return
    raise AssertionError("the spans of one worker never came")


def test_a_receiver_that_hangs_holds_up_neither_answers_nor_the_end(models_folder: Path) -> None:
    with Receiver() as receiver:
        receiver.hangs.set()
        with Running(models_folder, variables=receiver.variables(OTEL_BSP_MAX_QUEUE_SIZE="520")) as server:
            with server.client() as client:
                client.post("/predict", json=ROW)
                assert receiver.arrived.wait(60)
                for _ in range(110):
                    assert client.post("/predict", json=ROW).status_code == 200
            assert server.metrics()["mlp_spans_dropped_total"] == 5 * 111 - 520
            server.terminate()
            assert server.exit_status() == 0
            log = server.whole_log()
    assert "520 span(s) were not exported" in "".join(log)
    for line in log:
        check_line(json.loads(line))
