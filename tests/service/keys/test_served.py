"""A real server with keys, over HTTP and gRPC: refused, let in, rotated, limited over workers, and never logged."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import grpc
import numpy as np
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc

from tests.service.grpc.running_grpc import RunningGrpc, failure, probabilities_of, raw_request
from tests.service.keys.made import Made, make, write
from tests.service.published import publish
from tests.service.running import PATIENCE_S, post, refused

ROWS = np.array([[0.5, -1, 2, 0], [1, 2, 3, 4]], np.float32)
WEB, NEXT = make("web"), make("next")
SLOW, FEW = make("slow", requests_per_s=1e-6), make("few", rows_per_s=1e-6)
Code = grpc.StatusCode
UNKNOWN = "the key is not known here; check that it is whole and was not withdrawn"


class Served(NamedTuple):
    server: RunningGrpc
    keys: Path


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    folder = tmp_path_factory.mktemp("served")
    publish(folder / "models")
    keys = write(folder / "keys", WEB, SLOW, FEW)
    options = (
        "--api-keys-file",
        str(keys),
        "--public",
        "metrics",
        "--trusted-proxies",
        "127.0.0.1",
        "--log-format=json",
    )
    with RunningGrpc(folder / "models", *options, workers=2) as running:
        yield Served(running, keys)


def metadata(made: Made, name: str = "authorization") -> tuple[tuple[str, str], ...]:
    return ((name, f"Bearer {made.secret}" if name == "authorization" else made.secret),)


def status(served: Served, *headers: str) -> int:
    """Of a prediction on a connection of its own, so that any worker gets it."""
    with served.server.connect() as connection:
        connection.send(post({"inputs": ROWS.tolist()}, "/predict", *headers))
        return connection.answer().status


def test_grpc_takes_the_keys_of_http(served: Served) -> None:
    server = served.server
    for name in ("authorization", "x-api-key"):
        response = server.call("ModelInfer", raw_request(ROWS), metadata=metadata(WEB, name))
        assert probabilities_of(response).shape == (2, 3)
    assert server.fails(raw_request(ROWS)) == (
        Code.UNAUTHENTICATED,
        "the request has no key; send it as authorization: Bearer <key>, or as x-api-key",
    )
    for wrong in (
        metadata(NEXT),
        metadata(WEB) * 2,
        (("x-api-key", ""),),
        (("x-api-key", WEB.secret[:-1]),),
        (("x-api-key", "a" * 8000),),
    ):
        assert server.fails(raw_request(ROWS), metadata=wrong) == (Code.UNAUTHENTICATED, UNKNOWN)
    assert failure(lambda: server.call("ModelMetadata"))[0] is Code.UNAUTHENTICATED
    binary: Any = (("x-api-key-bin", WEB.secret.encode()),)
    assert server.fails(raw_request(ROWS), metadata=binary)[0] is Code.UNAUTHENTICATED


def test_grpc_answers_health_checks_without_a_key_and_reflection_with_one(served: Served) -> None:
    channel = served.server.channel
    health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest(), timeout=PATIENCE_S)
    assert served.server.call("ServerLive").live
    assert served.server.call("ServerReady").ready
    stub = reflection_pb2_grpc.ServerReflectionStub(channel)
    question = reflection_pb2.ServerReflectionRequest(list_services="")

    def ask(**options: Any) -> Any:
        return list(stub.ServerReflectionInfo(iter([question]), timeout=PATIENCE_S, **options))

    assert failure(ask)[0] is Code.UNAUTHENTICATED
    assert len(ask(metadata=metadata(WEB))) == 1


def test_limits_hold_over_workers_and_protocols(served: Served) -> None:
    bearer = SLOW.bearer
    assert status(served, bearer) == 200
    assert [status(served, bearer) for _ in range(16)] == [429] * 16
    assert served.server.fails(raw_request(ROWS), metadata=metadata(SLOW)) == (
        Code.RESOURCE_EXHAUSTED,
        "key slow has used up its 1e-06 requests per second; send fewer, or retry after 1e+06 s",
    )
    assert status(served, FEW.bearer) == 200
    assert {status(served, FEW.bearer) for _ in range(8)} == {429}
    assert served.server.fails(raw_request(ROWS), metadata=metadata(FEW))[0] is Code.RESOURCE_EXHAUSTED


def test_keys_are_rotated_without_a_restart_and_never_logged(served: Served) -> None:
    server = served.server
    assert (status(served, WEB.bearer), status(served, NEXT.bearer)) == (200, 401)
    for keys, text in (((WEB, NEXT), "new: next"), ((NEXT,), "withdrawn: web")):
        write(served.keys, *keys)
        for _ in range(server.worker_count):
            server.wait_for(text)
    assert {(status(served, WEB.bearer), status(served, NEXT.bearer)) for _ in range(8)} == {(401, 200)}
    served.keys.write_text(f"web {WEB.secret}\n")
    for _ in range(server.worker_count):
        server.wait_for("stay valid")
    assert {(status(served, WEB.bearer), status(served, NEXT.bearer)) for _ in range(8)} == {(401, 200)}
    assert status(served, NEXT.bearer, "x-request-id: last", "x-forwarded-for: 6.6.6.6, 9.8.7.6") == 200
    line = json.loads(server.wait_for('"last"'))
    assert (line["key"], line["client"], line["status"]) == ("next", "9.8.7.6", 200)
    assert not [line for line in server.log for made in (WEB, NEXT, SLOW, FEW) if made.secret in line]
    with server.client() as client:
        exposition = client.get("/metrics").text
    assert not [name for name in ("web", "next", "slow", WEB.secret) if f'"{name}"' in exposition]
    assert 'mlp_rejections_total{model="small",reason="unauthenticated"}' in exposition


def test_a_large_body_without_a_key_costs_nothing(served: Served) -> None:
    head = b"POST /predict HTTP/1.1\r\nhost: test\r\ncontent-length: 16000000\r\n\r\n"
    with served.server.connect() as connection:
        connection.send(head)
        answer = connection.answer()
        assert (answer.status, answer.headers["connection"]) == (401, "close")
        assert connection.is_closed()


def test_a_server_does_not_start_without_good_keys(tmp_path: Path) -> None:
    (tmp_path / "keys").write_text("web\n")
    message = refused("--api-keys-file", str(tmp_path / "keys"), "--workers", "2")
    assert message == f"{tmp_path / 'keys'}: line 1: the second word is no SHA-256 digest of 64 hexadecimal digits"
