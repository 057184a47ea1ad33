"""python -m service.scoring: handles signals first, then imports the rest."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from service.scoring.stop import Stop


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command. Returns the exit status: 0, 1 for an error, 2 for an invalid command line, 130 or 143."""
    stop = Stop()
    stop.install()
    from service.scoring.run import run  # noqa: PLC0415 - these imports take half a second

    return run(sys.argv[1:] if arguments is None else arguments, stop)


if __name__ == "__main__":
    sys.exit(main())
