"""Large bodies on both paths of a real server, while it answers other requests."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.service.running import Running, post

BODY_BYTES = 4 * 2**20


@pytest.fixture(scope="module", params=["true", "false"], ids=["fast path", "FastAPI"])
def server(request: pytest.FixtureRequest, shared_models: Path) -> Iterator[Running]:
    budget_bytes = BODY_BYTES + 2**20  # one body, and bytes that are not parsed yet
    limits = [f"--max-body-bytes={BODY_BYTES}", f"--max-buffered-bytes={budget_bytes}"]
    with Running(shared_models, f"--fast-path={request.param}", *limits) as running:
        yield running


def filled(item: bytes) -> bytes:
    return b'{"inputs":[%b]}' % b",".join([item] * ((BODY_BYTES - 14) // (len(item) + 1)))


@pytest.mark.parametrize(
    ("body", "status", "detail"),
    [
        (filled(b"[]"), 422, "row 0 has 0 values, expected 4 values"),
        (
            filled(b"[1,2,3,4]"),
            422,
            "there are more than 10000 rows, the most that are accepted; send several requests",
        ),
        (b"{%b}" % b",".join(b'"%06d":1' % key for key in range(300_000)), 422, "more than 105 keys"),
        (json.dumps({"inputs": [[1, 2, 3, 4]] * 9000}).encode().rjust(BODY_BYTES), 200, ""),
    ],
)
@pytest.mark.parametrize("compressed", [False, True])
def test_a_large_body_is_answered_or_rejected(
    server: Running, body: bytes, status: int, detail: str, *, compressed: bool
) -> None:
    headers = ["content-encoding: gzip"] if compressed else []
    with server.connect() as connection, server.connect() as probe:
        connection.send(post(gzip.compress(body, 1) if compressed else body, "/predict", *headers))
        probe.send(b"GET /health/live HTTP/1.1\r\nhost: test\r\n\r\n")
        assert probe.answer().status == 200
        answer = connection.answer()
    document = json.loads(answer.body)
    assert answer.status == status
    assert detail in document.get("detail", "")
    assert len(document.get("predictions", [])) == (9000 if status == 200 else 0)


def test_a_client_that_hangs_up_while_its_body_is_decoded_frees_its_memory(server: Running) -> None:
    body = json.dumps({"inputs": [[1, 2, 3, 4]] * 9000}).encode().rjust(BODY_BYTES)
    for _ in range(3):  # there is room for one of them at a time
        with server.connect() as connection:
            connection.send(post(body))
    status = 429
    while status == 429:  # until the server has noticed
        with server.connect() as connection:
            connection.send(post(b'{"inputs":[[1,2,3,4]]}'))
            status = connection.answer().status
    assert status == 200
