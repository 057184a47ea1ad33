"""Write the next version of a model into the models folder."""

from __future__ import annotations

import io
import json
import subprocess
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from importlib.metadata import version as installed
from pathlib import Path
from typing import Any, Final, cast

import numpy as np
from numpy.typing import NDArray

from service import artifact, artifact_writer, dates, refused
from service.manifest import (
    CLASSIFICATION,
    REGRESSION,
    ArtifactError,
    InputDtype,
    Manifest,
    OutputDtype,
    format_of,
)
from training.errors import TrainingError
from training.release import card, onnx_runtime, search_section, seen_rows
from training.release.interface import features_of
from training.release.onnx_export import CLASSIFIER_OUTPUTS, OPSET, REGRESSOR_OUTPUTS
from training.release.reference import reference
from training.release.training_run import Candidate, TrainingRun

_GOLDEN_ROWS: Final = 32
# Where two labels nearly tie, another processor's rounding may change the prediction.
_CLEAR_MARGIN: Final = 0.1
_LIBRARIES: Final = ("mlp-serving", "torch", "onnx", "onnxruntime", "numpy", "scikit-learn")


def publish(candidate: Candidate, models_dir: Path, on_commit: Callable[[], None] = lambda: None) -> Path:
    """Write ``models_dir/<name>/<next version>``, complete or not at all, and return it.

    ``on_commit`` is called just before the version appears, and prevents it by raising. Raises `TrainingError`.
    """
    try:
        return artifact_writer.publish(models_dir, candidate.run.name, _maker(candidate), on_commit)
    except ArtifactError as error:
        raise TrainingError(str(error)) from error


def keep(candidate: Candidate, models_dir: Path) -> Path:
    """Write a version that was refused to a hidden folder, and return that. Raises `TrainingError`."""
    try:
        return refused.keep(models_dir, candidate.run.name, _maker(candidate))
    except ArtifactError as error:
        raise TrainingError(str(error)) from error


def _maker(candidate: Candidate) -> Callable[[int], tuple[Manifest, Mapping[str, bytes]]]:
    """A function from a version number to the manifest and all other files."""
    candidate = replace(candidate, run=_in_utf8(candidate.run))
    run = candidate.run
    created = datetime.now(UTC).isoformat(timespec="seconds")
    commit = _git_commit()
    files = {artifact.MODEL: candidate.graph, artifact.GOLDEN: _golden(candidate, _golden_rows(candidate))}
    if candidate.int8_graph is not None:
        files[artifact.MODEL_INT8] = candidate.int8_graph
    example = _example_row(candidate)
    files[artifact.EXAMPLE] = json.dumps({"inputs": [_as_json(run, example)]}).encode()
    seen = _seen_rows(run)
    if seen is not None:
        files[seen_rows.FILE] = seen

    def make(version: int) -> tuple[Manifest, Mapping[str, bytes]]:
        manifest = _manifest(candidate, version, created, commit)
        return manifest, files | card.card(candidate, version, created, commit, manifest.libraries, example)

    return make


def _seen_rows(run: TrainingRun) -> bytes | None:
    """The hashes of the rows that the network was fitted or tuned on; None if they are too many, or not in memory."""
    split = run.split
    if len(split.train) < split.train_rows:
        return None
    return seen_rows.file_of(run.dataset, np.concatenate([split.train, split.validation]))


def _in_utf8(run: TrainingRun) -> TrainingRun:
    """``run`` with undecodable bytes of file names escaped as ``\\udcff``, in its command and its data source."""

    def escaped(value: Any) -> Any:
        if isinstance(value, Mapping):
            return {escaped(key): escaped(each) for key, each in value.items()}
        if isinstance(value, (list, tuple)):
            return [escaped(each) for each in value]
        return value.encode(errors="backslashreplace").decode() if isinstance(value, str) else value

    dataset = replace(run.dataset, source=escaped(run.dataset.source))
    return replace(run, command=escaped(run.command), dataset=dataset)


