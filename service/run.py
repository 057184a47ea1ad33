"""What mlp-serve runs: settings → workers → models → server."""

from __future__ import annotations

import gc
import logging
import os
import sys
import threading
from collections.abc import Callable, Sequence
from contextlib import redirect_stderr
from typing import Final

from service import app, cpus, heap, loading_thread, logs, manifest, metrics, server, sockets
from service.errors import StartError
from service.grpc import extra
from service.health import Health
from service.heartbeats import Heartbeats
from service.http.codecs import regular_json
from service.inference.selection import only_model
from service.keys.buckets import Buckets
from service.log_writer import LAST_LINES_S, LogStream, LogWriter
from service.metrics import Metrics
from service.metrics.folder import locked, remove_unused_folders
from service.settings import Settings, load
from service.sockets import Sockets, WorkerSockets
from service.tls.files import tls_files
from service.tls.rotation import Rotation
from service.workers import Supervisor

_log = logging.getLogger("service")

_STDERR: Final = 2

NewRotation = Callable[[Metrics], Rotation | None]


def run(arguments: Sequence[str]) -> int:
    """Serve by the options in ``arguments`` until a stop signal.

    Returns the exit status: 0 after a stop signal, 1 if the server cannot start.
    """
    heap.share()
    stop = server.Stop()
    stop.listen()
    if sys.stderr is None:  # it was closed, and the next file or socket would get its descriptor
        os.dup2(os.open(os.devnull, os.O_WRONLY), _STDERR)
    writer = LogWriter(_STDERR)
    with redirect_stderr(LogStream(writer)):
        status = _reported(lambda: _serve(arguments, stop, writer), stop, writer)
    if loading_thread.is_running():
        os._exit(status)
    return status


def _serve(arguments: Sequence[str], stop: server.Stop, writer: LogWriter) -> int:
    warnings: list[str] = []
    settings = load(arguments, warnings.append)
    request_log = logs.configure(settings.log_level, settings.log_format, writer)
    for warning in warnings:
        _log.warning(warning)
    count = max(int(cpus.available()), 1) if settings.workers == "auto" else settings.workers
    writer.shared = count > 1
    certificate = _certificate(settings)
    _log.info("%d worker(s) of one thread, on %g CPUs of quota and affinity", count, cpus.available())
    _log.info("numbers in JSON are read by %s", regular_json.READ_BY)
    if settings.grpc_port:
        extra.check()
    bound = sockets.bind(settings)
    try:
        return _serve_on(bound, certificate, settings, count, request_log, stop, writer)
    finally:
        bound.remove()


def _certificate(settings: Settings) -> NewRotation:
    """What makes a worker's `Rotation`, if there is a certificate. Raises `StartError`."""
    files = tls_files(settings.tls_cert, settings.tls_key, settings.tls_client_ca, settings.tls_key_password_file)
    if files is None:
        return lambda _metrics: None
    first = files.load_first()
    return lambda metrics: Rotation(files, first, metrics.tls, settings.reload_interval_s)


def _serve_on(
    bound: Sockets,
    certificate: NewRotation,
    settings: Settings,
    count: int,
    request_log: logs.RequestLog | None,
    stop: server.Stop,
    writer: LogWriter,
) -> int:
    """Serve by ``count`` workers."""
    replacing = threading.Event()
    heartbeats, buckets = Heartbeats(count), Buckets()
    if count > 1 and settings.model is None:
        # A worker that starts later may find more models, and has the same default as the others.
        settings = settings.model_copy(update={"model": only_model(settings.models)})

    def serve(index: int, metrics: Metrics, bound: Sockets) -> int:
        writer.on_drop(metrics.server.log_lines_dropped)
        health = Health(heartbeats, index)
        tls = certificate(metrics)
        service = loading_thread.wait_for(
            lambda: app.build(
                settings,
                request_log,
                metrics,
                health=health,
                tls=tls,
                replacement=replacing.is_set(),
                buckets=buckets,
            )
        )
        try:
            server.run(service, settings, bound, stop, tls)
        finally:
            service.close()
        return 0

    if count == 1:
        remove_unused_folders()
        return serve(0, metrics.alone(heartbeats), bound)
    return _supervise(heartbeats, serve, settings, bound, stop, writer, replacing)


def _supervise(
    heartbeats: Heartbeats,
    serve: Callable[[int, Metrics, Sockets], int],
    settings: Settings,
    bound: Sockets,
    stop: server.Stop,
    writer: LogWriter,
    replacing: threading.Event,
) -> int:
    """Run the workers on the addresses of ``bound``, which showed that they are free.

    ``replacing`` is set once a worker that served has died, and is inherited by those that start later.
    """
    # Once for all workers, which share the memory until they write to it, as a garbage collection would.
    manifest.build_validator()
    gc.freeze()
    worker_sockets = WorkerSockets(bound, len(heartbeats.workers), settings.keep_alive_timeout_s)
    with locked() as folder:
        for index in heartbeats.workers:
            metrics.mark_absent(index, folder)

        def work(index: int) -> int:
            def start() -> int:
                stop.listen()
                return serve(index, metrics.worker(index, folder, heartbeats), worker_sockets.of(index))

            return _reported(start, stop, writer)

        def died(index: int, hung: bool) -> None:
            replacing.set()
            worker_sockets.replace(index, [each for each in heartbeats.workers if heartbeats.responds(each)])
            try:
                metrics.mark_absent(index, folder, died=True, hung=hung)
            except StartError as error:
                _log.error("the metrics of worker %d could not be updated after its end: %s", index, error)

        if stop.requested:  # its exception was lost
            return 0
        return Supervisor(heartbeats, work, settings.drain_timeout_s + server.LINGER_S, died, bound.remove).run()


def _reported(serve: Callable[[], int], stop: server.Stop, writer: LogWriter) -> int:
    """The exit status of ``serve``, whose exceptions are written to the log. Stop signals are ignored after it.

    After a stop signal it is 0: native code that the signal's SystemExit interrupts may raise something else instead.
    """
    try:
        return serve()
    except SystemExit:
        if stop.requested:
            return 0
        raise  # an option is wrong, or --help was given
    except StartError as error:
        if stop.requested:
            return 0
        sys.stderr.write(f"mlp-serve: {error}\n")
        return 1
    except Exception:  # noqa: BLE001 - a bug is logged, too
        if stop.requested:
            return 0
        _log.critical("the server failed", exc_info=True)
        return 1
    finally:
        try:
            stop.ignore()
        finally:
            writer.flush(LAST_LINES_S)
