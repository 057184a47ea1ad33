"""The log's queue: writers never block, lines stay in order, and the number of dropped lines is reported."""

from __future__ import annotations

import os
import re
import resource
import select
import tempfile
import threading
from collections.abc import Callable
from itertools import accumulate, pairwise
from multiprocessing import get_context
from typing import Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.log_writer import LogStream, LogWriter, _pieces
from tests.service.forked import in_a_child

PATIENCE_S: Final = 30


class Pipe:
    """A pipe that is read only on request."""

    def __init__(self) -> None:
        self.reader, self.writer = os.pipe()

    def read_while(self, more: Callable[[list[bytes]], bool]) -> list[bytes]:
        """Read lines until there are enough."""
        text = b""
        while not text.endswith(b"\n") or more(text.splitlines()):
            assert select.select([self.reader], [], [], PATIENCE_S)[0], f"no more came than {text[-200:]!r}"
            text += os.read(self.reader, 65536)
        return text.splitlines()

    def close(self) -> None:
        os.close(self.reader)
        os.close(self.writer)


def numbered(first: int, end: int) -> list[bytes]:
    return [b"line %d %s" % (number, 100 * b"x") for number in range(first, end)]


def test_lines_stay_in_order_from_any_thread() -> None:
    with tempfile.TemporaryFile() as file:
        writer = LogWriter(file.fileno())

        def put(name: bytes) -> None:
            for number in range(500):
                writer.put(b"%s %d\n" % (name, number))

        threads = [threading.Thread(target=put, args=(name,)) for name in (b"a", b"b")]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        writer.flush(PATIENCE_S)
        file.seek(0)
        lines = file.read().splitlines()
    for name in (b"a", b"b"):
        assert [line for line in lines if line.startswith(name)] == [b"%s %d" % (name, each) for each in range(500)]


def line_numbers(read: list[bytes]) -> list[int]:
    """The numbers of the lines before and after each notice of missing lines, from 0."""
    counts = [re.fullmatch(rb"(\d+) line\(s\) of this log were dropped", line) for line in read]
    return [*accumulate((int(count[1]) if count else 1 for count in counts), initial=0)]


def test_a_stalled_reader_blocks_nobody_and_loses_only_the_lines_over_the_limit() -> None:
    """1. Nobody reads. 2. More lines are put than fit. 3. The reader sees how many are missing where."""
    pipe, dropped = Pipe(), [0]
    writer = LogWriter(pipe.writer, max_queued_bytes=100_000)
    writer.on_drop(dropped.append)
    lines = numbered(0, 20_000)
    for line in lines:
        writer.put(line + b"\n")
    writer.flush(0.01)
    assert 10_000 < sum(dropped) < 20_000
    read = pipe.read_while(lambda so_far: line_numbers(so_far)[-1] < len(lines))
    there = [(line, number) for line, number in zip(read, line_numbers(read), strict=False) if b"x" in line]
    assert all(line == lines[number] for line, number in there)
    assert len(lines) - len(there) == sum(dropped)
    writer.put(b"and again\n")
    assert pipe.read_while(lambda so_far: not so_far) == [b"and again"]
    pipe.close()


def test_a_full_queue_is_visible_before_a_line_is_formatted() -> None:
    pipe = Pipe()
    writer = LogWriter(pipe.writer, max_queued_bytes=1000)
    assert not writer.full
    for _ in range(200):
        writer.put(1000 * b"x" + b"\n")
    assert writer.full
    pipe.read_while(lambda so_far: line_numbers(so_far)[-1] < 200)
    assert not writer.full
    pipe.close()


@given(st.lists(st.binary(max_size=40).map(lambda line: line.replace(b"\n", b"")), max_size=30), st.integers(8, 64))
def test_a_write_is_whole_lines_and_short_enough_to_be_atomic(lines: list[bytes], longest: int) -> None:
    text = b"".join(line + b"\n" for line in lines)
    pieces = [*_pieces(text, longest)]
    assert b"".join(pieces) == text
    assert all(piece.endswith(b"\n") for piece in pieces)
    assert all(len(piece) <= longest or piece.count(b"\n") == 1 for piece in pieces)
    assert all(len(one) + len(other.partition(b"\n")[0]) + 1 > longest for one, other in pairwise(pieces))
    assert [*_pieces(text, None)] == ([text] if text else [])


