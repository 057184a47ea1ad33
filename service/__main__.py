"""python -m service: settings → models → server."""

from __future__ import annotations

import signal
import sys
from collections.abc import Sequence
from types import FrameType

import uvicorn

from service import app, logs, server, settings
from service.errors import StartError
from service.http import express
from service.settings import Settings


def main(arguments: Sequence[str] | None = None) -> int:
    """Serve until SIGTERM or SIGINT; the exit status is 0 then, and 1 where the server cannot start."""
    # As process 1 of a container a signal without a handler is ignored, so there is one before anything is loaded.
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, _stop)
    try:
        chosen = settings.load(sys.argv[1:] if arguments is None else arguments)
        _serve(chosen)
    except StartError as error:
        print(f"mlp-serve: {error}", file=sys.stderr)  # noqa: T201 - the one message a person must see
        return 1
    return 0


def _serve(chosen: Settings) -> None:
    request_log = logs.configure(chosen.log_level, chosen.log_format)
    listener = server.listen(chosen.host, chosen.port)
    service = app.build(chosen, request_log)
    config = uvicorn.Config(
        service.app,
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        timeout_keep_alive=chosen.keep_alive_timeout_s,
        timeout_graceful_shutdown=chosen.drain_timeout_s,
        ws="none",
        http=express.protocol_of(service.door) if chosen.express else "httptools",
        loop="uvloop",
    )
    server.Server(config, service.lifecycle).run([listener])


def _stop(_number: int, _frame: FrameType | None) -> None:
    raise SystemExit(0)


if __name__ == "__main__":
    sys.exit(main())
