"""Keys on the fast path and the FastAPI routes: refused alike, before the body is read; probes are let through."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from service.errors import StartError
from service.http.transport.gate import PublicPaths
from tests.service.http.transport.both_paths import (
    CLOSED,
    LIMIT_BYTES,
    BothPaths,
    chunked,
    normal,
    on_both_paths,
    serving,
)
from tests.service.http.transport.test_fast_path import GOOD, REQUESTS
from tests.service.keys.made import make, write
from tests.service.published import TABLE, publish
from tests.service.running import post

WEB = make("web")
SLOW = make("slow", requests_per_s=1e-6)  # one, ever
FEW = make("few", rows_per_s=1e-6)
CONTINUE = b"HTTP/1.1 100 Continue"
BODY = json.dumps(GOOD).encode()

Ask = Callable[..., tuple[bytes, bytes]]


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models")
    publish(folder, shape=(2, 2))
    publish(folder, "table", features=TABLE)
    publish(folder, "position", targets=("x", "y"))
    return folder


@asynccontextmanager
async def guarded(models: Path, **options: Any) -> AsyncIterator[BothPaths]:
    """A service with keys, and fresh limits."""
    keys = write(models.parent / "keys", WEB, SLOW, FEW)
    async with serving(models, api_keys_file=keys, **options) as both:
        yield both


@pytest.fixture(scope="module")
def ask(models: Path) -> Iterator[Ask]:
    """The responses of both paths, the fast path's first."""
    with asyncio.Runner() as runner:
        context = guarded(models)
        both = runner.run(context.__aenter__())
        yield lambda *parts: runner.run(both.responses(*parts))
        runner.run(context.__aexit__(None, None, None))


def keyed(request: bytes) -> bytes:
    """``request`` with a key in each of its heads."""
    return request.replace(b" HTTP/1.1\r\n", b" HTTP/1.1\r\n" + WEB.bearer.encode() + b"\r\n")


def statuses(responses: bytes) -> list[int]:
    """Those of all responses, also without their lengths."""
    return [int(found) for found in re.findall(rb"HTTP/1\.1 (\d{3}) [A-Z]", responses)]


def get(path: str, *headers: str, method: str = "GET") -> bytes:
    return "\r\n".join([f"{method} {path} HTTP/1.1", "host: test", *headers, "", ""]).encode()


@pytest.mark.parametrize("name", REQUESTS)
def test_without_a_key_both_paths_answer_alike(ask: Ask, name: str) -> None:
    fast, fastapi = ask(REQUESTS[name])
    assert fast == fastapi
    assert not {200, 404, 405, 413, 415, 422, 429, 504} & set(statuses(fast)) or name == "page, prediction"


@pytest.mark.parametrize("name", REQUESTS)
def test_with_a_key_both_paths_answer_as_without_keys(ask: Ask, name: str) -> None:
    fast, fastapi = ask(keyed(REQUESTS[name]))
    assert fast == fastapi
    assert 401 not in statuses(fast) or name == "http 1.0"


@given(st.data())
@settings(max_examples=200)
def test_damaged_requests_with_a_key_are_answered_alike(ask: Ask, data: st.DataObject) -> None:
    request = bytearray(keyed(REQUESTS[data.draw(st.sampled_from(sorted(REQUESTS)))])[:1500])
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, min(len(request), 160) - 1))  # in its head
        request[at : at + data.draw(st.integers(0, 2))] = data.draw(st.binary(max_size=3))
    fast, fastapi = ask(bytes(request))
    assert fast == fastapi
    assert b" 500 " not in fast


@pytest.mark.parametrize(
    "request_",
    [post(GOOD), post(GOOD, "/models/small/predict"), post(GOOD, "/v2/models/small/infer"), chunked(BODY)],
    ids=["default", "named", "v2", "chunked"],
)
def test_a_refusal_is_the_same_wherever_the_bytes_are_cut(ask: Ask, request_: bytes) -> None:
    whole, _ = ask(request_)
    assert statuses(whole) == [401]
    for cut in range(1, len(request_), 3):
        assert ask(request_[:cut], request_[cut:]) == (whole, whole), cut


