"""The columns of the output: those of the input that are kept, and the answers, named as in Arrow answers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import pyarrow as pa

from service.http.codecs import arrow_answers
from service.http.options import Options
from service.inference.row_faults import RowFaults
from service.inference.session import Outputs
from service.manifest import CLASSIFICATION, Manifest
from service.models.command import CommandError
from service.scoring.faults import reason
from service.scoring.readers.table_batch import record_batch

FAIL: Final = "fail"
SKIP: Final = "skip"
NULL: Final = "null"
_ERROR: Final = "error"
_CLASS: Final = "class"  # the label's index, which the label itself stands for


@dataclass(frozen=True, slots=True)
class AnswerOptions:
    """What is answered beside the prediction, what begins the names of the answers, and what becomes of bad rows."""

    probabilities: bool = False
    top_k: int = 0
    prefix: str = ""
    on_error: str = FAIL


class Output:
    """Makes the rows of the output. Raises `CommandError` if names clash, or a regression should answer classes."""

    def __init__(self, kept: Any, manifest: Manifest, choices: AnswerOptions) -> None:
        self._manifest = manifest
        self._choices = choices
        self._options = _options(manifest, choices)
        answers = self._answers(no_outputs(manifest))
        fields = [pa.field(f"{choices.prefix}{name}", each.type) for name, each in answers.items()]
        if choices.on_error == NULL:
            fields.append(pa.field(f"{choices.prefix}{_ERROR}", pa.string()))
        _check_names(kept.names, [field.name for field in fields], choices.prefix)
        about = {"model": manifest.name, "version": str(manifest.version)}
        self.schema = pa.schema([*kept, *fields], metadata=about)

    def batch(self, kept: Any, outputs: Outputs, faults: RowFaults) -> Any:
        """The record batch of rows: without those in ``faults``, or with nulls and a reason, as ``on_error`` says."""
        answers, rows = list(self._answers(outputs).values()), kept.num_rows
        if self._choices.on_error == NULL:
            answers.append(pa.nulls(rows, pa.string()))
        if not faults:
            return record_batch([*kept.columns, *answers], self.schema, rows)
        bad = faults.mask(rows)
        if self._choices.on_error == NULL:
            reasons = np.full(rows, None, object)
            reasons[bad] = [reason(fault) for fault in faults.faults()]
            answers = [arrow_answers.with_nulls(each, bad) for each in answers[:-1]] + [pa.array(reasons, pa.string())]
        whole = record_batch([*kept.columns, *answers], self.schema, rows)
        return whole.filter(pa.array(~bad)) if self._choices.on_error == SKIP else whole

    def _answers(self, outputs: Outputs) -> Mapping[str, Any]:
        columns = arrow_answers.columns_of(self._manifest, self._options, outputs)
        return {name: each for name, each in columns.items() if outputs.probabilities is None or name != _CLASS}


def no_outputs(manifest: Manifest) -> Outputs:
    """The outputs for no rows."""
    if manifest.task == CLASSIFICATION:
        return Outputs(np.empty((0, len(manifest.classes)), np.float32), np.empty(0, np.int64))
    return Outputs(None, np.empty((0, len(manifest.targets)), manifest.output_dtype))


def _options(manifest: Manifest, choices: AnswerOptions) -> Options:
    classes = len(manifest.classes)
    if not classes and (choices.probabilities or choices.top_k):
        option = "--probabilities" if choices.probabilities else "--top-k"
        raise CommandError(f"{option} means nothing here, as the model predicts numbers and no classes; leave it out")
    if choices.top_k and not 1 <= choices.top_k <= classes:
        raise CommandError(f"--top-k is {choices.top_k}, expected 1 to {classes}, the number of classes")
    return Options(top_k=choices.top_k, probabilities=choices.probabilities)


def _check_names(kept: list[str], answers: list[str], prefix: str) -> None:
    clashes = [name for name in answers if name in kept]
    if clashes:
        another = "another --prefix" if prefix else "--prefix, such as --prefix model_"
        listed, them = ", ".join(map(repr, clashes[:10])), "it" if len(clashes) == 1 else "them"
        raise CommandError(
            f"the input has {listed}, as the answers have; rename the answers with {another}, or leave {them} out by "
            "naming the columns to --keep"
        )
