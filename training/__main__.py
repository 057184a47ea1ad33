"""python -m training, and mlp-train: take the signals first, then import what trains, and run it."""

import contextlib
import os
import sys
from typing import NoReturn

from training.cli.interrupt import Interrupts


def main() -> NoReturn:
    """Run the command line as a process of its own, and end it.

    The exit status is 0 where a version was published, or help printed; 1 where what was asked for cannot be done, 2
    where it cannot be understood, 130 after SIGINT and 143 after SIGTERM.
    """
    interrupts = Interrupts()
    interrupts.take()
    try:
        from training.cli import run  # noqa: PLC0415 - takes seconds, in which a signal must find its handler

        status = run.main(sys.argv[1:], interrupts)
    except KeyboardInterrupt:
        interrupts.end()
    except SystemExit as left:
        status = left.code if isinstance(left.code, int) else 1
    _leave(status)


def _leave(status: int) -> NoReturn:
    """End here, without Python's own way out: threads that Arrow is still starting make it abort there, and a signal
    that comes while it is on its way changes the status."""
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError):
            stream.flush()
    os._exit(status)


if __name__ == "__main__":
    main()
