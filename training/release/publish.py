"""A finished run becomes the next version in the models folder. The only importer of service.artifact."""

from __future__ import annotations

import io
import json
import subprocess
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from importlib.metadata import version as installed
from pathlib import Path
from typing import Any, Final, cast

import numpy as np
from numpy.typing import NDArray

from service import artifact, artifact_writer
from service.manifest import (
    CLASSIFICATION,
    FORMAT,
    REGRESSION,
    ArtifactError,
    Feature,
    InputDtype,
    Manifest,
    OutputDtype,
    unprintable,
)
from training.data import summary
from training.data.dataset import Dataset
from training.errors import DataError, TrainingError
from training.release import card, onnx_runtime
from training.release.onnx_export import CLASSIFIES, OPSET, REGRESSES
from training.release.training_run import TrainingRun

_GOLDEN_ROWS: Final = 32
# Golden rows are answered beyond doubt: where two labels nearly tie, another processor's rounding may choose the other.
_CLEAR_MARGIN: Final = 0.1
_LIBRARIES: Final = ("mlp-serving", "torch", "onnx", "onnxruntime", "numpy", "scikit-learn")


def check(models_dir: Path, name: str) -> None:
    """Raise `TrainingError` now where publishing would fail after training: a bad name, a folder that is none."""
    model_dir = models_dir / name
    try:
        artifact.check_name(name)
        models_dir.mkdir(parents=True, exist_ok=True)
        artifact.versions(model_dir)
        with tempfile.TemporaryFile(dir=model_dir if model_dir.exists() else models_dir):
            pass
    except OSError as error:
        raise TrainingError(
            f"no version of {name!r} can be written to {str(models_dir)!r}: {error.strerror}; "
            "name another folder with --models"
        ) from error
    except ArtifactError as error:
        raise TrainingError(str(error)) from error


def check_names(dataset: Dataset) -> None:
    """Raise `DataError` now where a label or a name could not be shown by the server, and so would not be published."""
    names = {"label": dataset.label_texts, "target": dataset.target_names}
    for what, texts in {**names, "column": [column.name for column in dataset.columns]}.items():
        for text in texts:
            if found := unprintable(text):
                raise DataError(
                    f"{what} {text!r:.60} has the character {found}, a control character or no character of UTF-8, "
                    "which no answer, metric or log can show; rename it"
                )


def publish(outcome: TrainingRun, models_dir: Path, on_commit: Callable[[], None] = lambda: None) -> Path:
    """Write ``models_dir/<name>/<next version>``, whole or not at all; its folder. Raises `TrainingError`.

    ``on_commit`` is called when all but the last step is done, and can still prevent it by raising.
    """
    outcome = _in_utf8(outcome)
    created = datetime.now(UTC).isoformat(timespec="seconds")
    commit = _git_commit()
    clear = _clear_rows(outcome)
    files = {artifact.MODEL: outcome.graph, artifact.GOLDEN: _golden(outcome, clear)}
    if outcome.int8_graph is not None:
        files[artifact.MODEL_INT8] = outcome.int8_graph
    example = _first_right(outcome)
    files[artifact.EXAMPLE] = json.dumps({"inputs": [_as_client_sends(outcome, example)]}).encode()

    def make(version: int) -> tuple[Manifest, Mapping[str, bytes]]:
        manifest = _manifest(outcome, version, created, commit)
        return manifest, files | card.card(outcome, version, created, commit, manifest.libraries, example)

    try:
        return artifact_writer.publish(models_dir, outcome.name, make, on_commit)
    except ArtifactError as error:
        raise TrainingError(str(error)) from error


def _in_utf8(outcome: TrainingRun) -> TrainingRun:
    """``outcome`` with what is no UTF-8 in the names of files written as ``\\udcff``, in its command and its data."""

    def plain(value: Any) -> Any:
        if isinstance(value, Mapping):
            return {plain(key): plain(each) for key, each in value.items()}
        if isinstance(value, (list, tuple)):
            return [plain(each) for each in value]
        return value.encode(errors="backslashreplace").decode() if isinstance(value, str) else value

    dataset = replace(outcome.dataset, source=plain(outcome.dataset.source))
    return replace(outcome, command=plain(outcome.command), dataset=dataset)