def test_a_refusal_says_how_to_send_a_key_and_never_what_was_sent(ask: Ask) -> None:
    for header in ("authorization: Bearer mlp_secret", "x-api-key: mlp_secret", "authorization: Basic secret"):
        for path, media in (
            ("/predict", b"application/problem+json"),
            ("/v1/models/small:predict", b"application/json"),
        ):
            answer, _ = ask(post(GOOD, path, header))
            assert answer.startswith(b"HTTP/1.1 401 Unauthorized\r\n")
            assert b"\r\nwww-authenticate: Bearer\r\n" in answer
            assert b"\r\ncontent-type: " + media + b"\r\n" in answer
            assert b"secret" not in answer


@pytest.mark.parametrize(
    "value",
    [
        "",
        " ",
        "\t",
        "Bearer",
        "Bearer ",
        "é" * 20,
        "\x80" * 47,
        "a" * 60_000,
        "Bearer " + "é" * 20_000,
        f"{WEB.secret} {WEB.secret}",
    ],
    ids=[
        "empty",
        "space",
        "tab",
        "no key",
        "space for a key",
        "not ASCII",
        "control",
        "long",
        "long, not ASCII",
        "two keys",
    ],
)
def test_an_odd_key_is_refused(ask: Ask, value: str) -> None:
    for header in ("authorization", "x-api-key"):
        request = f"POST /predict HTTP/1.1\r\nhost: test\r\n{header}: {value}\r\ncontent-length: 2\r\n\r\n{{}}"
        fast, fastapi = ask(request.encode("latin-1"))
        assert fast == fastapi
        assert statuses(fast) == [401]


def test_a_repeated_key_is_refused(ask: Ask) -> None:
    key = f"x-api-key: {WEB.secret}"
    for headers in ([WEB.bearer] * 2, [key] * 2, [key, "x-api-key: "]):
        fast, fastapi = ask(post(GOOD, "/predict", *headers))
        assert fast == fastapi
        assert statuses(fast) == [401]
    assert statuses(ask(post(GOOD, "/predict", key, "authorization: Basic dTpw"))[0]) == [200]


def test_a_key_in_a_trailer_or_the_query_does_not_count(ask: Ask) -> None:
    trailer = chunked(BODY).removesuffix(b"\r\n") + f"x-api-key: {WEB.secret}\r\n\r\n".encode()
    for request in (trailer, post(GOOD, f"/predict?x-api-key={WEB.secret}")):
        fast, fastapi = ask(request)
        assert fast == fastapi
        assert statuses(fast) == [401]


def test_a_client_that_waits_for_100_continue_gets_401_instead(ask: Ask) -> None:
    fast, fastapi = ask(post(GOOD, "/predict", "expect: 100-continue"))
    assert fast == fastapi
    assert CONTINUE not in fast
    assert fast.endswith(CLOSED)
    assert statuses(fast) == [401]


def test_a_head_is_refused_before_its_body_arrives(ask: Ask) -> None:
    head = b"POST /predict HTTP/1.1\r\nhost: test\r\ncontent-length: 16000000\r\n\r\n"
    for answer in ask(head):
        assert statuses(answer) == [401]
        assert answer.endswith(CLOSED)  # it is not worth reading
        assert b"\r\nconnection: close\r\n" in answer
    small = b"POST /predict HTTP/1.1\r\nhost: test\r\ncontent-length: 1000\r\n\r\n"
    for answer in ask(small, b" " * 1000, keyed(post(GOOD))):
        assert statuses(answer) == [401, 200]


@pytest.mark.anyio
@on_both_paths
async def test_what_is_refused_is_not_buffered(models: Path, *, fast: bool) -> None:
    async with guarded(models, max_body_bytes=2**20) as both:
        client = both.client(fast=fast)
        await client.ask(b"POST /predict HTTP/1.1\r\nhost: test\r\ntransfer-encoding: chunked\r\n\r\n")
        for _ in range(20):
            await client.ask(b"1000\r\n" + b" " * 4096 + b"\r\n")
            assert both.buffered_bytes <= 100  # its head
        assert statuses(client.received) == [401]
        client.hang_up()


