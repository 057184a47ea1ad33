"""Responses as bytes."""

from __future__ import annotations

from dataclasses import replace

import pytest

from service.http.messages import JSON_HEADERS, Response
from service.http.problems import CLOSE
from service.http.transport.responses import ResponseEncoder

RESPONSE = Response(200, JSON_HEADERS, b"{}")


def test_a_response_has_all_headers_in_order() -> None:
    encoded = ResponseEncoder().encode(RESPONSE, "mine", [(b"date", b"now")], keep_alive=True)
    assert encoded == (
        b"HTTP/1.1 200 OK\r\ndate: now\r\ncontent-length: 2\r\ncontent-type: application/json\r\n"
        b"x-content-type-options: nosniff\r\nx-request-id: mine\r\n\r\n{}"
    )


@pytest.mark.parametrize("headers", [JSON_HEADERS, (*JSON_HEADERS, CLOSE)])
def test_connection_close_is_sent_once(headers: tuple[tuple[bytes, bytes], ...]) -> None:
    encoded = ResponseEncoder().encode(Response(200, headers, b"{}"), "mine", [], keep_alive=False)
    assert encoded.count(b"connection: close\r\n") == 1


def test_head_is_answered_with_the_length_and_without_the_body() -> None:
    encoded = ResponseEncoder().encode(RESPONSE, "mine", [], keep_alive=True, has_body=False)
    assert b"\r\ncontent-length: 2\r\n" in encoded
    assert encoded.endswith(b"\r\n\r\n")


def test_new_default_headers_replace_the_old_ones() -> None:
    encoder = ResponseEncoder()
    for date in (b"1", b"2"):
        assert b"\r\ndate: %b\r\n" % date in encoder.encode(RESPONSE, "mine", [(b"date", date)], keep_alive=True)


def test_many_different_headers_are_encoded_right() -> None:
    encoder, default_headers = ResponseEncoder(), [(b"date", b"now")]
    for number in range(100):
        response = Response(200, ((b"server-timing", b"%d" % number),), b"")
        assert b"server-timing: %d\r\n" % number in encoder.encode(response, "a", default_headers, keep_alive=True)


def test_clients_are_told_how_long_an_idle_connection_is_kept() -> None:
    encoder = ResponseEncoder(keep_alive_s=75)
    assert b"\r\nkeep-alive: timeout=75\r\n" in encoder.encode(RESPONSE, "mine", [], keep_alive=True)
    closing = replace(RESPONSE, headers=(CLOSE,))
    for response in (RESPONSE, closing):
        encoded = encoder.encode(response, "mine", [], keep_alive=False)
        assert b"keep-alive" not in encoded
        assert encoded.count(b"connection: close\r\n") == 1
