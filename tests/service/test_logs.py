"""The log: one line for each message and request, as JSON or text, to a stream that may break."""

from __future__ import annotations

import json
import logging
import os
import pty
import tempfile
import warnings
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path
from typing import Literal, Self

import pytest

from service import logs
from service.log_writer import LogWriter
from service.requests import RequestRecord

PATIENCE_S = 30


class Log:
    """A file for the log."""

    def __init__(self) -> None:
        self._file = tempfile.TemporaryFile()  # noqa: SIM115 - closed below
        self.writer = LogWriter(self._file.fileno())

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_raised: object) -> None:
        self.writer.flush(PATIENCE_S)
        self._file.close()

    def text(self) -> str:
        """Everything written so far."""
        self.writer.flush(PATIENCE_S)
        self._file.seek(0)
        return self._file.read().decode()


@pytest.fixture
def log() -> Iterator[Log]:
    with Log() as opened:
        yield opened


pytestmark = pytest.mark.usefixtures("logging_as_before")


def record(path: str = "/predict", status: int = 200, rows: int = 0, problem: str = "") -> RequestRecord:
    made = RequestRecord("POST", path, "an-id", 0.0)
    made.status, made.duration_s, made.rows, made.problem = status, 0.0123456789, rows, problem
    if rows:
        made.model, made.version = "small", 3
    return made


def written(form: Literal["auto", "json", "text"], *records: RequestRecord) -> str:
    with Log() as log:
        request_log = logs.configure("info", form, log.writer)
        assert request_log is not None
        request_log(records)
        return log.text()


def test_a_request_with_its_client_and_the_name_of_its_key() -> None:
    made = record()
    made.client, made.key = "2001:db8::1", "web"
    line = json.loads(written("json", made))
    assert (line["client"], line["key"]) == ("2001:db8::1", "web")
    assert "client" not in json.loads(written("json", record()))


def test_a_request_as_json() -> None:
    lines = written("auto", record(rows=2), record(status=422, problem="invalid-input"))
    first, second = [json.loads(line) for line in lines.splitlines()]
    assert datetime.fromisoformat(first.pop("time")).utcoffset() is not None
    assert first == {
        "level": "info",
        "logger": "service.requests",
        "message": "request",
        "method": "POST",
        "path": "/predict",
        "status": 200,
        "duration_s": 0.012346,
        "request_id": "an-id",
        "model": "small",
        "version": 3,
        "rows": 2,
    }
    assert (second["status"], second["problem"], "rows" in second) == (422, "invalid-input", False)


def test_requests_that_differ_in_little_as_json() -> None:
    made = [record(path="/%d%s"), record(path="/%d%s"), record(status=503), record()]
    made[1].request_id, made[1].duration_s = 'a "quoted" \\ id', 1234.5
    lines = [json.loads(line) for line in written("json", *made).splitlines()]
    assert [(line["path"], line["status"]) for line in lines] == [(each.path, each.status) for each in made]
    assert [line["request_id"] for line in lines] == [each.request_id for each in made]
    assert [line["duration_s"] for line in lines] == [0.012346, 1234.5, 0.012346, 0.012346]


def test_a_request_of_a_trace_as_json() -> None:
    of_trace = record()
    of_trace.trace_id, of_trace.sampled, of_trace.parent_span_id = "0af7651916cd43dd8448eb211c80319c", True, "b7ad"
    line = json.loads(written("json", of_trace))
    assert (line["trace_id"], line["sampled"], line["parent_span_id"]) == (of_trace.trace_id, True, "b7ad")
    assert "span_id" not in line
    of_trace.span_id = "00f067aa0ba902b7"
    assert json.loads(written("json", of_trace))["span_id"] == "00f067aa0ba902b7"


def test_a_request_as_text() -> None:
    lines = written("text", record(rows=2), record(rows=1), record(status=422, problem="invalid-input"))
    assert lines.splitlines() == [
        "200 POST /predict 2 rows 12.35 ms an-id",
        "200 POST /predict 1 row 12.35 ms an-id",
        "422 POST /predict invalid-input 12.35 ms an-id",
    ]


def test_a_terminal_gets_text() -> None:
    ours, terminal = pty.openpty()
    writer = LogWriter(terminal)
    request_log = logs.configure("info", "auto", writer)
    assert request_log is not None
    request_log([record(rows=1)])
    assert os.read(ours, 1024) == b"200 POST /predict 1 row 12.35 ms an-id\r\n"
    writer.flush(PATIENCE_S)
    os.close(ours)
    os.close(terminal)


@pytest.mark.parametrize("form", ["json", "text"])
def test_a_path_cannot_forge_a_line_or_move_the_cursor(form: Literal["json", "text"]) -> None:
    lines = written(form, record(path="/\n200 POST /predict \x1b[2J\u2028\u202e"))
    assert lines.count("\n") == 1
    assert "\x1b" not in lines


