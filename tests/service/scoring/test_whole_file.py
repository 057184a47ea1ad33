"""An output is there as a whole, or not at all."""

from __future__ import annotations

import errno
from pathlib import Path

import pytest

from service.models.command import CommandError
from service.scoring.local_files import LocalPlace
from service.scoring.whole_file import check, staged


def test_it_appears_at_the_end(tmp_path: Path) -> None:
    path = tmp_path / "x.csv"
    path.write_text("old")
    with staged(LocalPlace(path)) as staging:
        staging.write_text("new")
        assert path.read_text() == "old"
    assert [each.read_text() for each in tmp_path.iterdir()] == ["new"]


@pytest.mark.parametrize("error", [KeyboardInterrupt(), CommandError("no"), ValueError("bug")])
def test_an_error_leaves_nothing(tmp_path: Path, error: BaseException) -> None:
    def write() -> None:
        with staged(LocalPlace(tmp_path / "x.csv")) as staging:
            staging.write_text("half")
            raise error

    with pytest.raises(type(error)):
        write()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("number", "sentence"),
    [
        (errno.ENOSPC, "No space left on device; free some space, or give another place"),
        (errno.EROFS, "Read-only file system; allow writing there, or give another place"),
    ],
)
def test_what_the_system_refuses_is_one_sentence(tmp_path: Path, number: int, sentence: str) -> None:
    path = tmp_path / "x.csv"
    with pytest.raises(CommandError) as raised, staged(LocalPlace(path)):
        raise OSError(number, "Error writing bytes to file")
    assert str(raised.value) == f"{path} cannot be written: {sentence}"


def test_checks_before_any_work(tmp_path: Path) -> None:
    path = tmp_path / "x.csv"
    check(LocalPlace(path), overwrite=False)
    path.touch()
    check(LocalPlace(path), overwrite=True)
    for place, overwrite, reason in (
        (path, False, f"{path} exists; give another name, or --overwrite"),
        (tmp_path, True, f"{tmp_path} is a folder, expected the name of a file; add one, such as scored.parquet"),
        (
            tmp_path / "a" / "b.csv",
            False,
            f"the folder {str(tmp_path / 'a')!r} of the output does not exist; create it",
        ),
        (Path("/proc/x.csv"), False, None),
    ):
        try:
            check(LocalPlace(place), overwrite=overwrite)
        except CommandError as error:
            assert str(error).startswith(reason or "the folder '/proc' of the output cannot be written")  # noqa: PT017
        else:
            assert reason is None  # root may write anywhere, as far as permissions go
