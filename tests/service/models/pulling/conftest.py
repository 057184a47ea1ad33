"""Fixtures of the tests of mlp-models pull."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from service.inference.loader import Bounds, Placement
from service.inference.selection import Selection
from service.models.command import Context
from service.models.prover import Prover
from service.models.pulling.mirror import Mirror, Wanted
from service.models.pulling.progress import Progress
from tests.service.models.pulling.sources import AT_ONCE, Unsteady


@pytest.fixture
def source(versions: Path) -> Unsteady:
    """A source with versions 1, 2 and 3 of ``small``."""
    return Unsteady(versions)


class Pulled:
    """A mirror of ``source`` in the folder ``models``, and what it said."""

    def __init__(self, source: Unsteady, models: Path, wanted: Wanted, selection: Selection) -> None:
        self.models = models
        self.lines: list[str] = []
        self.warnings: list[str] = []
        prover = Prover(Placement("cpu", "auto"), Bounds(100, 1000, 1.0))
        context = Context(models, prover, selection, self.lines.append)
        self.mirror = Mirror(source, wanted, context, AT_ONCE, Progress(None, lambda: 0.0), self.warnings.append)

    def look(self) -> tuple[int, int, int, int]:
        """How many versions were pulled, were there, were refused, were deleted."""
        outcome = self.mirror.look()
        return outcome.pulled, outcome.there, outcome.refused, outcome.deleted

    @property
    def versions(self) -> list[str]:
        """The visible versions of small."""
        return sorted(path.name for path in (self.models / "small").iterdir() if not path.name.startswith("."))


@pytest.fixture
def pulled(source: Unsteady, tmp_path: Path) -> Callable[..., Pulled]:
    """Makes a mirror of the source, which wants what is given."""

    def make(
        only: dict[str, int | None] | None = None,
        newest: int = 2,
        *,
        prune: bool = False,
        selection: Selection | None = None,
    ) -> Pulled:
        return Pulled(source, tmp_path / "copy", Wanted(only or {}, newest, prune), selection or Selection())

    return make
