"""mlp-score in this process: runs it, and reads what it wrote."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa
import pytest
from pyarrow import parquet

from service.cells import Cells
from service.manifest import Feature
from service.scoring.run import run
from service.scoring.stop import Stop, Stopped
from tests.service.published import TABLE, publish, rewrite

# A column of each kind, with and without missing values, and dates.
FEATURES = (
    *TABLE,
    Feature("day", "datetime", True, (), False, 0.0, 1.0, 0.0, 1.0, format="day-month-year"),
)
CELLS = Cells(missing_numbers=("NA", "?", "-999"))


def publish_table(models: Path, name: str = "table", **options: Any) -> None:
    """Publish a model of `FEATURES`, whose table was read by the rules `CELLS`."""
    publish(models, name, features=FEATURES, **options)
    rewrite(models / name / "1", lambda manifest: manifest.update(cells=asdict(CELLS)))


class Ended(NamedTuple):
    """How a run ended."""

    status: int
    out: str
    err: str


class Scoring:
    """Runs mlp-score with one models folder; ``folder`` is for its inputs and outputs."""

    def __init__(self, models: Path, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.models = models
        self.folder = folder
        self._capsys = capsys

    def __call__(self, *arguments: str | Path, stop: Stop | None = None) -> Ended:
        status = run([*map(str, arguments), "--models", str(self.models)], stop or Stop())
        return Ended(status, *self._capsys.readouterr())

    def fails(self, *arguments: str | Path) -> str:
        """The message of a run that ends with status 1, and leaves nothing."""
        before = sorted(self.folder.rglob("*"))
        ended = self(*arguments)
        assert (ended.status, ended.out) == (1, ""), ended
        assert sorted(self.folder.rglob("*")) == before
        return ended.err.removeprefix("mlp-score: ").rstrip("\n")

    def rows(self, model: str, given: Path, *options: str) -> pa.Table:
        """The rows of a run that succeeds."""
        output = self.folder / "scored.parquet"
        ended = self(model, given, output, "--overwrite", *options)
        assert ended.status == 0, ended
        return parquet.read_table(output)

    def write(self, name: str, content: str | bytes | Mapping[str, Any]) -> Path:
        """A file in the folder: a text, bytes, or a table as Parquet."""
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(content, str | bytes):
            path.write_bytes(content.encode() if isinstance(content, str) else content)
        else:
            parquet.write_table(pa.table(dict(content)), path)
        return path


class StopAfter(Stop):
    """A signal that arrives after so many chunks."""

    def __init__(self, chunks: int) -> None:
        super().__init__()
        self._left = chunks + 1  # one look is before the first

    def check(self) -> None:
        if self._left == 0:
            raise Stopped(15)
        self._left -= 1
