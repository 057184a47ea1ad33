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
    amount: int = 2500
    width: int = 4

    def read(self) -> Read:
        if self.error is not None:
            raise self.error
        kept = pa.RecordBatch.from_arrays([pa.array(range(self.amount))], ["id"])
        return Read(np.zeros((self.amount, self.width), np.float64), kept, ChunkFaults())


@pytest.fixture(scope="module")
def model(models: Path) -> Model:
    return Prover(Placement("cpu", "fp32"), Bounds(2**31, 2**31, 1.0)).load(models / "small" / "1")


def scorer(model: Model) -> Scorer:
    return Scorer(model, Output(pa.schema([("id", pa.int64())]), model.manifest, AnswerOptions()))


@pytest.mark.parametrize(
    ("width", "sizes"), [(4, [1024, 1024, 452]), (2**6, [512] * 4 + [452]), (2**8, [256] * 9 + [196])]
)
def test_calls_have_the_rows_of_the_server_or_more_of_few_features(model: Model, width: int, sizes: list[int]) -> None:
    calls: list[tuple[int, Any]] = []

    def run(rows: NDArray[Any]) -> Outputs:
        calls.append((len(rows), rows.dtype))
        return model.run(np.ascontiguousarray(rows[:, :4]))

    scored = scorer(replace(model, run=run))(Rows(width=width))
    assert calls == [(size, np.float32) for size in sizes]
    assert scored.batch["id"].to_pylist() == list(range(2500))


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
