"""Errors of a chunk that are no row's."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from numpy.typing import NDArray

from service.errors import Fault, InvalidInput
from service.inference.model import Model
from service.inference.session import Outputs
from service.models.command import CommandError
from service.models.prover import Bounds, Placement, Prover
from service.scoring.faults import ChunkFaults
from service.scoring.output import AnswerOptions, Output
from service.scoring.readers.source import Read
from service.scoring.scorer import Scorer


@dataclass
class Rows:
    """A chunk of zeros; or of none, for an ``error``."""

    error: InvalidInput | None = None
    file: str = "rows.csv"
    amount: int = 600

    def read(self) -> Read:
        if self.error is not None:
            raise self.error
        kept = pa.RecordBatch.from_arrays([pa.array(range(600))], ["id"])
        return Read(np.zeros((600, 4), np.float64), kept, ChunkFaults())


@pytest.fixture(scope="module")
def model(models: Path) -> Model:
    return Prover(Placement("cpu", "fp32"), Bounds(2**31, 2**31, 1.0)).load(models / "small" / "1")


def scorer(model: Model) -> Scorer:
    return Scorer(model, Output(pa.schema([("id", pa.int64())]), model.manifest, AnswerOptions()))


def test_calls_are_those_of_the_server(model: Model) -> None:
    calls: list[tuple[int, Any]] = []

    def run(rows: NDArray[Any]) -> Outputs:
        calls.append((len(rows), rows.dtype))
        return model.run(rows)

    scored = scorer(replace(model, run=run))(Rows())
    assert calls == [(256, np.float32), (256, np.float32), (88, np.float32)]
    assert scored.batch["id"].to_pylist() == list(range(600))


def test_a_network_that_fails(model: Model) -> None:
    def run(_rows: NDArray[Any]) -> Outputs:
        raise RuntimeError("out of memory\nin line 3")

    with pytest.raises(CommandError) as raised:
        scorer(replace(model, run=run))(Rows())
    assert str(raised.value) == "rows.csv: the network failed: out of memory; try --provider cpu"


def test_a_chunk_that_is_wrong_as_a_whole(model: Model) -> None:
    with pytest.raises(CommandError) as raised:
        scorer(model)(Rows(InvalidInput(Fault("all pixels are fractions"))))
    assert str(raised.value) == "rows.csv: all pixels are fractions"
