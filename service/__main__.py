"""python -m service, and mlp-serve: imports the server without garbage collections, and runs it."""

from __future__ import annotations

import gc
import os
import signal
import sys
from collections.abc import Sequence

from service.lifecycle import stop_signals


def main(arguments: Sequence[str] | None = None) -> int:
    """Serve until a stop signal.

    Returns the exit status: 0 after a stop signal, 1 if the server cannot start.
    """
    for number in stop_signals():  # process 1 of a container ignores signals without a handler
        signal.signal(number, lambda *_: os._exit(0))
    gc.disable()
    from service import deferred_models  # noqa: PLC0415 - these imports take a third of a second

    deferred_models.import_fastapi()
    from service.run import run  # noqa: PLC0415 - after FastAPI, and without garbage collections

    # What is imported stays: looking for garbage in it would take a tenth of the start.
    gc.freeze()
    gc.enable()
    return run(sys.argv[1:] if arguments is None else arguments)


if __name__ == "__main__":
    sys.exit(main())
