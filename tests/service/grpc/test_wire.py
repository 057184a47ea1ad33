"""The wire format against Google's implementation."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from service.errors import MalformedBody
from service.grpc import wire
from service.grpc.messages import message

Contents = message("InferTensorContents")
Tensor = message("ModelMetadataResponse").TensorMetadata
UINT64 = st.integers(0, 2**64 - 1)
INT64 = st.integers(-(2**63), 2**63 - 1)


def all_fields(data: bytes) -> list[wire.Field]:
    return list(wire.fields(data, 0, len(data)))


@given(st.text(), st.lists(INT64))
@example("é" * 200, [-1, 2**63 - 1, -(2**63)])
def test_fields_are_those_of_a_message(name: str, shape: list[int]) -> None:
    data = Tensor(name=name, shape=shape).SerializeToString()
    found = all_fields(data)
    assert "".join(wire.text(data, each) for each in found if each.number == 1) == name
    assert b"".join(data[each.start : each.end] for each in found if each.number == 3) == wire.packed(shape)


@given(st.text(), st.lists(INT64))
def test_written_fields_are_read_as_a_message(name: str, shape: list[int]) -> None:
    data = wire.field(1, name.encode()) + wire.field(3, wire.packed(shape))
    assert Tensor.FromString(data) == Tensor(name=name, shape=shape)


@given(UINT64)
def test_an_integer_is_read_as_it_was_written(value: int) -> None:
    data = wire.as_varint(value)
    assert wire.varint(data, 0, len(data)) == (value, len(data))


@given(st.binary(max_size=40))
def test_random_bytes_are_fields_or_malformed(data: bytes) -> None:
    try:
        found = all_fields(data)
    except MalformedBody:
        return
    assert all(each.start <= each.end <= len(data) for each in found)
    assert not found or found[-1].end == len(data)


@pytest.mark.parametrize(
    ("data", "detail"),
    [
        (b"\x0a\x05ab", "field 1 is longer than its message"),
        (b"\x0d\0\0", "field 1 is longer than its message"),
        (b"\x08" + b"\x80" * 10, "an integer has no end"),
        (b"\x08\xff", "an integer has no end"),
        (b"\x0b", "field 1 has wire type 3"),
        (b"\x02\0", "there is a field number 0"),
        (b"\x80\x80\x80\x80\x10\0", "there is a field number"),
    ],
)
def test_a_malformed_message_is_told(data: bytes, detail: str) -> None:
    with pytest.raises(MalformedBody, match=detail):
        all_fields(data)
