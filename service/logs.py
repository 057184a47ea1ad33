"""The log: one line for each message and each request, as JSON, or as text on a terminal."""

from __future__ import annotations

import json
import logging
import os
import traceback
import warnings
from collections.abc import Sequence
from datetime import UTC, datetime
from operator import attrgetter
from typing import Any, Final, Literal, TextIO

import orjson

from service.log_writer import LogWriter
from service.requests import RequestRecord

_log = logging.getLogger(__name__)

# Clients may send paths of 64 kB.
_MAX_PATH_LENGTH: Final = 1024
# All that a line says of a request beside its duration and id.
_COMMON: Final = attrgetter(
    *("method", "path", "status", "client", "key", "problem", "model", "version", "rows"),
    *("trace_id", "sampled", "parent_span_id", "span_id"),
)


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
        self._lines = _text_lines if text else _json_lines

    def __call__(self, records: Sequence[RequestRecord]) -> None:
        """Queue the lines. A full disk, a closed pipe or a slow reader costs lines, never responses."""
        if self._writer.full:
            self._writer.drop(len(records))
            return
        self._writer.put(self._lines(records))


def _json_lines(records: Sequence[RequestRecord]) -> bytes:
    """The lines of ``records``; what several have in common is encoded once."""
    time = datetime.now(UTC).isoformat(timespec="milliseconds")
    common: dict[tuple[Any, ...], tuple[bytes, bytes]] = {}
    lines = []
    for record in records:
        key = _COMMON(record)
        found = common.get(key)
        if found is None:
            found = common[key] = _around(time, record)
        request_id = orjson.dumps(record.request_id)
        lines.append(b'%b,"duration_s":%.6f,"request_id":%b%b' % (found[0], record.duration_s, request_id, found[1]))
    return b"".join(lines)


def _around(time: str, record: RequestRecord) -> tuple[bytes, bytes]:
    """A request's line before and after its duration and id."""
    before: dict[str, Any] = {
        "time": time,
        "level": "info",
        "logger": "service.requests",
        "message": "request",
        "method": record.method,
        "path": record.path[:_MAX_PATH_LENGTH],
        "status": record.status,
    }
    after: dict[str, Any] = {}
    if record.client:
        after["client"] = record.client
    if record.key:
        after["key"] = record.key
    if record.trace_id:
        after["trace_id"] = record.trace_id
        after["sampled"] = record.sampled
        if record.parent_span_id:
            after["parent_span_id"] = record.parent_span_id
        if record.span_id:
            after["span_id"] = record.span_id
    if record.problem:
        after["problem"] = record.problem
    if record.rows:
        after |= {"model": record.model, "version": record.version, "rows": record.rows}
    rest = orjson.dumps(after)[1:]
    return orjson.dumps(before)[:-1], b"%b%b\n" % (b"," if after else b"", rest)


def _text_lines(records: Sequence[RequestRecord]) -> bytes:
    return b"".join(map(_text_line, records))


def _text_line(record: RequestRecord) -> bytes:
    rows = f" {record.rows} row{'s' if record.rows > 1 else ''}" if record.rows else ""
    problem = f" {record.problem}" if record.problem else ""
    path = record.path[:_MAX_PATH_LENGTH].encode("unicode_escape").decode()  # no control characters on the terminal
    milliseconds = record.duration_s * 1e3
    line = f"{record.status} {record.method} {path}{rows}{problem} {milliseconds:.2f} ms {record.request_id}\n"
    return line.encode()
