"""The log: one line a message and one a request, as JSON or as text, to a stream that may break."""

from __future__ import annotations

import io
import json
import logging
from collections.abc import Iterator
from datetime import datetime
from typing import Literal

import pytest

from service import logs
from service.journal import Record


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


class Broken(io.StringIO):
    """A pipe whose reader is gone, or a file on a full disk."""

    def write(self, text: str, /) -> int:
        raise BrokenPipeError(text)


@pytest.fixture(autouse=True)
def logging_as_before() -> Iterator[None]:
    loggers = logging.getLogger(), logging.getLogger("uvicorn")
    before = [(list(logger.handlers), logger.level) for logger in loggers]
    yield
    for logger, (handlers, level) in zip(loggers, before, strict=True):
        logger.handlers[:] = handlers
        logger.setLevel(level)


def record(path: str = "/predict", status: int = 200, rows: int = 0, problem: str = "") -> Record:
    made = Record("POST", path, "an-id", 0.0)
    made.status, made.duration_s, made.rows, made.problem = status, 0.0123456789, rows, problem
    if rows:
        made.model, made.version = "small", 3
    return made


def written(level: str, form: Literal["auto", "json", "text"], stream: io.StringIO, *records: Record) -> str:
    request_log = logs.configure(level, form, stream)
    assert request_log is not None
    request_log(records)
    return stream.getvalue()


def test_a_request_is_a_line_of_json() -> None:
    lines = written("info", "auto", io.StringIO(), record(rows=2), record(status=422, problem="invalid-input"))
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


def test_a_request_is_a_line_of_text_at_a_terminal() -> None:
    lines = written(
        "info", "auto", Terminal(), record(rows=2), record(rows=1), record(status=422, problem="invalid-input")
    )
    assert lines.splitlines() == [
        "200 POST /predict 2 rows 12.35 ms an-id",
        "200 POST /predict 1 row 12.35 ms an-id",
        "422 POST /predict invalid-input 12.35 ms an-id",
    ]


@pytest.mark.parametrize("form", ["json", "text"])
def test_a_path_cannot_forge_a_line_nor_move_the_cursor(form: Literal["json", "text"]) -> None:
    lines = written("info", form, io.StringIO(), record(path="/\n200 POST /predict \x1b[2J\u2028\u202e"))
    assert lines.count("\n") == 1
    assert "\x1b" not in lines


@pytest.mark.parametrize("level", ["warning", "error"])
def test_requests_are_not_logged_over_info(level: str) -> None:
    assert logs.configure(level, "json", io.StringIO()) is None


def test_a_message_is_a_line_of_json_with_its_traceback() -> None:
    stream = io.StringIO()
    logs.configure("info", "json", stream)
    log = logging.getLogger("service.somewhere")
    log.debug("not this")
    log.info("%d rows", 3)
    log.error("it failed", exc_info=KeyError("oh"))
    first, second = [json.loads(line) for line in stream.getvalue().splitlines()]
    assert (first["level"], first["logger"], first["message"]) == ("info", "service.somewhere", "3 rows")
    assert datetime.fromisoformat(first["time"]).utcoffset() is not None
    assert (second["level"], second["message"]) == ("error", "it failed")
    assert second["traceback"].endswith("KeyError: 'oh'\n")


def test_a_message_is_a_line_of_text_where_that_is_asked_for() -> None:
    stream = io.StringIO()
    logs.configure("debug", "text", stream)
    logging.getLogger("service.somewhere").debug("here")
    assert stream.getvalue() == "DEBUG    here\n"


def test_of_uvicorn_warnings_alone_are_logged() -> None:
    stream = io.StringIO()
    logs.configure("debug", "text", stream)
    log = logging.getLogger("uvicorn.error")
    log.info("not this")
    log.warning("but this")
    assert stream.getvalue() == "WARNING  but this\n"


def test_a_stream_that_breaks_costs_the_lines_alone() -> None:
    request_log = logs.configure("info", "json", Broken())
    assert request_log is not None
    request_log([record()])
    closed = io.StringIO()
    closed.close()
    request_log = logs.configure("info", "json", closed)
    assert request_log is not None
    request_log([record()])
