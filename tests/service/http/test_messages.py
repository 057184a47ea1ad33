"""Repeated headers are joined."""

from __future__ import annotations

from service.http.messages import by_name


def test_the_values_of_a_repeated_header_are_joined() -> None:
    assert by_name([]) == {}
    assert by_name([(b"a", b"1"), (b"b", b"2")]) == {b"a": b"1", b"b": b"2"}
    sent = [(b"content-encoding", b"gzip"), (b"accept", b"*/*"), (b"content-encoding", b"gzip")]
    assert by_name(sent) == {b"content-encoding": b"gzip, gzip", b"accept": b"*/*"}
