"""A real server over gRPC: predictions, statuses, bounds, deadlines, drain, workers."""

from __future__ import annotations

import gzip
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc

from service.grpc.messages import SERVICE, message
from tests.service.grpc.running_grpc import (
    INFER,
    RunningGrpc,
    failure,
    free_port,
    probabilities_of,
    raw_request,
    typed_request,
)
from tests.service.published import publish
from tests.service.running import PATIENCE_S, refused

ROWS = np.array([[0.5, -1, 2, 0], [1, 2, 3, 4]], np.float32)
SERVING = health_pb2.HealthCheckResponse.SERVING
NOT_SERVING = health_pb2.HealthCheckResponse.NOT_SERVING
Code = grpc.StatusCode


@pytest.fixture(scope="module")
def models_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models")
    publish(folder)
    return folder


@pytest.fixture(scope="module")
def server(models_folder: Path) -> Iterator[RunningGrpc]:
    with RunningGrpc(models_folder) as running:
        yield running


def until(condition: Callable[[], bool]) -> None:
    ends_at_s = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < ends_at_s
        time.sleep(0.01)


def expected(server: RunningGrpc, rows: Any = ROWS) -> Any:
    with server.client() as client:
        answer = client.post("/predict", json={"inputs": rows.tolist()}).json()
    return np.array(answer["probabilities"], np.float32)


class Held:
    """Messages that are sent once they are released."""

    def __init__(self, content: bytes) -> None:
        self._content = content
        self._released = threading.Event()

    def release(self) -> None:
        self._released.set()

    def __iter__(self) -> Iterator[bytes]:
        self._released.wait(PATIENCE_S)
        yield self._content


def begin(server: RunningGrpc, held: Held) -> Any:
    """A call of ModelInfer that has reached the server, without its message."""
    call = server.late(held)
    health_pb2_grpc.HealthStub(server.channel).Check(health_pb2.HealthCheckRequest())  # on the same connection, later
    return call


def test_raw_and_typed_rows_give_the_numbers_of_rest(server: RunningGrpc) -> None:
    numbers = expected(server)
    raw = server.call("ModelInfer", raw_request(ROWS, id="mine"))
    typed = server.call("ModelInfer", typed_request(ROWS))
    assert (raw.model_name, raw.model_version, raw.id, typed.id) == ("small", "1", "mine", "")
    for response in (raw, typed):
        assert np.array_equal(probabilities_of(response), numbers)
        assert [(each.name, each.datatype, list(each.shape)) for each in response.outputs] == [
            ("probabilities", "FP32", [2, 3]),
            ("prediction", "INT64", [2]),
            ("label", "BYTES", [2]),
        ]
    assert len(raw.raw_output_contents) == 3
    assert len(typed.raw_output_contents) == 0
    assert list(typed.outputs[1].contents.int64_contents) == numbers.argmax(axis=1).tolist()
    labels = [("ape", "bee", "cat")[index].encode() for index in numbers.argmax(axis=1)]
    assert list(typed.outputs[2].contents.bytes_contents) == labels


def test_many_rows_are_decoded_and_encoded_in_steps(server: RunningGrpc) -> None:
    rows = np.random.default_rng(0).normal(size=(9000, 4)).astype(np.float32)
    numbers = expected(server, rows)
    for request in (raw_request(rows), typed_request(rows)):
        assert np.array_equal(probabilities_of(server.call("ModelInfer", request)), numbers)


@pytest.mark.parametrize(
    ("change", "code", "detail"),
    [
        ({"model_name": "other"}, Code.NOT_FOUND, "there is no model 'other'"),
        ({"model_name": ""}, Code.NOT_FOUND, "there is no model ''"),
        ({"model_version": "7"}, Code.NOT_FOUND, "version '7'"),
        ({"raw_input_contents": [b"\0" * 31]}, Code.INVALID_ARGUMENT, "has 31 bytes, and 32 belong to the shape"),
        ({"raw_input_contents": []}, Code.INVALID_ARGUMENT, "has too few values"),
        ({"raw_input_contents": [b"", b""]}, Code.INVALID_ARGUMENT, "there are 1 inputs and 2 raw_input_contents"),
        ({"outputs": [{"name": "no"}]}, Code.INVALID_ARGUMENT, "there is no output 'no'"),
        ({"outputs": [{"name": "label"}] * 2}, Code.INVALID_ARGUMENT, "'label' is requested twice"),
    ],
)
def test_a_bad_request_is_told_why(server: RunningGrpc, change: dict[str, Any], code: Any, detail: str) -> None:
    request = raw_request(ROWS)
    given = {name: getattr(request, name) for name in ("model_name", "inputs", "raw_input_contents")}
    found = server.fails(type(request)(**given | change))
    assert found[0] is code
    assert detail in found[1]


