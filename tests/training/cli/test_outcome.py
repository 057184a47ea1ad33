"""How a command ends, and what it prints then."""

from __future__ import annotations

import io

import pyarrow as pa
import pytest
from rich.console import Console

from training.cli import outcome
from training.errors import DataError, NotPromoted


def ended(error: BaseException | None) -> tuple[int, str]:
    """The exit status and the output of a command that raises an error."""

    def run() -> None:
        if error is not None:
            raise error

    console = Console(file=io.StringIO(), width=200)
    status = outcome.status_of("mlp-train", run, console)
    assert isinstance(console.file, io.StringIO)
    return status, console.file.getvalue()


def test_success_and_errors() -> None:
    assert ended(None) == (0, "")
    assert ended(DataError("x.csv is empty; add rows")) == (1, "mlp-train: x.csv is empty; add rows\n")


def test_a_version_that_was_refused() -> None:
    status, printed = ended(NotPromoted("worse", ["its accuracy is lower"], "add --force"))
    assert status == outcome.NOT_PROMOTED
    assert printed == ("- its accuracy is lower\nmlp-train: not published: worse; add --force\n")


@pytest.mark.parametrize("kind", [MemoryError, pa.ArrowMemoryError])
def test_too_little_memory_is_one_sentence(kind: type[MemoryError]) -> None:
    status, printed = ended(kind("malloc failed"))
    assert status == 1
    assert printed == ("mlp-train: there is not enough memory (malloc failed); give it less data, or more memory\n")
