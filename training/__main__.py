"""python -m training, and mlp-train: install the signal handlers, then import and run the command line."""

import contextlib
import os
import sys
from typing import NoReturn

from training.run.interrupt import Interrupts


def main() -> NoReturn:
    """Run the command line and exit.

    The exit status is 0 if a version was published or help was printed, 1 after an error, 2 for arguments that cannot
    be parsed, 3 if the version was refused, 130 after SIGINT and 143 after SIGTERM.
    """
    interrupts = Interrupts()
    interrupts.install()
    try:
        from training.cli import run  # noqa: PLC0415 - takes seconds; signals are handled meanwhile

        status = run.main(sys.argv[1:], interrupts)
    except KeyboardInterrupt:
        interrupts.end()
    except SystemExit as error:
        status = error.code if isinstance(error.code, int) else 1
    _exit(status)


def _exit(status: int) -> NoReturn:
    """Exit without Python's shutdown, in which threads that Arrow is still starting abort the process, and a signal
    changes the status."""
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError):
            stream.flush()
    os._exit(status)


if __name__ == "__main__":
    main()
