"""The ids of requests."""

from __future__ import annotations

import pytest

from service.http.transport.request_ids import RequestIds


@pytest.mark.parametrize("sent", ["a", "x" * 128, "!~"])
def test_a_valid_id_is_kept(sent: str) -> None:
    assert RequestIds().of(sent.encode()) == sent


@pytest.mark.parametrize("sent", [None, b"", b"a b", b"caf\xe9", b"a\n", b"x" * 129])
def test_an_invalid_id_is_replaced(sent: bytes | None) -> None:
    ids = RequestIds()
    first, second = ids.of(sent), ids.of(None)
    assert first != second
    assert first.rsplit("-", 1)[0] == second.rsplit("-", 1)[0]
