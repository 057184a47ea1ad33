"""The log: one line for each message and each request, as JSON, or as text on a terminal."""

from __future__ import annotations

import json
import logging
import os
import traceback
import warnings
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, Final, Literal, TextIO

import orjson

from service.log_writer import LogWriter
from service.requests import RequestRecord

_log = logging.getLogger(__name__)

# Clients may send paths of 64 kB.
_MAX_PATH_LENGTH: Final = 1024


class JsonFormatter(logging.Formatter):
    """Formats a log record as a JSON object: time, level, logger, message, and the traceback if there is one."""

    def format(self, record: logging.LogRecord) -> str:
        """The JSON object, without a line break."""
        line: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        if record.exc_info:
            line["traceback"] = "".join(traceback.format_exception(*record.exc_info))
        try:
            return orjson.dumps(line).decode()
        except TypeError:  # a file name that is not UTF-8
            return json.dumps(line)


class TextFormatter(logging.Formatter):
    """Formats a log record as its level and message in one line, and the traceback if there is one."""

    def __init__(self) -> None:
        super().__init__("%(levelname)-8s %(message)s")

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 - logging's name
        """The first line. Control characters, which names of files may have, are escaped."""
        line = super().formatMessage(record)
        if line.isprintable():
            return line
        return "".join(each if each.isprintable() else each.encode("unicode_escape").decode() for each in line)


class _Handler(logging.Handler):
    """Queues each message in the writer."""

    def __init__(self, writer: LogWriter, formatter: logging.Formatter) -> None:
        super().__init__()
        self._writer = writer
        self.setFormatter(formatter)

    def line(self, record: logging.LogRecord) -> bytes:
        return self.format(record).encode("utf-8", "backslashreplace") + b"\n"

    def emit(self, record: logging.LogRecord) -> None:
        try:
            self._writer.put(self.line(record))
        except Exception:  # noqa: BLE001 - formatting may fail
            self.handleError(record)


def configure(level: str, form: Literal["auto", "json", "text"], writer: LogWriter) -> RequestLog | None:
    """Send all messages of the process, including Python warnings, to ``writer``.

    Returns the log of requests, or None if ``level`` excludes it.
    """
    text = form == "text" or (form == "auto" and os.isatty(writer.descriptor))
    handler = _Handler(writer, TextFormatter() if text else JsonFormatter())

    def notice(lines: int) -> bytes:
        message = "%d line(s) of the log were dropped: they came faster than they were read, or the disk was full"
        return handler.line(_log.makeRecord(_log.name, logging.WARNING, __file__, 0, message, (lines,), None))

    writer.notice = notice
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    # uvicorn's messages on start and stop repeat ours. Its warnings and errors stay.
    logging.getLogger("uvicorn").setLevel(max(root.level, logging.WARNING))
    warnings.showwarning = _log_warning
    return RequestLog(writer, text=text) if root.level <= logging.INFO else None


def _log_warning(
    message: Warning | str,
    category: type[Warning],
    filename: str,  # noqa: ARG001 - a path on this machine does not help the reader
    lineno: int,  # noqa: ARG001
    file: TextIO | None = None,  # noqa: ARG001
    line: str | None = None,  # noqa: ARG001
) -> None:
    """Log a Python warning in one line; `logging.captureWarnings` would take several."""
    logging.getLogger("py.warnings").warning("%s: %s", category.__name__, " ".join(str(message).split()))


class RequestLog:
    """Writes one line for each finished request, and a batch of lines at once."""

    def __init__(self, writer: LogWriter, *, text: bool) -> None:
        self._writer = writer
        self._line = _text_line if text else _json_line

    def __call__(self, records: Sequence[RequestRecord]) -> None:
        """Queue the lines. A full disk, a closed pipe or a slow reader costs lines, never responses."""
        if self._writer.full:
            self._writer.drop(len(records))
            return
        time = datetime.now(UTC).isoformat(timespec="milliseconds")
        self._writer.put(b"".join([self._line(time, record) for record in records]))


def _json_line(time: str, record: RequestRecord) -> bytes:
    line: dict[str, Any] = {
        "time": time,
        "level": "info",
        "logger": "service.requests",
        "message": "request",
        "method": record.method,
        "path": record.path[:_MAX_PATH_LENGTH],
        "status": record.status,
        "duration_s": round(record.duration_s, 6),
        "request_id": record.request_id,
    }
    if record.client:
        line["client"] = record.client
    if record.key:
        line["key"] = record.key
    if record.trace_id:
        line["trace_id"] = record.trace_id
        line["sampled"] = record.sampled
        if record.parent_span_id:
            line["parent_span_id"] = record.parent_span_id
        if record.span_id:
            line["span_id"] = record.span_id
    if record.problem:
        line["problem"] = record.problem
    if record.rows:
        line |= {"model": record.model, "version": record.version, "rows": record.rows}
    return orjson.dumps(line, option=orjson.OPT_APPEND_NEWLINE)


def _text_line(_time: str, record: RequestRecord) -> bytes:
    rows = f" {record.rows} row{'s' if record.rows > 1 else ''}" if record.rows else ""
    problem = f" {record.problem}" if record.problem else ""
    path = record.path[:_MAX_PATH_LENGTH].encode("unicode_escape").decode()  # no control characters on the terminal
    milliseconds = record.duration_s * 1e3
    line = f"{record.status} {record.method} {path}{rows}{problem} {milliseconds:.2f} ms {record.request_id}\n"
    return line.encode()
