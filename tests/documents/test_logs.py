"""The lines of the log have the fields that the table lists."""

from __future__ import annotations

import json
import logging
import warnings
from pathlib import Path
from typing import Any

import pytest

from service import logs
from service.log_writer import LogWriter
from service.requests import RequestRecord
from tests.documents.log_fields import check_line, fields

PATIENCE_S = 30


@pytest.fixture
def lines(tmp_path: Path) -> list[dict[str, Any]]:
    """A message, an error, and requests: one with all that a record can have, one with as little as possible."""
    root = logging.getLogger()
    handlers, level, show = list(root.handlers), root.level, warnings.showwarning
    with (tmp_path / "log").open("wb") as file:
        writer = LogWriter(file.fileno())
        request_log = logs.configure("info", "json", writer)
        assert request_log is not None
        logging.getLogger("service.somewhere").info("here")
        logging.getLogger("service.somewhere").error("it failed", exc_info=KeyError("oh"))
        request_log([whole(), RequestRecord("GET", "/models", "an-id", 0.0)])
        writer.flush(PATIENCE_S)
    root.handlers[:] = handlers
    root.setLevel(level)
    warnings.showwarning = show
    return [json.loads(line) for line in (tmp_path / "log").read_bytes().splitlines()]


def whole() -> RequestRecord:
    record = RequestRecord("POST", "/predict", "an-id", 0.0)
    record.status, record.duration_s, record.problem = 504, 0.25, "deadline-exceeded"
    record.model, record.version, record.rows = "small", 3, 2
    record.client, record.key = "192.0.2.1", "web"
    record.trace_id, record.sampled = "0af7651916cd43dd8448eb211c80319c", True
    record.parent_span_id, record.span_id = "b7ad6b7169203331", "00f067aa0ba902b7"
    return record


def test_each_line_has_the_fields_of_its_kind(lines: list[dict[str, Any]]) -> None:
    assert len(lines) == 4
    for line in lines:
        check_line(line)


def test_each_field_occurs(lines: list[dict[str, Any]]) -> None:
    assert {name for line in lines for name in line} == fields().keys()
