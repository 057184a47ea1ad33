"""URLs, with fsspec's file system in memory."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from service.models.command import CommandError
from service.models.file_systems import without_credentials
from service.scoring import locate
from service.scoring.remote import RemotePlace
from tests.service.scoring.scoring import Scoring

fsspec = pytest.importorskip("fsspec")
CSV = b"id,f0,f1,f2,f3\n7,1,2,3,4\n8,0,0,0,0\n"


@pytest.fixture
def memory() -> Iterator[Any]:
    system = fsspec.filesystem("memory")
    yield system
    for path in system.find(""):
        system.rm_file(path)


def test_in_and_out(score: Scoring, memory: Any) -> None:
    memory.pipe_file("/in/rows.csv", CSV)
    expected = score.folder / "x.csv"
    score("small", score.write("rows.csv", CSV), expected)
    ended = score("small", "memory://in/rows.csv", "memory://out/x.csv")
    assert (ended.status, ended.err.rstrip().endswith(": memory://out/x.csv")) == (0, True)
    assert memory.cat_file("/out/x.csv") == expected.read_bytes()
    message = score.fails("small", "memory://in/rows.csv", "memory://out/x.csv")
    assert message == "memory://out/x.csv exists; give another name, or --overwrite"
    assert score("small", "memory://in/rows.csv", "memory://out/x.csv", "--overwrite").status == 0
    message = score.fails("small", "memory://in/rows.csv", "memory://out/y.csv", "--resume")
    assert message == "--resume keeps parts beside the output, and memory://out/y.csv is a URL; leave it out"


def test_a_folder_of_partitions(score: Scoring, memory: Any) -> None:
    for year in (2024, 2025):
        path = score.write(f"part-{year}.parquet", {f"f{at}": [1.0] for at in range(4)})
        memory.pipe_file(f"/rows/year={year}/x.parquet", path.read_bytes())
    memory.pipe_file("/rows/_SUCCESS", b"")
    score("small", "memory://rows", score.folder / "x.csv", "--keep", "year")
    assert [line.split(",")[0] for line in (score.folder / "x.csv").read_text().splitlines()] == [
        "year",
        "2024",
        "2025",
    ]


def test_a_bad_row_writes_nothing(score: Scoring, memory: Any) -> None:
    memory.pipe_file("/in/rows.csv", CSV + b"9,,,,\n")
    assert "row 2, feature 'f0'" in score.fails("small", "memory://in/rows.csv", "memory://out/x.csv")
    assert not memory.exists("/out/x.csv")


def test_what_is_not_there(score: Scoring) -> None:
    message = score.fails("small", "memory://no/rows.csv", score.folder / "x.csv")
    assert message.startswith("memory://no/rows.csv does not exist")
    message = score.fails("small", "nosuch://user:secret@host/rows.csv?key=secret", score.folder / "x.csv")
    assert message.startswith("nosuch://host/rows.csv is no place that fsspec knows")
    assert "secret" not in message


class Refusing:
    """A store whose errors show the credentials."""

    def open(self, path: str, mode: str) -> Any:
        raise PermissionError(f"denied: https://key:secret@store/{path}?X-Signature=secret in mode {mode}")


def test_credentials_are_not_shown() -> None:
    with pytest.raises(CommandError) as raised:
        RemotePlace(Refusing(), "s3", "bucket/rows.csv").open()
    assert "secret" not in str(raised.value)
    assert str(raised.value).startswith("s3://bucket/rows.csv cannot be read (PermissionError: denied: https://store/")
    assert raised.value.__cause__ is None
    assert without_credentials("s3://a:b@c/d?e=f") == "s3://c/d"


def test_paths_are_local(score: Scoring) -> None:
    assert locate.place("file:///rows/x.csv").shown == "/rows/x.csv"
    given = score.write("rows.csv", CSV)
    assert score("small", f"file://{given}", f"file://{score.folder / 'x.csv'}").status == 0
