"""Values of a JSON text, read through windows of any size, against the standard library."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.errors import MalformedBody
from service.http.codecs import json_text
from service.http.codecs.json_text import JsonText, TooLong
from service.inference.steps import Steps, finish

documents = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(st.text(max_size=3), inner, max_size=4),
    max_leaves=20,
)


def values(body: bytes, longest_bytes: int = 10**6) -> list[Any]:
    """All values of a list."""

    def steps() -> Steps[list[Any]]:
        text, found = JsonText(body, longest_bytes), []
        yield from text.read("[", "'['")
        if (yield from text.next()) == "]":
            yield from text.read("]", "']'")
        else:
            more = True
            while more:
                found.append((yield from text.value()))
                more = yield from text.another("]")
        if (yield from text.next()):
            raise text.error("extra data")
        assert text.at_byte == len(body)
        return found

    return finish(steps())


@given(st.lists(documents, max_size=6), st.sampled_from([None, 1]), st.booleans(), st.sampled_from([4, 5, 7, 64]))
def test_values_are_those_of_the_standard_library_with_any_window(
    document: list[Any], indent: int | None, plain: bool, window: int
) -> None:
    body = json.dumps(document, indent=indent, ensure_ascii=plain).encode(errors="replace")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(json_text, "WINDOW_BYTES", window)
        assert json.dumps(values(body)) == json.dumps(json.loads(body))


@given(st.lists(documents, max_size=3), st.data())
def test_a_damaged_text_is_rejected_if_the_standard_library_rejects_it(
    document: list[Any], data: st.DataObject
) -> None:
    body = bytearray(json.dumps(document, ensure_ascii=False).encode(errors="replace"))
    at = data.draw(st.integers(0, len(body)))
    body[at : at + data.draw(st.integers(0, 2))] = data.draw(st.binary(max_size=2) | st.sampled_from([b"]", b"\\u12"]))
    try:
        expected = json.dumps(json.loads(body.decode(), object_pairs_hook=json_text.distinct))
    except (ValueError, MalformedBody):
        expected = None
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(json_text, "WINDOW_BYTES", data.draw(st.sampled_from([4, 5, 1000])))
        try:
            found = json.dumps(values(bytes(body)))
        except (MalformedBody, TooLong):
            found = None
    assert found == expected or (expected is not None and not expected.startswith("["))


def test_a_byte_order_mark_is_skipped_and_other_encodings_are_named() -> None:
    assert values("[1]".encode("utf-8-sig")) == [1]
    for encoding in ("utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-32-be"):
        with pytest.raises(MalformedBody, match=f"the body is {encoding[:6].upper()}, expected JSON in UTF-8"):
            values("[1]".encode(encoding))
    with pytest.raises(MalformedBody, match="the body is not UTF-8: byte 70003 is 0xff"):
        values(b'[1,"' + b"x" * 69_999 + b'\xff"]')


def test_a_value_over_the_limit_is_rejected() -> None:
    assert values(b'["' + b"x" * 60_000 + b'"]', 70_000)
    with pytest.raises(TooLong):
        values(b'["' + b"x" * 200_000 + b'"]', 70_000)
    with pytest.raises(TooLong):
        values(b'["' + b"x" * 400_000 + b'"]', 70_000)


def test_errors_give_their_position_in_characters() -> None:
    with pytest.raises(MalformedBody, match="expecting ',' delimiter at character 150003"):
        values(b"[" + b" " * 150_000 + b"1 2]")


def test_a_step_reads_at_most_a_window() -> None:
    steps = iter(JsonText(b" " * 10**6 + b"[1]", 10**6).next())
    assert sum(1 for _ in steps) >= 10**6 // json_text.WINDOW_BYTES
