"""A chunk of rows to rows of the output, by the server's session: what a worker does."""

from __future__ import annotations

from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from service.errors import Fault, InvalidInput, RequestError
from service.imputed import Imputed
from service.inference import imputation
from service.inference.model import Model
from service.inference.row_faults import RowFaults
from service.inference.session import Outputs
from service.models.command import CommandError
from service.scoring.output import Output, no_outputs
from service.scoring.readers.source import Chunk

_OVERFLOW: Final = (
    "is answered with no finite number: its values are too large for the model; give some within the ranges of its "
    "features, which its card lists"
)
# Rows of a call, and their values if it has more rows than the server's: more fall out of the processor's cache.
_CALL_ROWS: Final = 1024
_CALL_VALUES: Final = 2**15


class Scored(NamedTuple):
    """The rows of a chunk with their answers, an Arrow record batch; ``faults`` are counted from 0 within the chunk."""

    file: str
    amount: int
    rows: int
    batch: Any
    faults: list[Fault]
    imputed: Imputed


class Scorer:
    """Runs a model on chunks, as a server would; safe to call from several threads."""

    def __init__(self, model: Model, output: Output) -> None:
        self._model = model
        self._output = output

    def __call__(self, chunk: Chunk) -> Scored:
        """The rows of ``chunk`` with their answers. Raises `CommandError`."""
        try:
            inputs, kept, faults = chunk.read()
        except RequestError as error:  # one that is no row's
            raise CommandError(f"{chunk.file}: {error}") from error
        imputed = Imputed()
        if self._model.schema.defaults is not None:
            inputs = imputation.impute(inputs, self._model.schema, imputed)
        try:
            outputs = self._run(inputs)
        except Exception as error:
            reason = str(error).strip().partition("\n")[0]
            raise CommandError(f"{chunk.file}: the network failed: {reason:.200}; try --provider cpu") from error
        _add_overflows(outputs, faults)
        batch = self._output.batch(kept, outputs, faults)
        return Scored(chunk.file, chunk.amount, kept.num_rows, batch, faults.faults(), imputed)

    def _run(self, inputs: NDArray[Any]) -> Outputs:
        """The outputs for ``inputs`` (rows, features), in calls of at least as many rows as the server's."""
        if not len(inputs):
            return no_outputs(self._model.manifest)
        rows = np.ascontiguousarray(inputs, self._model.manifest.graph_dtype)
        size = max(self._model.costs.batch_rows, min(_CALL_ROWS, _CALL_VALUES // rows.shape[1]))
        return Outputs.joined([self._model.run(rows[first : first + size]) for first in range(0, len(rows), size)])


def _add_overflows(outputs: Outputs, faults: RowFaults) -> None:
    for row in outputs.overflowed().tolist():
        if row not in faults:
            faults.add(row, InvalidInput(Fault(f"row {row} {_OVERFLOW}", row)))
