"""Start a command: install the signal handlers, then import and run its module, which takes seconds."""

import contextlib
import importlib
import os
import sys
from typing import NoReturn

from training.run.interrupt import Interrupts


def run(program: str, module: str) -> NoReturn:
    """Call ``main(arguments, interrupts)`` of ``module``, and exit with the status that it returns.

    The exit status is 2 for arguments that cannot be parsed, 130 after SIGINT and 143 after SIGTERM. ``program`` is the
    name in messages.
    """
    interrupts = Interrupts(program)
    interrupts.install()
    try:
        status = importlib.import_module(module).main(sys.argv[1:], interrupts)
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