def _manifest(candidate: Candidate, version: int, created: str, commit: str | None) -> Manifest:
    run = candidate.run
    dataset, split = run.dataset, run.split
    rows = {"train": split.train_rows, "validation": len(split.validation), "test": len(split.test)}
    features = features_of(dataset, split.train)
    return Manifest(
        format=format_of(features),
        name=run.name,
        version=version,
        task=CLASSIFICATION if dataset.classifies else REGRESSION,
        classes=dataset.labels,
        targets=dataset.target_names,
        features=features,
        input_shape=dataset.shape,
        input_dtype=cast("InputDtype", str(dataset.inputs.dtype)),
        output_dtype="float32" if dataset.classifies else cast("OutputDtype", str(candidate.outputs[0].dtype)),
        opset=OPSET,
        files={},
        scores=candidate.scores,
        parity=candidate.parity,
        data={**dataset.source, "rows": rows, "split": dict(split.how)},
        config={**run.config, "temperature": run.temperature, "command": run.command},
        seed=run.seed,
        libraries={name: installed(name) for name in _LIBRARIES if name != "onnxruntime"}
        | {"onnxruntime": onnx_runtime.VERSION},
        git_commit=commit,
        created=created,
        cells=dataset.cells,
        target_cells=dataset.target_cells,
        int8=None if candidate.int8 is None or candidate.int8_graph is None else candidate.int8.measured,
        no_int8=candidate.no_int8,
        compared=candidate.judgement.compared,
        baseline=candidate.baseline or None,
        f1_threshold=None if candidate.thresholds is None or (best := candidate.thresholds.best) is None else best.at,
        search=None if run.search is None else search_section.summary(run.search),
        reference=reference(dataset, split.train, candidate.outputs[-1], candidate.influence),
        importance=candidate.importance,
    )


def _golden_rows(candidate: Candidate) -> NDArray[np.int64]:
    """Indices of some test rows, always the same, that the server replays before a version takes traffic."""
    rows = np.random.default_rng(0).permutation(len(candidate.run.test_inputs))
    if candidate.run.dataset.classifies:
        ranked = np.sort(candidate.outputs[0], axis=1)
        margin = ranked[:, -1] - ranked[:, -2]
        clear = rows[margin[rows] > _CLEAR_MARGIN]
        rows = clear if len(clear) else rows
    return np.sort(rows[:_GOLDEN_ROWS])


def _golden(candidate: Candidate, rows: NDArray[np.int64]) -> bytes:
    names = CLASSIFIER_OUTPUTS if candidate.run.dataset.classifies else REGRESSOR_OUTPUTS
    inputs = candidate.run.test_inputs[rows]
    arrays = {"inputs": inputs} | {name: output[rows] for name, output in zip(names, candidate.outputs, strict=True)}
    if candidate.int8_graph is not None:
        outputs = onnx_runtime.run(candidate.int8_graph, inputs)
        arrays |= {f"int8_{name}": output for name, output in zip(names, outputs, strict=True)}
    file = io.BytesIO()
    np.savez_compressed(file, allow_pickle=False, **arrays)
    return file.getvalue()


def _example_row(candidate: Candidate) -> int:
    """The index of the test row in the example: the first that is classified correctly."""
    if not candidate.run.dataset.classifies:
        return 0
    return int((candidate.outputs[1] == candidate.run.test_targets).argmax())


def _as_json(run: TrainingRun, index: int) -> Any:
    """A test row as a client sends it: nested to its shape, or by feature name; categories and dates are strings, and
    missing values null."""
    dataset, row = run.dataset, run.test_inputs[index]
    if len(dataset.shape) > 1:
        return row.reshape(dataset.shape).tolist()
    values: dict[str, Any] = {}
    for column, value in zip(dataset.columns, row.tolist(), strict=True):
        if value != value:  # noqa: PLR0124 - NaN
            values[column.name] = None
        elif column.type == "categorical":
            values[column.name] = (*column.categories, "something else")[int(value)]
        elif column.format is not None:
            values[column.name] = dates.text_of(value, column.format)
        else:
            values[column.name] = bool(value) if column.type == "boolean" else float(str(row.dtype.type(value)))
    return values


def _git_commit() -> str | None:
    """The commit of this code, marked if files differ from it; None outside a checkout."""
    folder = Path(__file__).parent

    def git(*arguments: str) -> str:
        done = subprocess.run(["git", *arguments], cwd=folder, capture_output=True, text=True, check=True)  # noqa: S603, S607
        return done.stdout.strip()

    try:
        commit = git("rev-parse", "HEAD")
        return commit + (" and uncommitted changes" if git("status", "--porcelain", ".", "../pyproject.toml") else "")
    except (OSError, subprocess.CalledProcessError):
        return None