def test_bytes_that_are_no_message_are_invalid(server: RunningGrpc) -> None:
    valid = raw_request(ROWS).SerializeToString()
    for bad in (b"\xff", b"\x0a\x7f", b"\x1f\x8b", b"\x78\x9cno", valid[:-1], b"\x0b" + valid, b"\x0a\x01\xff"):
        assert server.fails(bad)[0] is Code.INVALID_ARGUMENT, bad
    none = server.late([])
    assert (none.code(), none.details()) == (Code.INVALID_ARGUMENT, "there is no message; send one")
    assert failure(lambda: server.channel.unary_unary(f"/{SERVICE}/ModelReady")(b"\xff"))[0] is Code.INVALID_ARGUMENT
    assert failure(lambda: server.channel.unary_unary(f"/{SERVICE}/Nothing")(b""))[0] is Code.UNIMPLEMENTED


@pytest.mark.parametrize("compression", [grpc.Compression.Gzip, grpc.Compression.Deflate])
def test_messages_may_be_compressed(server: RunningGrpc, compression: grpc.Compression) -> None:
    rows = np.ones((100, 4), np.float32)
    response = server.call("ModelInfer", raw_request(rows), compression=compression)
    assert np.array_equal(probabilities_of(response), expected(server, rows))


def test_a_message_that_is_too_large_is_refused(models_folder: Path) -> None:
    with RunningGrpc(models_folder, "--max-body-bytes", "20000") as small:
        rows = np.ones((5000, 4), np.float32)
        assert small.fails(raw_request(rows))[0] is Code.RESOURCE_EXHAUSTED
        bomb = gzip.compress(raw_request(rows).SerializeToString())
        assert small.fails(bomb) == (
            Code.RESOURCE_EXHAUSTED,
            "the body expands to more than 20000 bytes; send fewer rows at once",
        )
        assert small.fails(raw_request(ROWS), metadata=(("x-large", "y" * 60_000),))[0] is Code.RESOURCE_EXHAUSTED
        small.call("ModelInfer", raw_request(ROWS))


def test_request_ids_come_back(server: RunningGrpc) -> None:
    method = server.channel.unary_unary(INFER)
    body = raw_request(ROWS).SerializeToString()
    _, call = method.with_call(body, metadata=(("x-request-id", "mine-1"),))
    assert dict(call.trailing_metadata())["x-request-id"] == "mine-1"
    _, call = method.with_call(body)
    assert dict(call.trailing_metadata())["x-request-id"]


def test_a_deadline_that_cannot_be_met_is_refused(server: RunningGrpc) -> None:
    code, detail = server.fails(raw_request(ROWS), metadata=(("x-request-timeout-s", "1e-6"),))
    assert code is Code.DEADLINE_EXCEEDED
    assert "time" in detail
    code, detail = server.fails(raw_request(ROWS), metadata=(("x-request-timeout-s", "soon"),))
    assert (code, "'soon'" in detail) == (Code.INVALID_ARGUMENT, True)


def test_the_clients_deadline_and_its_cancellation_end_an_rpc(server: RunningGrpc) -> None:
    route = "/inference.GRPCInferenceService/ModelInfer"
    missed = server.metrics().get(f"mlp_requests_total  {route} 504", 0)
    held = Held(b"")
    assert server.late(held, timeout=0.1).code() is Code.DEADLINE_EXCEEDED
    until(lambda: server.metrics().get(f"mlp_requests_total  {route} 504") == missed + 1)
    call = begin(server, held)
    until(lambda: server.metrics()["mlp_requests_in_flight"] == 1)
    call.cancel()
    until(lambda: server.metrics()["mlp_requests_in_flight"] == 0)
    held.release()


