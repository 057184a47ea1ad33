"""A run that is stopped goes on where it stopped, and gives what one that is not gives."""

from __future__ import annotations

import fcntl
import json
from pathlib import Path

import pytest

from tests.service.published import publish
from tests.service.scoring.scoring import Scoring, StopAfter

ROWS = 100
TABLE = {"id": range(ROWS), **{f"f{at}": [row / 10 for row in range(ROWS)] for at in range(4)}}


@pytest.fixture(autouse=True)
def _short(short_chunks: None) -> None:
    pass


def parts(score: Scoring) -> list[str]:
    return sorted(path.name for path in (score.folder / ".x.parquet.parts").glob("*"))


@pytest.mark.parametrize("kind", ["parquet", "csv"])
def test_any_number_of_stops(score: Scoring, kind: str) -> None:
    lines = [",".join(TABLE), *(",".join(map(str, row)) for row in zip(*TABLE.values(), strict=True))]
    lines[50] = lines[50].replace("4.9", "bad")
    given = score.write("rows.csv", "\n".join(lines))
    if kind == "parquet":
        given = score.write("rows.parquet", TABLE)
    output, options = score.folder / "x.parquet", ("--on-error", "null", "--resume")
    whole = score.rows("small", given, *options[:2])
    said = score("small", given, score.folder / "y.parquet", *options[:2]).err.splitlines()[1:]
    for _ in range(3):
        ended = score("small", given, output, *options, stop=StopAfter(4))
        assert ended.status == 143
        assert "run the same command again to go on\nmlp-score: stopped by SIGTERM\n" in ended.err
        assert not output.exists()
    ended = score("small", given, output, *options)
    assert ended.status == 0
    assert ended.err.startswith("mlp-score: going on after ")
    assert ended.err.splitlines()[2:] == said
    assert parts(score) == []
    found = score.rows("small", output, "--prefix", "again_", "--on-error", "null").select(whole.column_names)
    assert found.equals(whole)


def test_without_resume_a_stop_leaves_nothing(score: Scoring) -> None:
    given = score.write("rows.parquet", TABLE)
    ended = score("small", given, score.folder / "x.parquet", stop=StopAfter(4))
    assert (ended.status, ended.err.splitlines()[0]) == (
        143,
        "mlp-score: nothing was written; with --resume, what is scored is kept for the next run",
    )
    assert [path.name for path in score.folder.iterdir()] == ["rows.parquet"]


def test_another_model_or_input_or_option(score: Scoring) -> None:
    score.models = score.folder / "models"
    publish(score.models, "small")
    given, output = score.write("rows.parquet", TABLE), score.folder / "x.parquet"
    score("small", given, output, "--resume", stop=StopAfter(4))
    folder = score.folder / ".x.parquet.parts"
    ending = "; run it as before, or delete the folder to begin anew"
    message = score.fails("small", given, output, "--resume", "--prefix", "y")
    assert message == f'the parts in {folder} are of another --prefix: "", and now it is "y"{ending}'
    publish(score.models, "small", 2, seed=1)
    message = score.fails("small", given, output, "--resume")
    assert message == f'the parts in {folder} are of another model: "small@1", and now it is "small@2"{ending}'
    assert score("small@1", given, output, "--resume", "--keep", stop=StopAfter(0)).status == 1
    score.write("rows.parquet", TABLE | {"id": [0] * ROWS})
    assert f"the parts in {folder} are of another input: " in score.fails("small@1", given, output, "--resume")


def test_a_part_that_was_not_whole(score: Scoring) -> None:
    """A kill may leave one that the state does not list, or a file that was being written."""
    given, output = score.write("rows.parquet", TABLE), score.folder / "x.parquet"
    whole = score.rows("small", given)
    score("small", given, output, "--resume", stop=StopAfter(4))
    folder = score.folder / ".x.parquet.parts"
    (folder / "000001.arrow").write_bytes(b"half")
    (folder / "000002.tmp").write_bytes(b"half")
    assert score("small", given, output, "--resume").status == 0
    assert score.rows("small", output, "--prefix", "y").select(whole.column_names).equals(whole)
    assert parts(score) == []


def test_a_bad_row_leaves_no_parts(score: Scoring) -> None:
    given = score.write("rows.parquet", TABLE | {"f2": [None if row == 80 else 1.0 for row in range(ROWS)]})
    assert "row 80" in score.fails("small", given, score.folder / "x.parquet", "--resume")


def test_two_at_once(score: Scoring) -> None:
    given, folder = score.write("rows.parquet", TABLE), score.folder / ".x.parquet.parts"
    folder.mkdir()
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        message = score.fails("small", given, score.folder / "x.parquet", "--resume")
    assert message == f"another process is writing {folder}; wait for it, or give another output"


def test_a_damaged_state(score: Scoring) -> None:
    given, output = score.write("rows.parquet", TABLE), score.folder / "x.parquet"
    score("small", given, output, "--resume", stop=StopAfter(4))
    state: Path = score.folder / ".x.parquet.parts" / "state.json"
    assert json.loads(state.read_text())["position"]["rows"] > 0
    state.write_text("{")
    assert score.fails("small", given, output, "--resume").endswith(f"; delete {state.parent}")
