"""The exit status of a command, and how its errors are printed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from rich.console import Console

from training.errors import NotPromoted, TrainingError

NOT_PROMOTED: Final = 3


def status_of(program: str, run: Callable[[], None], console: Console) -> int:
    """Call ``run``; return 0 if it succeeded, `NOT_PROMOTED` if a version was refused, 1 after a printed error."""
    try:
        run()
    except NotPromoted as error:
        for reason in error.reasons:
            console.print(f"- {reason}")
        console.print(f"{program}: {error.summary}")
        return NOT_PROMOTED
    except TrainingError as error:
        console.print(f"{program}: {error}")
        return 1
    except MemoryError as error:
        console.print(f"{program}: there is not enough memory ({error}); give it less data, or more memory")
        return 1
    return 0
