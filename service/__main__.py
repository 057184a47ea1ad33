"""python -m service: settings → workers → models → server."""

from __future__ import annotations

import logging
import os
import socket
import sys
from collections.abc import Callable, Sequence
from contextlib import redirect_stderr
from typing import Final

from service import app, cpus, logs, metrics, metrics_folder, server, settings
from service.errors import StartError
from service.log_writer import LAST_LINES_S, LogStream, LogWriter
from service.metrics import Metrics
from service.settings import Settings
from service.workers import Supervisor

_log = logging.getLogger("service")  # started with -m, this module's own name says nothing

_STDERR: Final = 2


def main(arguments: Sequence[str] | None = None) -> int:
    """Serve until a signal to stop; the exit status is 0 then, and 1 where the server cannot start."""
    stop = server.Stop()
    stop.listen()
    if sys.stderr is None:  # it was closed, and the next file or socket would take its place
        os.dup2(os.open(os.devnull, os.O_WRONLY), _STDERR)
    writer = LogWriter(_STDERR)
    with redirect_stderr(LogStream(writer)):
        chosen = sys.argv[1:] if arguments is None else arguments
        return _reported(lambda: _serve(settings.load(chosen), stop, writer), writer)


def _serve(chosen: Settings, stop: server.Stop, writer: LogWriter) -> int:
    request_log = logs.configure(chosen.log_level, chosen.log_format, writer)
    count = max(int(cpus.available()), 1) if chosen.workers == "auto" else chosen.workers
    writer.shared = count > 1
    _log.info("%d worker(s) of one thread, on %g CPUs of quota and affinity", count, cpus.available())
    listener = server.listen(chosen.host, chosen.port, unread_timeout_s=chosen.keep_alive_timeout_s)

    def run(counted: Metrics, listener: Callable[[], socket.socket], ready: Callable[[], None]) -> int:
        writer.on_drop(counted.log_lines_dropped)
        service = app.build(chosen, request_log, counted)
        try:
            server.run(service, chosen, listener(), ready, stop)
        finally:
            service.fast_path.tracker.flush()  # what was answered after all else was over
        return 0

    if count == 1:
        return run(metrics.alone(), lambda: listener, lambda: None)
    host, port = listener.getsockname()[:2]
    # It is free, then; but a socket that is not shared keeps others from sharing the address.
    listener.close()
    with metrics_folder.held() as folder:
        for index in range(count):
            metrics.absent(index, folder, died=False)

        def work(index: int, ready: Callable[[], None]) -> int:
            def start() -> int:
                stop.listen()
                return run(metrics.worker(index, folder), shared_listener, ready)

            return _reported(start, writer)

        def shared_listener() -> socket.socket:
            return server.listen(host, port, unread_timeout_s=chosen.keep_alive_timeout_s, shared=True)

        def died(index: int) -> None:
            try:
                metrics.absent(index, folder, died=True)
            except StartError as error:
                _log.error("worker %d stays in the metrics as it was: %s", index, error)

        return Supervisor(count, work, chosen.drain_timeout_s + server.LINGER_S, died).run()


def _reported(serve: Callable[[], int], writer: LogWriter) -> int:
    try:
        return serve()
    except StartError as error:
        sys.stderr.write(f"mlp-serve: {error}\n")
        return 1
    except Exception:  # noqa: BLE001 - a fault of ours is a line of the log, too
        _log.critical("the server failed", exc_info=True)
        return 1
    finally:
        writer.flush(LAST_LINES_S)


if __name__ == "__main__":
    sys.exit(main())
