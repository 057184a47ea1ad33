"""python -m service.scoring: handles signals first, then imports the rest."""

from __future__ import annotations

import gc
import sys
from collections.abc import Sequence

from service.scoring.stop import Stop


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command. Returns the exit status: 0, 1 for an error, 2 for an invalid command line, 130 or 143."""
    stop = Stop()
    stop.install()
    gc.disable()
    from service.scoring.run import run  # noqa: PLC0415 - these imports take half a second

    return run(sys.argv[1:] if arguments is None else arguments, stop, _loaded)


def _loaded() -> None:
    """Collect garbage from here on, but not in what is imported, which stays: that takes long, also at the end."""
    gc.freeze()
    gc.enable()


if __name__ == "__main__":
    sys.exit(main())