def test_slow_messages_take_limited_time_and_memory(models_folder: Path) -> None:
    options = ("--receive-timeout-s", "1", "--max-body-bytes", "40000", "--max-buffered-bytes", "60000")
    with RunningGrpc(models_folder, *options) as strict:
        held = Held(b"")
        first, second = strict.late(held), strict.late(held)
        failed = {call.code(): call for call in (first, second)}
        assert set(failed) == {Code.DEADLINE_EXCEEDED, Code.RESOURCE_EXHAUSTED}
        assert "did not arrive within 1 s" in failed[Code.DEADLINE_EXCEEDED].details()
        full = failed[Code.RESOURCE_EXHAUSTED]
        assert "request buffer full" in full.details()
        assert dict(full.trailing_metadata())["retry-after"] == "1"
        held.release()
        strict.call("ModelInfer", raw_request(ROWS))


def test_slow_messages_to_health_checking_and_reflection_do_too(models_folder: Path) -> None:
    """They need no key, so they may not use up the memory of predictions."""
    with RunningGrpc(models_folder, "--receive-timeout-s", "1", "--max-body-bytes", "40000") as strict:
        held = Held(b"")
        check = strict.channel.stream_unary("/grpc.health.v1.Health/Check")
        watch, reflect = (
            strict.channel.stream_stream(f"/grpc.{method}")
            for method in ("health.v1.Health/Watch", "reflection.v1alpha.ServerReflection/ServerReflectionInfo")
        )
        live = strict.channel.stream_unary(f"/{SERVICE}/ServerLive")
        slow = [call.future(iter(held)) for call in [check] * 5 + [live] * 4]
        found = sorted((call.code().name, call.details()) for call in slow)
        assert [name for name, _ in found] == ["DEADLINE_EXCEEDED"] * 8 + ["RESOURCE_EXHAUSTED"]
        assert "did not arrive within 1 s" in found[0][1]
        assert "request buffer full" in found[-1][1]
        assert watch(iter(held)).code() is Code.DEADLINE_EXCEEDED
        assert reflect(iter(held)).code() is Code.OK  # such a client may just have no more questions
        held.release()
        large = health_pb2.HealthCheckRequest(service="x" * 17_000).SerializeToString()
        answers = (lambda: check(iter([large])), lambda: [*watch(iter([large]))], lambda: [*reflect(iter([large]))])
        for answer in answers:
            code, detail = failure(answer)
            assert (code, "expected at most 16384; send a name alone" in detail) == (Code.RESOURCE_EXHAUSTED, True)
        for call in (lambda: check(iter([b"\xff"])), lambda: list(reflect(iter([b"\xff"])))):
            assert failure(call)[0] is Code.INVALID_ARGUMENT
        assert failure(lambda: check(iter([])))[1] == "there is no message; send one"


def test_metrics_and_log_have_each_rpc(models_folder: Path) -> None:
    with RunningGrpc(models_folder, workers=2) as both:
        for _ in range(8):
            with both.new_channel(("grpc.use_local_subchannel_pool", 1)) as channel:
                channel.unary_unary(INFER)(raw_request(ROWS).SerializeToString())
        both.fails(b"\xff")
        until(lambda: both.metrics().get(f"mlp_requests_total small {INFER} 200") == 8)  # of both workers
        found = both.metrics()
        assert found[f"mlp_requests_total  {INFER} 400"] == 1
        assert found["mlp_rejections_total  malformed-body"] == 1
        assert found["mlp_request_rows_sum small"] == 16
        assert '"rows":2' in both.wait_for(INFER)
        both.drain()
        assert both.exit_status() == 0


def test_health_and_reflection(server: RunningGrpc) -> None:
    stub = health_pb2_grpc.HealthStub(server.channel)
    for name in ("", SERVICE):
        assert stub.Check(health_pb2.HealthCheckRequest(service=name)).status == SERVING
    assert failure(lambda: stub.Check(health_pb2.HealthCheckRequest(service="other")))[0] is Code.NOT_FOUND
    reflected = reflection_pb2_grpc.ServerReflectionStub(server.channel)
    requests = [
        reflection_pb2.ServerReflectionRequest(list_services=""),
        *(
            reflection_pb2.ServerReflectionRequest(file_containing_symbol=each)
            for each in (SERVICE, "grpc.health.v1.Health")
        ),
    ]
    listed, ours, health = reflected.ServerReflectionInfo(iter(requests))
    names = {each.name for each in listed.list_services_response.service}
    assert names == {SERVICE, "grpc.health.v1.Health", "grpc.reflection.v1alpha.ServerReflection"}
    assert b"GRPCInferenceService" in ours.file_descriptor_response.file_descriptor_proto[0]
    assert b"HealthCheckRequest" in health.file_descriptor_response.file_descriptor_proto[0]