def _manifest(outcome: TrainingRun, version: int, created: str, commit: str | None) -> Manifest:
    dataset, split = outcome.dataset, outcome.split
    parts = {"train": len(split.train), "validation": len(split.validation), "test": len(split.test)}
    return Manifest(
        format=FORMAT,
        name=outcome.name,
        version=version,
        task=CLASSIFICATION if dataset.classifies else REGRESSION,
        classes=dataset.labels,
        targets=dataset.target_names,
        features=_features(outcome),
        input_shape=dataset.shape,
        input_dtype=cast("InputDtype", str(dataset.inputs.dtype)),
        output_dtype="float32" if dataset.classifies else cast("OutputDtype", str(outcome.answers[0].dtype)),
        opset=OPSET,
        files={},
        scores=outcome.scores,
        parity=outcome.parity,
        data={**dataset.source, "rows": parts},
        config={**outcome.chosen, "temperature": outcome.temperature, "command": outcome.command},
        seed=outcome.seed,
        libraries={name: installed(name) for name in _LIBRARIES if name != "onnxruntime"}
        | {"onnxruntime": onnx_runtime.VERSION},
        git_commit=commit,
        created=created,
        cells=dataset.cells,
        int8=None if outcome.int8 is None or outcome.int8_graph is None else outcome.int8.found,
    )


def _features(outcome: TrainingRun) -> tuple[Feature, ...]:
    dataset = outcome.dataset
    return tuple(
        Feature(
            column.name,
            column.kind,
            column.missing,
            column.categories,
            column.other,
            found.mean,
            found.std,
            min=found.min,
            max=found.max,
        )
        for column, found in zip(dataset.columns, summary.statistics(dataset, outcome.split.train), strict=True)
    )


def _clear_rows(outcome: TrainingRun) -> NDArray[np.int64]:
    """Some test rows, always the same, for the server to prove itself on: places among the test rows."""
    places = np.random.default_rng(0).permutation(len(outcome.test_inputs))
    if outcome.dataset.classifies:
        best = np.sort(outcome.answers[0], axis=1)
        margin = best[:, -1] - best[:, -2]
        clear = places[margin[places] > _CLEAR_MARGIN]
        places = clear if len(clear) else places
    return np.sort(places[:_GOLDEN_ROWS])


def _golden(outcome: TrainingRun, places: NDArray[np.int64]) -> bytes:
    names = CLASSIFIES if outcome.dataset.classifies else REGRESSES
    inputs = outcome.test_inputs[places]
    arrays = {"inputs": inputs} | {name: answer[places] for name, answer in zip(names, outcome.answers, strict=True)}
    if outcome.int8_graph is not None:
        answers = onnx_runtime.run(outcome.int8_graph, inputs)
        arrays |= {f"int8_{name}": answer for name, answer in zip(names, answers, strict=True)}
    file = io.BytesIO()
    np.savez_compressed(file, allow_pickle=False, **arrays)
    return file.getvalue()


def _first_right(outcome: TrainingRun) -> int:
    """The place of the first test row that is answered rightly: the example to send."""
    if not outcome.dataset.classifies:
        return 0
    return int((outcome.answers[1] == outcome.test_targets).argmax())


def _as_client_sends(outcome: TrainingRun, place: int) -> Any:
    """A row nested to its shape, or by feature name with texts for categories and null for what is missing."""
    dataset, row = outcome.dataset, outcome.test_inputs[place]
    if len(dataset.shape) > 1:
        return row.reshape(dataset.shape).tolist()
    values: dict[str, Any] = {}
    for column, value in zip(dataset.columns, row.tolist(), strict=True):
        if value != value:  # noqa: PLR0124 - NaN
            values[column.name] = None
        elif column.kind == "categorical":
            values[column.name] = (*column.categories, "something else")[int(value)]
        else:
            values[column.name] = bool(value) if column.kind == "boolean" else float(str(row.dtype.type(value)))
    return values


def _git_commit() -> str | None:
    """The commit that this code is of, marked where files differ from it; None outside a checkout."""
    folder = Path(__file__).parent

    def git(*arguments: str) -> str:
        done = subprocess.run(["git", *arguments], cwd=folder, capture_output=True, text=True, check=True)  # noqa: S603, S607
        return done.stdout.strip()

    try:
        commit = git("rev-parse", "HEAD")
        return commit + (" and uncommitted changes" if git("status", "--porcelain", ".", "../pyproject.toml") else "")
    except (OSError, subprocess.CalledProcessError):
        return None