@pytest.mark.anyio
@on_both_paths
async def test_a_cached_head_is_checked_again(models: Path, *, fast: bool) -> None:
    keys = models.parent / "rotated"
    async with serving(models, api_keys_file=write(keys, WEB)) as both:
        client = both.client(fast=fast)
        request = keyed(post(GOOD))
        for _ in range(3):
            await client.ask(request)
        access = both.service.fast_path.access
        assert access is not None
        access.replace([SLOW.key])
        await client.ask(request)
        access.replace([WEB.key])
        await client.ask(request)
        assert statuses(client.received) == [200, 200, 200, 401, 200]
        client.hang_up()


PROBES = ["/health/live", "/health/ready", "/health/startup", "/health", "/ping", "/v2/health/live", "/v2/health/ready"]


@pytest.mark.parametrize("path", [*PROBES, "/health/%6Cive"])
@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_probes_need_no_key(ask: Ask, path: str, method: str) -> None:
    fast, fastapi = ask(get(path, method=method))
    assert fast == fastapi
    assert fast.startswith(b"HTTP/1.1 200 ")


@pytest.mark.parametrize(
    "path",
    [
        *("/", "/status", "/page/main.js", "/docs", "/docs/docs.js", "/openapi.json", "/metrics", "/models"),
        *("/models/small", "/v2", "/v2/models/small", "/v1/models/small", "/v2/models/small/ready", "/version"),
        *("/nothing", "/health/live/", "/health/live/../../models", "//health/live", "/health/live%2f", "*", "/pingx"),
    ],
)
def test_every_other_path_needs_one(ask: Ask, path: str) -> None:
    method = "OPTIONS" if path == "*" else "GET"
    fast, fastapi = ask(get(path, method=method))
    assert fast == fastapi
    assert fast.startswith(b"HTTP/1.1 401 ")
    fast, _ = ask(get(path, WEB.bearer, method=method))
    assert not fast.startswith(b"HTTP/1.1 401 ")


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS"])
def test_a_probe_is_a_get(ask: Ask, method: str) -> None:
    fast, fastapi = ask(get("/health/live", method=method))
    assert fast == fastapi
    assert statuses(fast) == [401]


@pytest.mark.anyio
async def test_what_is_public_needs_no_key(models: Path) -> None:
    opened = {"/metrics": "metrics", "/docs": "docs", "/docs/docs.js": "docs", "/openapi.json": "docs", "/": "page"}
    opened |= dict.fromkeys(["/status", "/page/main.js", "/models", "/models/small"], "page") | {"/chosen": ""}
    for public in ("metrics", "docs, page", "metrics,docs,page", " , "):
        async with guarded(models, public=public, health_route="/chosen") as both:
            for path, group in opened.items():
                fast, _ = await both.responses(get(path))
                # Files are read in a thread, and may not be there yet.
                assert (statuses(fast) == [401]) == (group not in public), (public, path)
            for request in (post(GOOD), get("/predict"), post(b"", "/metrics"), get("/v2/models/small")):
                assert statuses((await both.responses(request))[0]) == [401], (public, request)


@pytest.mark.anyio
async def test_a_prefix_changes_nothing(models: Path) -> None:
    async with guarded(models, public="page", root_path="/flats") as both:
        for path, status in {"/health/live": 200, "/models": 200, "/metrics": 401, "/v2/models/small": 401}.items():
            for prefix in ("", "/flats"):
                assert statuses((await both.responses(get(prefix + path)))[0]) == [status], prefix + path
        for path in ("/flats/flats/models", "/flatsmodels", "/flats//models"):
            assert statuses((await both.responses(get(path)))[0]) == [401], path
        fast, fastapi = await both.responses(post(GOOD, "/flats/predict"), post(GOOD, "/flats/predict", WEB.bearer))
    assert fast == fastapi
    assert statuses(fast) == [401, 200]


@pytest.mark.anyio
@pytest.mark.parametrize("prefix", ["/h", "/model"])
async def test_a_prefix_is_not_cut_off_within_a_name(models: Path, prefix: str) -> None:
    """A proxy that strips it leaves /health/live and /models."""
    async with guarded(models, public="page", root_path=prefix) as both:
        for path in ("/health/live", "/models", f"{prefix}/health/live", f"{prefix}/models"):
            assert statuses((await both.responses(get(path)))[0]) == [200], path