def test_documents_are_those_of_rest(server: RunningGrpc) -> None:
    metadata = server.call("ModelMetadata", message("ModelMetadataRequest")(name="small", version="1"))
    with server.client() as client:
        document = client.get("/v2/models/small").json()
    assert [each.name for each in metadata.inputs] == [each["name"] for each in document["inputs"]]
    assert [list(each.shape) for each in metadata.outputs] == [each["shape"] for each in document["outputs"]]
    assert server.call("ServerLive").live
    assert server.call("ServerReady").ready
    assert server.call("RepositoryIndex").models[0].name == "small"
    unknown = message("ModelReadyRequest")(name="other")
    assert failure(lambda: server.call("ModelReady", unknown))[0] is Code.NOT_FOUND


def test_at_a_stop_signal_an_rpc_in_flight_is_answered(models_folder: Path) -> None:
    """A client watches the health; an RPC has begun; SIGTERM; NOT_SERVING; its message arrives; it is answered.

    The client that watches does not hold up the end: the drain's time limit is longer than the test's.
    """
    with RunningGrpc(models_folder, "--drain-timeout-s", "3600") as server:
        watch = health_pb2_grpc.HealthStub(server.channel).Watch(health_pb2.HealthCheckRequest())
        assert next(watch).status == SERVING
        held = Held(raw_request(ROWS).SerializeToString())
        call = begin(server, held)
        server.drain()
        assert next(watch).status == NOT_SERVING
        held.release()
        assert len(call.result(PATIENCE_S).outputs) == 3
        with pytest.raises(grpc.RpcError) as ended:
            next(watch)
        assert ended.value.code() == grpc.StatusCode.UNAVAILABLE  # type: ignore[attr-defined]
        assert server.exit_status() == 0


def test_under_load_no_rpc_is_cancelled_by_a_stop_signal(models_folder: Path) -> None:
    """gRPC would cancel those that wait to be started; clients repeat what is UNAVAILABLE alone."""
    with RunningGrpc(models_folder) as server:
        method = server.channel.unary_unary(INFER)
        body = raw_request(ROWS).SerializeToString()

        def ask_until_refused(_: int) -> tuple[int, Any]:
            count = 0
            while True:
                try:
                    method(body, timeout=PATIENCE_S)
                except grpc.RpcError as error:
                    return count, error.code()  # type: ignore[attr-defined]
                count += 1

        with ThreadPoolExecutor(24) as pool:
            clients = pool.map(ask_until_refused, range(24))
            until(lambda: server.metrics().get(f"mlp_requests_total small {INFER} 200", 0) > 200)
            server.drain()
            answered, codes = zip(*clients, strict=True)
        assert sum(answered) > 200
        assert set(codes) == {Code.UNAVAILABLE}
        assert server.exit_status() == 0


def test_a_drain_that_times_out_rejects_what_is_left(models_folder: Path) -> None:
    with RunningGrpc(models_folder, "--drain-timeout-s", "1") as server:
        call = begin(server, Held(b""))
        server.drain()
        assert call.code() in (Code.UNAVAILABLE, Code.CANCELLED)
        assert server.exit_status() == 0


def test_a_port_in_use_is_one_sentence(models_folder: Path, server: RunningGrpc) -> None:
    said = refused("--models", str(models_folder), "--grpc-port", str(server.grpc_port))
    assert said.startswith(
        f"cannot listen on 127.0.0.1 port {server.grpc_port}: Address already in use; choose another"
    )
    assert "--grpc-port" in said


def test_a_missing_extra_is_one_sentence(models_folder: Path, tmp_path: Path) -> None:
    """A package that cannot be found stands for one that is not installed."""
    (tmp_path / "sitecustomize.py").write_text(
        "import importlib.util as u\nfound = u.find_spec\n"
        "u.find_spec = lambda name, *more: None if name == 'grpc_health' else found(name, *more)\n"
    )
    said = refused(
        "--models", str(models_folder), "--grpc-port", str(free_port()), PYTHONPATH=f"{tmp_path}:{Path.cwd()}"
    )
    assert said == (
        "--grpc-port (MLP_GRPC_PORT) needs the package grpc_health; pip install 'mlp-serving[grpc]', or leave it out"
    )