def write_from_a_child(writer: LogWriter, name: bytes) -> None:
    for number in range(300):
        writer.put(b"%s %d %s\n" % (name, number, (number % 50) * 10 * b"y"))
    writer.flush(PATIENCE_S)


@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_a_forked_process_writes_only_its_own_lines_intact() -> None:
    """1. The parent's thread is blocked by a full pipe. 2. Two children write. 3. Every line is read once, intact."""
    pipe = Pipe()
    writer = LogWriter(pipe.writer)
    of_parent = numbered(0, 1000)
    for line in of_parent:
        writer.put(line + b"\n")
    fork = get_context("fork")
    children = [fork.Process(target=write_from_a_child, args=(writer, name)) for name in (b"one", b"two")]
    for child in children:
        child.start()
    text: list[bytes] = []

    def read() -> None:
        while data := os.read(pipe.reader, 65536):
            text.append(data)

    reader = threading.Thread(target=read)
    reader.start()
    for child in children:
        child.join(PATIENCE_S)
        assert child.exitcode == 0
    writer.flush(PATIENCE_S)
    os.close(pipe.writer)
    reader.join(PATIENCE_S)
    os.close(pipe.reader)
    lines = b"".join(text).splitlines()
    assert [line for line in lines if line.startswith(b"line")] == of_parent
    for name in (b"one", b"two"):
        expected = [b"%s %d %s" % (name, number, (number % 50) * 10 * b"y") for number in range(300)]
        assert [line for line in lines if line.startswith(name)] == expected
    assert len(lines) == 1600


def test_a_recovered_stream_gets_the_notice_before_new_lines() -> None:
    with tempfile.TemporaryFile() as file:
        descriptor = os.dup(file.fileno())
        writer, dropped = LogWriter(descriptor), [0]
        writer.on_drop(dropped.append)
        os.dup2(full := os.open("/dev/full", os.O_WRONLY), descriptor)
        writer.put(b"lost\nlost, too\n")
        writer.flush(PATIENCE_S)
        os.dup2(file.fileno(), descriptor)
        writer.put(b"there\n")
        writer.flush(PATIENCE_S)
        file.seek(0)
        assert file.read() == b"2 line(s) of this log were dropped\nthere\n"
        assert sum(dropped) == 2
        os.close(full)
        os.close(descriptor)


def test_a_partly_written_line_is_ended() -> None:
    """The disk is full in the middle of a line. A limit on the file's size has the same effect."""
    with tempfile.TemporaryFile() as file:
        in_a_child(write_up_to_a_limit, file.fileno())
        file.seek(0)
        assert file.read() == b"whole\nto\n1 line(s) of this log were dropped\nnext\n"


def write_up_to_a_limit(descriptor: int) -> None:
    hard = resource.getrlimit(resource.RLIMIT_FSIZE)[1]
    resource.setrlimit(resource.RLIMIT_FSIZE, (8, hard))
    writer = LogWriter(descriptor)
    writer.put(b"whole\ntorn\n")
    writer.flush(PATIENCE_S)
    resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
    writer.put(b"next\n")
    writer.flush(PATIENCE_S)


def test_a_non_blocking_stream_loses_nothing() -> None:
    pipe = Pipe()
    os.set_blocking(pipe.writer, False)
    writer, dropped = LogWriter(pipe.writer), [0]
    writer.on_drop(dropped.append)
    lines = numbered(0, 3000)
    writer.put(b"\n".join([*lines, b"last", b""]))
    assert pipe.read_while(lambda so_far: so_far[-1] != b"last") == [*lines, b"last"]
    assert sum(dropped) == 0
    pipe.close()


def test_lines_dropped_before_on_drop_is_set_are_reported() -> None:
    writer = LogWriter(os.open("/dev/full", os.O_WRONLY))
    writer.put(b"early\n")
    writer.flush(PATIENCE_S)
    dropped: list[int] = []
    writer.on_drop(dropped.append)
    assert dropped == [1]


@pytest.mark.parametrize("text", ["a word", "\udcff"])
def test_text_printed_to_stderr_is_queued_too(text: str) -> None:
    with tempfile.TemporaryFile() as file:
        writer = LogWriter(file.fileno())
        print(text, file=LogStream(writer), flush=True)
        writer.flush(PATIENCE_S)
        file.seek(0)
        assert file.read() == text.encode("utf-8", "backslashreplace") + b"\n"
