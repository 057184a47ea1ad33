"""python -m service: settings → workers → models → server."""

from __future__ import annotations

import logging
import signal
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from types import FrameType

from service import app, cpus, logs, metrics, server, settings
from service.errors import StartError
from service.settings import Settings
from service.workers import Supervisor

_log = logging.getLogger("service")  # started with -m, this module's own name says nothing


def main(arguments: Sequence[str] | None = None) -> int:
    """Serve until SIGTERM or SIGINT; the exit status is 0 then, and 1 where the server cannot start."""
    _exit_on_signals()
    return _reported(lambda: _serve(settings.load(sys.argv[1:] if arguments is None else arguments)))


def _serve(chosen: Settings) -> int:
    request_log = logs.configure(chosen.log_level, chosen.log_format)
    count = max(int(cpus.available()), 1) if chosen.workers == "auto" else chosen.workers
    _log.info("%d worker(s) of one thread, on %g CPUs of quota and affinity", count, cpus.available())
    listener = server.listen(chosen.host, chosen.port, unread_timeout_s=chosen.keep_alive_timeout_s)
    if count == 1:
        service = app.build(chosen, request_log, metrics.alone())
        server.run(service, chosen, listener, ready=lambda: None)
        return 0
    host, port = listener.getsockname()[:2]
    # It is free, then; but a socket that is not shared keeps others from sharing the address.
    listener.close()
    with tempfile.TemporaryDirectory(prefix="mlp-metrics-") as folder:

        def work(index: int, ready: Callable[[], None]) -> int:
            def start() -> int:
                _exit_on_signals()
                service = app.build(chosen, request_log, metrics.worker(index, Path(folder)))
                listener = server.listen(host, port, unread_timeout_s=chosen.keep_alive_timeout_s, shared=True)
                server.run(service, chosen, listener, ready)
                return 0

            return _reported(start)

        return Supervisor(count, work, chosen.drain_timeout_s + server.LINGER_S).run()


def _reported(serve: Callable[[], int]) -> int:
    try:
        return serve()
    except StartError as error:
        print(f"mlp-serve: {error}", file=sys.stderr)  # noqa: T201 - the one message a person must see
        return 1


def _exit_on_signals() -> None:
    """Until uvicorn takes the signals over, and after: it raises those it took once more when it is done.

    As process 1 of a container a signal without a handler is ignored.
    """
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, _exit)


def _exit(_number: int, _frame: FrameType | None) -> None:
    raise SystemExit(0)


if __name__ == "__main__":
    sys.exit(main())
