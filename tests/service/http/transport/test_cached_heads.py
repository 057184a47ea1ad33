"""What is found of a head is what the parser finds in it."""

from __future__ import annotations

import httptools
from hypothesis import given
from hypothesis import strategies as st

from service.http.messages import by_name
from service.http.paths import RouteMatch
from service.http.protocols.native import NativeProtocol
from service.http.transport import cached_heads
from service.http.transport.cached_heads import CachedHead, HeadCache

TARGET = RouteMatch("/predict", "/predict", NativeProtocol(1024), None, None, None)
TRACE = b"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
LINES = (
    b"accept: */*",
    b"content-type: application/json",
    b"traceparent: " + TRACE,
    b"Traceparent: " + TRACE[::-1],
    b"traceparent:\t" + TRACE,
    b"TRACEPARENT:" + TRACE + b" ",
    b"traceparent: a b",
    b"tracestate: a=1,b=2",
    b"tracestate: c=3, d=4",
    b"x-request-id: mine",
    b"x-request-id: " + 600 * b"x",
    b"X-Request-ID: yours",
    b"x-request-idle: no",
    b"not-traceparent: " + TRACE,
    b"accept: traceparent: " + TRACE,
)


class _Headers:
    """Collects the headers that httptools finds, as the transport keeps them."""

    def __init__(self) -> None:
        self.found: list[tuple[bytes, bytes]] = []

    def on_header(self, name: bytes, value: bytes) -> None:
        self.found.append((name.lower(), value.rstrip(b" \t")))


def head_of(*lines: bytes) -> bytes:
    return b"".join([b"POST /predict HTTP/1.1\r\nhost: test\r\n", *(line + b"\r\n" for line in lines), b"\r\n"])


def parsed(head: bytes) -> dict[bytes, bytes]:
    headers = _Headers()
    httptools.HttpRequestParser(headers).feed_data(head)
    return by_name(headers.found)


def kept(*heads: bytes) -> HeadCache:
    cache: HeadCache = {}
    for head in heads:
        cached_heads.keep(cache, head, CachedHead(TARGET, parsed(head), 10))
    return cache


heads = st.lists(st.sampled_from(LINES), max_size=5).map(lambda lines: head_of(*lines))


@given(st.lists(heads, max_size=8), st.lists(heads, min_size=1, max_size=8))
def test_whatever_was_kept_a_head_has_its_own_headers(before: list[bytes], later: list[bytes]) -> None:
    cache = kept(*before)
    for head in (*before, *later):
        found = cached_heads.find(cache, head)
        assert found is None or found.headers == parsed(head)


def test_a_head_is_found_by_what_it_shares_with_others() -> None:
    cache = kept(head_of(LINES[0], b"traceparent: " + TRACE))
    assert list(cache) == [head_of(LINES[0])]
    for lines in ([LINES[0]], [b"x-request-id: a", LINES[0], b"Tracestate: b=1"]):
        found = cached_heads.find(cache, head_of(*lines))
        assert found is not None
        assert found.headers == parsed(head_of(*lines))
    assert cached_heads.find(cache, head_of(b"x-request-id: a")) is None


def test_a_head_that_repeats_or_folds_such_a_header_is_not_found() -> None:
    cache = kept(head_of())
    assert cached_heads.find(cache, head_of(b"traceparent: a\r\n b")) is None  # the parser refuses it
    for line in (b"traceparent: a\r\ntraceparent: b", b"tracestate: a, b"):
        assert cached_heads.find(cache, head_of(line)) is None
        assert kept(head_of(line)) == {}
