"""Hostile requests to every path: never a 5xx, never a long wait for other clients, and bounded memory."""

from __future__ import annotations

import gzip
import http.client
import json
import time
import zlib
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from benchmarks import parsing
from tests.service.published import TABLE, publish
from tests.service.running import Running

MODELS = Path(__file__).parents[3] / "models"
MANIFEST = json.loads((MODELS / "fashion-mnist/1/metadata.json").read_text())
PIXELS = [feature["name"] for feature in MANIFEST["features"]]
JSON, GZIP, DEFLATE = (
    {"content-type": "application/json"},
    {"content-encoding": "gzip"},
    {"content-encoding": "deflate"},
)
# Far above what is allowed, which benchmarks/parsing.py measures, and far below what a loop that is held takes.
LONGEST_WAIT_S = 0.7
MOST_BYTES = 600 * 2**20

_RAW_DEFLATE = zlib.compressobj(wbits=-zlib.MAX_WBITS)
_LENGTH = "inference-header-content-length"
REQUESTS: dict[str, tuple[bytes, Mapping[str, str]]] = {
    "gzip bomb": (gzip.compress(b"[" * 2**27), GZIP),
    "deflate bomb": (zlib.compress(b"[" * 2**27), DEFLATE),
    "deflate without zlib's header": (_RAW_DEFLATE.compress(b'{"inputs":[]}') + _RAW_DEFLATE.flush(), DEFLATE),
    "gzip, cut off": (gzip.compress(b"[" * 2**20)[:900], GZIP),
    "gzip, and more": (gzip.compress(b'{"inputs":[]}') + b"x", GZIP),
    "gzip twice": (gzip.compress(gzip.compress(b"{}")), {"content-encoding": "gzip, gzip"}),
    "gzip of nothing": (b"", GZIP),
    "deep lists": (b"[" * 10**6, JSON),
    "deep lists of inputs": (b'{"inputs":' + b"[" * 10**6, JSON),
    "deep objects": (b'{"a":' * 200_000, JSON),
    "a long string": (b'{"inputs":["%b"]}' % (b"a" * 10**7), JSON),
    "a long key": (b'{"inputs":[{"%b":1}]}' % (b"a" * 10**7), JSON),
    "no UTF-8": (b'{"inputs":[["\xff\xfe"]]}', JSON),
    "UTF-16": ('{"inputs":[]}'.encode("utf-16"), JSON),
    "lone surrogates": (b'{"inputs":[{"\\ud800":"\\udfff"}]}', JSON),
    "zeros": (bytes(1000), JSON),
    "a negative length": (b"{}", JSON | {_LENGTH: "-1"}),
    "a length beyond the body": (b"{}", JSON | {_LENGTH: "3"}),
    "a long Accept": (b"{}", JSON | {"accept": ",".join(["a/b;q=0.1"] * 5000)}),
    "a long Content-Type": (b"{}", {"content-type": "application/json" + ";a=b" * 10_000}),
    "many headers": (b"{}", {f"x-{number}": "x" for number in range(300)}),
    "a timeout of NaN": (b"{}", JSON | {"x-request-timeout-s": "nan"}),
    "Arrow of 2 GB": (b"\xff\xff\xff\xff\xff\xff\xff\x7f", {"content-type": "application/vnd.apache.arrow.stream"}),
    "an unknown transfer coding": (b"{}", JSON | {"transfer-encoding": "gzip"}),
}


@pytest.fixture(scope="module", params=["true", "false"], ids=["fast path", "FastAPI"])
def fast(request: pytest.FixtureRequest) -> str:
    found: str = request.param
    return found


@pytest.fixture(scope="module")
def table(fast: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    folder = tmp_path_factory.mktemp("models")
    publish(folder, "people", features=TABLE)
    with Running(folder, "--fast-path", fast) as server:
        yield server


@pytest.fixture(scope="module")
def images(fast: str) -> Iterator[Running]:
    with Running(MODELS, "--fast-path", fast) as server:
        yield server


def status_of(server: Running, path: str, body: bytes, headers: Mapping[str, str], method: str = "POST") -> int:
    """0 if the connection was closed before the whole request was sent."""
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=30)
    try:
        connection.request(method, path, body, dict(headers))
        return connection.getresponse().status
    except ConnectionError:
        return 0
    finally:
        connection.close()


def longest_wait_s(server: Running, path: str, body: bytes, headers: Mapping[str, str]) -> float:
    """The longest wait of a probe while a request, which must not be a 5xx, is answered."""
    result = parsing.probes(server.port, 30)
    try:
        status = status_of(server, path, body, headers)
    finally:
        longest_s = result()
    assert status < 500, path
    return longest_s


def peak_bytes(server: Running) -> int:
    text = Path(f"/proc/{server.process.pid}/status").read_text()
    return 1024 * int(text.split("VmHWM:")[1].split()[0])


@pytest.mark.parametrize("name", REQUESTS)
def test_every_path_refuses_a_hostile_request(table: Running, name: str) -> None:
    body, headers = REQUESTS[name]
    for model in ("people", "%70eople"):
        for path in (
            f"/models/{model}/predict",
            f"/models/{model}/versions/1/predict",
            f"/v1/models/{model}:predict",
            f"/v2/models/{model}/infer",
        ):
            started_s = time.perf_counter()
            status = status_of(table, path, body, headers)
            assert 400 <= status < 500 or status == 0, (path, status)
            assert time.perf_counter() - started_s < 5, path
    assert peak_bytes(table) < MOST_BYTES


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "QUERY"])
def test_a_path_of_predictions_takes_no_other_method(table: Running, method: str) -> None:
    for path in (
        "/predict",
        "/models/people/predict",
        "/v2/models/people/infer",
        "/v2/models/people/versions/1/infer",
        "/v1/models/people:predict",
        "/v1/models/people/versions/1:predict",
    ):
        assert status_of(table, path, b"", {}, method) == 405, path


@pytest.mark.parametrize(
    "path",
    [
        "/v2/models/%ff/infer",
        "/v2/models/%00/infer",
        "/v2/models//infer",
        "/v2/models/%2e%2e/infer",
        "/v2/models/../infer",
        "/v2/models/%zz/infer",
        "/v2/models/people%2f/infer",
        "/v2/models/people/versions/99999999999999999999/infer",
        "/v2/models/people/versions/-1/infer",
        f"/v2/models/{'%41' * 10_000}/infer",
        "/models/people/predict?" + "&".join(f"a{number}=1" for number in range(5000)),
        "/models/people/predict?top_k=" + "9" * 5000,
        "/models/people/predict?dtype=%ff",
    ],
    ids=lambda path: path[:40],
)
def test_an_odd_path_is_refused(table: Running, path: str) -> None:
    assert 400 <= status_of(table, path, b'{"inputs":[]}', JSON) < 500


def test_other_clients_do_not_wait_for_a_large_body(images: Running) -> None:
    for name, case in parsing.of(PIXELS, "fashion-mnist").items():
        assert longest_wait_s(images, case.path, case.body, case.headers) < LONGEST_WAIT_S, name
    assert peak_bytes(images) < MOST_BYTES
