"""python -m service.models: handles signals first, then imports the rest."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Sequence
from typing import Final

_INTERRUPTED: Final = 128 + signal.SIGINT
_TERMINATED: Final = 128 + signal.SIGTERM


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command. Returns the exit status: 0, 1 for an error, 2 for an invalid command line."""
    if os.getpid() == 1:  # the first process of a container gets no SIGTERM without a handler
        signal.signal(signal.SIGTERM, lambda *_: os._exit(_TERMINATED))
    try:
        from service.models.run import run  # noqa: PLC0415 - these imports take half a second

        return run(sys.argv[1:] if arguments is None else arguments)
    except KeyboardInterrupt:
        return _INTERRUPTED


if __name__ == "__main__":
    sys.exit(main())
