"""The encodings of text files."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.training.data.errors import message_of
from training.data.tables import reader

ROWS = {"name": ["Müller", "café", "x"], "n": ["1", "2", "3"]}
TEXT = "name,n\nMüller,1\ncafé,2\nx,3\n"


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32", "cp1252"])
def test_encoding_is_recognised(path: Path, encoding: str) -> None:
    path.write_bytes(TEXT.encode(encoding))
    found = reader.read(path)
    assert found.table.to_pydict() == ROWS
    assert bool(found.notes) == (encoding in {"utf-16-le", "utf-16-be", "cp1252"})


@pytest.mark.parametrize(("mark", "encoding"), [(b"\xff\xfe", "utf-16-le"), (b"\xfe\xff", "utf-16-be")])
def test_byte_order_mark_is_no_part_of_the_first_name(path: Path, mark: bytes, encoding: str) -> None:
    path.write_bytes(mark + TEXT.encode(encoding))
    assert reader.read(path).table.column_names == ["name", "n"]


def test_windows_1252_has_a_note_with_an_example(path: Path) -> None:
    path.write_bytes("name,n\nx,1\nGarçon €,2\n".encode("cp1252"))
    assert reader.read(path).notes == (
        "the file is not UTF-8 and was read as Windows-1252 (cp1252), such as 'Garçon' in line 3; if letters are "
        "wrong, save it as UTF-8",
    )


@pytest.mark.parametrize(
    ("content", "byte"),
    [
        ("name,n\nМосква,1\nГород,2\n".encode("cp1251"), "0xcc"),  # noqa: RUF001 - Cyrillic
        ("name,n\n東京都,1\n".encode("shift_jis"), "0x93"),
        ("name,n\nMüller,1\n".encode() + "café\n".encode("cp1252"), "0xe9"),  # UTF-8 with a wrong byte
        (b"name,n\n\x81,1\n", "0x81"),  # undefined in Windows-1252
    ],
)
def test_other_encodings_are_refused(path: Path, content: bytes, byte: str) -> None:
    path.write_bytes(content)
    message = message_of(reader.read, path)
    assert message.startswith(f"{path} is not UTF-8: line ")
    assert message.endswith(f" has the byte {byte}; save it as UTF-8")


def test_half_a_letter_is_refused(path: Path) -> None:
    path.write_bytes(b"\xff\xfe" + TEXT.encode("utf-16-le")[:-1])
    assert message_of(reader.read, path).startswith(f"{path} is not UTF-16-LE, as it begins: ")
