"""Files of whole lines: their rotation, bound and mode, a full disk, and what a killed process leaves."""

from __future__ import annotations

import os
import resource
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from service.payloads.files import PayloadFiles

BOUND = 16 * 1000  # sixteen files of 1000 bytes
LINE = 249 * b"x" + b"\n"


def complete(folder: Path) -> list[Path]:
    return sorted(folder.glob("*.jsonl"))


def parts(folder: Path) -> list[Path]:
    return sorted(folder.glob("*.part"))


def test_a_file_is_complete_once_it_is_full(tmp_path: Path) -> None:
    files = PayloadFiles(tmp_path / "new" / "folder", BOUND)
    for number in range(9):
        files.write(b"%d" % number + LINE[1:])
    folder = tmp_path / "new" / "folder"
    assert [path.stat().st_size for path in complete(folder)] == [1000, 1000]
    assert [path.stat().st_size for path in parts(folder)] == [250]
    files.rotate()
    assert not parts(folder)
    text = b"".join(path.read_bytes() for path in complete(folder))
    assert [line[:1] for line in text.splitlines()] == [b"%d" % number for number in range(9)]


def test_a_file_is_complete_after_an_hour(tmp_path: Path) -> None:
    now_s = [100.0]
    files = PayloadFiles(tmp_path, BOUND, lambda: now_s[0])
    files.write(LINE)
    now_s[0] += 3600
    files.rotate_if_old()
    assert not complete(tmp_path)
    now_s[0] += 1
    files.rotate_if_old()
    assert [path.stat().st_size for path in complete(tmp_path)] == [250]


def test_a_link_in_the_place_of_a_file_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "precious").write_text("no line break")
    (tmp_path / "payloads-1.jsonl.part").symlink_to("precious")
    with pytest.raises(OSError, match="symbolic links"):
        PayloadFiles(tmp_path, BOUND)
    assert (tmp_path / "precious").read_text() == "no line break"


def test_only_their_owner_may_read_them(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        files = PayloadFiles(tmp_path / "log", BOUND)
        files.write(LINE)
    finally:
        os.umask(before)
    assert (tmp_path / "log").stat().st_mode & 0o777 == 0o700
    assert all(path.stat().st_mode & 0o777 == 0o600 for path in (tmp_path / "log").iterdir())


def test_the_oldest_files_are_removed_and_others_stay(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("not ours")
    files = PayloadFiles(tmp_path, BOUND)
    for number in range(100):
        files.write(b"%04d" % number + LINE[4:])
        assert sum(path.stat().st_size for path in tmp_path.glob("payloads-*")) <= BOUND
    files.rotate()
    text = b"".join(path.read_bytes() for path in complete(tmp_path))
    kept = [int(line[:4]) for line in text.splitlines()]
    assert kept == list(range(100 - len(kept), 100))
    assert len(kept) == 64
    assert (tmp_path / "notes.txt").exists()


def test_a_line_longer_than_a_file_gets_one_of_its_own(tmp_path: Path) -> None:
    files = PayloadFiles(tmp_path, BOUND)
    for line in (LINE, 8 * LINE, LINE):
        files.write(line)
    files.rotate()
    assert [path.stat().st_size for path in complete(tmp_path)] == [250, 2000, 250]


def test_files_that_others_write_are_not_removed(tmp_path: Path) -> None:
    workers = [PayloadFiles(tmp_path, BOUND) for _ in range(16)]
    for worker in workers:
        worker.write(LINE)
    with pytest.raises(OSError, match="the files of other workers take all"):
        PayloadFiles(tmp_path, BOUND).write(LINE)
    workers[0].rotate()
    PayloadFiles(tmp_path, BOUND).write(LINE)
    assert len(parts(tmp_path)) == 16
    assert not complete(tmp_path)


@contextmanager
def no_file_longer_than(size_bytes: int) -> Iterator[None]:
    """Stands for a disk that is full there. Python ignores the signal for it."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size_bytes, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_a_full_disk_leaves_whole_lines(tmp_path: Path) -> None:
    files = PayloadFiles(tmp_path, BOUND)
    files.write(LINE)
    with no_file_longer_than(300), pytest.raises(OSError, match="large"):
        files.write(LINE)
    (part,) = parts(tmp_path)
    assert part.read_bytes() == LINE
    files.write(LINE)
    assert part.read_bytes() == 2 * LINE


def left_by_a_killed_process(folder: Path, text: bytes) -> None:
    """Start a file in a process that is killed after it wrote ``text``."""
    child = os.fork()
    if child == 0:
        try:
            PayloadFiles(folder, 2**24).write(text)
        finally:
            os.kill(os.getpid(), signal.SIGKILL)
    os.waitpid(child, 0)


@pytest.mark.parametrize(
    ("text", "kept"),
    [(2 * LINE, 2 * LINE), (2 * LINE + b'{"torn', 2 * LINE), (b'{"torn', None), (LINE[:-1] * 600, None)],
)
def test_what_a_killed_process_left_is_completed(tmp_path: Path, text: bytes, kept: bytes | None) -> None:
    left_by_a_killed_process(tmp_path, text)
    assert [path.read_bytes() for path in parts(tmp_path)] == [text]
    PayloadFiles(tmp_path, BOUND)
    assert [path.read_bytes() for path in complete(tmp_path)] == ([] if kept is None else [kept])
    assert not parts(tmp_path)


def test_a_file_that_was_removed_is_given_up(tmp_path: Path) -> None:
    files = PayloadFiles(tmp_path, BOUND)
    files.write(LINE)
    parts(tmp_path)[0].unlink()
    with pytest.raises(FileNotFoundError):
        files.rotate()
    files.write(LINE)
    assert [path.stat().st_size for path in parts(tmp_path)] == [250]


def test_an_empty_log_has_no_files(tmp_path: Path) -> None:
    files = PayloadFiles(tmp_path, BOUND)
    files.rotate_if_old()
    files.rotate()
    assert not list(tmp_path.glob("payloads-*"))
