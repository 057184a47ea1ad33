"""Decompressing files, and refusing those that expand beyond a limit."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import zipfile
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pytest

from tests.training.data.errors import message_of
from training.data.tables import reader
from training.data.tables.files import compression

TABLE = b"a,b\n" + b"1,x\n2,y\n" * 500


def zipped(files: dict[str, bytes]) -> bytes:
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return target.getvalue()


COMPRESSORS: dict[str, Callable[[bytes], bytes]] = {
    ".gz": gzip.compress,
    ".bz2": bz2.compress,
    ".xz": lzma.compress,
    ".zst": lambda content: pa.compress(content, "zstd", asbytes=True),
    ".zip": lambda content: zipped({"data/table.csv": content, "__MACOSX/._table.csv": b"x", "README.md": b"hello"}),
}


@pytest.mark.parametrize("suffix", compression.SUFFIXES)
def test_compressed_file_is_the_same_table(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"people.CSV{suffix}"
    path.write_bytes(COMPRESSORS[suffix](TABLE))
    found = reader.read(path)
    assert found.table.to_pydict() == {"a": ["1", "2"] * 500, "b": ["x", "y"] * 500}
    assert reader.stem(path) == "people"


@pytest.mark.parametrize("suffix", compression.SUFFIXES)
def test_file_that_expands_beyond_the_limit_is_refused(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"t.csv{suffix}"
    path.write_bytes(COMPRESSORS[suffix](TABLE))
    assert reader.read(path, max_bytes=len(TABLE)).table.num_rows == 1000
    assert message_of(reader.read, path, max_bytes=len(TABLE) - 1) == (
        f"{path} is larger than 4,003 bytes when decompressed; decompress it yourself"
    )


@pytest.mark.parametrize("suffix", compression.SUFFIXES)
def test_damaged_file_is_refused(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"t.csv{suffix}"
    whole = COMPRESSORS[suffix](TABLE)
    path.write_bytes(whole[: len(whole) // 2])
    assert message_of(reader.read, path).startswith(f"{path} is damaged, it cannot be decompressed: ")


def test_wrong_suffix_does_not_matter(tmp_path: Path) -> None:
    plain, packed = tmp_path / "t.csv.gz", tmp_path / "t.csv"
    plain.write_bytes(TABLE)
    packed.write_bytes(gzip.compress(TABLE))
    assert reader.read(plain).table == reader.read(packed).table


@pytest.mark.parametrize(
    ("files", "found"), [({"a.csv": TABLE, "b.tsv": TABLE}, "2: a.csv, b.tsv"), ({"a.md": TABLE}, "none")]
)
def test_archive_has_one_table(tmp_path: Path, files: dict[str, bytes], found: str) -> None:
    path = tmp_path / "t.zip"
    path.write_bytes(zipped(files))
    assert message_of(reader.read, path) == (
        f"{path}: expected one table in the archive, found {found}; unpack the one to train on"
    )
