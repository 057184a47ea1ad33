"""mlp-models compare: the scores of two versions on the same rows."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import orjson
from numpy.typing import NDArray

from service import artifact
from service.inference.model import Model
from service.inference.session import Outputs
from service.manifest import CLASSIFICATION, Manifest
from service.models import comparable, csv_rows, npz_rows, references, table
from service.models.command import Command, CommandError, Context
from service.models.labelled_rows import Batch, Skipped, View
from service.models.references import Reference
from service.models.scores import ClassificationScores, RegressionScores, Score

_HEAD: Final = ("score", "first", "second", "difference", "95 % interval", "second is")
_RIGHT: Final = ("first", "second", "difference", "95 % interval")
_NPZ: Final = ".npz"


@dataclass(frozen=True, slots=True)
class _Side:
    """One of the two versions."""

    reference: Reference
    model: Model

    @property
    def title(self) -> str:
        return f"{self.reference} ({self.model.provider}, {self.model.precision})"


@dataclass(frozen=True, slots=True)
class _Result:
    """What was compared on how many rows, and what came out."""

    sides: tuple[_Side, _Side]
    data: Path
    scores: ClassificationScores | RegressionScores
    skipped: Skipped

    def document(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "first": self._side(self.sides[0]),
            "second": self._side(self.sides[1]),
            "data": str(self.data),
            "rows": self.scores.rows,
            "skipped": [
                {"reason": f"rows {reason}", "rows": rows, "first": self.skipped.first[reason]}
                for reason, rows in self.skipped.counts.items()
            ],
            "scores": {
                each.name: {
                    "first": each.first,
                    "second": each.second,
                    "difference": each.difference,
                    "interval": each.interval,
                    "second_is": each.verdict,
                }
                for each in self.scores.scores()
            },
            **self.scores.comparison(),
        }

    def _side(self, side: _Side) -> dict[str, Any]:
        return {
            "model": side.reference.name,
            "version": side.reference.version,
            "provider": side.model.provider,
            "precision": side.model.precision,
        }

    def lines(self) -> Iterator[str]:
        """For people."""
        first, second = (side.title for side in self.sides)
        yield f"first: {first}, second: {second}, on {self.scores.rows:,} rows of {self.data}"
        yield ""
        yield from table.lines(_HEAD, [_row(each) for each in self.scores.scores()], _RIGHT)
        yield ""
        yield from _described(self.scores.comparison())
        for reason, rows in self.skipped.counts.items():
            first = table.printable(self.skipped.first[reason])
            yield f"left out: {rows:,} row{'s' * (rows != 1)} {reason}; first: {first}"


def _row(score: Score) -> list[str]:
    interval = "" if score.interval is None else f"{score.interval[0]:+.4g} to {score.interval[1]:+.4g}"
    verdict = "" if score.interval is None else score.verdict
    return [score.name, f"{score.first:.5g}", f"{score.second:.5g}", f"{score.difference:+.4g}", interval, verdict]


def _described(found: dict[str, Any]) -> Iterator[str]:
    if "agreement" not in found:
        yield f"predictions change by {found['mean_absolute_change']:.4g} on average, {found['max_change']:.4g} at most"
        return
    yield (
        f"the same label for {found['agreement']:.2%} of the rows; probabilities change by "
        f"{found['mean_absolute_probability_change']:.4g} on average, {found['max_probability_change']:.4g} at most"
    )
    yield (
        f"only the first is right on {found['only_first_right']:,} rows, only the second on "
        f"{found['only_second_right']:,}: p = {found['mcnemar_p']:.3g} (McNemar's test)"
    )


def _add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("first", metavar="A", help="a version: name@version, name for the newest, or its folder")
    parser.add_argument("second", metavar="B", help="the version to compare with it")
    parser.add_argument(
        "--data", metavar="FILE", type=Path, required=True, help="CSV with the target, or .npz of inputs and targets"
    )
    parser.add_argument(
        "--target", metavar="COLUMN", nargs="+", help="target columns of the CSV (default: as in training)"
    )
    parser.add_argument("--json", action="store_true", help="print JSON")


def _run(options: argparse.Namespace, context: Context) -> int:
    first, second = (references.version_of(text, context.models) for text in (options.first, options.second))
    data: Path = options.data
    if data.suffix.lower() == ".parquet":
        raise CommandError(f"{data} is a Parquet file, which the service cannot read; save it as CSV or .npz")
    _check_comparable(first, second, encoded=data.suffix.lower() == _NPZ)
    with closing(context.prover.load(first.folder)) as one, closing(context.prover.load(second.folder)) as other:
        result = _compared((_Side(first, one), _Side(second, other)), data, options.target)
        if options.json:
            flags = orjson.OPT_INDENT_2 | orjson.OPT_SERIALIZE_NUMPY
            context.write(orjson.dumps(result.document(), option=flags).decode())
            return 0
        for line in result.lines():
            context.write(line)
    return 0


def _check_comparable(first: Reference, second: Reference, *, encoded: bool) -> None:
    manifests = [artifact.read_manifest(each.folder) for each in (first, second)]
    reasons = comparable.differences(*manifests, encoded=encoded)
    if reasons:
        raise CommandError(f"{first} and {second} cannot be compared: {'; '.join(reasons)}")


def _compared(sides: tuple[_Side, _Side], data: Path, targets: list[str] | None) -> _Result:
    manifest = sides[0].model.manifest
    skipped = Skipped()
    classifies = manifest.task == CLASSIFICATION
    order = _label_order(manifest, sides[1].model.manifest)
    scores = ClassificationScores(len(manifest.classes)) if classifies else RegressionScores(len(manifest.targets))
    for batch in _batches(sides, data, targets, skipped):
        first, second = (
            each.model.run(inputs.astype(each.model.manifest.graph_dtype, order="C"))
            for each, inputs in zip(sides, (batch.inputs[0], batch.inputs[-1]), strict=True)
        )
        good = _finite(sides, (first, second), skipped)
        if not good.any():
            continue
        if isinstance(scores, ClassificationScores):
            scores.add(_numbers(first)[good], _numbers(second)[good][:, order], batch.targets[good])
        else:
            scores.add(_numbers(first)[good], _numbers(second)[good], batch.targets[good])
    if not scores.rows:
        reasons = "; ".join(f"{rows:,} {reason} ({skipped.first[reason]})" for reason, rows in skipped.counts.items())
        raise CommandError(f"{data} has no row to score: {reasons or 'it has a header alone'}")
    return _Result(sides, data, scores, skipped)


def _batches(sides: tuple[_Side, _Side], data: Path, targets: list[str] | None, skipped: Skipped) -> Iterator[Batch]:
    manifest = sides[0].model.manifest
    views = [View.of(str(each.reference), each.model.manifest, each.model.schema) for each in sides]
    if _encoding(manifest) == _encoding(sides[1].model.manifest):
        views = [View.of("the models", manifest, sides[0].model.schema)]
    if data.suffix.lower() == _NPZ:
        if targets:
            raise CommandError("--target names columns of a CSV file, and an .npz file has none; leave it out")
        return npz_rows.batches(data, views, manifest, skipped)
    if manifest.input_dtype == "uint8":
        raise CommandError(f"the models take images, and {data} is read as CSV; give an .npz of inputs and targets")
    columns = targets or list(manifest.targets)
    if len(columns) != len(manifest.targets):
        raise CommandError(
            f"--target names {len(columns)} columns, and the models have {len(manifest.targets)} targets"
        )
    return csv_rows.batches(data, views, manifest, columns, skipped)


def _encoding(manifest: Manifest) -> object:
    """What decides how rows are read."""
    features = [(each.encoding, each.missing, each.other) for each in manifest.features]
    return features, manifest.cells, manifest.input_dtype, manifest.input_shape


def _label_order(first: Manifest, second: Manifest) -> list[int]:
    """For each label of the first model, its index in the second."""
    indices = {label: index for index, label in enumerate(second.classes)}
    return [indices[label] for label in first.classes]


def _finite(sides: tuple[_Side, _Side], outputs: tuple[Outputs, Outputs], skipped: Skipped) -> NDArray[np.bool_]:
    """The rows for which both models have finite outputs; a server rejects the others."""
    good = np.ones(len(outputs[0].prediction), np.bool_)
    for side, given in zip(sides, outputs, strict=True):
        rows = given.overflowed()
        if len(rows):
            skipped.add(f"rejected by {side.reference}", "its outputs are not finite", len(rows))
            good[rows] = False
    return good


def _numbers(outputs: Outputs) -> NDArray[Any]:
    return outputs.prediction if outputs.probabilities is None else outputs.probabilities


COMMAND: Final = Command(
    name="compare",
    summary="compare the scores of two versions on the same rows",
    description="Score two versions on the same rows: a CSV file with the target column, or an .npz file with the "
    "arrays inputs and targets. Cells are read as in training and in requests. Rows without a target, and rows that a "
    "model rejects, are left out and counted. Differences come with a 95 % bootstrap interval. Versions with "
    "other features, labels or targets cannot be compared.",
    examples="""  mlp-models compare flats@1 flats@2 --data new-flats.csv
  mlp-models compare flats@2 flats --data new-flats.csv --target price --json""",
    add_arguments=_add_arguments,
    run=_run,
)
