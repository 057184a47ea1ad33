"""Text tables in pieces are read like the server's whole bodies, whatever is in them."""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from service.errors import InvalidInput, MalformedBody
from service.http.codecs.csv_rows import rows_from_csv
from service.http.codecs.csv_text import CsvText
from service.http.options import RowOptions
from service.inference import columns
from service.inference.row_faults import RowFaults
from service.inference.schema import Schema
from service.inference.steps import finish
from service.manifest import Feature
from service.models.command import CommandError
from service.scoring.faults import reason
from service.scoring.local_files import LocalPlace
from service.scoring.readers import pieces
from service.scoring.readers.delimited import DelimitedFile
from service.scoring.readers.source import Position, Wanted
from tests.service.scoring.scoring import Scoring

SCHEMA = Schema(
    (2,),
    tuple(
        columns.of(Feature(name, kind, True, ("a", 'q"'), True, 0.0, 1.0, 0.0, 1.0))  # type: ignore[arg-type]
        for name, kind in (("x", "numeric"), ("job", "categorical"))
    ),
    10**6,
)
WANTED = Wanted(SCHEMA, np.dtype(np.float64))
TEXTS = st.text(st.sampled_from('ab1,;"\n\r\t é'), max_size=60)


def read(path: Path, wanted: Wanted = WANTED) -> tuple[list[list[float]], dict[int, str], list[list[str | None]]]:
    """Numbers of good rows, reasons of bad ones, and the kept columns' rows."""
    numbers: list[list[float]] = []
    reasons: dict[int, str] = {}
    kept: list[list[str | None]] = []
    for chunk in DelimitedFile(LocalPlace(path), wanted).chunks(Position()):
        found = chunk.read()
        first = len(kept)
        bad = found.faults.rows()
        reasons |= {first + row: reason(fault) for row, fault in zip(bad, found.faults.faults(), strict=True)}
        numbers += np.delete(found.inputs, bad, axis=0).tolist()
        kept += list(map(list, zip(*(column.to_pylist() for column in found.kept.columns), strict=True)))
    return numbers, reasons, kept


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=100)
@given(TEXTS, st.sampled_from([3, 11, 1000]))
def test_any_text(tmp_path: Path, text: str, size: int) -> None:
    path = tmp_path / "rows.csv"
    path.write_bytes(body := f"x,job\n{text}".encode())
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pieces, "_PIECE_BYTES", size)
        faults = RowFaults()
        try:
            expected = finish(rows_from_csv(body, RowOptions(by_row=True), SCHEMA, faults))
        except MalformedBody:
            with pytest.raises(CommandError, match="is no"):
                read(path)
            return
        except InvalidInput:  # zero rows
            assert read(path) == ([], {}, [])
            return
        numbers, reasons, kept = read(path)
    assert reasons == {row: reason(fault) for row, fault in zip(faults.rows(), faults.faults(), strict=True)}
    np.testing.assert_array_equal(np.array(numbers).reshape(-1, 2), np.delete(expected, faults.rows(), axis=0))
    rows = list(CsvText(body, 10**6))[1:]
    assert [row for at, row in enumerate(kept) if at not in reasons] == [
        row for at, row in enumerate(rows) if at not in reasons
    ]


def test_a_row_over_many_pieces(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "rows.csv"
    monkeypatch.setattr(pieces, "_PIECE_BYTES", 1000)
    long = "a,\n" * 10**4
    path.write_text(f'x;job\n1;a\n2;"{long}"\n3;"q"""\n')
    numbers, reasons, kept = read(path)
    assert numbers == [[1, 0], [2, 2], [3, 1]]
    assert reasons == {}
    assert [row[1] for row in kept] == ["a", long, 'q"']


@pytest.mark.parametrize("suffix", [".gz", ".zst", ".bz2"])
def test_compressed(score: Scoring, suffix: str) -> None:
    text = "f0,f1,f2,f3\n" + "".join(f"{row},1,2,3\n" for row in range(5000))
    plain = score.write("rows.csv", text)
    packed = score.folder / f"rows.csv{suffix}"
    with pa.CompressedOutputStream(str(packed), {".gz": "gzip", ".zst": "zstd", ".bz2": "bz2"}[suffix]) as file:
        file.write(text.encode())
    assert score.rows("small", packed).equals(score.rows("small", plain))
    packed.write_bytes(packed.read_bytes()[:-9])
    assert str(packed) in score.fails("small", packed, score.folder / "x.csv")


def test_several_members_of_gzip(score: Scoring) -> None:
    packed = gzip.compress(b"f0,f1,f2,f3\n0,1,2,3\n") + gzip.compress(b"1,1,2,3\n")
    assert score.rows("small", score.write("rows.csv.gz", packed))["f0"].to_pylist() == ["0", "1"]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "rows.csv is empty, expected a line of column names and one for each row"),
        (b"\n \n", "the table has no features 'f0', 'f1', 'f2', 'f3'; send all 4"),
        (b"f0,F1,f2,f3,f3\n", "there are several columns 'f3'; send one"),
        (b"f0,fi1,f2,f3\n", "the table has no feature 'f1'; send all 4 (is 'fi1' meant to be 'f1'?)"),
        (b"f0,f1,f2,f3,id,id\n1,2,3,4,5,6\n", "has several columns 'id'; rename them, or choose with --keep"),
        (b"f0,f1,f2,f3\n1,2,3,\xff\n", "is no table: it is not UTF-8: byte 18 is 0xff"),
        (b'f0,f1,f2,f3\n1,2,3,"4"5\n', "is not CSV in UTF-8: its part from byte 0 on is not CSV: line 2"),
        (b'f0,f1,f2,f3\n1,2,3,"4\n', "is not CSV in UTF-8: its part from byte 12 on is not CSV: line 1"),
        (b"\x1f\x8b\x00\x00", "is no table: it is not UTF-8"),
    ],
)
def test_what_is_no_table(score: Scoring, content: bytes, message: str) -> None:
    assert message in score.fails("small", score.write("rows.csv", content), score.folder / "x.csv")


def test_a_header_without_rows(score: Scoring) -> None:
    found = score.rows("small", score.write("rows.csv", "f0,f1,f2,f3,id\n"), "--probabilities")
    assert found.num_rows == 0
    assert found.column_names[-4:] == ["prediction", "probability_ape", "probability_bee", "probability_cat"]
