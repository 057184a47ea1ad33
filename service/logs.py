"""What the server says: one line a message and one a request, as JSON, or as text at a terminal."""

from __future__ import annotations

import logging
import sys
import traceback
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, Literal, TextIO

import orjson

from service.journal import Record


class JsonFormatter(logging.Formatter):
    """A log record as one JSON object: time, level, logger, message, and the traceback where there is one."""

    def format(self, record: logging.LogRecord) -> str:
        """The object, without a line's end."""
        line: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        if record.exc_info:
            line["traceback"] = "".join(traceback.format_exception(*record.exc_info))
        return orjson.dumps(line).decode()


def configure(level: str, form: Literal["auto", "json", "text"], stream: TextIO = sys.stderr) -> RequestLog | None:
    """Send all messages of the process to ``stream``; the log of requests, or None where ``level`` leaves it out."""
    text = form == "text" or (form == "auto" and stream.isatty())
    handler = logging.StreamHandler(stream)
    handler.setFormatter(logging.Formatter("%(levelname)-8s %(message)s") if text else JsonFormatter())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    # uvicorn's own word on each start and stop says what ours says; its warnings and errors stay.
    logging.getLogger("uvicorn").setLevel(max(root.level, logging.WARNING))
    return RequestLog(stream, text=text) if root.level <= logging.INFO else None


class RequestLog:
    """Writes one line a finished request, a whole turn's lines in one write."""

    def __init__(self, stream: TextIO, *, text: bool) -> None:
        self._stream = stream
        self._line = _text_line if text else _json_line

    def __call__(self, records: Sequence[Record]) -> None:
        """Write the lines; a full disk or a closed pipe costs the lines, never the answers."""
        time = datetime.now(UTC).isoformat(timespec="milliseconds")
        try:
            self._stream.write("".join([self._line(time, record) for record in records]))
            self._stream.flush()
        except (OSError, ValueError):
            return


def _json_line(time: str, record: Record) -> str:
    line: dict[str, Any] = {
        "time": time,
        "level": "info",
        "logger": "service.requests",
        "message": "request",
        "method": record.method,
        "path": record.path,
        "status": record.status,
        "duration_s": round(record.duration_s, 6),
        "request_id": record.request_id,
    }
    if record.problem:
        line["problem"] = record.problem
    if record.rows:
        line |= {"model": record.model, "version": record.version, "rows": record.rows}
    return orjson.dumps(line, option=orjson.OPT_APPEND_NEWLINE).decode()


def _text_line(_time: str, record: Record) -> str:
    rows = f" {record.rows} row{'s' if record.rows > 1 else ''}" if record.rows else ""
    problem = f" {record.problem}" if record.problem else ""
    path = record.path.encode("unicode_escape").decode()  # a path must not move the terminal's cursor
    milliseconds = record.duration_s * 1e3
    return f"{record.status} {record.method} {path}{rows}{problem} {milliseconds:.2f} ms {record.request_id}\n"
