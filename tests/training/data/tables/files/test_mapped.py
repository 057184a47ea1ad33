"""Large files that are mapped into memory."""

from __future__ import annotations

from pathlib import Path

import pytest

from training.data.tables.files import mapped

CONTENT = bytes(range(256)) * 20


@pytest.mark.parametrize("least", [1, 2**30])
@pytest.mark.parametrize("size", [1, 1000, 5119, 5120, 9000])
def test_pieces_are_the_whole_content(least: int, size: int, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mapped, "MIN_BYTES", least)
    monkeypatch.setattr(mapped, "_PIECE_BYTES", size)
    path.write_bytes(CONTENT)
    with path.open("rb") as file:
        body = memoryview(mapped.content_of(file))
        assert [bytes(piece) for piece in mapped.pieces(body)] == [
            CONTENT[start : start + size] for start in range(0, len(CONTENT), size)
        ]


def test_a_mapped_file_is_read_from_start_to_end(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mapped, "MIN_BYTES", 1)
    path.write_bytes(CONTENT)
    with path.open("rb") as file:
        source = mapped.source_of(memoryview(mapped.content_of(file))[7:])
        assert b"".join(iter(lambda: source.read(1000), b"")) == CONTENT[7:]
