"""python -m service: settings → workers → models → server."""

from __future__ import annotations

import logging
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

from service import app, cpus, logs, metrics, server, settings
from service.errors import StartError
from service.settings import Settings
from service.workers import Supervisor

_log = logging.getLogger("service")  # started with -m, this module's own name says nothing


def main(arguments: Sequence[str] | None = None) -> int:
    """Serve until SIGTERM or SIGINT; the exit status is 0 then, and 1 where the server cannot start."""
    stop = server.Stop()
    stop.listen()
    return _reported(lambda: _serve(settings.load(sys.argv[1:] if arguments is None else arguments), stop))


def _serve(chosen: Settings, stop: server.Stop) -> int:
    request_log = logs.configure(chosen.log_level, chosen.log_format)
    count = max(int(cpus.available()), 1) if chosen.workers == "auto" else chosen.workers
    _log.info("%d worker(s) of one thread, on %g CPUs of quota and affinity", count, cpus.available())
    listener = server.listen(chosen.host, chosen.port, unread_timeout_s=chosen.keep_alive_timeout_s)
    if count == 1:
        service = app.build(chosen, request_log, metrics.alone())
        server.run(service, chosen, listener, ready=lambda: None, stop=stop)
        return 0
    host, port = listener.getsockname()[:2]
    # It is free, then; but a socket that is not shared keeps others from sharing the address.
    listener.close()
    with tempfile.TemporaryDirectory(prefix="mlp-metrics-") as folder:

        def work(index: int, ready: Callable[[], None]) -> int:
            def start() -> int:
                stop.listen()
                service = app.build(chosen, request_log, metrics.worker(index, Path(folder)))
                listener = server.listen(host, port, unread_timeout_s=chosen.keep_alive_timeout_s, shared=True)
                server.run(service, chosen, listener, ready, stop)
                return 0

            return _reported(start)

        return Supervisor(count, work, chosen.drain_timeout_s + server.LINGER_S).run()


def _reported(serve: Callable[[], int]) -> int:
    try:
        return serve()
    except StartError as error:
        sys.stderr.write(f"mlp-serve: {error}\n")  # at once: print writes the line's end apart, between other workers'
        return 1


if __name__ == "__main__":
    sys.exit(main())
