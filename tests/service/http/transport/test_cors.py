"""Pages of other origins: those that are named, on every answer of both paths, and never with cookies."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from service.errors import StartError
from service.http.transport.cors import Cors
from tests.service.http.transport.both_paths import BothPaths, serving
from tests.service.http.transport.test_fast_path import GOOD, REQUESTS
from tests.service.keys.made import make, write
from tests.service.published import publish
from tests.service.running import post

SHOP, LOCAL, OTHER = "https://shop.example", "http://localhost:3000", "https://evil.example"
WEB = make()
KEY = WEB.bearer

Ask = Callable[..., tuple[bytes, bytes]]


def runs(folder: Path, origins: str) -> Iterator[Ask]:
    """The responses of both paths of a server with keys, the fast path's first."""
    publish(folder / "models", shape=(2, 2))
    keys = write(folder / "keys", WEB)
    with asyncio.Runner() as runner:
        context = serving(folder / "models", cors_origins=origins, api_keys_file=keys)
        both: BothPaths = runner.run(context.__aenter__())
        yield lambda *parts: runner.run(both.responses(*parts))
        runner.run(context.__aexit__(None, None, None))


@pytest.fixture(scope="module")
def ask(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ask]:
    yield from runs(tmp_path_factory.mktemp("cors"), f"{SHOP}, {LOCAL}")


def headers(answer: bytes) -> dict[str, str]:
    """The headers that say what other origins may do."""
    answer = answer.removeprefix(b"HTTP/1.1 100 Continue\r\n\r\n")
    found = re.findall(rb"\r\n((?:access-control-|vary)[^:]*): ([^\r]*)", answer.split(b"\r\n\r\n")[0])
    return {name.decode(): value.decode() for name, value in found}


def preflight(origin: str, method: str = "POST", path: str = "/predict") -> bytes:
    asked = (
        f"origin: {origin}\r\naccess-control-request-method: {method}\r\naccess-control-request-headers: x-api-key\r\n"
    )
    return f"OPTIONS {path} HTTP/1.1\r\nhost: test\r\n{asked}\r\n".encode()


@pytest.mark.parametrize("origin", [SHOP, LOCAL])
def test_a_named_origin_may_read_answers(ask: Ask, origin: str) -> None:
    fast, fastapi = ask(post(GOOD, "/predict", f"origin: {origin}", KEY))
    assert fast == fastapi
    assert fast.startswith(b"HTTP/1.1 200 ")
    assert headers(fast) == {
        "access-control-allow-origin": origin,
        "access-control-expose-headers": "x-request-id, retry-after, server-timing, x-model-warnings, "
        "inference-header-content-length, www-authenticate",
        "vary": "origin",
    }


@pytest.mark.parametrize("origin", [OTHER, "null", "https://shop.example.evil", "https://shop.example:443", "", "*"])
def test_other_origins_may_not(ask: Ask, origin: str) -> None:
    for request in (post(GOOD, "/predict", f"origin: {origin}", KEY), preflight(origin)):
        fast, fastapi = ask(request)
        assert fast == fastapi
        assert headers(fast) == {"vary": "origin"}


def test_a_request_without_an_origin_has_a_cacheable_answer(ask: Ask) -> None:
    fast, _ = ask(post(GOOD, "/predict", KEY))
    assert headers(fast) == {"vary": "origin"}


def test_origins_that_are_sent_twice_are_none(ask: Ask) -> None:
    fast, fastapi = ask(post(GOOD, "/predict", f"origin: {SHOP}", f"origin: {SHOP}", KEY))
    assert fast == fastapi
    assert headers(fast) == {"vary": "origin"}


def test_a_preflight_needs_no_key_and_says_what_may_be_sent(ask: Ask) -> None:
    for path in ("/predict", "/models", "/v2/models/small/infer", "/nothing"):
        fast, fastapi = ask(preflight(SHOP, path=path))
        assert fast == fastapi
        assert fast.startswith(b"HTTP/1.1 204 No Content\r\n")
        assert not re.search(rb"\r\n(content-length|transfer-encoding):", fast)
        assert headers(fast)["access-control-allow-origin"] == SHOP
        assert headers(fast)["access-control-allow-methods"] == "GET, HEAD, POST"
        assert "x-api-key" in headers(fast)["access-control-allow-headers"]
        assert headers(fast)["access-control-max-age"] == "600"
    fast, _ = ask(b"OPTIONS /predict HTTP/1.1\r\nhost: test\r\norigin: https://shop.example\r\n\r\n")
    assert fast.startswith(b"HTTP/1.1 401 ")  # it is no preflight


# No browser sends these, and they are refused within their heads.
BROKEN = {"length and chunks", "two lengths", "negative length", "garbage", "of a trace, folded"}


@pytest.mark.parametrize("name", sorted(REQUESTS.keys() - BROKEN))
def test_every_answer_says_so_also_errors(ask: Ask, name: str) -> None:
    for key in ("", f"{KEY}\r\n"):
        request = REQUESTS[name].replace(b" HTTP/1.1\r\n", f" HTTP/1.1\r\norigin: {SHOP}\r\n{key}".encode(), 1)
        fast, fastapi = ask(request)
        assert fast == fastapi
        assert b"credentials" not in fast
        if name != "http 1.0":
            assert headers(fast)["access-control-allow-origin"] == SHOP


def test_any_origin_is_allowed_without_credentials(tmp_path: Path) -> None:
    for ask in runs(tmp_path, "*"):
        for request in (post(GOOD, "/predict", f"origin: {OTHER}", KEY), post(GOOD), preflight(OTHER)):
            fast, fastapi = ask(request)
            assert fast == fastapi
            assert headers(fast)["access-control-allow-origin"] == "*"
            assert "vary" not in headers(fast)
            assert b"credentials" not in fast


@pytest.mark.parametrize(
    "origins", ["shop.example", "https://shop.example/", "https://Shop.example", "null", "https://*"]
)
def test_what_is_no_origin_is_refused(origins: str) -> None:
    with pytest.raises(StartError) as caught:
        Cors(f"{SHOP},{origins}")
    assert str(caught.value) == (
        f"--cors-origins (MLP_CORS_ORIGINS) has {origins!r}, expected origins such as https://shop.example, in lower "
        "case and without a path, separated by commas, or *"
    )