@pytest.mark.parametrize("form", ["json", "text"])
def test_a_long_path_is_truncated(form: Literal["json", "text"]) -> None:
    lines = written(form, record(path="/" + 60_000 * "a"))
    assert 1024 <= len(lines) < 1500


@pytest.mark.parametrize("level", ["warning", "error"])
def test_requests_are_not_logged_above_info(level: str, log: Log) -> None:
    assert logs.configure(level, "json", log.writer) is None


def test_a_message_as_json_with_its_traceback(log: Log) -> None:
    logs.configure("info", "json", log.writer)
    somewhere = logging.getLogger("service.somewhere")
    somewhere.debug("not this")
    somewhere.info("%d rows", 3)
    somewhere.error("it failed", exc_info=KeyError("oh"))
    first, second = [json.loads(line) for line in log.text().splitlines()]
    assert (first["level"], first["logger"], first["message"]) == ("info", "service.somewhere", "3 rows")
    assert datetime.fromisoformat(first["time"]).utcoffset() is not None
    assert (second["level"], second["message"]) == ("error", "it failed")
    assert second["traceback"].endswith("KeyError: 'oh'\n")


def test_a_message_as_text(log: Log) -> None:
    logs.configure("debug", "text", log.writer)
    logging.getLogger("service.somewhere").debug("here")
    assert log.text() == "DEBUG    here\n"


@pytest.mark.parametrize("form", ["json", "text"])
def test_a_message_cannot_forge_a_line_or_move_the_cursor(form: Literal["json", "text"], log: Log) -> None:
    """The name of a file in the models folder may have any character but a slash."""
    logs.configure("info", form, log.writer)
    logging.getLogger("service").error("ignored: %s, 5 µs", "/models/a\nINFO     all is well\x1b[2J\u2028\u202e")
    text = log.text()
    assert text.count("\n") == 1
    assert "\x1b" not in text
    if form == "text":
        assert text == "ERROR    ignored: /models/a\\nINFO     all is well\\x1b[2J\\u2028\\u202e, 5 µs\n"


def test_only_warnings_of_uvicorn_are_logged(log: Log) -> None:
    logs.configure("debug", "text", log.writer)
    uvicorn = logging.getLogger("uvicorn.error")
    uvicorn.info("not this")
    uvicorn.warning("but this")
    assert log.text() == "WARNING  but this\n"


def test_a_message_that_is_not_unicode_is_logged(log: Log) -> None:
    logs.configure("info", "json", log.writer)
    logging.getLogger("service").error("%s cannot be read", os.fsdecode(b"/models/\xff"))
    assert json.loads(log.text())["message"] == "/models/\udcff cannot be read"


@pytest.mark.parametrize("form", ["json", "text"])
def test_a_python_warning_is_one_line_without_paths(form: Literal["json", "text"], log: Log) -> None:
    logs.configure("info", form, log.writer)
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        warnings.showwarning = warnings.showwarning
        warnings.warn("of two\n lines", DeprecationWarning, stacklevel=1)
    line = log.text()
    assert line.count("\n") == 1
    assert __file__ not in line
    assert "stacklevel" not in line
    if form == "json":
        logged = json.loads(line)
        assert (logged["level"], logged["logger"]) == ("warning", "py.warnings")
        assert logged["message"] == "DeprecationWarning: of two lines"
    else:
        assert line == "WARNING  DeprecationWarning: of two lines\n"


def full_disk(_folder: Path) -> int:
    return os.open("/dev/full", os.O_WRONLY)


def pipe_without_reader(_folder: Path) -> int:
    reader, writer = os.pipe()
    os.close(reader)
    return writer


def file_open_for_reading(folder: Path) -> int:
    (folder / "log").touch()
    return os.open(folder / "log", os.O_RDONLY)


@pytest.mark.parametrize("broken", [full_disk, pipe_without_reader, file_open_for_reading])
def test_a_broken_stream_loses_only_the_lines(broken: Callable[[Path], int], tmp_path: Path) -> None:
    descriptor = broken(tmp_path)
    writer = LogWriter(descriptor)
    dropped: list[int] = []
    writer.on_drop(dropped.append)
    request_log = logs.configure("info", "json", writer)
    assert request_log is not None
    request_log([record(), record()])
    writer.flush(PATIENCE_S)
    logging.getLogger("service").error("it failed", exc_info=KeyError("oh"))
    writer.flush(PATIENCE_S)
    assert sum(dropped) == 3
    os.close(descriptor)


def test_the_notice_of_missing_lines_has_the_format_of_the_log(log: Log) -> None:
    logs.configure("info", "json", log.writer)
    log.writer.drop(7)
    logging.getLogger("service").info("here")
    here, notice = [json.loads(line) for line in log.text().splitlines()]
    assert (here["message"], notice["level"], notice["logger"]) == ("here", "warning", "service.logs")
    assert notice["message"].startswith("7 line(s) of the log were dropped")