def test_an_unknown_public_group_is_refused() -> None:
    with pytest.raises(StartError) as caught:
        PublicPaths("metrics,models")
    assert str(caught.value) == "--public (MLP_PUBLIC) has models, expected some of metrics, docs, page"


@pytest.mark.anyio
@on_both_paths
async def test_limits_hold_on_both_paths(models: Path, *, fast: bool) -> None:
    async with guarded(models) as both:
        client = both.client(fast=fast)
        for made in (SLOW, FEW):
            for _ in range(3):
                await client.ask(post(GOOD, "/predict", made.bearer))
        await client.ask(post(GOOD, "/v2/models/small/infer", SLOW.bearer))
        await client.ask(post(GOOD, "/predict", WEB.bearer))
        answers = client.received
        client.hang_up()
    # The first request with rows leaves a debt, which stops the next.
    assert statuses(answers) == [200, 429, 429, 200, 429, 429, 429, 200]
    first = answers.split(b"HTTP/1.1 ")[2]
    document = json.loads(first.split(b"\r\n\r\n")[1])
    assert document["type"] == "urn:mlp-serving:rate-limited"
    assert (
        document["detail"] == "key slow has used up its 1e-06 requests per second; send fewer, or retry after 1e+06 s"
    )
    assert b"\r\nretry-after: 1000000\r\n" in first


@pytest.mark.anyio
async def test_the_log_has_the_name_of_the_key_and_the_client(models: Path) -> None:
    records: list[tuple[str, str, str, int, str, str]] = []
    async with guarded(models, trusted_proxies="unix") as both:
        tracker = both.service.fast_path.tracker
        tracker._sinks = (
            lambda finished: records.extend((r.key, r.client, r.route, r.status, r.problem, r.model) for r in finished),
        )
        sent = "x-forwarded-for: 1.1.1.1, 2.2.2.2"
        requests = [
            post(GOOD, "/predict", WEB.bearer, sent),
            post(GOOD, "/models/small/predict", sent),
            post(GOOD, "/v1/models/small:predict", "x-api-key: no", sent),
            get("/models", WEB.bearer, sent),
        ]
        found = []
        for fast in (True, False):
            for request in requests:
                client = both.client(fast=fast)
                await client.ask(request)
                client.hang_up()
            tracker.flush()
            found.append(records.copy())
            records.clear()
    assert found[0] == found[1]
    assert found[0] == [
        ("web", "2.2.2.2", "/predict", 200, "", "small"),
        ("", "2.2.2.2", "/models/{name}/predict", 401, "unauthenticated", "small"),
        ("", "2.2.2.2", "/v1/models/{name}:predict", 401, "unauthenticated", "small"),
        ("web", "2.2.2.2", "/models", 200, "", ""),
    ]


@pytest.mark.anyio
async def test_pipelined_requests_are_checked_each(models: Path) -> None:
    requests = keyed(post(GOOD)) + post(GOOD) + post(b" " * (LIMIT_BYTES + 1)) + keyed(post(GOOD))
    async with guarded(models) as both:
        fast, fastapi = await both.responses(requests)
    assert statuses(fast) == statuses(fastapi) == [200, 401, 401, 200]
    assert normal(fast) == normal(fastapi)


@pytest.mark.anyio
async def test_the_openapi_document_says_what_needs_a_key(models: Path) -> None:
    async with guarded(models, public="metrics") as both:
        document = both.service.app.openapi()
    assert document["security"] == [{"bearer": []}, {"x-api-key": []}]
    assert set(document["components"]["securitySchemes"]) == {"bearer", "x-api-key"}
    free = {
        (path, method)
        for path, operations in document["paths"].items()
        for method, operation in operations.items()
        if operation.get("security") == []
    }
    assert free == {(path, "get") for path in [*PROBES, "/metrics"]}
    async with serving(models) as both:
        assert "security" not in both.service.app.openapi()
