"""The clients that people have, against a real server: tritonclient and KServe's."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests import client_environment
from tests.service.grpc.running_grpc import RunningGrpc
from tests.service.http.protocols.test_open_inference_clients import MODELS, expectations

__all__ = ["expectations"]  # a fixture, which pytest finds by its name

DESCRIPTION = Path(__file__).parents[3] / "service/grpc/open_inference.pb"


@pytest.fixture(scope="module")
def server() -> Iterator[RunningGrpc]:
    with RunningGrpc(MODELS) as running:
        yield running


@pytest.mark.timeout(600)  # the first run installs the client
def test_tritonclient(server: RunningGrpc, expectations: str) -> None:
    client_environment.run("triton_grpc.py", f"127.0.0.1:{server.grpc_port}", expectations, str(DESCRIPTION))


@pytest.mark.timeout(600)
def test_kserve(server: RunningGrpc, expectations: str) -> None:
    client_environment.run("kserve_grpc.py", f"127.0.0.1:{server.grpc_port}", expectations)
